package client

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
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
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime/verdict"
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

	CRLs, OCSPResponses []string // files
}

// stamper asks timestamp authorities in order, until one gives a token that holds.
type stamper struct {
	clients []*tsa.Client
	trust   *stampTrust
	now     func() time.Time
	say     func(string)

	clock sync.Once // said that it is off
}

// stamped is a token that was verified.
type stamped struct {
	token    []byte
	result   *tsa.Result
	clockOff time.Duration // as of clockOff
}

// newStamper makes one for these URLs.
func (c *Client) newStamper(urls []string, trust *stampTrust) (*stamper, error) {
	web, err := c.httpClient()
	if err != nil {
		return nil, err
	}
	s := &stamper{trust: trust, now: c.o.Now, say: c.o.Say}
	for _, u := range urls {
		s.clients = append(s.clients, &tsa.Client{URL: u, HTTP: web, Timeout: c.o.Timeout})
	}
	return s, nil
}

// stampDigest gets a token over a digest, under a policy if one is named.
func (s *stamper) stampDigest(ctx context.Context, hash crypto.Hash, digest []byte, policy asn1.ObjectIdentifier) (stamped, error) {
	err := errors.New("no timestamp authority is named")
	for i, client := range s.clients {
		asking := *client
		asking.Hash, asking.Policy = hash, policy
		var result stamped
		if result, err = s.ask(ctx, &asking, digest); err == nil {
			if result.clockOff != 0 {
				s.clock.Do(func() { s.say("warning: " + result.clockWords() + ": set the clock") })
			}
			return result, nil
		}
		err = fmt.Errorf("%s: %w", authorityHost(client.URL), withoutURL(err))
		if i < len(s.clients)-1 {
			s.say("warning: timestamp: " + err.Error() + "; asking the next authority")
		}
	}
	return stamped{}, failed("timestamp", err, stampHint(err))
}

// stampBytes is stampDigest over octets.
func (s *stamper) stampBytes(ctx context.Context, message []byte) (stamped, error) {
	digest := sha256.Sum256(message)
	return s.stampDigest(ctx, crypto.SHA256, digest[:], nil)
}

// ask gets a token from one authority.
func (s *stamper) ask(ctx context.Context, client *tsa.Client, digest []byte) (stamped, error) {
	asked := s.now()
	raw, err := client.StampDigest(ctx, digest)
	if err != nil {
		return stamped{}, err
	}
	answered := s.now()
	token, err := tsa.ParseToken(raw)
	if err != nil {
		return stamped{}, err
	}
	result, err := token.VerifyDigest(client.Hash, digest, s.trust.options(ctx, nil))
	if err != nil {
		return stamped{}, err
	}
	return stamped{raw, result, clockOff(asked, answered, result)}, nil
}

// maxClockError is how far the clock of this machine may be off, beyond what a token leaves open, before it is said.
const maxClockError = time.Minute

// clockOff returns by how much the clock of this machine is ahead (or, below zero, behind) of that of an authority which was
// asked and answered at these times: by as much at least, and 0 where it may be that it is not.
func clockOff(asked, answered time.Time, r *tsa.Result) time.Duration {
	if off := asked.Sub(r.Time); off > r.Accuracy+maxClockError {
		return off
	}
	if off := answered.Sub(r.Time); off < -r.Accuracy-maxClockError {
		return off
	}
	return 0
}

// clockWords says how the clocks differ.
func (t stamped) clockWords() string {
	way := "ahead of"
	if t.clockOff < 0 {
		way = "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s that of %s", t.clockOff.Abs().Round(time.Second), way, certstore.Describe(t.result.Authority).Name)
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
	request, err := c.stampRequest("tsa stamp", p)
	if err != nil {
		return nil, err
	}
	request.trust.orAnybody(c.o.Say)
	src, err := c.openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	digest := request.hash.New()
	if _, err := io.Copy(digest, contextReader{ctx, io.NewSectionReader(src, 0, src.Size())}); err != nil {
		return nil, failed(in, err, "")
	}
	if err := src.unchanged(); err != nil {
		return nil, err
	}
	token, err := request.stamp(ctx, request.hash, digest.Sum(nil))
	if err != nil {
		return nil, cmp.Or(src.unchanged(), err)
	}
	response, err := (&tsa.Response{Status: tsa.Granted, Token: token.token}).Marshal()
	if err != nil {
		return nil, failed("", err, "")
	}
	result := stampResult(token.result, request.trust.anchored)
	return result, c.writeFrom(src, out, func(w io.Writer) error {
		_, err := w.Write(response)
		return err
	})
}

