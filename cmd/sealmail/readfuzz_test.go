package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// whatPassed is what a reader takes from a message that passed: what is protected, and who signed it.
type whatPassed struct {
	from, sender, subject, date, messageID, text string
	to, cc, signers                              string
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
	if protected["to"] {
		w.to = strings.Join(m.To, ", ")
	}
	if protected["cc"] {
		w.cc = strings.Join(m.Cc, ", ")
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
// message begins as those of sealmail do, and reading ends with a verdict or an error.
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
	stdin := new(bytes.Reader)
	a := &app{environment: bob.environment(f, stdin, io.Discard, io.Discard)}
	a.flags.home = bob.home
	c, err := client.New(a.options())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		stdin.Reset(message)
		err := c.Read(t.Context(), client.ReadParams{ID: "-"}, func(report *client.Report) error {
			var screen strings.Builder
			if err := term.PrintMessage(&screen, report, 0); err != nil {
				t.Error(err)
			}
			checkScreen(t, screen.String())
			if _, err := json.Marshal(report); err != nil {
				t.Error(err)
			}
			if report.Verdict != "passed" {
				return nil
			}
			if got := protectedOf(report); !known[got] {
				t.Errorf("this passes, and nobody signed it: %+v\nknown are:", got)
				for one := range known {
					if one.signers == got.signers && one.subject == got.subject {
						t.Errorf("%+v", one)
					}
				}
			}
			return nil
		})
		if err != nil && client.KindOf(err) != client.Failed {
			t.Error(err)
		}
	})
}

// readOctets reads a message from stdin.
func (r *hostileReader) readOctets(t testing.TB, message []byte, args ...string) ran {
	t.Helper()
	return r.runWith(t, bytes.NewReader(message), append([]string{"read", "-"}, args...)...)
}
