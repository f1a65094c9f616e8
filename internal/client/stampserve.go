package client

import (
	"context"
	"crypto"
	"errors"
	"net"
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
	Accuracy    time.Duration // 0: not stated
	Ordering    bool
	Hashes      []string // accepted in requests; empty: all
}

// TSAServe is a timestamp authority until the context ends. ready is told its URL.
func TSAServe(ctx context.Context, o Options, p TSAServeParams, ready func(url string) error) (err error) {
	settings, err := p.options(o)
	if err != nil {
		return err
	}
	authority, err := server.New(settings)
	switch {
	case errors.Is(err, server.ErrOptions):
		return usage("tsa serve", err, "a fit certificate is made by `sealmail ca issue --purpose tsa`")
	case err != nil:
		return failed("tsa serve", err, "use a state folder of its own for each authority")
	}
	defer func() { err = errors.Join(err, authority.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Listen)
	if err != nil {
		return failed("tsa serve", err, "choose another address with --listen")
	}
	return serveHTTP(ctx, listener, authority, o.Timeout, func() error { return ready("http://" + listener.Addr().String()) })
}

// options are those of the authority, with its key.
func (p TSAServeParams) options(o Options) (server.Options, error) {
	settings := server.Options{
		Clock: o.Now, Accuracy: p.Accuracy, Ordering: p.Ordering, State: p.State, Disk: o.Disk,
		Failed: func(err error) { o.Say("warning: timestamp authority: " + err.Error()) },
	}
	for _, word := range p.Policy {
		oid, err := parseOID(word)
		if err != nil {
			return settings, usage("--policy", err, "write it like 1.2.3.4")
		}
		settings.Policies = append(settings.Policies, oid)
	}
	for _, word := range p.Hashes {
		hash, err := parseHash(word)
		if err != nil {
			return settings, err
		}
		settings.Digests = append(settings.Digests, hash)
	}
	if p.Accuracy < 0 {
		return settings, usage("--accuracy", errors.New("it is negative"), "write it like 1s or 500ms; 0 states none")
	}
	data, err := o.readSmall(p.P12)
	if err != nil {
		return settings, err
	}
	pairs, err := decodePKCS12(p.P12, data, p.P12Password)
	if err != nil {
		return settings, err
	}
	signer, ok := pairs[0].Key.(crypto.Signer)
	if !ok {
		return settings, failed(p.P12, errors.New("its key cannot sign"), "use an RSA or EC key")
	}
	settings.Signer, settings.Chain = signer, pairs[0].Chain
	return settings, nil
}
