package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestRecipes does what docs/recipes.md says, with the programs that it is about.
func TestRecipes(t *testing.T) {
	for _, peer := range []string{"jq", "git", "bsd-mailx", "neomutt", "openssl"} {
		peertest.Command(t, peer)
	}
	peertest.Files(t, "git-email", "/usr/lib/git-core/git-send-email", "/usr/share/perl5/Mail/Address.pm")
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	c := &cook{reader: newReader(t), page: string(page)}
	c.setUp(t)
	t.Run("mutt", c.mutt)
	t.Run("mutt sends through sealmail", c.muttSends)
	t.Run("git", c.git)
	t.Run("cron, systemd, mail", c.jobs)
	t.Run("aerc", c.aerc)
	t.Run("jq", c.scripts)
}

// cook is somebody who does what the recipes say.
type cook struct {
	*reader
	page string
	env  []string // of alice, for all programs
}

func (c *cook) setUp(t *testing.T) {
	t.Helper()
	bin := c.bin(t, "sealmail", "sendmail")
	if err := os.Mkdir(filepath.Join(c.dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.program(t, "sealmail-mutt", c.block(t, "neomutt with sealmail", "sh", 0))
	c.program(t, "backup", "#!/bin/sh\necho 'Größe: 3'\necho warning >&2\n")
	c.program(t, "systemctl", "#!/bin/sh\necho \"* $3 - Backup\"\nexit 3\n")
	c.env = []string{asProgram + "=1", "GORACE=atexit_sleep_ms=0", "PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + c.dir, "TMPDIR=" + filepath.Join(c.dir, "tmp"),
		"LC_ALL=C.UTF-8", "TERM=xterm", "GIT_CONFIG_NOSYSTEM=1", "SEALMAIL_HOME=" + filepath.Join(c.dir, "alice")}
	root := c.world.in("ca/root.pem")
	for person, other := range map[string]string{"alice": "bob", "bob": "alice"} {
		c.ofPerson(t, person, "init", person+"@"+worldDomain, "--imap", "imaps://"+c.server.IMAPS, "--smtp", "submissions://"+c.server.Submissions,
			"--server-ca", root, "--password-file", "mail-password", "--p12", c.world.in(person+".p12"), "--p12-password-file", "p12-password",
			"--trust", root, "--tsa", c.world.tsa, "--tsa-trust", root, "--unprotected")
		c.ofPerson(t, person, "cert", "import", c.world.in(other+".pem"))
	}
}

// program writes a program of alice's.
func (c *cook) program(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "bin", name), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// rename puts what is here in the place of what the page calls it.
func (c *cook) rename(text string) string {
	return strings.NewReplacer("example.org", worldDomain, "/home/alice", c.dir, "/usr/local", c.dir).Replace(text)
}

// block is the code block with this number, among those in a language below a heading.
func (c *cook) block(t *testing.T, heading, language string, number int) string {
	t.Helper()
	_, section, _ := strings.Cut(c.page, "\n## "+heading)
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(section, -1)
	if number >= len(blocks) {
		t.Fatalf("%s: %d blocks of %s", heading, len(blocks), language)
	}
	return c.rename(blocks[number][1])
}

// says returns a line that the page has in code quotes.
func (c *cook) says(t *testing.T, line string) string {
	t.Helper()
	if !strings.Contains(c.page, "`"+line+"`") {
		t.Fatalf("the page does not say %s", line)
	}
	return c.rename(line)
}

// ofPerson runs sealmail with somebody's home, and returns stdout.
func (c *cook) ofPerson(t *testing.T, person string, args ...string) []byte {
	t.Helper()
	cmd := c.command(t, person, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", args, err, out, &stderr)
	}
	return out
}

// sh runs a shell as alice.
func (c *cook) sh(t *testing.T, script, stdin string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Env, cmd.Dir, cmd.Stdin = c.env, c.dir, strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out, &stderr)
	}
	return string(out)
}

// arrived has bob open the newest message, which must be signed by alice, and encrypted.
func (c *cook) arrived(t *testing.T, want map[string]any) map[string]any {
	t.Helper()
	o := outcome{out: string(c.ofPerson(t, "bob", "read", "last", "--json"))}
	report := o.report(t)
	mustHave(t, report, map[string]any{"verdict": "passed", "encryption": "decrypted", "message.from": "alice@" + worldDomain})
	mustHave(t, report, want)
	return report
}

