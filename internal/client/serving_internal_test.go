package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// serving starts a server within limits and returns its address; end ends it and returns its error.
func serving(t *testing.T, h http.Handler, limits webLimits) (address string, end func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ready, served := make(chan bool), make(chan error, 1)
	go func() { served <- serveWithin(ctx, l, h, limits, func() error { close(ready); return nil }) }()
	<-ready
	return l.Addr().String(), func() error { stop(); return <-served }
}

func dial(t *testing.T, address, text string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// Clients that send nothing, or half a head, or half a body, are hung up on.
func TestServingEndsSlowClients(t *testing.T) {
	address, end := serving(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
		webLimits{50 * time.Millisecond, 10})
	for _, text := range []string{"", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"} {
		if _, err := io.Copy(io.Discard, dial(t, address, text)); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("%q: %v", text, err) // hung up on all the same
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// Beyond the number of connections one waits until another ends.
func TestServingBoundsConnections(t *testing.T) {
	address, end := serving(t, http.NotFoundHandler(), webLimits{time.Minute, 2})
	slow := []*net.TCPConn{dial(t, address, "G"), dial(t, address, "G")}
	answered := make(chan error, 1)
	waiting := dial(t, address, request)
	go func() {
		_, err := http.ReadResponse(bufio.NewReader(waiting), nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("answered beyond the bound: %v", err)
	case <-time.After(50 * time.Millisecond): // it may not have been tried yet, but it will not be
	}
	if err := slow[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	_ = slow[1].Close()
	if err := end(); err != nil {
		t.Error(err)
	}
}

// A request that is being answered when the server ends gets its answer, and one that never comes does not keep it.
func TestServingEndsGracefully(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	address, end := serving(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		w.WriteHeader(http.StatusTeapot)
	}), webLimits{time.Second, 10})
	running := dial(t, address, request)
	dial(t, address, "G")
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	for { // until it takes no more connections: it is ending
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(answer)
	response, err := http.ReadResponse(bufio.NewReader(running), nil)
	if err != nil || response.StatusCode != http.StatusTeapot {
		t.Errorf("%v, %v", response, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}
