package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/glyph"
	"github.com/sealmail/sealmail/internal/hostiletest"
)

// TestHostileAnswers has Bob answer each message in testdata/hostile, and send it on. Nothing of encrypted mail is quoted unless a
// good signature speaks for its sender, nothing that must not be shown is, and what is quoted does nothing to a terminal.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	bob := newHostileReader(t)
	quoted, refused := 0, 0
	for _, c := range hostiletest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			name := filepath.Join(hostileDir(), c.Name+".eml")
			read := bob.run(t, "read", name, "--json")
			if read.stdout == "" { // nor can it be answered
				return
			}
			report := reportOf(t, read.stdout)
			sealed := report.Encryption != "none"
			if sealed && !speaksForSender(report) {
				refused++
			}
			for command, args := range map[string][]string{
				"reply":   {"reply", name, "--all", "--to", "carol@example.test", "--body", "-", "--dry-run", "--json"},
				"forward": {"forward", name, "--to", "carol@example.test", "--inline", "--body", "-", "--dry-run", "--json"},
			} {
				out := bob.runWith(t, strings.NewReader("Yes.\n"), args...)
				var result client.SendResult
				if out.stdout != "" {
					if err := json.Unmarshal([]byte(out.stdout), &result); err != nil {
						t.Fatal(err)
					}
				}
				if result.Draft == nil {
					if command == "reply" || report.Text != nil && (!sealed || speaksForSender(report)) {
						t.Errorf("%s: exit code %d, %s", command, out.code, out.stderr)
					}
					continue
				}
				text, ok := strings.CutPrefix(*result.Draft.Text, "Yes.\n")
				if !ok {
					t.Fatalf("%s: %q", command, *result.Draft.Text)
				}
				if text != "" {
					quoted++
					if sealed && !speaksForSender(report) {
						t.Errorf("%s quotes what was encrypted, and nobody has shown to know it: %q", command, text)
					}
				}
				for _, bad := range c.Want.NotText {
					if command == "reply" && strings.Contains(text, bad) { // forward puts the header above
						t.Errorf("%s quotes %q", command, bad)
					}
				}
				if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !glyph.IsHarmless(r) }); i >= 0 {
					t.Errorf("%s quotes %q", command, text[i:])
				}
			}
		})
	}
	if quoted == 0 || refused == 0 {
		t.Errorf("%d were quoted, and %d not to be", quoted, refused)
	}
}

// speaksForSender reports whether a good signature over the whole message speaks for its sender.
func speaksForSender(r *client.Report) bool {
	for _, s := range r.Signatures {
		if s.Covers == "whole" && s.Verdict == "passed" && s.Checks.Address.Status == "passed" {
			return r.Verdict == "passed"
		}
	}
	return false
}