// key is what somebody types once the terminal shows a text.
type key struct{ at, typed string }

// atTerminal runs a program at a terminal of its own, until it ends, and returns what the terminal showed.
func (c *cook) atTerminal(t *testing.T, home string, keys []key, words ...string) string {
	t.Helper()
	person, own := openTerminal(t)
	size := [4]uint16{50, 120}
	control(t, own, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env, cmd.Dir = append(c.env[:len(c.env):len(c.env)], "SEALMAIL_HOME="+filepath.Join(c.dir, home)), c.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = own, own, own
	ended := startAtTerminal(t, cmd, own)
	var shown strings.Builder
	from := 0
	for some := make([]byte, 4096); ; {
		n, err := person.Read(some)
		if shown.Write(some[:n]); err != nil {
			break
		}
		if len(keys) > 0 {
			if i := strings.Index(shown.String()[from:], keys[0].at); i >= 0 {
				if _, err := person.WriteString(keys[0].typed); err != nil {
					t.Fatal(err)
				}
				from, keys = from+i+len(keys[0].at), keys[1:]
			}
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("%s: %v, with %v to type\n%q", words[0], err, keys, shown.String())
	}
	return shown.String()
}

const muttAsks = "Enter S/MIME passphrase:"

// mutt writes and reads with sealmail as the S/MIME program of neomutt.
func (c *cook) mutt(t *testing.T) {
	c.sh(t, strings.ReplaceAll(c.block(t, "neomutt with sealmail", "sh", 1), "~", "$HOME"), "")
	c.write(t, "muttrc", []byte(c.block(t, "neomutt with sealmail", "muttrc", 0)+"set folder=~ record=\"\" mbox_type=mbox sendmail_wait=0 from=alice@"+worldDomain+" use_from sendmail=\""+
		filepath.Join(c.dir, "bin/keep")+"\" abort_unmodified=no abort_noattach=no fast_reply editor=true charset=utf-8 quit=yes pager_stop\n"))
	c.program(t, "keep", "#!/bin/sh\ncat >sent.eml\n")
	c.write(t, "body", []byte("Hello Bob, Grüße\n\ntrailing \n-- \nAlice\n"))
	c.atTerminal(t, "alice", []key{{"y:Send", "y"}, {muttAsks, "\r"}}, "neomutt", "-n", "-F", "muttrc", "-s", "Plan", "-i", "body", "bob@"+worldDomain)
	o := outcome{out: string(c.ofPerson(t, "bob", "verify", "sent.eml", "--json"))}
	mustHave(t, o.report(t), map[string]any{"verdict": "passed", "encryption": "decrypted", "message.subject": "Plan", "signatures.0.checks.time.status": "passed"})

	in := func(name string) string { return filepath.Join(c.dir, name) }
	peertest.Run(t, "openssl", "pkcs12", "-in", c.world.in("bob.p12"), "-passin", "file:"+c.world.in("password"), "-nodes", "-nocerts", "-out", in("bob.key"))
	peertest.Run(t, "openssl", "cms", "-decrypt", "-in", in("sent.eml"), "-recip", c.world.in("bob.pem"), "-inkey", in("bob.key"), "-out", in("inner"))
	if clear := peertest.Run(t, "openssl", "cms", "-verify", "-in", in("inner"), "-CAfile", c.world.in("ca/root.pem")); !bytes.Contains(clear, []byte("Hello Bob")) {
		t.Errorf("openssl reads %s", clear)
	}

	c.write(t, "letter.eml", []byte("From: alice@"+worldDomain+"\nTo: bob@"+worldDomain+"\nSubject: Plan\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\n"+
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nHello Bob, Grüße\n"))
	c.ofPerson(t, "alice", "sign", "letter.eml", "-o", "signed.eml")
	c.ofPerson(t, "alice", "sign", "--opaque", "letter.eml", "-o", "opaque.eml")
	signed, err := os.ReadFile(in("signed.eml"))
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "altered.eml", bytes.Replace(signed, []byte("Hello Bob"), []byte("Hullo Bob"), 1))
	const good, bad = "S/MIME signature successfully verified", "S/MIME signature could NOT be verified"
	for file, want := range map[string]string{"sent.eml": good, "signed.eml": good, "opaque.eml": good, "altered.eml": bad} {
		message, err := os.ReadFile(in(file))
		if err != nil {
			t.Fatal(err)
		}
		c.write(t, "box", append([]byte("From alice Sat Nov 21 10:00:00 2026\n"), append(bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")), '\n')...))
		keys := []key{{"--(all)--", "\r"}, {want, "qx"}}
		if file == "sent.eml" {
			keys = []key{keys[0], {muttAsks, "\r"}, keys[1]}
		}
		shown := c.atTerminal(t, "bob", keys, "neomutt", "-n", "-F", "muttrc", "-e", "set from=bob@"+worldDomain+" smime_default_key=bob@"+worldDomain, "-f", "box")
		if strings.Contains(shown, good) != (want == good) || !strings.Contains(shown, "llo Bob, Grüße") || strings.Contains(shown, "PASSED") != (want == good) {
			t.Errorf("%s: %q", file, shown)
		}
	}
}

// muttSends has neomutt send by sealmail.
func (c *cook) muttSends(t *testing.T) {
	c.write(t, "sendrc", []byte(c.says(t, `set sendmail = "sealmail sendmail -oi -oem"`)+"\nunset record\nset charset=utf-8 folder=~ use_envelope_from from=alice@"+worldDomain+"\n"))
	c.write(t, "plan.csv", []byte("a,b\n1,2\n"))
	c.sh(t, "neomutt -n -F sendrc -s 'Größe' -a plan.csv -- bob@"+worldDomain, "Grüße\n.\nmore\n")
	report := c.arrived(t, map[string]any{"message.subject": "Größe", "parts.1.filename": "plan.csv"})
	if text, _ := report["text"].(string); !strings.Contains(text, "Grüße\n.\nmore\n") {
		t.Errorf("the text is %q", text)
	}
}

// git sends a patch that is not easy on mail, and bob applies it.
func (c *cook) git(t *testing.T) {
	c.sh(t, `
git init -q work; cd work
git config user.name 'Alice Ädams'; git config user.email alice@`+worldDomain+`
echo one >a; git add a; git commit -qm Begin
{ printf 'one  \n-- \n>From here\nFrom there\n.\n ünïcode\r\n\tlast\n'; head -c 2000 /dev/zero | tr '\0' x; } >a
git commit -qam 'Add ünïcode, and a subject that is much longer than a line of mail may be if you ask most people

From the start.

-- 
more'
echo two >b; git add b; git commit -qm 'Add b'
git clone -q . ../there; cd ../there; git reset -q --hard HEAD~2
git config user.name Bob; git config user.email bob@`+worldDomain, "")
	lines := strings.SplitAfter(c.block(t, "git", "sh", 0), "\n")
	c.sh(t, "cd work; git config sendemail.confirm never; git config sendemail.assume8bitEncoding UTF-8; "+lines[0]+lines[1], "")
	c.ofPerson(t, "bob", "fetch")
	apply := strings.ReplaceAll(c.block(t, "git", "sh", 1), "last", "$uid")
	c.sh(t, "cd there; export SEALMAIL_HOME=../bob; for uid in 2 3; do "+apply+"done", "")
	want := c.sh(t, "cd work; git log -2 --format='%an %ae %s%n%b %T'", "")
	if got := c.sh(t, "cd there; git log -2 --format='%an %ae %s%n%b %T'", ""); got != want {
		t.Errorf("there is\n%s\nand was\n%s", got, want)
	}
}

// jobs send as cron, systemd and mailx do.
func (c *cook) jobs(t *testing.T) {
	const cronHeader = "From: root (Cron Daemon)\nTo: bob@" + worldDomain + "\nSubject: Cron <alice@host> backup\nMIME-Version: 1.0\n" +
		"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n\nGrün\n"
	c.sh(t, "sendmail -FCronDaemon -i -odi -oem -oi -t", cronHeader)
	c.arrived(t, map[string]any{"message.subject": "Cron <alice@host> backup", "text": "Grün\n"})
	c.sh(t, "sendmail -i -FCronDaemon -B8BITMIME -oem bob@"+worldDomain, cronHeader) // of Debian
	c.arrived(t, map[string]any{"text": "Grün\n"})

	c.write(t, ".mailrc", []byte(c.says(t, "set sendmail=/home/alice/bin/sendmail")+"\n"))
	c.sh(t, c.block(t, "cron, systemd, mail", "sh", 0), "")
	c.arrived(t, map[string]any{"text": "Größe: 3\nwarning\n"})

	_, line, _ := strings.Cut(c.block(t, "cron, systemd, mail", "ini", 0), "ExecStart=/bin/sh -c '")
	line, _, ok := strings.Cut(line, "'\n")
	if !ok {
		t.Fatal("the unit has another command")
	}
	c.sh(t, strings.NewReplacer("%i", "backup.service", `\\`, `\`).Replace(line), "") // as systemd reads it
	c.arrived(t, map[string]any{"message.subject": "backup.service failed", "text": "* backup.service - Backup\n"})
}

// aerc hands a message with CRLF to the words of its configuration, with the recipients behind them.
func (c *cook) aerc(t *testing.T) {
	words := strings.TrimPrefix(c.says(t, "outgoing = /usr/local/bin/sealmail sendmail"), "outgoing = ")
	c.sh(t, words+" bob@"+worldDomain, "From: Alice <alice@"+worldDomain+">\r\nTo: bob@"+worldDomain+"\r\nSubject: aerc\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BCn\r\n")
	c.arrived(t, map[string]any{"message.subject": "aerc", "text": "Grün\n"})
	raw := c.ofPerson(t, "bob", "read", "last", "--raw")
	c.write(t, "piped.eml", raw)
	if shown := c.sh(t, "SEALMAIL_HOME=bob sealmail read - <piped.eml", ""); !strings.Contains(shown, "PASSED") || !strings.Contains(shown, "Grün") {
		t.Errorf("read shows %s", shown)
	}
}

// scripts runs what the page says with jq.
func (c *cook) scripts(t *testing.T) {
	c.write(t, "mine.eml", []byte("From: bob@"+worldDomain+"\nTo: alice@"+worldDomain+"\nSubject: Altered\n\nThe plan.\n"))
	c.submit(t, []byte(c.sh(t, "SEALMAIL_HOME=bob; sealmail sign mine.eml | sed s/plan/plot/", "")))
	c.sh(t, c.block(t, "Scripts with jq", "sh", 2), "")
	o := outcome{out: string(c.ofPerson(t, "alice", "read", "last", "--json"))}
	mustHave(t, o.report(t), map[string]any{"message.subject": "mail that failed", "text": "bob@" + worldDomain + ": Altered\n"})
	list := strings.ReplaceAll(c.block(t, "Scripts with jq", "sh", 0), "alice@", "bob@")
	if got := c.sh(t, list, ""); !strings.HasSuffix(got, " failed Altered\n") {
		t.Errorf("%s prints %q", list, got)
	}
	expiring := c.block(t, "Scripts with jq", "sh", 1)
	if got := c.sh(t, expiring, ""); got != "" {
		t.Errorf("%s prints %q", expiring, got)
	}
	if got := c.sh(t, strings.ReplaceAll(expiring, "30 *", "30000 *"), ""); !strings.Contains(got, " identity Alice Adams\n") || !strings.Contains(got, " correspondent Bob Brown\n") {
		t.Errorf("with a longer time: %q", got)
	}
}

// submit sends a message of bob's to alice as it is.
func (c *cook) submit(t *testing.T, message []byte) {
	t.Helper()
	roots := x509.NewCertPool()
	if root, err := os.ReadFile(c.world.in("ca/root.pem")); err != nil || !roots.AppendCertsFromPEM(root) {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", c.server.Submissions, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	bob := "bob@" + worldDomain
	s, err := smtp.NewClient(conn, "127.0.0.1")
	if err == nil {
		err = errors.Join(s.Auth(smtp.PlainAuth("", bob, string(c.world.password), "127.0.0.1")), s.Mail(bob), s.Rcpt("alice@"+worldDomain))
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(message)
	if err := errors.Join(err, w.Close(), s.Quit()); err != nil {
		t.Fatal(err)
	}
}
