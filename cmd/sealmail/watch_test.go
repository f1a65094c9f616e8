package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestWatchGreets: a person at a terminal learns once that watching has begun; a script does not.
func TestWatchGreets(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		var out, errs bytes.Buffer
		p := eventPrinter{app: &app{environment: environment{out: &out, err: &errs, errIsTerminal: terminal}}}
		for _, word := range []string{client.EventConnected, client.EventDisconnected, client.EventConnected} {
			if err := p.print(client.WatchConnection{Event: word, Folder: "INBOX"}); err != nil {
				t.Fatal(err)
			}
		}
		want := 0
		if terminal {
			want = 1
		}
		if got := strings.Count(errs.String(), "note: watching; "); got != want || out.Len() > 0 {
			t.Errorf("terminal %v: said %d times\n%s%s", terminal, got, out.String(), errs.String())
		}
	}
}
