package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// PrintEvidence writes what is known of an evidence record, in one line.
func PrintEvidence(w io.Writer, l client.EvidenceLine) error {
	p := &linePrinter{w: w}
	what := l.Record
	switch len(l.Files) {
	case 0:
	case 1:
		what = l.Files[0]
	default:
		what = fmt.Sprintf("%s (%d files)", l.Record, len(l.Files))
	}
	if l.Time == nil {
		p.line(fmt.Sprintf("%s: %s: %s", Line(what), strings.ToUpper(l.Status), Line(optional(l.Reason))))
		return p.err
	}
	words := fmt.Sprintf("%s: existed at %s, proven by %s", Line(what), l.Time.UTC().Format(time.RFC3339), Name(l.TimeStamps[0].ProvenBy))
	last := l.TimeStamps[len(l.TimeStamps)-1]
	if len(l.TimeStamps) > 1 {
		words += fmt.Sprintf(", renewed %s by %s", last.Time.UTC().Format(time.RFC3339), Name(last.ProvenBy))
	}
	p.line(words + ", to be renewed before " + last.Expires.UTC().Format(time.DateOnly))
	return p.err
}
