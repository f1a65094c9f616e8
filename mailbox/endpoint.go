package mailbox

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Scheme says which protocol is spoken to a server, and when TLS begins.
type Scheme string

// The schemes of an Endpoint that is a server. All four mean TLS: from the first octet, or by STARTTLS before anything else.
const (
	SchemeIMAPS       Scheme = "imaps"       // IMAP, TLS from the first octet (RFC 8314 section 3.2)
	SchemeIMAP        Scheme = "imap"        // IMAP, STARTTLS required
	SchemeSubmissions Scheme = "submissions" // message submission, TLS from the first octet (RFC 8314 section 3.3)
	SchemeSubmission  Scheme = "submission"  // message submission, STARTTLS required
)

// The schemes of an Endpoint that is on this machine's disk.
const (
	SchemeMaildir Scheme = "maildir"
	SchemeMbox    Scheme = "mbox"
)

// IsFiles reports whether mail of this scheme is in files, and no server is asked for it.
func (s Scheme) IsFiles() bool { return s == SchemeMaildir || s == SchemeMbox }

// defaultPort is the registered port of a scheme, and 0 for a scheme that there is not.
func (s Scheme) defaultPort() uint16 {
	switch s {
	case SchemeIMAPS:
		return 993
	case SchemeIMAP:
		return 143
	case SchemeSubmissions:
		return 465
	case SchemeSubmission:
		return 587
	}
	return 0
}

// implicitTLS reports whether TLS begins with the first octet.
func (s Scheme) implicitTLS() bool { return s == SchemeIMAPS || s == SchemeSubmissions }

// Endpoint is where a server is and how it is spoken to, or where mail is in files.
type Endpoint struct {
	Scheme Scheme
	// Host is a DNS name in its ASCII form, or an IP address without brackets.
	Host string
	Port uint16
	// Path is that of the files, absolute; a server has none.
	Path string
}

// ErrEndpoint says that a server's address could not be understood; it is wrapped with the reason.
var ErrEndpoint = errors.New("not a server address")

// ParseFiles reads where mail is in files: maildir:/PATH or mbox:/PATH.
func ParseFiles(s string) (Endpoint, error) {
	scheme, path, ok := strings.Cut(s, ":")
	e := Endpoint{Scheme: Scheme(strings.ToLower(scheme)), Path: filepath.Clean(path)}
	switch {
	case !ok || !e.Scheme.IsFiles():
		return Endpoint{}, fmt.Errorf("%w: it must have the form maildir:/PATH or mbox:/PATH", ErrEndpoint)
	case !filepath.IsAbs(path) || strings.ContainsFunc(path, unicode.IsControl) || !utf8.ValidString(path):
		return Endpoint{}, fmt.Errorf("%w: %q is no absolute path", ErrEndpoint, cleanText(path))
	}
	return e, nil
}

// ParseEndpoint reads the address of a server: imaps://HOST[:PORT], imap://, submissions:// or submission://. Without a
// port it is the registered one. User, path and query are not taken: an address holds no secret.
func ParseEndpoint(s string) (Endpoint, error) {
	bad := func(format string, args ...any) (Endpoint, error) {
		return Endpoint{}, fmt.Errorf("%w: %s", ErrEndpoint, fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(s)
	if err != nil {
		// The text of a parse error repeats its input, which might hold a password.
		return bad("it must have the form scheme://host:port")
	}
	scheme := Scheme(strings.ToLower(u.Scheme))
	switch {
	case scheme == "smtp" || scheme == "smtps":
		return bad("for %s write submissions:// (TLS) or submission:// (STARTTLS)", scheme)
	case u.Scheme == "" || u.Opaque != "" || u.Host == "":
		return bad("it must have the form scheme://host:port")
	case scheme.defaultPort() == 0:
		return bad("unknown scheme %q (imaps, imap, submissions, submission)", cleanText(u.Scheme))
	case u.User != nil:
		return bad("user and password have no place in it")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return bad("nothing may follow the port")
	}
	e := Endpoint{Scheme: scheme, Host: u.Hostname(), Port: scheme.defaultPort()}
	if e.Host == "" {
		return bad("the host is missing")
	}
	if net.ParseIP(e.Host) == nil {
		if e.Host, err = idna.Lookup.ToASCII(e.Host); err != nil || !utf8.ValidString(s) {
			return bad("%q is no host name", cleanText(u.Hostname()))
		}
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return bad("the port must be between 1 and 65535")
		}
		e.Port = uint16(n)
	}
	return e, nil
}

// Address returns host:port, as net.Dial takes it.
func (e Endpoint) Address() string {
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// String returns the form that ParseEndpoint or ParseFiles reads.
func (e Endpoint) String() string {
	if e.Scheme.IsFiles() {
		return string(e.Scheme) + ":" + e.Path
	}
	return string(e.Scheme) + "://" + e.Address()
}
