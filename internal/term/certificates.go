package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintCertificates writes a table of certificates.
func PrintCertificates(w io.Writer, list []client.CertificateLine) error {
	if len(list) == 0 {
		_, err := io.WriteString(w, "no certificate\n")
		return err
	}
	return fittedTable(w, append([][]string{{"KIND", "NAME", "ADDRESSES", "ISSUER", "VALID TO", "FINGERPRINT"}}, certificateRows(list)...), "NAME", "ADDRESSES", "ISSUER")
}

// PrintMoreCertificates goes on with a table of certificates that is too long to be held as a whole.
func PrintMoreCertificates(w io.Writer, list []client.CertificateLine) error {
	return Table(w, certificateRows(list))
}

func certificateRows(list []client.CertificateLine) (rows [][]string) {
	for _, c := range list {
		kind := c.KindWords()
		switch optional(c.Use) {
		case "sign":
			kind += ", to sign"
		case "encrypt":
			kind += ", to encrypt"
		}
		rows = append(rows, []string{kind, c.Subject, strings.Join(c.Addresses, ", "), optional(c.Issuer), validWords(c), c.Fingerprint[:16] + "…"})
	}
	return rows
}

// validWords is when a certificate ends, and that it is soon.
func validWords(c client.CertificateLine) string {
	switch {
	case c.NotAfter == nil && c.Requested == nil:
		return ""
	case c.NotAfter == nil:
		words := "asked for on " + c.Requested.UTC().Format(time.DateOnly)
		if c.Key != nil {
			words += ", key " + *c.Key
		}
		return words
	case c.Expiry != nil:
		return c.NotAfter.UTC().Format(time.DateOnly) + " (" + *c.Expiry + ")"
	}
	return c.NotAfter.UTC().Format(time.DateOnly)
}

// PrintCertificate writes all that a certificate says.
func PrintCertificate(w io.Writer, c client.CertificateReport) error {
	p := &linePrinter{w: w}
	trust := "trusted for mail"
	switch {
	case !c.Trusted:
		trust = "NOT TRUSTED for mail: " + optional(c.Reason)
	case c.Revocation != nil && c.Revocation.At != nil:
		trust += fmt.Sprintf(", not revoked (%s %s)", c.Revocation.Source, c.Revocation.At.UTC().Format("2006-01-02 15:04"))
	case len(c.Path) > 1: // an anchor is not asked about
		trust += ", revocation not checked"
	}
	for _, field := range [][2]string{
		{"subject", c.Subject}, {"name", optional(c.Name)}, {"organization", optional(c.Organization)}, {"addresses", strings.Join(c.Addresses, ", ")},
		{"issuer", optional(c.Issuer)}, {"valid", c.NotBefore.UTC().Format(time.RFC3339) + " to " + c.NotAfter.UTC().Format(time.RFC3339)},
		{"key", c.KeyAlgorithm}, {"uses", strings.Join(c.Uses, ", ")}, {"serial", c.Serial}, {"fingerprint", c.Fingerprint},
		{"validation", optional(c.Validation)}, {"in the store", strings.Join(c.Kinds, ", ")}, {"label", optional(c.Label)}, {"came from", sourceWords(c)}, {"trust", trust}, {"chain", strings.Join(c.Chain, "  <  ")},
	} {
		if field[1] != "" {
			p.line(fmt.Sprintf("%-13s %s", field[0], Line(field[1])))
		}
	}
	return p.err
}

// sourceWords says where a certificate came from, and when.
func sourceWords(c client.CertificateReport) string {
	words := optional(c.Source)
	if c.FirstSeen != nil {
		words = strings.TrimPrefix(words+", ", ", ") + "first seen " + c.FirstSeen.UTC().Format(time.DateOnly)
	}
	return words
}

// PrintCertificateTree draws the path of a certificate, the anchor at the top.
func PrintCertificateTree(w io.Writer, c client.CertificateReport) error {
	p := &linePrinter{w: w}
	if !c.Trusted {
		p.line("NOT TRUSTED for mail: " + Line(optional(c.Reason)))
	}
	for i := range c.Path {
		link := c.Path[len(c.Path)-1-i]
		indent := ""
		if i > 0 {
			indent = strings.Repeat("   ", i-1) + "└─ "
		}
		words := fmt.Sprintf("%s%s, valid to %s, %.16s…", indent, Name(link.Name), link.NotAfter.UTC().Format(time.DateOnly), link.Fingerprint)
		if link.Anchor {
			words += ", trust anchor for mail"
			if c.Origin != nil {
				words += " (" + *c.Origin + ")"
			}
		}
		p.line(words)
	}
	return p.err
}

// PrintSystemTrust writes what was taken from the system's roots.
func PrintSystemTrust(w io.Writer, r *client.SystemTrustResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%d roots for e-mail are trusted from %s: %d new, %d as before; %d are no longer", r.Added+r.Kept, Line(r.Source), r.Added, r.Kept, r.Removed))
	for _, s := range r.Skipped {
		p.line("  left out: " + Line(s.Label) + ": " + Line(s.Reason))
	}
	return p.err
}

// PrintFound writes which certificate would be taken for an address, and what came of each.
func PrintFound(w io.Writer, r *client.FindResult) error {
	p := &linePrinter{w: w}
	if len(r.Candidates) == 0 {
		p.line("no certificate for " + Line(r.Address) + " is known")
	}
	for _, c := range r.Candidates {
		p.line(candidateWords(c))
	}
	if r.Cipher != nil {
		p.line(fmt.Sprintf("mail is encrypted with %s, because %s", strings.ToUpper(*r.Cipher), Line(optional(r.Reason))))
	}
	return p.err
}

// PrintRequest says what was written, and what to do with it.
func PrintRequest(w io.Writer, r *client.RequestResult) error {
	p := &linePrinter{w: w}
	p.line(RequestWords(r))
	return p.err
}

// RequestWords say what was written, and what to do with it.
func RequestWords(r *client.RequestResult) string {
	file := optional(r.File)
	if file == "-" {
		file = "stdout"
	}
	return fmt.Sprintf("request for %s written to %s: send it to the authority, and import what comes back with `sealmail cert import FILE`",
		Line(strings.Join(r.Addresses, ", ")), Line(file))
}
