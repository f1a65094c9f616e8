package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// progressUnit is how many octets count as progress: fewer keep a step alive only so long.
	progressUnit = 16 << 10
	// patience is for how many timeouts a step may drag on with less than that: servers that search a large folder
	// send a line now and then to say that they live.
	patience = 10
	// farewell bounds a goodbye, which nobody should have to wait for.
	farewell = 2 * time.Second
	// answerBudget is how many octets a short answer may have.
	answerBudget = 256 << 10
)

// conn bounds what happens on a network connection. Between [conn.begin] and the function it returns there is a step:
// while it lasts, silence, an answer beyond all bounds, or a cancelled context close the connection. Between steps
// time is not bounded: connections may rest.
//
// It lies below TLS. The protocol libraries above set deadlines by ideas of their own (none while a command waits, five
// minutes for a whole literal, none for the text of a message); they have no effect here.
type conn struct {
	net.Conn
	timeout time.Duration     // of a step that does not say otherwise
	explain func(error) error // why reading failed, as far as the protocol above knows; nil: it knows nothing

	mu    sync.Mutex
	step  *step // nil between steps
	idle  int64 // octets that came in between steps
	out   int64 // octets that went out
	cause error // what ended the connection
}

// step is what is known of the step under way.
type step struct {
	timeout time.Duration
	silence *time.Timer // runs while the step waits for the network
	drag    *time.Timer // runs while the step makes no progress to speak of
	held    bool        // inside hold
	unit    int         // octets moved since drag was wound up
	budget  int64       // octets that may yet come in
}

func (s *step) wind() {
	s.silence.Reset(s.timeout)
	s.drag.Reset(patience * s.timeout)
}

func (s *step) stop() {
	s.silence.Stop()
	s.drag.Stop()
}

func newConn(c net.Conn, timeout time.Duration) *conn {
	return &conn{Conn: c, timeout: timeout}
}

// begin starts a step that may bring in budget octets, and returns what ends it.
func (c *conn) begin(ctx context.Context, budget int64) (end func()) {
	return c.beginFor(ctx, c.timeout, budget)
}

// beginFor is begin with a timeout of its own.
func (c *conn) beginFor(ctx context.Context, timeout time.Duration, budget int64) (end func()) {
	stop := context.AfterFunc(ctx, func() { c.fail(ctx.Err()) })
	s := &step{timeout: timeout, budget: budget}
	c.mu.Lock()
	s.silence = time.AfterFunc(timeout, func() { c.expire(s, "silent for", timeout) })
	s.drag = time.AfterFunc(patience*timeout, func() { c.expire(s, "too slow for", patience*timeout) })
	c.step, c.idle = s, 0
	c.mu.Unlock()
	return func() {
		stop()
		c.mu.Lock()
		s.stop()
		c.step = nil
		c.mu.Unlock()
	}
}

// hold runs f, which waits for something other than the network, without the clock ticking. It winds the clock up, so
// callers see to it that something moved before.
func (c *conn) hold(f func()) {
	c.mu.Lock()
	s := c.step
	if s != nil {
		s.held = true
		s.stop()
	}
	c.mu.Unlock()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil && s == c.step {
		s.held = false
		s.wind()
	}
}

// moved notes octets that went out or came in.
func (c *conn) moved(n int, in bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !in {
		c.out += int64(n)
	}
	s := c.step
	if s == nil && in {
		if c.idle += int64(n); c.idle > answerBudget {
			c.failLocked(reasonError{ReasonProtocol, "the server talks without being asked"})
		}
	}
	if s == nil {
		return
	}
	if in {
		if s.budget -= int64(n); s.budget < 0 {
			c.failLocked(reasonError{ReasonProtocol, "the answer is longer than any answer should be"})
			return
		}
	}
	s.unit += n
	switch {
	case n <= 0 || s.held:
	case s.unit >= progressUnit:
		s.unit = 0
		s.wind()
	default:
		s.silence.Reset(s.timeout)
	}
}

// written returns how many octets went out so far.
func (c *conn) written() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out
}

// Read reads, and notes the reason if that ends the connection.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.moved(n, true)
	if err != nil {
		if c.explain != nil {
			err = c.explain(err)
		}
		c.fail(err)
	}
	return n, err
}

// Write writes, and notes the reason if that ends the connection.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.moved(n, false)
	if err != nil {
		c.fail(err)
	}
	return n, err
}

// expire ends a step that takes too long, unless it ended, or was put on hold, while the timer fired.
func (c *conn) expire(s *step, how string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == c.step && !s.held {
		c.failLocked(reasonError{ReasonTimeout, fmt.Sprintf("the server was %s %v", how, d)})
	}
}

// fail closes the connection. The first cause counts: what follows are its consequences.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *conn) failLocked(err error) {
	if c.cause != nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = reasonError{ReasonLost, "the server closed it"}
	}
	c.cause = err
	_ = c.Conn.Close()
}

// failure returns what ended the connection, or nil while it stands.
func (c *conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Close closes the connection.
func (c *conn) Close() error {
	c.fail(net.ErrClosed)
	return nil
}

// SetDeadline does nothing: steps have their own clock.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: steps have their own clock.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: steps have their own clock.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
