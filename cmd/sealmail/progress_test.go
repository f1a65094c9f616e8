package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// TestProgress: the line comes on a terminal, after a second, and is away before anything else is printed.
func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		terminal, quiet bool
		lines           int
	}{
		"terminal": {terminal: true, lines: 2}, "quiet": {terminal: true, quiet: true}, "no terminal": {},
	} {
		t.Run(name, func(t *testing.T) {
			var screen bytes.Buffer // of both streams
			at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
			a := &app{environment: environment{out: &screen, err: &screen, errIsTerminal: c.terminal, now: func() time.Time { return at }}}
			a.flags.quiet = c.quiet
			p := a.newProgress()
			for _, now := range []int64{0, 900, 1000, 1100, 1300} { // milliseconds; the fourth comes too soon
				at = time.Date(2026, 11, 22, 10, 0, 0, int(now*1e6), time.UTC)
				p.update(client.Progress{What: "sending", Octets: now, AllOctets: 2000})
			}
			_, _ = a.out.Write([]byte("a line\n"))
			if got := strings.Count(screen.String(), "sending: "); got != c.lines {
				t.Errorf("drawn %d times: %q", got, screen.String())
			}
			want := "a line\n"
			if c.lines > 0 {
				want = term.ProgressEnd + want
			}
			if !strings.HasSuffix(screen.String(), want) || c.lines == 0 && screen.String() != want {
				t.Errorf("on the screen is %q", screen.String())
			}
			p.end() // there is nothing to take away any more
			if !strings.HasSuffix(screen.String(), want) {
				t.Errorf("at the end there is %q", screen.String())
			}
		})
	}
}
