//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// oddMail are messages as others deliver them, among them some that are none.
func oddMail() []string {
	return []string{
		"From: alice@example.test\nSubject: plain\nMessage-ID: <1@stores.test>\n\ntext\nFrom here on\n>From there\n",
		"From: alice@example.test\r\nSubject: as it travels\r\n\r\ntext\r\n",
		"no header at all\n",
		"From: alice@example.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nwithout an end\n",
		"Subject: =?utf-8?B?broken\nDate: Thu, 99 Foo 99999 99:99:99 +9999\nContent-Type: application/pkcs7-mime\n\n\x00\x01\x02\xff\n",
		"Subject: long\n\n" + strings.Repeat("x", 100_000) + "\n",
	}
}

// TestArchiveStores archives from a Maildir and from mbox files: octet for octet as they are read there, what is new alone, and
// nothing twice where all is numbered anew.
func TestArchiveStores(t *testing.T) {
	l := newKillLab(t)
	l.archiver(t)
	maildir := func(t *testing.T, dir string, n int, text string) {
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "new", fmt.Sprintf("17000000%02d.%d.host", n, n)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mbox := func(t *testing.T, dir string, _ int, text string) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(dir, "inbox"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "\r\n", "\n")
		text = strings.NewReplacer("\nFrom ", "\n>From ", "\n>From ", "\n>>From ").Replace(text)
		if _, err := f.WriteString("From MAILER-DAEMON Sat Nov 21 10:02:11 2026\n" + text + "\n"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		kind    string
		deliver func(t *testing.T, dir string, n int, text string)
		uids    string // the file with the numbers
		empty   bool   // there are files without octets
	}{
		{"maildir", maildir, "sealmail-uids", true}, {"mbox", mbox, ".inbox.sealmail-uids", false},
	} {
		t.Run(c.kind, func(t *testing.T) {
			dir := killDir(t)
			s := &storeHome{l, filepath.Join(dir, "home"), filepath.Join(dir, "archive")}
			mail := filepath.Join(dir, "mail")
			texts := oddMail()
			if c.empty {
				texts = append(texts, "")
			}
			for i, text := range texts {
				c.deliver(t, mail, i, text)
			}
			s.run(t, "init", killBob, "--store", c.kind+":"+mail, "--smtp", "submissions://127.0.0.1:1", "--no-check", "--password-file", l.file("password"),
				"--p12", l.file(killBob+".p12"), "--p12-password-file", l.file("password"), "--trust", l.file("ca/root.pem"), "--tsa", l.tsa,
				"--tsa-trust", l.file("ca/root.pem"), "--unprotected").mustBe(t, exitGood)
			s.run(t, "cert", "import", l.file("archive.p12"), "--p12-password-file", l.file("password")).mustBe(t, exitGood)

			s.pulled(t, len(texts))
			for i := range texts {
				id := fmt.Sprint(i + 1)
				there, here := s.run(t, "read", id, "--raw").mustBe(t, exitGood).out, s.run(t, "archive", "read", id, "--raw", "--archive", s.archive).mustBe(t, exitGood).out
				if here != there || strings.ReplaceAll(here, "\r\n", "\n") != strings.ReplaceAll(texts[i], "\r\n", "\n") {
					t.Errorf("message %s: archived as %.80q, and it is %.80q", id, here, there)
				}
			}
			s.pulled(t, 0)
			c.deliver(t, mail, len(texts), "Subject: new\n\nnew\n")
			s.pulled(t, 1)

			if err := os.Remove(filepath.Join(mail, c.uids)); err != nil {
				t.Fatal(err)
			}
			o := s.pulled(t, len(texts)+1)
			if !strings.Contains(o.err, "note: the server has renumbered INBOX") {
				t.Errorf("it is not said: %s", o.err)
			}
			if twice := slices.IndexFunc(killLines[client.ArchiveLine](t, o), func(l client.ArchiveLine) bool { return l.DuplicateOf == nil }); twice >= 0 {
				t.Errorf("octets are archived twice: line %d of\n%s", twice, o.out)
			}
			s.pulled(t, 0, "--expunge-verified", "--yes")
			if o := s.run(t, "fetch").mustBe(t, exitGood); o.out != "" {
				t.Errorf("left in the store: %s", o.out)
			}
			if list := s.run(t, "archive", "list", "--archive", s.archive).mustBe(t, exitGood); strings.Count(list.out, "\n") != 2*(len(texts)+1) {
				t.Errorf("in the archive is\n%s", list.out)
			}
		})
	}
}

// storeHome is a home whose mail is in files.
type storeHome struct {
	lab           *killLab
	home, archive string
}

func (s *storeHome) run(t *testing.T, args ...string) outcome {
	t.Helper()
	if slices.Contains(args, "--raw") { // which excludes --json
		return s.lab.sealmail(t, s.home, append(args, "--json=false")...)
	}
	return s.lab.sealmail(t, s.home, args...)
}

// pulled checks that a pull archives so many messages, and that verification finds nothing afterwards.
func (s *storeHome) pulled(t *testing.T, want int, flags ...string) outcome {
	t.Helper()
	o := s.run(t, append([]string{"archive", "pull", "--to", s.archive}, flags...)...).mustBe(t, exitGood)
	if n := len(killLines[client.ArchiveLine](t, o)); n != want {
		t.Errorf("%d messages were archived, want %d\n%s%s", n, want, o.out, o.err)
	}
	s.run(t, "archive", "verify", s.archive).mustBe(t, exitGood)
	return o
}
