package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/server"
)

// StampParams say how to get a timestamp.
type StampParams struct {
	TSA      []string // URLs; empty: the account's
	TSATrust []string // files; empty: the store's anchors
	Hash     string
	Policy   string
}

// StampVerifyParams say what a timestamp is held against.
type StampVerifyParams struct {
	Token    string // file
	TSATrust []string
}

// stampPath builds the paths of timestamp authorities: to the anchors in these files, or else to the store's.
func (c *Client) stampPath(files []string) (path tsa.PathFunc, anchored bool, err error) {
	var anchors []*x509.Certificate
	if len(files) > 0 {
		anchors, err = c.o.readCertificates(files)
	} else {
		anchors, err = c.anchors(certstore.TimeStamping)
	}
	if err != nil {
		return nil, false, err
	}
	v := certstore.Validator{Anchors: anchors, Cache: new(certstore.PathCache)}
	return func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		return v.Path(cert, bag, certstore.TimeStamp, at)
	}, len(anchors) > 0, nil
}

// stamper asks timestamp authorities in order, until one gives a token that holds.
type stamper struct {
	clients []*tsa.Client
	say     func(string)
}

// newStamper makes one for these URLs. The tokens must be by an authority that path trusts; a nil path trusts any.
func (c *Client) newStamper(urls []string, path tsa.PathFunc) (*stamper, error) {
	web, err := c.httpClient()
	if err != nil {
		return nil, err
	}
	s := &stamper{say: c.o.Say}
	for _, u := range urls {
		client := &tsa.Client{URL: u, HTTP: web, Timeout: c.o.Timeout}
		if path != nil {
			client.Verify = &tsa.VerifyOptions{Path: path}
		}
		s.clients = append(s.clients, client)
	}
	return s, nil
}

// stamp gets a token over what message reads; message is called for each authority that is asked.
func (s *stamper) stamp(ctx context.Context, message func() io.Reader) ([]byte, error) {
	err := errors.New("no timestamp authority is named")
	for i, client := range s.clients {
		var token []byte
		if token, err = client.Stamp(ctx, message()); err == nil {
			return token, nil
		}
		err = fmt.Errorf("%s: %w", authorityHost(client.URL), withoutURL(err))
		if i < len(s.clients)-1 {
			s.say("warning: timestamp: " + err.Error() + "; asking the next authority")
		}
	}
	return nil, failed("timestamp", err, stampHint(err))
}

// stampBytes is stamp over octets.
func (s *stamper) stampBytes(ctx context.Context, message []byte) ([]byte, error) {
	return s.stamp(ctx, func() io.Reader { return bytes.NewReader(message) })
}

// withoutURL is an error of asking an authority whose name is said already. Its kind is kept.
func withoutURL(err error) error {
	var ofURL *url.Error
	if errors.Is(err, tsa.ErrNetwork) && errors.As(err, &ofURL) {
		return fmt.Errorf("%w: %w", tsa.ErrNetwork, ofURL.Err)
	}
	return err
}

func authorityHost(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		return u.Host
	}
	return "authority"
}

func stampHint(err error) string {
	switch {
	case errors.Is(err, tsa.ErrPath):
		return "if you trust this authority: `sealmail cert trust ROOT.pem --for tsa`"
	case errors.Is(err, tsa.ErrNetwork):
		return "check the authority's address and the network, or go on without: --no-timestamp"
	}
	return "try another authority, or go on without: --no-timestamp"
}

