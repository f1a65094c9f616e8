package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// webLimits bound what clients can take of a server, however slow they are, and however many.
type webLimits struct {
	exchange    time.Duration // on reading a request, and on writing its answer
	connections int           // at a time; further ones wait to be accepted
}

// maxConnections is far below the number of files that a process may have open.
const maxConnections = 256

// maxHeaderTime bounds the head of a request, and the time between two, where --timeout allows more: a head is small.
const maxHeaderTime = 10 * time.Second

// serveHTTP serves until the context ends, and then lets running requests end.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, timeout time.Duration, ready func() error) error {
	return serveWithin(ctx, l, h, webLimits{timeout, maxConnections}, ready)
}

func serveWithin(ctx context.Context, l net.Listener, h http.Handler, limits webLimits, ready func() error) error {
	s := &http.Server{
		Handler: h, ReadTimeout: limits.exchange, WriteTimeout: limits.exchange, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: min(limits.exchange, maxHeaderTime), IdleTimeout: min(limits.exchange, maxHeaderTime),
	}
	l = netutil.LimitListener(l, limits.connections)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if err := ready(); err != nil {
		return errors.Join(err, s.Close(), ignoreClosed(<-served))
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.exchange)
	defer cancel()
	err := s.Shutdown(ending)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close() // who has not sent a request by now does not keep it from ending
	}
	return errors.Join(err, ignoreClosed(<-served))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
