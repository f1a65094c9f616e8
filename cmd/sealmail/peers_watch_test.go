//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

// cutter makes connections that can be cut: now, or when so many octets more have come.
type cutter struct {
	mu    sync.Mutex
	conns []net.Conn
	dials int
	left  int // octets; negative: they are not counted
}

type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns, c.dials = append(c.conns, conn), c.dials+1
	return &cutConn{conn, c}, nil
}

// cut cuts all lines.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// cutAfter cuts the line when so many octets have come.
func (c *cutter) cutAfter(octets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = octets
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.cutter.mu.Lock()
	over := c.cutter.left >= 0 && c.cutter.left < n
	if c.cutter.left >= 0 {
		c.cutter.left -= min(n, c.cutter.left)
	}
	if over {
		c.cutter.left = -1
	}
	c.cutter.mu.Unlock()
	if over {
		return 0, errors.Join(c.Conn.Close(), io.ErrUnexpectedEOF)
	}
	return n, err
}

// TestWatchOnDovecot: over lines that are cut in the middle of IDLE and of a message, each message is told once.
func TestWatchOnDovecot(t *testing.T) {
	servers := peertest.MailServers(t)
	h := newPeerHouse(t)
	h.serveTSA(t)
	defer h.stopTSA(t)
	for _, person := range []string{peerAlice, peerBob} {
		servers.Empty(t, person)
	}
	h.account(t, servers, "alice-watch", "alice", "p256", false, "--unprotected").mustBe(t, exitGood)
	h.account(t, servers, "bob-watch", "bob", "p256", false, "--unprotected").mustBe(t, exitGood)
	h.write(t, "letter.txt", peerText)
	h.write(t, "large.txt", strings.Repeat("a line of a large message, which comes in several pieces\n", 20_000))
	send := func(subject, body string) {
		t.Helper()
		h.sealmail(t, "alice-watch", "send", "--to", peerBob, "--no-encrypt", "--no-timestamp", "--subject", subject, "--body", body).mustBe(t, exitGood)
	}
	send("one", "letter.txt")
	servers.Settle(t)

	lines := &cutter{left: -1}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, writer := io.Pipe()
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, environment{in: strings.NewReader(""), out: writer, err: &errs, getenv: func(string) string { return "" }, now: time.Now, dial: lines.dial},
			[]string{"--home", h.file("home-bob-watch"), "watch", "--json"})
		_ = writer.Close()
	}()
	events := bufio.NewScanner(out)
	// Whether a line that is cut is told depends on the moment: between two steps it is made anew without a word.
	expect := func(about string, want ...string) {
		t.Helper()
		var told []string
		for len(told) < len(want) {
			if !events.Scan() {
				t.Fatalf("%s: it has ended with %d after %q: %s", about, <-ended, told, errs.String())
			}
			var e struct{ Event, Subject, Verdict string }
			if err := json.Unmarshal(events.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			if e.Event == "connected" || e.Event == "disconnected" {
				continue
			}
			told = append(told, strings.TrimSpace(fmt.Sprint(e.Event, " ", e.Subject, " ", e.Verdict)))
		}
		if strings.Join(told, ", ") != strings.Join(want, ", ") {
			t.Fatalf("%s: told %q, want %q", about, told, want)
		}
	}
	expect("at first", "message one passed")
	send("two", "letter.txt")
	expect("while it waits", "message two passed")
	lines.cut()
	send("three", "letter.txt")
	expect("a line cut in IDLE", "message three passed")
	lines.cutAfter(200_000)
	send("large", "large.txt")
	expect("a line cut in a message", "message large passed")
	send("last", "letter.txt")
	expect("after it", "message last passed")
	stop()
	for events.Scan() {
		if strings.Contains(events.Text(), `"message"`) {
			t.Errorf("told at the end: %s", events.Text())
		}
	}
	if lines.dials < 3 {
		t.Errorf("%d connections", lines.dials)
	}
	if code := <-ended; code != exitGood {
		t.Errorf("it ended with %d: %s", code, errs.String())
	}
}
