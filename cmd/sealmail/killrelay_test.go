//go:build unix

package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// relay passes connections on to a server, and knows when the server is done with all of them: after a kill the mail can
// be looked at as soon as nothing more can happen to it.
type relay struct {
	listener net.Listener
	to       string

	mu   sync.Mutex
	idle *sync.Cond
	open int
}

func newRelay(t testing.TB, to string) *relay {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, to: to}
	r.idle = sync.NewCond(&r.mu)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.open++
			r.mu.Unlock()
			go r.pass(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// pass passes one connection on, until the server has closed it. What the client leaves unread is read for it.
func (r *relay) pass(c net.Conn) {
	defer func() {
		_ = c.Close()
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
		r.idle.Broadcast()
	}()
	s, err := net.Dial("tcp", r.to)
	if err != nil {
		return // the client meets a closed connection, and says so
	}
	defer s.Close()
	go func() {
		_, _ = io.Copy(s, c)
		_ = s.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, s)
	_, _ = io.Copy(io.Discard, s)
}

func (r *relay) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.open > 0 {
		r.idle.Wait()
	}
}
