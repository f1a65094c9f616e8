//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

// TestFaultsWatch has watch begin where nobody listens, and then meet a server that sends it away, is silent, and comes back: each
// time it says so in a line, and goes on; no message is told twice, and none is missed.
func TestFaultsWatch(t *testing.T) {
	l := newFaultLab(t)
	w := l.world(t, l.direct(t, killAlice), "clear")
	w.fill(t)
	m := &peertest.Meddler{Harm: peertest.HarmBYE}
	proxy := peertest.StartProxy(t, l.servers.IMAP, m.Tamper())
	w.lead(l.servers.IMAP, listen(t, func(net.Conn) {}))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, writer := io.Pipe()
	said, sayer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		e := environment{in: strings.NewReader(""), out: writer, err: sayer, now: time.Now, dial: w.dial, getenv: func(string) string { return "" }}
		ended <- run(ctx, e, []string{"--home", w.home, "--timeout", faultWait, "--json", "watch", w.folder})
		_, _ = writer.Close(), sayer.Close()
	}()
	var all bytes.Buffer
	notes, events := linesOf(said), linesOf(out)
	says := func(words string) {
		t.Helper()
		for line := range notes {
			if all.WriteString(line + "\n"); strings.Contains(line, words) {
				return
			}
		}
		t.Fatalf("it has ended with %d, and did not say %q\n%s", <-ended, words, all.String())
	}
	tells := func(want ...string) {
		t.Helper()
		for _, want := range want {
			var e struct{ Event, Subject, Reason string }
			line := <-events
			if json.Unmarshal([]byte(line), &e) != nil || !strings.HasPrefix(strings.TrimSpace(e.Event+" "+e.Subject+e.Reason), want) {
				t.Fatalf("told %s, want %s\n%s", line, want, all.String())
			}
		}
	}
	add := func(n int) {
		t.Helper()
		if _, err := w.store.Append(t.Context(), w.folder, mailbox.NewMessage{Size: int64(len(faultText(n))), Body: strings.NewReader(faultText(n))}); err != nil {
			t.Fatal(err)
		}
	}

	server := "imap://" + l.servers.IMAP
	says(w.folder + " is not watched for now: " + server + ": ")
	w.lead(l.servers.IMAP, proxy)
	tells("connected", "message message 0", "message message 1", "message message 2")
	m.Arm(1) // the first thing that it says after news: it is sent away
	add(3)
	says("is not watched for now: " + server + ": ")
	says(w.folder + " is watched again")
	tells("disconnected "+server, "connected", "message message 3")
	add(4)
	tells("message message 4")
	stop()
	for line := range events {
		t.Errorf("told at the end: %s", line)
	}
	for line := range notes {
		all.WriteString(line + "\n")
	}
	if code := <-ended; code != exitGood {
		t.Errorf("it ended with %d", code)
	}
	if soup := faultSoup.FindString(all.String()); soup != "" {
		t.Errorf("it said %q in\n%s", soup, all.String())
	}
	w.agree(t, w.folder)
}

// linesOf reads lines as they come, so that who writes them need not wait, up to a number that no test comes to.
func linesOf(r io.Reader) <-chan string {
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}
