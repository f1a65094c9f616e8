package tsa

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Credentials are what an authority knows a client by: a user and a password, sent by HTTP basic authentication
// (RFC 7617).
type Credentials struct {
	User     string
	Password Password
}

// Password is a password that shows in no output, whatever prints it.
type Password string

const redacted = "[redacted]"

// String returns a placeholder.
func (Password) String() string { return redacted }

// Format writes a placeholder, whatever the verb.
func (Password) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a placeholder, for text and JSON alike.
func (Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a placeholder.
func (Password) LogValue() slog.Value { return slog.StringValue(redacted) }

// check makes sure that they can be written down as RFC 7617 section 2 has it.
func (k *Credentials) check() error {
	control := func(r rune) bool { return r < 0x20 || r == 0x7f }
	switch {
	case k.User == "":
		return errors.New("user is empty")
	case strings.Contains(k.User, ":"):
		return errors.New("user holds a colon")
	case strings.ContainsFunc(k.User, control), strings.ContainsFunc(string(k.Password), control):
		return errors.New("user or password holds a control character")
	}
	return nil
}

// private makes sure that secrets go to this URL only where nobody else reads them: inside TLS, or, where that is allowed,
// on this machine. A host name is not looked up: what it stands for may change until it is asked.
func private(u *url.URL, loopback bool) error {
	if u.Scheme == "https" {
		return nil
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case !loopback:
		return errors.New("a password is sent over https only")
	case ip == nil || !ip.IsLoopback():
		return errors.New("a password is sent over https only, or to a loopback address")
	}
	return nil
}

// unauthorized is the error for an answer of 401 or 403, with the schemes that the authority asks for (RFC 9110 section
// 11.6.1); nil for any other.
func unauthorized(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
	default:
		return nil
	}
	var schemes []string
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		if scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " "); scheme != "" && len(schemes) < 4 {
			schemes = append(schemes, fmt.Sprintf("%.40q", scheme))
		}
	}
	if len(schemes) == 0 {
		return fmt.Errorf("%w: HTTP status %d", ErrUnauthorized, resp.StatusCode)
	}
	return fmt.Errorf("%w: HTTP status %d, which asks for %s", ErrUnauthorized, resp.StatusCode, strings.Join(schemes, ", "))
}
