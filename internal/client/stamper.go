package client

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/tsa"
)

// TSAAccess is what one timestamp authority knows this client by, given for one command. It counts in place of what the
// configuration says of the authority.
type TSAAccess struct {
	User             string // empty: there is none
	Password         []byte
	P12              string // file; empty: there is none
	P12Password      []byte
	InsecureLoopback bool // the password may go to a loopback address over http
}

// checkAccess makes sure that an access is for the one authority that is named.
func checkAccess(command string, urls []string, access *TSAAccess) error {
	if access != nil && len(urls) != 1 {
		return usage(command, errors.New("a user, password or certificate for an authority goes to one authority"),
			"name that one with --tsa; for several, give each a table [tsa.\"URL\"] in the configuration")
	}
	return nil
}

// stamper asks timestamp authorities in order, until one gives a token that holds.
type stamper struct {
	authorities []*stampAuthority
	trust       *stampTrust
	now         func() time.Time
	say         func(string)
	required    bool // there is nothing to go on with but a timestamp

	clock sync.Once // said that it is off
}

// stampAuthority is one authority, and how it is asked.
type stampAuthority struct {
	client  *tsa.Client
	known   bool                            // it is told who asks
	prepare func(ctx context.Context) error // puts the secrets in; nil: there are none, or they are there

	certificate *tls.Certificate // shown inside TLS where it asks; nil: none
	askedForOne atomic.Bool
}

// certificateFor answers the question for a client certificate. The one that was chosen for this authority is shown
// whatever authorities it says it takes.
func (a *stampAuthority) certificateFor(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	a.askedForOne.Store(true)
	if a.certificate == nil {
		return &tls.Certificate{}, nil
	}
	return a.certificate, nil
}

// newStamper makes one for these URLs, with what the configuration says of them.
func (c *Client) newStamper(urls []string, trust *stampTrust) (*stamper, error) {
	return c.stamperWith(urls, nil, trust)
}

// stamperWith is newStamper with what the one authority knows this client by, and further anchors for the servers. No secret is
// looked for before it is needed.
func (c *Client) stamperWith(urls []string, access *TSAAccess, trust *stampTrust, serverCA ...*x509.Certificate) (*stamper, error) {
	if err := checkAccess("--tsa", urls, access); err != nil {
		return nil, err
	}
	s := &stamper{trust: trust, now: c.o.Now, say: c.o.Say}
	for _, u := range urls {
		web, err := c.httpClient(serverCA...)
		if err != nil {
			return nil, err
		}
		authority := &stampAuthority{client: &tsa.Client{URL: u, HTTP: web, Timeout: c.o.Timeout}}
		if transport, ok := web.Transport.(*http.Transport); ok {
			transport.TLSClientConfig.GetClientCertificate = authority.certificateFor
		}
		if access != nil {
			if err := c.useAccess(authority, *access); err != nil {
				return nil, err
			}
		} else if table, found := c.config.TSA(u); found {
			c.useTable(authority, table)
		}
		if err := authority.client.Check(); err != nil {
			return nil, usage("timestamp", fmt.Errorf("%s: %w", authorityHost(u), err), "write the authority's address like https://tsa.example.org")
		}
		s.authorities = append(s.authorities, authority)
	}
	return s, nil
}

// useAccess has an authority asked with what is given for one command.
func (c *Client) useAccess(a *stampAuthority, access TSAAccess) error {
	a.known, a.client.InsecureLoopback = true, access.InsecureLoopback
	if access.User != "" {
		a.client.Credentials = &tsa.Credentials{User: access.User, Password: tsa.Password(access.Password)}
	}
	if access.P12 == "" {
		return nil
	}
	if u, err := url.Parse(a.client.URL); err == nil && u.Scheme != "https" {
		return usage("timestamp", fmt.Errorf("%s: a client certificate is shown over https only", u.Host), "write the authority's address like https://tsa.example.org")
	}
	var err error
	a.certificate, err = c.o.readTLSCertificate(access.P12, access.P12Password)
	return err
}

// useTable has an authority asked with what the configuration says of it.
func (c *Client) useTable(a *stampAuthority, t config.TSA) {
	a.known, a.client.InsecureLoopback = true, t.InsecureLoopback
	if t.User != "" {
		a.client.Credentials = &tsa.Credentials{User: t.User}
	}
	a.prepare = func(ctx context.Context) error {
		const hint = "mend [tsa.\"URL\"] in the configuration, or run `sealmail init` again with the authority's password"
		host := authorityHost(t.URL)
		if t.User != "" {
			password, err := c.secret(ctx, secretWords{
				what: "password of " + host, command: t.PasswordCommand, file: t.PasswordFile, entry: tsaPasswordEntry(t), hint: hint,
			})
			if err != nil {
				return err
			}
			a.client.Credentials.Password = tsa.Password(password)
		}
		if t.P12 == "" {
			return nil
		}
		password, err := c.secret(ctx, secretWords{
			what: "password of " + t.P12, command: t.P12PasswordCommand, file: t.P12PasswordFile, entry: tsaP12PasswordEntry(t), hint: hint,
		})
		if err != nil {
			return err
		}
		a.certificate, err = c.o.readTLSCertificate(t.P12, password)
		return err
	}
}

