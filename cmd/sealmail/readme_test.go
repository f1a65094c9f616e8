//go:build unix

package main

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// TestReadme runs the transcript of a new user in README.md, line by line, against a mail server of this machine. What
// differs each time (fingerprints, identifiers, dates, the folder) may be another; every other word of the output must be
// as it stands there.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Begin with one .p12 and its password\n")
	section, _, found := strings.Cut(section, "\n## ")
	if !ok || !found {
		t.Fatal("the section is gone")
	}
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d transcripts", len(blocks))
	}
	r := newReader(t)
	defer func() { // before the context of the test ends, and with it its commands
		if out, err := r.command(t, "alice", "lock").CombinedOutput(); err != nil {
			t.Errorf("lock: %v: %s", err, out)
		}
	}()
	r.run(t, blocks[0][1])
	r.bobAnswers(t)
	r.run(t, blocks[1][1])
}

// reader is somebody who does what the README says.
type reader struct {
	world    *world
	server   localserver.Addresses
	dir      string
	renaming *strings.Replacer // from what the README calls things to what they are called here
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{world: newWorld(t), dir: t.TempDir()}
	for name, from := range map[string]string{"alice.p12": "alice.p12", "p12-password": "password", "mail-password": "password", "passphrase": "password"} {
		data, err := os.ReadFile(r.world.in(from))
		if err != nil {
			t.Fatal(err)
		}
		r.write(t, name, data)
	}
	r.write(t, "letter.txt", []byte("See you at ten.\n"))
	o := localserver.Options{Dir: filepath.Join(r.dir, "mail"), TLS: &tls.Config{Certificates: []tls.Certificate{r.world.certificate}}, Clock: time.Now,
		Users: map[string]mailbox.Password{"alice@" + worldDomain: r.world.password, "bob@" + worldDomain: r.world.password}}
	server := &mailServer{}
	if err := server.start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.end(); err != nil {
			t.Error(err)
		}
	})
	r.server = server.addresses
	roots, err := os.ReadFile(r.world.in("ca/root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	certs, err := certstore.ParseCertificates(roots)
	if err != nil {
		t.Fatal(err)
	}
	// The server's certificate is not from an authority that every machine trusts.
	r.renaming = strings.NewReplacer("imaps://imap.example.org", "imaps://"+r.server.IMAPS,
		"submissions://smtp.example.org", "submissions://"+r.server.Submissions+" --server-ca "+r.world.in("ca/root.pem"),
		"example.org", worldDomain, "3f9c2a7b5d1e8c04", certstore.Fingerprint(certs[0])[:16])
	return r
}

func (r *reader) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *reader) command(t *testing.T, person string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := program(t, []string{"SEALMAIL_HOME=" + filepath.Join(r.dir, person), "SEALMAIL_PASSPHRASE_FILE=passphrase"}, args...)
	cmd.Dir = r.dir
	return cmd
}

// run runs the lines that begin with a dollar sign, and compares what each prints with the lines behind it.
func (r *reader) run(t *testing.T, transcript string) {
	t.Helper()
	for _, step := range strings.Split("\n"+transcript, "\n$ sealmail ")[1:] {
		line, want, _ := strings.Cut(step, "\n")
		line = r.renaming.Replace(line)
		out, err := r.command(t, "alice", strings.Fields(line)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		if want = strings.ReplaceAll(want, "example.org", worldDomain); !printed(string(out), want) {
			t.Errorf("%s prints\n%s\nand the README says\n%s", line, out, want)
		}
	}
}

// printed tells whether an output is what a page shows: see asPrinted.
func printed(got, want string) bool {
	return regexp.MustCompile("^" + asPrinted(strings.TrimRight(want, "\n")) + "$").MatchString(strings.TrimRight(got, "\n"))
}

// bin makes a folder in which the program has these names.
func (r *reader) bin(t *testing.T, names ...string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(r.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Symlink(exe, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// bobAnswers is what the README says that Bob does.
func (r *reader) bobAnswers(t *testing.T) {
	t.Helper()
	root := r.world.in("ca/root.pem")
	for _, args := range [][]string{
		{"init", "bob@" + worldDomain, "--imap", "imaps://" + r.server.IMAPS, "--smtp", "submissions://" + r.server.Submissions, "--server-ca", root,
			"--password-file", "mail-password", "--p12", r.world.in("bob.p12"), "--p12-password-file", "p12-password", "--trust", root},
		{"fetch", "--strict"},
		{"send", "--to", "alice@" + worldDomain, "--subject", "Re: My certificate, to encrypt mail to me", "--body", "letter.txt", "--no-encrypt"},
	} {
		if out, err := r.command(t, "bob", args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
}
