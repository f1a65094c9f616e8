package tsa_test

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/tsa"
)

var update = flag.Bool("update", false, "write the tables into docs/timestamps.md")

// Marks in docs/timestamps.md around what TestPage writes.
const (
	pageBegin = "<!-- the tables of go test ./tsa begin -->\n"
	pageEnd   = "\n<!-- the tables of go test ./tsa end -->"
)

// sectionOf says where it is written what breaks a rule.
func sectionOf(rule error) string {
	switch rule {
	case tsa.ErrSigningCertificate:
		return "RFC 5816 section 2.2.1"
	case tsa.ErrSignature:
		return "RFC 5652 section 5.6"
	case tsa.ErrNoCertificate:
		return "RFC 3161 section 2.4.1"
	case tsa.ErrPurpose:
		return "RFC 3161 section 2.3"
	case tsa.ErrPath:
		return "RFC 5280 section 6"
	case tsa.ErrRevoked:
		return "RFC 3161 section 4"
	case tsa.ErrOutdated:
		return "RFC 4998 section 5.3"
	case tsa.ErrDigest, tsa.ErrAlgorithm, tsa.ErrTooLarge, tsa.ErrRevocation:
		return "of our own"
	}
	return "RFC 3161 section 2.4.2"
}

// said is what is said of a token, as far as it is ours: what the standard library finds changes with its version.
func said(failed *tsa.TokenError) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	if errors.As(failed, &invalid) || errors.As(failed, &unknown) {
		return failed.Rule.Error() + ": …"
	}
	ours, _, library := strings.Cut(failed.Error(), "x509: ")
	if library {
		return ours + "…"
	}
	return ours
}

func tables(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = strings.NewReplacer("|", "/", "<", "(", ">", ")", "\n", " ").Replace(cells[i])
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	b.WriteString("### Tokens that are refused\n\n")
	row("what is wrong", "rule", "code", "what is said")
	row("---", "---", "---", "---")
	for _, h := range slices.Concat(hostileTokens, hostileContents) {
		failed := h.refusal(t)
		section := h.section
		if section == "" {
			section = sectionOf(failed.Rule)
		}
		row(h.name, section, "`"+string(failed.Code)+"`", said(failed))
	}
	b.WriteString("\n### Responses that are refused\n\nA refusal may name several reasons, and such as RFC 3161 does not know: all are said.\n\n")
	row("what is wrong", "rule", "what is said")
	row("---", "---", "---")
	for _, h := range hostileResponses {
		_, err := tsa.ParseResponse(fromHex(t, h.der))
		if err == nil {
			t.Fatalf("%s: accepted", h.name)
		}
		section := h.section
		if section == "" {
			section = "RFC 3161 section 2.4.2"
		}
		row(h.name, section, err.Error())
	}
	b.WriteString("\n### Tokens that are taken\n\nWhat looks odd in them is allowed, or plays no part:\n\n")
	for _, a := range slices.Concat(acceptedTokens, acceptedContents) {
		fmt.Fprintf(&b, "- %s\n", a.name)
	}
	return b.String()
}

// TestPage compares the tables in docs/timestamps.md with what is refused and why, or writes them.
func TestPage(t *testing.T) {
	checkout, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(checkout, "docs", "timestamps.md")
	page := string(readFile(t, path))
	head, rest, found := strings.Cut(page, pageBegin)
	old, tail, ended := strings.Cut(rest, pageEnd)
	if !found || !ended {
		t.Fatalf("%s lacks the marks of the tables", path)
	}
	got := tables(t)
	if *update {
		if err := os.WriteFile(path, []byte(head+pageBegin+"\n"+got+pageEnd+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want := strings.Split(strings.TrimPrefix(old, "\n"), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(want) || line != want[i] {
			t.Fatalf("docs/timestamps.md has another line than\n%s\n`go test ./tsa -run TestPage -update` writes it", line)
		}
	}
	if lines := strings.Count(got, "\n"); lines != len(want)-1 {
		t.Errorf("docs/timestamps.md has %d lines more", len(want)-1-lines)
	}
}
