package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/client"
)

// whatPassed is what a reader takes from a message that passed: what is protected, and who signed it.
type whatPassed struct {
	from, sender, subject, date, messageID, text string
	to, signers                                  string
}

// protectedOf leaves out what is not protected: it is marked so, and anybody may change it. Without protection of From it is the
// certificate that speaks for the address.
func protectedOf(r *client.Report) whatPassed {
	protected := map[string]bool{}
	for _, name := range r.Message.ProtectedHeaders {
		protected[name] = true
	}
	field := func(name string, value *string) string {
		if !protected[name] || value == nil {
			return ""
		}
		return *value
	}
	m := r.Message
	w := whatPassed{
		sender: field("sender", m.Sender), subject: field("subject", m.Subject), messageID: field("message-id", m.MessageID), text: *r.Text,
	}
	if m.From != nil {
		w.from = strings.ToLower(*m.From)
	}
	if protected["date"] && m.Date != nil {
		w.date = m.Date.String()
	}
	for name, list := range map[string][]string{"to": m.To, "cc": m.Cc} {
		if protected[name] {
			w.to += name + ": " + strings.Join(list, ", ") + "\n"
		}
	}
	for _, s := range r.Signatures {
		if s.Covers == "whole" {
			w.signers += s.Signer.Fingerprint + "\n"
		}
	}
	return w
}

// FuzzRead reads anything as Bob does. Nobody here has a key of those whom he trusts: what passes is what somebody signed, as one
// of the messages of testdata shows it. Whatever comes, no control character but line feeds reaches the terminal, no line of a
// message begins as those of sealmail do, and the command ends with a verdict or an error.
func FuzzRead(f *testing.F) {
	bob := newHostileReader(f)
	known := map[whatPassed]bool{}
	for _, folder := range []string{"hostile", "vectors"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "testdata", folder, "*.eml"))
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds: %v", err)
		}
		for _, file := range files {
			message, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(message)
			if r := bob.readOctets(f, message, "--json"); r.code != exitFailed {
				if report := reportOf(f, r.stdout); report.Verdict == "passed" {
					known[protectedOf(report)] = true
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		object := bob.readOctets(t, message, "--json")
		screen := bob.readOctets(t, message)
		if object.code != screen.code || object.code != exitGood && object.code != exitNo && object.code != exitFailed {
			t.Fatalf("exit codes %d and %d: %s%s", object.code, screen.code, object.stderr, screen.stderr)
		}
		checkScreen(t, screen.stdout)
		checkScreen(t, screen.stderr)
		for line := range strings.Lines(object.stdout) {
			report := reportOf(t, line)
			if report.Verdict != "passed" {
				continue
			}
			if got := protectedOf(report); !known[got] {
				nearest := ""
				for one := range known {
					if one.signers == got.signers && one.subject == got.subject {
						nearest = cmp.Diff(one, got, cmp.AllowUnexported(whatPassed{}))
					}
				}
				t.Errorf("this passes, and nobody signed it: %+v\n%s", got, nearest)
			}
		}
	})
}

// readOctets reads a message from stdin.
func (r *hostileReader) readOctets(t testing.TB, message []byte, args ...string) ran {
	t.Helper()
	return r.runWith(t, bytes.NewReader(message), append([]string{"read", "-"}, args...)...)
}
