package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// control asks the kernel something about a terminal; value is a pointer to what is asked with, and what is answered.
func control(t *testing.T, terminal *os.File, request uintptr, value unsafe.Pointer) {
	t.Helper()
	if _, _, err := syscall.Syscall(syscall.SYS_IOCTL, terminal.Fd(), request, uintptr(value)); err != 0 {
		t.Fatal(err)
	}
}

// startAtTerminal starts a command whose terminal own is, which is closed when it ends.
func startAtTerminal(t *testing.T, cmd *exec.Cmd, own *os.File) (ended chan error) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		own.Close() // what reads the other end comes to an end as well
	}()
	return ended
}

// openTerminal returns both ends of a terminal: what a person types and sees, and what a program has as its own.
func openTerminal(t *testing.T) (person, own *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	var locked, number int32
	control(t, person, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	control(t, person, syscall.TIOCGPTN, unsafe.Pointer(&number))
	own, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	return person, own
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	var state syscall.Termios
	control(t, terminal, syscall.TCGETS, unsafe.Pointer(&state))
	return state.Lflag&syscall.ECHO != 0
}

// readUntil reads what a program writes to the terminal, up to some text.
func readUntil(person io.Reader, text string) (string, error) {
	var seen strings.Builder
	for one := make([]byte, 1); !strings.HasSuffix(seen.String(), text); {
		if _, err := person.Read(one); err != nil {
			return seen.String(), err
		}
		seen.Write(one)
	}
	return seen.String(), nil
}

// TestInterruptQuestion: at each question Ctrl-C ends the program, which says so, leaves the terminal as it was, and has done
// nothing.
func TestInterruptQuestion(t *testing.T) {
	dir := t.TempDir()
	if code, output := (&terminal{}).run(t, "ca", "init", "--dir", filepath.Join(dir, "ca"), "--name", "N", "--unprotected"); code != exitGood {
		t.Fatal(output)
	}
	for _, test := range []struct {
		words   []string
		answers []string // before the interruption
		at      string
		secret  bool
		not     string // the file that is not there afterwards
	}{
		{[]string{"ca", "init", "--dir", "new", "--name", "N"}, nil, "The passphrase of the authority's keys: ", true, "new"},
		{[]string{"ca", "init", "--dir", "new", "--name", "N"}, []string{"one"}, "Once more: ", true, "new"},
		{[]string{"cert", "request", "a@example.test", "-o", "a.csr"}, nil, "New passphrase for the vault: ", true, "a.csr"},
		{[]string{"cert", "trust", "ca/root.pem", "--for", "mail"}, nil, "[y/N] ", false, "home/certificates/anchors"},
	} {
		t.Run(strings.Join(append(test.words[:2:2], test.at), " "), func(t *testing.T) {
			person, own := openTerminal(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // that of a program which goes on asking
			defer cancel()
			words := program(t, []string{"SEALMAIL_HOME=home"}, test.words...)
			cmd := exec.CommandContext(ctx, words.Path, words.Args[1:]...)
			cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stderr = words.Env, dir, own, own
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			ended := startAtTerminal(t, cmd, own)
			for _, answer := range test.answers {
				if seen, err := readUntil(person, ": "); err != nil {
					t.Fatalf("%q: %v", seen, err)
				}
				fmt.Fprintln(person, answer)
			}
			if seen, err := readUntil(person, test.at); err != nil {
				t.Fatalf("%q: %v", seen, err)
			}
			for test.secret && echoes(t, person) && ctx.Err() == nil {
				runtime.Gosched() // the question is there before the echo is off
			}
			if _, err := person.WriteString("\x03"); err != nil {
				t.Fatal(err)
			}
			seen, err := readUntil(person, " interrupted\r\n")
			if err != nil {
				t.Fatalf("%q: %v", seen, err)
			}
			if !echoes(t, person) {
				t.Error("the terminal does not show what is typed any more")
			}
			var exit *exec.ExitError
			if err := <-ended; !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
				t.Errorf("%v, want exit code %d", err, exitFailed)
			}
			if stdout.Len() > 0 {
				t.Errorf("on stdout: %s", &stdout)
			}
			if _, err := os.Stat(filepath.Join(dir, test.not)); err == nil {
				t.Errorf("%s is there", test.not)
			}
		})
	}
}

// TestInitAtTerminal: a person types what is asked, after a mistake once more, and no secret is shown.
func TestInitAtTerminal(t *testing.T) {
	n := newNeighbourhood(t)
	person, own := openTerminal(t)
	imap, smtp := n.names["imap.example.test:993"], n.names["imap.example.test:465"]
	_, imapPort, _ := net.SplitHostPort(imap)
	_, smtpPort, _ := net.SplitHostPort(smtp)
	words := program(t, []string{"SEALMAIL_HOME=" + filepath.Join(n.dir, "home")}, "init", "alice@example.test", "--imap", "imaps://localhost:"+imapPort,
		"--smtp", "submissions://localhost:"+smtpPort, "--server-ca", filepath.Join(n.dir, "ca/root.pem"))
	var stdout bytes.Buffer
	words.Stdin, words.Stderr, words.Stdout = own, own, &stdout
	words.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := words.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- words.Wait()
		own.Close() // what reads the other end comes to an end as well
	}()
	for _, step := range []struct {
		question, answer string
		secret           bool
	}{
		{"The password for the servers: ", "battery staple", true},
		{"(.p12, .pfx; none: Enter): ", filepath.Join(n.dir, "alice.p12"), false},
		{"The password of the PKCS#12 file: ", "p13 word", true},
		{"wrong password; once more:\r\nThe password of the PKCS#12 file: ", "p12 word", true},
		{"; once more:\r\nThe password for the servers: ", "correct horse", true},
		{"New passphrase for the vault: ", "vault word", true},
		{"Once more: ", "vault word", true},
	} {
		seen, err := readUntil(person, step.question)
		if err != nil {
			t.Fatalf("%q: %v", seen, err)
		}
		for _, secret := range []string{"battery", "p13 word", "p12 word", "horse", "vault word"} {
			if strings.Contains(seen, secret) {
				t.Errorf("%q is shown in %q", secret, seen)
			}
		}
		for step.secret && echoes(t, person) && t.Context().Err() == nil {
			runtime.Gosched() // the question is there before the echo is off
		}
		fmt.Fprintln(person, step.answer)
	}
	rest, _ := io.ReadAll(person) // ends with an error when nobody has the other end any more
	if err := <-ended; err != nil {
		t.Fatalf("%v: %s", err, rest)
	}
	if !strings.Contains(stdout.String(), "account alice@example.test is set up in ") {
		t.Errorf("%s", &stdout)
	}
}

