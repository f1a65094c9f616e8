package client

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"time"

	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/ca/server"
)

// CAServeParams are the words of `ca serve`.
type CAServeParams struct {
	Dir, Listen string
	Passphrase  func() ([]byte, error)
}

// rootCRLWarning is how long before the end of the root's list `ca serve` begins to say so: it is made by hand.
const rootCRLWarning = 30 * 24 * time.Hour

// CAServe answers for an authority over HTTP until the context ends. ready is told its URL.
func CAServe(ctx context.Context, o Options, p CAServeParams, ready func(url string) error) error {
	authority, err := openAuthority(o, p.Dir, p.Passphrase)
	if err != nil {
		return err
	}
	const renew = "make one with `sealmail ca crl --root`, for which the root's key is needed"
	switch list, err := authority.CRL(ctx, ca.RootIssuer, o.Now()); {
	case errors.Is(err, fs.ErrNotExist):
		o.Say("warning: the root has no revocation list; " + renew)
	case err != nil:
		return failed("ca serve", err, "")
	case list.NextUpdate.Before(o.Now().Add(rootCRLWarning)):
		o.Say("warning: the root's revocation list is valid until " + list.NextUpdate.UTC().Format(time.DateOnly) + "; " + renew)
	}
	prefix := ""
	if base, err := url.Parse(authority.BaseURL()); err == nil {
		prefix = base.EscapedPath()
	}
	handler := server.New(server.Options{
		Authority: authority, Clock: o.Now, Prefix: prefix,
		Failed: func(err error) { o.Say("warning: certificate authority: " + err.Error()) },
	})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Listen)
	if err != nil {
		return failed("ca serve", err, "choose another address with --listen")
	}
	return serveHTTP(ctx, listener, handler, o.Timeout, func() error { return ready("http://" + listener.Addr().String()) })
}

// CAOCSPParams are the words of `ca ocsp`.
type CAOCSPParams struct {
	Dir, Request string
	Output       Output
	Passphrase   func() ([]byte, error)
}

// CAOCSP answers one OCSP request from a file. What is wrong with the request is said in the answer.
func CAOCSP(ctx context.Context, o Options, p CAOCSPParams) error {
	request, err := o.readSmall(p.Request)
	if err != nil {
		return err
	}
	authority, err := openAuthority(o, p.Dir, p.Passphrase)
	if err != nil {
		return err
	}
	response, err := authority.RespondOCSP(ctx, request, o.Now())
	if err != nil {
		return failed("ca ocsp", err, "")
	}
	if response.Status != ca.OCSPSuccessful {
		return failed(p.Request, errors.New("this is no OCSP request that can be answered"), "the file must hold an OCSPRequest in DER")
	}
	return o.publish(p.Output, response.DER)
}
