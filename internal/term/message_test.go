package term_test

import (
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// TestUnsignedIsSaid prints messages that nobody signed, or that nobody can tell of: no name stands beside the verdict.
func TestUnsignedIsSaid(t *testing.T) {
	name := "Alice"
	enclosed := client.SignatureReport{Covers: "enclosed", Verdict: "passed", Signer: &client.SignerReport{Name: &name},
		Checks: client.ChecksReport{Integrity: client.CheckReport{Status: "passed"}}}
	for _, c := range []struct {
		report client.Report
		want   string
	}{
		{client.Report{Encryption: "none"}, "UNSIGNED      nobody signed"},
		{client.Report{Encryption: "decrypted"}, "UNSIGNED      nobody signed"},
		{client.Report{Encryption: "undecryptable"}, "UNSIGNED      whether somebody signed"},
		{client.Report{Encryption: "failed"}, "UNSIGNED      whether somebody signed"},
		{client.Report{Encryption: "none", Signatures: []client.SignatureReport{enclosed}}, "UNSIGNED      nobody signed"},
	} {
		c.report.Verdict = "unsigned"
		var b strings.Builder
		if err := term.PrintVerdict(&b, &c.report); err != nil {
			t.Fatal(err)
		}
		if first, rest, _ := strings.Cut(b.String(), "\n"); !strings.HasPrefix(first, term.Mark+" "+c.want) || strings.Contains(rest, "UNSIGNED") {
			t.Errorf("got:\n%swant %s", b.String(), c.want)
		}
	}
}
