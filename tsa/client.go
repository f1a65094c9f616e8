package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// Media types of the protocol over HTTP (RFC 3161 section 3.4).
const (
	QueryType = "application/timestamp-query"
	ReplyType = "application/timestamp-reply"
)

// DefaultTimeout bounds one exchange of a Client that names no other.
const DefaultTimeout = 30 * time.Second

// Client asks one time-stamp authority over HTTP (RFC 3161 section 3.4). It is safe for concurrent use as long as its
// fields are not changed.
type Client struct {
	// URL of the authority. Tokens prove themselves, so that http is as good as https where privacy is no concern, and no
	// Credentials are sent.
	URL string

	// HTTP carries the exchange; redirects are refused, whatever it says about them. If it is nil, a client is made for
	// each exchange, with TLS.
	HTTP *http.Client

	// TLS holds the roots and, if need be, the client certificate for https. It is ignored if HTTP is set; nil means the
	// roots of the system.
	TLS *tls.Config

	// Credentials are sent with each request, to the host of the URL alone, and over https; nil: none. With InsecureLoopback
	// they go over http as well where the host is a loopback address, for tests.
	Credentials      *Credentials
	InsecureLoopback bool

	Timeout time.Duration         // on one exchange, besides the context's own; 0: DefaultTimeout
	Hash    crypto.Hash           // SHA-256, SHA-384 or SHA-512; 0: SHA-256
	Policy  asn1.ObjectIdentifier // under which the token is to be issued; nil: the authority's choice

	// Verify, if set, is what a token must pass before it is returned, with the Nonce of the request, and its policy if
	// it names one. Without it, all is checked but that the authority is trusted.
	Verify *VerifyOptions
}

// Stamped is a token that an authority gave for a request.
type Stamped struct {
	Token  []byte  // in DER
	Result *Result // what it proves; without Client.Verify it has no Chain, and proves what its authority says
}

// Stamp reads message to its end and asks for a token over it. It returns the token after checking that it is the
// answer to this request and that its signature is right.
//
// A client that cannot work gives [ErrConfig], an authority that cannot be reached [ErrNetwork], one that does not know the
// client [ErrUnauthorized], an answer that is no time-stamp response [ErrHTTP], [ErrMalformed] or [ErrTooLarge], a refusal a
// *[StatusError], and a token that does not hold a *[TokenError]. Errors of the reader are wrapped.
func (c *Client) Stamp(ctx context.Context, message io.Reader) (*Stamped, error) {
	hash := c.hash()
	if !hash.Available() {
		return nil, fmt.Errorf("%w: hash %v", ErrConfig, hash)
	}
	h := hash.New()
	if _, err := io.Copy(h, message); err != nil {
		return nil, fmt.Errorf("reading what is to be stamped: %w", err)
	}
	return c.StampDigest(ctx, h.Sum(nil))
}