// The vault's entries for what an authority is told. They are named by a hash: an address may itself say more than others
// should read.
func tsaPasswordEntry(t config.TSA) string    { return "tsa-password:" + tsaEntry(t) }
func tsaP12PasswordEntry(t config.TSA) string { return "tsa-p12-password:" + tsaEntry(t) }

func tsaEntry(t config.TSA) string {
	sum := sha256.Sum256([]byte(t.Canonical()))
	return hex.EncodeToString(sum[:])
}

// readTLSCertificate reads the first key that can sign, with its certificate.
func (o Options) readTLSCertificate(name string, password []byte) (*tls.Certificate, error) {
	data, err := o.readSmall(name)
	if err != nil {
		return nil, err
	}
	pairs, err := decodePKCS12(name, data, password)
	if err != nil {
		return nil, err
	}
	for _, pair := range pairs {
		if _, ok := pair.Key.(crypto.Signer); !ok {
			continue
		}
		certificate := &tls.Certificate{PrivateKey: pair.Key, Leaf: pair.Chain[0]}
		for _, cert := range pair.Chain {
			certificate.Certificate = append(certificate.Certificate, cert.Raw)
		}
		return certificate, nil
	}
	return nil, failed(name, errors.New("its key cannot sign"), "use an RSA, EC or Ed25519 key")
}

// stamped is a token that was verified.
type stamped struct {
	token    []byte
	result   *tsa.Result
	clockOff time.Duration // as of clockOff
}

// stampDigest gets a token over a digest, under a policy if one is named.
func (s *stamper) stampDigest(ctx context.Context, hash crypto.Hash, digest []byte, policy asn1.ObjectIdentifier) (stamped, error) {
	err := errors.New("no timestamp authority is named")
	hint := "name one with --tsa URL, or in the account"
	verify := s.trust.options(ctx, nil)
	for i, a := range s.authorities {
		last := i == len(s.authorities)-1
		if a.prepare != nil {
			if err := a.prepare(ctx); err != nil {
				if last || ctx.Err() != nil {
					return stamped{}, err
				}
				s.say("warning: timestamp: " + authorityHost(a.client.URL) + ": " + err.Error() + "; asking the next authority")
				continue
			}
			a.prepare = nil
		}
		asking := *a.client
		asking.Hash, asking.Policy, asking.Verify = hash, policy, &verify
		var result stamped
		if result, err = s.ask(ctx, &asking, digest); err == nil {
			if result.clockOff != 0 {
				s.clock.Do(func() { s.say("warning: " + result.clockWords() + ": set the clock") })
			}
			return result, nil
		}
		err, hint = fmt.Errorf("%s: %w", authorityHost(a.client.URL), withoutURL(err)), a.hint(err)
		if !last {
			s.say("warning: timestamp: " + err.Error() + "; asking the next authority")
		}
	}
	if !s.required {
		hint += ", or go on without: --no-timestamp"
	}
	return stamped{}, failed("timestamp", err, hint)
}

// stampBytes is stampDigest over octets.
func (s *stamper) stampBytes(ctx context.Context, message []byte) (stamped, error) {
	digest := sha256.Sum256(message)
	return s.stampDigest(ctx, crypto.SHA256, digest[:], nil)
}

// ask gets a token from one authority.
func (s *stamper) ask(ctx context.Context, client *tsa.Client, digest []byte) (stamped, error) {
	asked := s.now()
	token, err := client.StampDigest(ctx, digest)
	if err != nil {
		return stamped{}, err
	}
	return stamped{token.Token, token.Result, clockOff(asked, s.now(), token.Result)}, nil
}

// timedOut says that it is an error of waiting for too long.
func timedOut(err error) bool {
	waited, ok := errors.AsType[net.Error](err)
	return ok && waited.Timeout()
}

// withoutURL is an error of asking an authority whose name is said already. Its kind is kept.
func withoutURL(err error) error {
	var ofURL *url.Error
	switch {
	case !errors.Is(err, tsa.ErrNetwork):
	case timedOut(err):
		return fmt.Errorf("%w: it did not answer in time", tsa.ErrNetwork)
	case errors.As(err, &ofURL):
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

// hint is what a person can do about an error of asking the authority.
func (a *stampAuthority) hint(err error) string {
	switch {
	case errors.Is(err, tsa.ErrPath):
		return "if you trust this authority: `sealmail cert trust ROOT.pem --for tsa`"
	case errors.Is(err, tsa.ErrUnauthorized) && a.known:
		return "check what it knows you by: --tsa-user, --tsa-password-file and --tsa-p12, or [tsa.\"" + a.client.URL + "\"] in the configuration"
	case errors.Is(err, tsa.ErrUnauthorized):
		return "say who you are with --tsa-user and --tsa-password-file, or in the configuration: [tsa.\"" + a.client.URL + "\"]"
	case errors.Is(err, tsa.ErrNetwork) && a.askedForOne.Load():
		// What the network says of it is chance: the alert of TLS, or that the line was closed while the request was sent.
		which := "give it one"
		if a.certificate != nil {
			which = "it may not take the one that it is shown"
		}
		return "it asks for a client certificate; " + which + ": --tsa-p12, or [tsa.\"" + a.client.URL + "\"] in the configuration"
	case errors.Is(err, tsa.ErrNetwork) && timedOut(err):
		return "try again later, or wait longer with --timeout"
	case errors.Is(err, tsa.ErrNetwork):
		return "check the authority's address and the network"
	}
	return "try another authority"
}
