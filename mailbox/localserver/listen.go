package localserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// ErrNotLoopback says that the server was asked to listen where others could reach it.
var ErrNotLoopback = errors.New("not a loopback address")

// listener is a listener that knows its connections, so that none outlives it.
type listener struct {
	net.Listener
	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
}

type conn struct {
	net.Conn
	listener *listener
}

// listen listens on a loopback address: "127.0.0.1:0", "[::1]:993" or "localhost:0", which is 127.0.0.1.
func listen(ctx context.Context, address string) (*listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	// "localhost" is not looked up: what a resolver says about it is not ours to trust.
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("listening on %s: %w", address, ErrNotLoopback)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	return &listener{Listener: l, conns: map[*conn]struct{}{}}, nil
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = inner.Close()
		return nil, net.ErrClosed
	}
	c := &conn{Conn: inner, listener: l}
	l.conns[c] = struct{}{}
	return c, nil
}

// Close ends listening and cuts all connections. It may be called again.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.Listener.Close()
	for c := range l.conns {
		err = errors.Join(err, c.Conn.Close())
	}
	clear(l.conns)
	return err
}

func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
