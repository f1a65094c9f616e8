package term

import (
	"fmt"
	"io"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintRevoked writes what is revoked now.
func PrintRevoked(w io.Writer, r *client.CARevokeResult) error {
	p := &linePrinter{w: w}
	for _, c := range r.Revocations {
		p.line(fmt.Sprintf("revoked: %s, %s, since %s", Line(c.Name), c.Reason, c.Revoked.UTC().Format(time.RFC3339)))
		p.line("  serial " + c.Serial)
	}
	for _, c := range r.Lifted {
		p.line(fmt.Sprintf("no longer on hold: %s, which was since %s", Line(c.Name), c.Revoked.UTC().Format(time.RFC3339)))
		p.line("  serial " + c.Serial)
	}
	return p.err
}

// PrintCRL writes what a new revocation list is.
func PrintCRL(w io.Writer, r *client.CACRLResult) error {
	p := &linePrinter{w: w}
	p.line(fmt.Sprintf("%s: the revocation list of %s, number %s, with %d revoked, valid to %s",
		Line(r.File), r.Issuer, r.Number, r.Entries, r.NextUpdate.UTC().Format(time.RFC3339)))
	return p.err
}
