package mailbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
)

// Password is a secret that does not show itself: printed, logged or marshalled it is a placeholder. Only a conversion
// to string brings it out.
type Password string

const redacted = "[redacted]"

// String returns a placeholder.
func (Password) String() string { return redacted }

// GoString returns a placeholder.
func (Password) GoString() string { return redacted }

// Format writes a placeholder, whatever the verb.
func (Password) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a placeholder, for text, JSON and TOML alike.
func (Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a placeholder.
func (Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// Credentials are who one is to a server. They are sent inside TLS only (and to a loopback address, where that was
// allowed).
type Credentials struct {
	User     string
	Password Password
	// Token is asked for an OAuth 2.0 access token (RFC 6749) at each log-in, and is used in the place of Password.
	Token func(ctx context.Context) (Password, error) `json:"-" toml:"-"`
}

// Bounds that hold where Options leave them open.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultMaxMessage  = 2 << 30 // octets
	DefaultMaxMessages = 1 << 20

	// maxOffset is the largest offset of a partial FETCH: a number of 32 bits (RFC 9051 section 9, "partial").
	maxOffset = 1<<32 - 1
)

// Options say how to reach a server. The zero value of each field but Endpoint is a sound default.
type Options struct {
	Endpoint    Endpoint
	Credentials Credentials

	// TLSRoots are the anchors for the server's certificate; nil means those of the system.
	TLSRoots *x509.CertPool

	// Timeout bounds each step on the network: connecting, the TLS handshake, a command, a piece of a message. A step
	// ends when nothing moves for so long; one in which a little moves all the time ends after ten times as long, unless
	// that little was at least 16 KiB. Zero means DefaultTimeout.
	Timeout time.Duration

	// AnswerTimeout bounds the wait for a submission server's answer to a whole message, after which the message's fate
	// is uncertain. RFC 5321 section 4.5.3.2.6 advises ten minutes. Zero means the same as Timeout.
	AnswerTimeout time.Duration

	// MaxMessage bounds the octets of one fetched message, MaxMessages the length of one listing. Zero means
	// DefaultMaxMessage and DefaultMaxMessages.
	MaxMessage  int64
	MaxMessages int

	// InsecureLoopback allows clear text, without STARTTLS, for the schemes imap and submission, where the connection
	// leads to a loopback address. Everywhere else it changes nothing.
	InsecureLoopback bool

	// LocalName is how a submission server is greeted. Empty means the address literal [127.0.0.1], which is correct
	// and says nothing of this machine.
	LocalName string

	// Dial makes the network connection; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// withDefaults fills what was left open, and refuses what would only fail later.
func (o Options) withDefaults(schemes ...Scheme) (Options, error) {
	known := false
	for _, s := range schemes {
		known = known || o.Endpoint.Scheme == s
	}
	if !known {
		return o, fmt.Errorf("%w: scheme %q does not serve here", ErrEndpoint, cleanText(string(o.Endpoint.Scheme)))
	}
	// A NUL ends a field of SASL PLAIN (RFC 4616 section 2), 0x01 one of OAUTHBEARER (RFC 7628 section 3.1), and CR or LF
	// a command.
	if strings.ContainsAny(o.Credentials.User+string(o.Credentials.Password), "\x00\r\n") || strings.Contains(o.Credentials.User, "\x01") {
		return o, errors.New("user and password cannot hold NUL, CR or LF")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.AnswerTimeout <= 0 {
		o.AnswerTimeout = o.Timeout
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = DefaultMaxMessage
	}
	o.MaxMessage = min(o.MaxMessage, maxOffset)
	if o.MaxMessages <= 0 {
		o.MaxMessages = DefaultMaxMessages
	}
	if o.LocalName == "" {
		o.LocalName = "[127.0.0.1]"
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return o, nil
}

// tlsConfig checks the server's name and certificate; TLS is 1.2 or later (RFC 8314 section 4.1).
func (o Options) tlsConfig() *tls.Config {
	return &tls.Config{RootCAs: o.TLSRoots, ServerName: o.Endpoint.Host, MinVersion: tls.VersionTLS12}
}