// Stamp gets a timestamp on a file, and writes the response.
func (c *Client) Stamp(ctx context.Context, p StampParams, in string, out Output) (*StampResult, error) {
	urls := p.TSA
	if len(urls) == 0 {
		a, found, err := c.optionalAccount()
		if err != nil {
			return nil, err
		}
		if !found || len(a.TSA) == 0 {
			return nil, usage("tsa stamp", errors.New("no timestamp authority is named"), "name one with --tsa URL, or in the account")
		}
		urls = a.TSA
	}
	hash, ok := map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}[p.Hash]
	if !ok {
		return nil, usage("--hash", fmt.Errorf("%q is not known", p.Hash), "sha256, sha384 or sha512")
	}
	var policy asn1.ObjectIdentifier
	var err error
	if p.Policy != "" {
		if policy, err = parseOID(p.Policy); err != nil {
			return nil, usage("--policy", err, "write it like 1.2.3.4")
		}
	}
	path, anchored, err := c.stampPath(p.TSATrust)
	if err != nil {
		return nil, err
	}
	if !anchored {
		path = nil
		c.o.Say("warning: no anchor for timestamps is trusted: the authority is taken at its word")
	}
	src, err := c.openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	s, err := c.newStamper(urls, path)
	if err != nil {
		return nil, err
	}
	for _, client := range s.clients {
		client.Hash, client.Policy = hash, policy
	}
	content := func() io.Reader { return io.NewSectionReader(src, 0, src.Size()) }
	raw, err := s.stamp(ctx, content)
	if err != nil {
		return nil, cmp.Or(src.unchanged(), err)
	}
	if path == nil {
		path = anyPath
	}
	result, err := verifyStamp(raw, content(), path)
	if err != nil {
		return nil, cmp.Or(src.unchanged(), err)
	}
	result.Trusted = anchored
	response, err := (&tsa.Response{Status: tsa.Granted, Token: raw}).Marshal()
	if err != nil {
		return nil, failed("", err, "")
	}
	return result, c.writeFrom(src, out, func(w io.Writer) error {
		_, err := w.Write(response)
		return err
	})
}

// anyPath takes every authority at its word.
func anyPath(cert *x509.Certificate, _ []*x509.Certificate, _ time.Time) ([]*x509.Certificate, error) {
	return []*x509.Certificate{cert}, nil
}

// VerifyStamp checks a timestamp, as a response or as a bare token, against its file.
func (c *Client) VerifyStamp(_ context.Context, p StampVerifyParams, in string) (*StampResult, error) {
	path, anchored, err := c.stampPath(p.TSATrust)
	if err != nil {
		return nil, err
	}
	if !anchored {
		return nil, usage("tsa verify", errors.New("no anchor for timestamps is trusted"), "name one with --tsa-trust, or `sealmail cert trust ROOT.pem --for tsa`")
	}
	data, err := c.o.readSmall(p.Token)
	if err != nil {
		return nil, err
	}
	token := data
	if response, err := tsa.ParseResponse(data); err == nil {
		if err := response.Err(); err != nil {
			return nil, &Error{Kind: No, What: p.Token, Err: err, Hint: "ask for another timestamp"}
		}
		token = response.Token
	}
	src, err := c.openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	result, err := verifyStamp(token, io.NewSectionReader(src, 0, src.Size()), path)
	if err = cmp.Or(src.unchanged(), err); err != nil {
		return nil, err
	}
	result.Trusted = true
	return result, nil
}

func verifyStamp(raw []byte, content io.Reader, path tsa.PathFunc) (*StampResult, error) {
	token, err := tsa.ParseToken(raw)
	if err != nil {
		return nil, &Error{Kind: No, What: "timestamp", Err: err, Hint: "the file is not a timestamp, or is damaged"}
	}
	r, err := token.Verify(content, tsa.VerifyOptions{Path: path})
	if err != nil {
		hint := "it proves nothing about this file"
		if errors.Is(err, tsa.ErrPath) {
			hint = "if you trust this authority: --tsa-trust ROOT.pem, or `sealmail cert trust ROOT.pem --for tsa`"
		}
		return nil, &Error{Kind: No, What: "timestamp", Err: err, Hint: hint}
	}
	result := &StampResult{Time: r.Time.UTC(), ProvenBy: certstore.Describe(r.Authority).Name, Policy: r.Policy.String(), Serial: r.Serial.Text(16)}
	if r.Accuracy > 0 {
		result.Accuracy = orNull(r.Accuracy.String())
	}
	return result, nil
}

// parseOID reads an object identifier in dotted form.
func parseOID(s string) (asn1.ObjectIdentifier, error) {
	words := strings.Split(s, ".")
	if len(words) < 2 {
		return nil, fmt.Errorf("%q is not an object identifier", s)
	}
	oid := make(asn1.ObjectIdentifier, len(words))
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is not an object identifier", s)
		}
		oid[i] = int(n)
	}
	if oid[0] > 2 || oid[0] < 2 && oid[1] > 39 {
		return nil, fmt.Errorf("%q is not an object identifier", s)
	}
	return oid, nil
}

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
