package client

import (
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sealmail/sealmail/tsa/server"
)

// TSAServeParams say what a timestamp authority works with.
type TSAServeParams struct {
	Listen      string
	P12         string
	P12Password []byte
	Policy      []string
	State       string
}

// TSAServe is a timestamp authority until the context ends. ready is told its URL.
func TSAServe(ctx context.Context, o Options, p TSAServeParams, ready func(url string) error) error {
	var policies []asn1.ObjectIdentifier
	for _, word := range p.Policy {
		oid, err := parseOID(word)
		if err != nil {
			return usage("--policy", err, "write it like 1.2.3.4")
		}
		policies = append(policies, oid)
	}
	data, err := o.readSmall(p.P12)
	if err != nil {
		return err
	}
	pairs, err := decodePKCS12(p.P12, data, p.P12Password)
	if err != nil {
		return err
	}
	signer, ok := pairs[0].Key.(crypto.Signer)
	if !ok {
		return failed(p.P12, errors.New("its key cannot sign"), "use an RSA or EC key")
	}
	authority, err := server.New(server.Options{
		Signer: signer, Chain: pairs[0].Chain, Policies: policies, Clock: o.Now, Accuracy: time.Second, State: p.State, Disk: o.Disk,
		Failed: func(err error) { o.Say("warning: timestamp authority: " + err.Error()) },
	})
	switch {
	case errors.Is(err, server.ErrOptions):
		return usage("tsa serve", err, "a fit certificate is made by `sealmail ca issue --purpose tsa`")
	case err != nil:
		return failed("tsa serve", err, "use a state folder of its own for each authority")
	}
	defer authority.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Listen)
	if err != nil {
		return failed("tsa serve", err, "choose another address with --listen")
	}
	return serveHTTP(ctx, listener, authority, o.Timeout, func() error { return ready("http://" + listener.Addr().String()) })
}

// serveHTTP serves until the context ends, and then lets running requests end.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, timeout time.Duration, ready func() error) error {
	s := &http.Server{Handler: h, ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: timeout, MaxHeaderBytes: 16 << 10}
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
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	err := s.Shutdown(ending)
	return errors.Join(err, ignoreClosed(<-served))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