// ownColors are the codes that sealmail's own words are coloured by.
var ownColors = regexp.MustCompile("\x1b\\[(0|2|31|32|33)m")

// TestPager reads messages at a terminal: what is longer than the screen goes to the pager, and nothing else does.
func TestPager(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	const header = "From: a@example.test\r\nSubject: \x1b[2Jx\r\nContent-Type: text/plain\r\n\r\n"
	write("short.eml", header+"one\r\n", 0o600)
	write("long.eml", header+strings.Repeat("a line\x1b[2J\r\n", 100)+"the end\r\n", 0o600)
	write("wide.eml", header+strings.Repeat("x", 3000)+"the end\r\n", 0o600)
	write("huge.eml", header+strings.Repeat("a line\r\n", 100_000)+"the end\r\n", 0o600)
	write("less", "#!/bin/sh\necho \"$LESS $LESSSECURE\" >options\ncat >paged\n", 0o700)
	keep := "cat >paged"
	for _, test := range []struct {
		about, file string
		flags, env  []string
		paged       bool // the text is in the pager, and not on the terminal
		colored     bool
		nothing     bool   // it is nowhere in full, and that is no error
		options     string // that the program found
	}{
		{about: "short", file: "short.eml", env: []string{"PAGER=" + keep}},
		{about: "long", file: "long.eml", env: []string{"PAGER=" + keep}, paged: true},
		{about: "a line that is longer than the screen", file: "wide.eml", env: []string{"PAGER=" + keep}, paged: true},
		{about: "--no-pager", file: "long.eml", flags: []string{"--no-pager"}, env: []string{"PAGER=" + keep}, colored: true},
		{about: "--json", file: "long.eml", flags: []string{"--json"}, env: []string{"PAGER=" + keep}},
		{about: "PAGER=cat", file: "long.eml", env: []string{"PAGER=cat"}, colored: true},
		{about: "less, where nothing is named", file: "long.eml", paged: true, colored: true, options: "-FXR 1"},
		{about: "less without colours", file: "long.eml", env: []string{"NO_COLOR=1"}, paged: true, options: "-FX 1"},
		{about: "no colours at all", file: "short.eml", flags: []string{"--color", "never"}, env: []string{"PAGER=" + keep}},
		{about: "less as the person wants it", file: "long.eml", env: []string{"LESS=-S"}, paged: true, options: "-S 1"},
		{about: "a terminal that can do nothing", file: "long.eml", env: []string{"TERM=dumb"}},
		{about: "a program that is not there", file: "long.eml", env: []string{"PAGER=no-such-program -x"}, colored: true},
		{about: "a program that fails", file: "huge.eml", env: []string{"PAGER=cat >/dev/null; exit 7"}, nothing: true},
		{about: "a person who leaves at once", file: "huge.eml", env: []string{"PAGER=true"}, nothing: true},
	} {
		t.Run(test.about, func(t *testing.T) {
			for _, name := range []string{"paged", "options"} {
				_ = os.Remove(filepath.Join(dir, name))
			}
			person, own := openTerminal(t)
			size := [4]uint16{24, 80}
			control(t, own, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
			words := program(t, append([]string{"SEALMAIL_HOME=home", "PATH=" + dir + ":" + os.Getenv("PATH")}, test.env...), append([]string{"read", "./" + test.file}, test.flags...)...)
			words.Dir, words.Stdin, words.Stdout = dir, own, own
			var stderr bytes.Buffer
			words.Stderr = &stderr
			if err := words.Start(); err != nil {
				t.Fatal(err)
			}
			own.Close()
			var seen bytes.Buffer
			_, _ = io.Copy(&seen, person) // ends with an error when nobody has the other end any more
			if err := words.Wait(); err != nil || stderr.Len() > 0 {
				t.Errorf("%v: %s", err, &stderr)
			}
			paged, _ := os.ReadFile(filepath.Join(dir, "paged"))
			where, elsewhere := seen.Bytes(), paged
			if test.paged {
				where, elsewhere = elsewhere, where
			}
			if want := "the end"; test.file != "short.eml" && bytes.Contains(where, []byte(want)) == test.nothing || bytes.Contains(elsewhere, []byte(want)) {
				t.Errorf("on the terminal is %.300q, in the pager %.300q", &seen, paged)
			}
			if colored := ownColors.Match(seen.Bytes()) || ownColors.Match(paged); colored != test.colored {
				t.Errorf("coloured: %v", colored)
			}
			for _, text := range [][]byte{seen.Bytes(), paged} {
				if bytes.ContainsRune(ownColors.ReplaceAll(text, nil), '\x1b') {
					t.Error("a control character is printed that is not of a colour of ours")
				}
			}
			if options, _ := os.ReadFile(filepath.Join(dir, "options")); strings.TrimSpace(string(options)) != test.options {
				t.Errorf("the program found %q", options)
			}
		})
	}
}

// TestEditorAtTerminal: an editor has the terminal itself, also where the results go elsewhere, and when the person has left it, it is over.
func TestEditorAtTerminal(t *testing.T) {
	r := newReader(t)
	root := r.world.in("ca/root.pem")
	if out, err := r.command(t, "alice", "init", "alice@"+worldDomain, "--imap", "imaps://"+r.server.IMAPS, "--smtp", "submissions://"+r.server.Submissions,
		"--server-ca", root, "--password-file", "mail-password", "--p12", "alice.p12", "--p12-password-file", "p12-password", "--trust", root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.write(t, "editor", []byte("#!/bin/sh\nset -e\ntest -t 0\ntest -t 1\ntest -t 2\nprintf 'Your text: '\nread -r line\necho \"$line\" >>\"$1\"\n"))
	person, own := openTerminal(t)
	cmd := r.command(t, "alice", "draft", "--subject", "Tomorrow", "--edit", "--json")
	cmd.Env = append(cmd.Env, "EDITOR=sh editor")
	var stdout bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = own, &stdout, own
	ended := startAtTerminal(t, cmd, own)
	if seen, err := readUntil(person, "Your text: "); err != nil {
		t.Fatalf("%q: %v", seen, err)
	}
	fmt.Fprintln(person, "See you at ten.")
	rest, _ := io.ReadAll(person) // ends with an error when nobody has the other end any more
	if err := <-ended; err != nil {
		t.Fatalf("%v: %s", err, rest)
	}
	mustHave(t, outcome{out: stdout.String()}.report(t), map[string]any{"folder": "Drafts"})
	if out, err := r.command(t, "alice", "read", "last", "--folder", "Drafts").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("\n\nSee you at ten.\n")) {
		t.Errorf("%v: %s", err, out)
	}
}
