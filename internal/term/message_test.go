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

// TestJudgedFirst prints a message that was signed inside and again around: who signed the message stands beside the verdict.
func TestJudgedFirst(t *testing.T) {
	good := client.ChecksReport{Integrity: client.CheckReport{Status: "passed"}}
	signature := func(layer int, name string) client.SignatureReport {
		return client.SignatureReport{Layer: layer, Covers: "whole", Verdict: "passed", Checks: good,
			Signer: &client.SignerReport{Name: &name, Addresses: []string{name + "@example.org", "other@example.org"}}}
	}
	enclosed := signature(5, "enclosed")
	enclosed.Covers = "enclosed"
	r := client.Report{Verdict: "passed", Encryption: "none", Signatures: []client.SignatureReport{signature(0, "gateway"), signature(2, "alice"), signature(2, "carol"), enclosed}}
	var b strings.Builder
	if err := term.PrintVerdict(&b, &r); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		term.Mark + " PASSED        signed by alice <alice@example.org> and 1 more\n", " signed by carol <", " signed by enclosed <", " (an enclosed message",
		" signed by gateway <gateway@example.org> and 1 more (around the signed message)\n",
	} {
		n := strings.Index(b.String()[at:], want)
		if n < 0 {
			t.Fatalf("no %q there:\n%s", want, b.String())
		}
		at += n
	}
}
