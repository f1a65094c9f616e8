package mailbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// fault breaks a connection after so many octets, of both directions together.
type fault struct {
	after  int64 // octets until it breaks; negative: never
	stall  bool  // it goes silent, in place of ending
	passed atomic.Int64
}

func (f *fault) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &faulty{Conn: c, fault: f, closed: make(chan struct{})}, nil
}

type faulty struct {
	net.Conn
	fault  *fault
	once   sync.Once
	closed chan struct{}
}

func (f *faulty) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.Conn.Close()
}

// allow returns how many of n octets may still pass.
func (f *faulty) allow(n int) int {
	if f.fault.after < 0 {
		f.fault.passed.Add(int64(n))
		return n
	}
	left := f.fault.after - (f.fault.passed.Add(int64(n)) - int64(n))
	return int(max(0, min(int64(n), left)))
}

// broken is what happens after the last octet that passes.
func (f *faulty) broken() error {
	if f.fault.stall {
		<-f.closed
		return net.ErrClosed
	}
	_ = f.Close()
	return errors.New("connection reset by test")
}

func (f *faulty) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if k := f.allow(n); k < n {
		return 0, f.broken()
	}
	return n, err
}

func (f *faulty) Write(p []byte) (int, error) {
	if k := f.allow(len(p)); k < len(p) {
		n, _ := f.Conn.Write(p[:k])
		return n, f.broken()
	}
	return f.Conn.Write(p)
}

// cuts runs f with the connection cut, or stalled, at many points of its whole length.
func cuts(t *testing.T, f func(t *testing.T, fault *fault)) {
	whole := &fault{after: -1}
	f(t, whole)
	if t.Failed() {
		return
	}
	const points = 60
	for i := range int64(points) {
		for _, stall := range []bool{false, true} {
			if stall && i%4 != 0 {
				continue // these cost a timeout each
			}
			fault := &fault{after: whole.passed.Load() * i / points, stall: stall}
			t.Run(fmt.Sprintf("%d/%t", fault.after, stall), func(t *testing.T) { t.Parallel(); f(t, fault) })
		}
	}
}

// timeout returns one that is short where it has to pass.
func (f *fault) timeout() time.Duration {
	if f.stall {
		return 300 * time.Millisecond
	}
	return wait
}

// TestSubmitCut: wherever the connection breaks, what Submit says of the message is true.
func TestSubmitCut(t *testing.T) {
	server := startLocal(t, localserver.Options{})
	var n atomic.Int64
	cuts(t, func(t *testing.T, fault *fault) {
		id := fmt.Sprintf("<%d@cut.test>", n.Add(1))
		text := "Message-ID: " + id + "\r\n\r\n" + strings.Repeat("a line of the message\r\n", 200)
		o := server.options(t, alice, "submissions")
		o.Dial, o.Timeout = fault.dial, fault.timeout()
		committed := false
		err := within(t, func() error {
			s, err := mailbox.DialSMTP(t.Context(), o)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Submit(t.Context(), mailbox.Envelope{From: alice, To: []string{bob}}, int64(len(text)), strings.NewReader(text),
				func() error { committed = true; return nil })
		})
		if fault.after >= 0 && err != nil {
			oneLine(t, err)
		}
		arrived := delivered(t, server, id)
		switch uncertain := isType[*mailbox.UncertainError](err); {
		case err == nil && !arrived:
			t.Error("taken, but not there")
		case err != nil && !uncertain && arrived:
			t.Errorf("there, in spite of %v", err)
		case err != nil && !isType[*mailbox.ConnectError](err):
			t.Errorf("got error %v (%T)", err, err)
		case uncertain && !committed:
			t.Errorf("uncertain before the commit: %v", err)
		}
	})
}

// delivered reports whether bob has the message. The server delivers before it answers.
func delivered(t *testing.T, server local, id string) bool {
	t.Helper()
	s := dialIMAP(t, server.options(t, bob, "imaps"))
	defer s.Close()
	uids, err := s.Find(t.Context(), "INBOX", id)
	if err != nil || len(uids) > 1 {
		t.Errorf("Find: %v, %v", uids, err)
	}
	return len(uids) > 0
}

// TestStoreCut: wherever the connection breaks, what a Store says is true, and the next call works.
func TestStoreCut(t *testing.T) {
	server := startLocal(t, localserver.Options{})
	other := dialIMAP(t, server.options(t, alice, "imaps"))
	t.Cleanup(func() { _ = other.Close() })
	known := []byte("Subject: known\r\n\r\n" + strings.Repeat("a line of the message\r\n", 300))
	if _, err := other.Append(t.Context(), "Known", mailbox.NewMessage{Size: int64(len(known)), Body: bytes.NewReader(known)}); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	cuts(t, func(t *testing.T, fault *fault) {
		id := fmt.Sprintf("<%d@cut.test>", n.Add(1))
		text := "Message-ID: " + id + "\r\n\r\n" + strings.Repeat("a line of the message\r\n", 300)
		o := server.options(t, alice, "imaps")
		o.Dial, o.Timeout = fault.dial, fault.timeout()
		var (
			s   *mailbox.IMAP
			err error
			got bytes.Buffer
		)
		_ = within(t, func() error { s, err = mailbox.DialIMAP(t.Context(), o); return nil })
		check := func(call string, err error) bool {
			t.Helper()
			if err != nil && (fault.after < 0 || !isType[*mailbox.ConnectError](err)) {
				t.Errorf("%s: got error %v (%T)", call, err, err)
			}
			return err == nil
		}
		if !check("dial", err) {
			return
		}
		defer s.Close()
		if check("Fetch", within(t, func() error { return s.Fetch(t.Context(), "Known", 1, &got) })) && !bytes.Equal(got.Bytes(), known) {
			t.Errorf("Fetch: %d octets, want %d, and no error", got.Len(), len(known))
		}
		all := new(texts)
		if check("FetchAll", within(t, func() error {
			return s.FetchAll(t.Context(), "Known", []mailbox.Info{{UID: 1, Size: int64(len(known))}}, all)
		})) &&
			(len(all.done) != 1 || all.done[0] != "1="+string(known)) {
			t.Errorf("FetchAll: %q and no error", all.done)
		}
		appended := within(t, func() (err error) { _, err = appendTo(t, s, "Cut", text); return err })
		check("Append", appended)
		list, err := s.List(t.Context(), "Known", 1)
		if check("List", err) && len(list) != 1 {
			t.Errorf("List: %v and no error", list)
		}
		uids, err := other.Find(t.Context(), "Cut", id)
		switch {
		case err != nil && !errors.Is(err, mailbox.ErrNoFolder), len(uids) > 1:
			t.Errorf("Find: %v, %v", uids, err)
		case appended == nil && len(uids) == 0:
			t.Error("stored, but not there")
		case appended != nil && !isType[*mailbox.UncertainError](appended) && len(uids) > 0:
			t.Errorf("there, in spite of %v", appended)
		}
	})
}
