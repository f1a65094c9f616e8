package client_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestManyWarnings reads messages whose header fields are others outside, as many as fit. What is told of them is bounded,
// and what else there is to say is not lost behind them. The verdict is the same.
func TestManyWarnings(t *testing.T) {
	w := newWorld(t)
	alice := w.issue("alice", "p256")
	anchors, err := w.client().CertAnchors(w.in("ca/root.pem"))
	if err == nil {
		_, err = w.client().CertTrust(anchors, "mail")
	}
	if err != nil {
		t.Fatal(err)
	}
	// altered is a signed message with so many fields that were altered outside.
	altered := func(n int) string {
		var inside, outside strings.Builder
		for i := range n {
			fmt.Fprintf(&inside, "X%d: y\r\n", i)
			fmt.Fprintf(&outside, "X%d: z\r\n", i)
		}
		in := w.write("plain", mailHeader+inside.String()+"Content-Type: text/plain\r\n\r\nhello\r\n")
		if err := w.client().Sign(t.Context(), client.SignParams{Keys: alice}, in, client.Output{Name: w.in("signed")}); err != nil {
			t.Fatal(err)
		}
		return strings.Replace(w.read("signed"), inside.String(), outside.String(), 1)
	}
	const more = 40_000
	veryMany := altered(more)
	from := func(message string) string { return strings.Replace(message, "From: alice@", "From: eve@", 1) }
	for _, test := range []struct {
		about, message string
		verdict        string
		told, outer    int
		last           string // the last warning where some are left out
		among          string // a code that must be there
	}{
		{"some", altered(99), "passed", 100, 99, "", "revocation-unknown"},
		{"one too many", altered(100), "passed", 101, 100, "further warnings left out: 1", "revocation-unknown"},
		{"very many", veryMany, "passed", 101, 100, "further warnings left out: 39901", "revocation-unknown"},
		{"very many, and another sender", from(veryMany), "passed", 101, 101, "further warnings left out: 39902", "from-differs"},
		{"very many, altered, and another sender", from(strings.Replace(veryMany, "\r\nhello", "\r\nhallo", 1)), "failed", 101, 101, "further warnings left out: 39902", "from-mismatch"},
		{"very many, and a liberty", strings.Replace(veryMany, "X0: z\r\n", "X0: z\r\na line that is no field\r\n", 1), "passed", 101, 100, "further warnings left out: 39902", "malformed-header-line"},
	} {
		t.Run(test.about, func(t *testing.T) {
			file := w.write("message", test.message)
			reports := []*client.Report{w.readReport(file)}
			for r, err := range w.client().Verify(t.Context(), client.VerifyParams{Revocation: "soft"}, []string{file}) {
				if err != nil {
					t.Fatal(err)
				}
				reports = append(reports, r)
			}
			for _, r := range reports {
				told := map[string]bool{}
				for _, warning := range r.Warnings {
					told[warning.Code] = true
				}
				if !told[test.among] {
					t.Errorf("no %s among %d warnings", test.among, len(r.Warnings))
				}
				last := r.Warnings[len(r.Warnings)-1]
				if len(r.Warnings) != test.told || told["more-warnings"] != (test.last != "") || test.last != "" && last.Reason != test.last {
					t.Errorf("%d warnings, the last is %v", len(r.Warnings), last)
				}
				if r.Verdict != test.verdict || len(r.Message.Outer) != test.outer {
					t.Errorf("%s, with %d outer fields", r.Verdict, len(r.Message.Outer))
				}
			}
		})
	}
}