// StampDigest is Stamp for a message whose digest under the client's hash is known.
func (c *Client) StampDigest(ctx context.Context, digest []byte) (*Stamped, error) {
	imprint, err := NewMessageImprint(c.hash(), digest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	request := Request{Imprint: imprint, Policy: c.Policy, Nonce: nonce, CertReq: true}
	query, err := request.Marshal()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	reply, err := c.exchange(ctx, query)
	if err != nil {
		return nil, err
	}
	response, err := ParseResponse(reply)
	if err != nil {
		return nil, err
	}
	if err := response.Err(); err != nil {
		return nil, err
	}
	return c.accept(response.Token, &request)
}

func (c *Client) hash() crypto.Hash {
	if c.Hash == 0 {
		return crypto.SHA256
	}
	return c.Hash
}

// newNonce returns 64 random bits: RFC 3161 section 2.4.1 wants a large number that is used once.
func newNonce() (*big.Int, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	return new(big.Int).SetBytes(b[:]), nil
}

// accept checks a token against the request that it answers (RFC 3161 section 2.2).
func (c *Client) accept(raw []byte, request *Request) (*Stamped, error) {
	// As an attribute of a signature the token must be in DER (RFC 5652 section 5.3), which not every authority sends.
	der, err := ber.ToDER(raw, ber.Limits{Depth: maxDepth, Element: MaxSize})
	if err != nil {
		return nil, &TokenError{CodeBroken, ErrMalformed, err}
	}
	token, err := ParseToken(der)
	if err != nil {
		return nil, err
	}
	var o VerifyOptions
	if c.Verify != nil {
		o = *c.Verify
	}
	o.Nonce = request.Nonce
	if request.Policy != nil {
		o.Policies = []asn1.ObjectIdentifier{request.Policy}
	}
	var result *Result
	digest := known(c.hash(), request.Imprint.HashedMessage)
	if c.Verify != nil {
		result, err = token.verify(o, digest)
	} else {
		result, err = token.check(o, digest)
	}
	if err != nil {
		return nil, err
	}
	return &Stamped{der, result}, nil
}

// exchange posts a request and returns the answer.
func (c *Client) exchange(ctx context.Context, query []byte) ([]byte, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(query))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	req.Header.Set("Content-Type", QueryType)
	req.Header.Set("Accept", ReplyType)
	if c.Credentials != nil {
		req.SetBasicAuth(c.Credentials.User, string(c.Credentials.Password))
	}
	client, done := c.client()
	defer done()
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	defer resp.Body.Close()
	return readReply(resp)
}

// readReply reads the body of an answer that is what it should be.
func readReply(resp *http.Response) ([]byte, error) {
	if err := unauthorized(resp); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: HTTP status %d", ErrHTTP, resp.StatusCode)
	}
	contentType := resp.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != ReplyType {
		return nil, fmt.Errorf("%w: content type %.80q", ErrHTTP, contentType)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	if len(body) > MaxSize {
		return nil, fmt.Errorf("%w: response of more than %d octets", ErrTooLarge, MaxSize)
	}
	return body, nil
}

// Check reports whether the client can ask, as far as its URL and its credentials go. The error wraps [ErrConfig]. Who
// stamps need not call it: nothing is sent where it fails.
func (c *Client) Check() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		// The error of url.Parse repeats the URL, and with it a password that it may hold.
		return fmt.Errorf("%w: malformed URL", ErrConfig)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: URL must start with http:// or https://", ErrConfig)
	case u.Host == "":
		return fmt.Errorf("%w: URL names no host", ErrConfig)
	case u.User != nil:
		return fmt.Errorf("%w: URL must not hold a user or password", ErrConfig)
	case c.Credentials == nil:
		return nil
	}
	if err := c.Credentials.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := private(u, c.InsecureLoopback); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// client returns the HTTP client for one exchange, and what to call behind it.
func (c *Client) client() (client *http.Client, done func()) {
	done = func() {}
	client = new(http.Client)
	if c.HTTP != nil {
		*client = *c.HTTP
	} else {
		transport := c.transport(http.ProxyFromEnvironment)
		client.Transport = transport
		done = transport.CloseIdleConnections
	}
	// An authority is asked at the address that was configured, and nowhere else: a redirect is not followed.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, done
}

// transport makes the connection for one exchange.
func (c *Client) transport(proxyFor func(*http.Request) (*url.URL, error)) *http.Transport {
	transport := &http.Transport{
		Proxy:                  proxyFor,
		TLSClientConfig:        c.TLS.Clone(),
		MaxResponseHeaderBytes: MaxSize,
		ForceAttemptHTTP2:      true, // off by default where there is a TLS configuration
	}
	if c.TLS == nil {
		return transport
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return transport // it is refused before it is used
	}
	// Inside TLS to a proxy, net/http would show it the certificate that is for the authority.
	if proxy, err := proxyFor(&http.Request{URL: u}); err == nil && proxy != nil && proxy.Scheme == "https" {
		toProxy := c.TLS.Clone()
		toProxy.Certificates, toProxy.GetClientCertificate, toProxy.ServerName = nil, nil, ""
		transport.Proxy = http.ProxyURL(proxy)
		transport.DialTLSContext = (&tls.Dialer{Config: toProxy}).DialContext // of the first connection alone
	}
	return transport
}