// stampRequest is who is asked for a timestamp, and for which.
type stampRequest struct {
	*stamper
	hash   crypto.Hash
	policy asn1.ObjectIdentifier
}

func (c *Client) stampRequest(what string, p StampParams) (*stampRequest, error) {
	urls := p.TSA
	if len(urls) == 0 {
		a, found, err := c.optionalAccount()
		if err != nil {
			return nil, err
		}
		if !found || len(a.TSA) == 0 {
			return nil, usage(what, errors.New("no timestamp authority is named"), "name one with --tsa URL, or in the account")
		}
		urls = a.TSA
	}
	r := new(stampRequest)
	var ok bool
	if r.hash, ok = stampHashes()[p.Hash]; !ok {
		return nil, usage("--hash", fmt.Errorf("%q is not known", p.Hash), "sha256, sha384 or sha512")
	}
	var err error
	if p.Policy != "" {
		if r.policy, err = parseOID(p.Policy); err != nil {
			return nil, usage("--policy", err, "write it like 1.2.3.4")
		}
	}
	trust, err := c.onlineStampTrust(p.TSATrust)
	if err != nil {
		return nil, err
	}
	r.stamper, err = c.newStamper(urls, trust)
	return r, err
}

// stamp gets a token over a digest.
func (r *stampRequest) stamp(ctx context.Context, hash crypto.Hash, digest []byte) (stamped, error) {
	return r.stampDigest(ctx, hash, digest, r.policy)
}

// stampHashes are the hash algorithms of timestamps by their names.
func stampHashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}
}

// VerifyStamp checks a timestamp, as a response or as a bare token, against its file. It touches no network.
func (c *Client) VerifyStamp(ctx context.Context, p StampVerifyParams, in string) (*StampResult, error) {
	r, err := c.newRevocations(false)
	if err != nil {
		return nil, err
	}
	if r.given, err = c.o.readRevocation(p.CRLs, p.OCSPResponses); err != nil {
		return nil, err
	}
	trust, err := c.stampTrust(p.TSATrust, r, verdict.RevocationSoft)
	if err != nil {
		return nil, err
	}
	if !trust.anchored {
		return nil, errNoStampAnchor("tsa verify")
	}
	data, err := c.o.readSmall(p.Token)
	if err != nil {
		return nil, err
	}
	raw := data
	if response, err := tsa.ParseResponse(data); err == nil {
		if err := response.Err(); err != nil {
			return nil, &Error{Kind: No, What: p.Token, Err: err, Hint: "ask for another timestamp"}
		}
		raw = response.Token
	}
	token, err := tsa.ParseToken(raw)
	if err != nil {
		return nil, &Error{Kind: No, What: "timestamp", Err: err, Hint: "the file is not a timestamp, or is damaged"}
	}
	src, err := c.openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	o := trust.options(ctx, nil)
	result, err := withStore(trust, nil, func(extra []*x509.Certificate) (*tsa.Result, error) {
		o.Extra = extra
		return token.Verify(contextReader{ctx, io.NewSectionReader(src, 0, src.Size())}, o)
	})
	if err := src.unchanged(); err != nil {
		return nil, err
	}
	if err != nil {
		hint := "it proves nothing about this file"
		if errors.Is(err, tsa.ErrPath) {
			hint = "if you trust this authority: --tsa-trust ROOT.pem, or `sealmail cert trust ROOT.pem --for tsa`"
		}
		return nil, &Error{Kind: No, What: "timestamp", Err: err, Hint: hint}
	}
	if end := result.Authority.NotAfter; c.o.Now().After(end) {
		c.o.Say("warning: the certificate of the authority has expired since, on " + end.UTC().Format(time.RFC3339))
	}
	return stampResult(result, true), nil
}

func stampResult(r *tsa.Result, trusted bool) *StampResult {
	result := &StampResult{
		Time: r.Time.UTC(), ProvenBy: certstore.Describe(r.Authority).Name, Policy: r.Policy.String(), Serial: r.Serial.Text(16), Trusted: trusted,
	}
	if r.Accuracy > 0 {
		result.Accuracy = orNull(r.Accuracy.String())
	}
	return result
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
