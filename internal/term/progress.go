package term

import (
	"fmt"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// ProgressEnd takes away what ProgressLine drew.
const ProgressEnd = "\r\x1b[K"

// ProgressLine draws how far something is, after it took so long, over what it drew before.
func ProgressLine(p client.Progress, took time.Duration) string {
	var words []string
	octets, seconds := Size(p.Octets), took.Seconds()
	rate, done := Size(int64(float64(p.Octets)/max(seconds, 1e-3)))+"/s", 0.0
	if p.AllOctets > 0 {
		done = min(1, float64(p.Octets)/float64(p.AllOctets))
	}
	if p.Total > 0 {
		words = append(words, fmt.Sprintf("%d of %d messages", p.Done, p.Total))
		rate = fmt.Sprintf("%.0f/s", float64(p.Done)/max(seconds, 1e-3))
		if done == 0 {
			done = float64(p.Done) / float64(p.Total)
		}
	} else if p.AllOctets > 0 {
		octets += " of " + Size(p.AllOctets)
	}
	words = append(words, octets)
	if seconds > 0 && done > 0 {
		left := time.Duration(seconds * (1 - done) / done * float64(time.Second))
		words = append(words, rate, left.Round(time.Second).String()+" left")
	}
	return ProgressEnd + Line(p.What) + ": " + strings.Join(words, ", ")
}
