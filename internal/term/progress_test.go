package term

import (
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

func TestProgressLine(t *testing.T) {
	for want, p := range map[string]client.Progress{
		ProgressEnd + "INBOX: 500 of 4000 messages, 1.0 MiB, 250/s, 6s left": {What: "INBOX", Done: 500, Total: 4000, Octets: 1 << 20, AllOctets: 4 << 20},
		ProgressEnd + "a<U+001B>[Jb: 0 of 7 messages, 0 B":                   {What: "a\x1b[Jb", Total: 7},
		ProgressEnd + "INBOX: 7 of 7 messages, 0 B, 4/s, 0s left":            {What: "INBOX", Done: 7, Total: 7},
		ProgressEnd + "sending: 1.0 MiB of 4.0 MiB, 512.0 KiB/s, 6s left":    {What: "sending", Octets: 1 << 20, AllOctets: 4 << 20},
		ProgressEnd + "x: 1.0 MiB":                                           {What: "x", Octets: 1 << 20},
	} {
		if got := ProgressLine(p, 2*time.Second); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
