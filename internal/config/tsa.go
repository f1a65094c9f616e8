package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// TSA is what one timestamp authority knows this client by.
type TSA struct {
	URL                string // as it stands in the file
	User               string // of HTTP basic authentication; empty: there is none
	PasswordCommand    string // empty: the file, or the vault
	PasswordFile       string
	P12                string // the file of a TLS client certificate and its key; empty: there is none
	P12PasswordCommand string // empty: the file, or the vault
	P12PasswordFile    string
	InsecureLoopback   bool // the password may go to a loopback address over http
}

// fileTSA is a table tsa."URL" as it stands in the file.
type fileTSA struct {
	User               string `toml:"user,omitempty"`
	PasswordCommand    string `toml:"password_command,omitempty"`
	PasswordFile       string `toml:"password_file,omitempty"`
	P12                string `toml:"p12,omitempty"`
	P12PasswordCommand string `toml:"p12_password_command,omitempty"`
	P12PasswordFile    string `toml:"p12_password_file,omitempty"`
	InsecureLoopback   bool   `toml:"insecure_loopback,omitempty"`
}

var knownTSAKeys = []string{"user", "password_command", "password_file", "p12", "p12_password_command", "p12_password_file", "insecure_loopback"}

const tsaHint = "an authority's table is [tsa.\"https://HOST/PATH\"] with user, p12, or both"

func (f fileTSA) validate(address string) (TSA, error) {
	t := TSA{
		URL: address, User: f.User, PasswordCommand: f.PasswordCommand, PasswordFile: f.PasswordFile,
		P12: f.P12, P12PasswordCommand: f.P12PasswordCommand, P12PasswordFile: f.P12PasswordFile, InsecureLoopback: f.InsecureLoopback,
	}
	u, err := parseTSA(address)
	if err != nil {
		return TSA{}, err
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case f.User == "" && f.P12 == "":
		return TSA{}, errors.New("neither user nor p12 is named")
	case f.PasswordCommand != "" && f.PasswordFile != "":
		return TSA{}, errors.New("password_command and password_file exclude each other")
	case f.P12PasswordCommand != "" && f.P12PasswordFile != "":
		return TSA{}, errors.New("p12_password_command and p12_password_file exclude each other")
	case f.User == "" && f.PasswordCommand+f.PasswordFile != "":
		return TSA{}, errors.New("a password is named, and no user")
	case f.P12 == "" && f.P12PasswordCommand+f.P12PasswordFile != "":
		return TSA{}, errors.New("p12_password_… is named, and no p12")
	case strings.Contains(f.User, ":"):
		return TSA{}, errors.New("user holds a colon") // RFC 7617 section 2
	case u.Scheme == "https":
		return t, nil
	case f.P12 != "":
		return TSA{}, errors.New("a client certificate is shown over https only")
	case !f.InsecureLoopback || ip == nil || !ip.IsLoopback():
		return TSA{}, errors.New("a password is sent over https only, or over http to a loopback address with insecure_loopback = true")
	}
	return t, nil
}

// parseTSA reads the address of a timestamp authority.
func parseTSA(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%q is not an http(s) address", withoutUser(raw))
	}
	return u, nil
}

// withoutUser keeps a password in an address out of what is said of it, however the address is miswritten.
func withoutUser(raw string) string {
	at := strings.LastIndex(raw, "@")
	if at < 0 {
		return raw
	}
	scheme, _, found := strings.Cut(raw[:at], "://")
	if !found || strings.ContainsAny(scheme, ":/@") { // more than a scheme
		return "…" + raw[at:]
	}
	return scheme + "://…" + raw[at:]
}

// sameTSA is an address as all of its spellings have it (RFC 9110 section 4.2.3).
func sameTSA(u *url.URL) string {
	same := *u
	same.Host = strings.ToLower(u.Hostname())
	if strings.Contains(same.Host, ":") {
		same.Host = "[" + same.Host + "]"
	}
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		same.Host += ":" + port
	}
	if same.Path == "" {
		same.Path = "/"
	}
	same.Fragment, same.RawFragment = "", ""
	return same.String()
}

// Canonical returns the address as all of its spellings have it.
func (t TSA) Canonical() string {
	u, err := parseTSA(t.URL)
	if err != nil {
		return t.URL // of no table that was accepted
	}
	return sameTSA(u)
}

// validateTSAs returns the authorities in the order of their addresses. No two tables are for one.
func validateTSAs(tables map[string]fileTSA) (all []TSA, at string, err error) {
	seen := map[string]string{}
	for address, f := range tables {
		t, err := f.validate(address)
		if err != nil {
			return nil, address, err
		}
		same := t.Canonical()
		if other, found := seen[same]; found {
			return nil, max(address, other), fmt.Errorf("the same authority as %q", min(address, other))
		}
		seen[same] = address
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b TSA) int { return cmp.Compare(a.URL, b.URL) })
	return all, "", nil
}

// TSA returns what is said of the authority at this address, if anything is.
func (c *Config) TSA(address string) (t TSA, found bool) {
	same := TSA{URL: address}.Canonical()
	for _, t := range c.TSAs {
		if t.Canonical() == same {
			return t, true
		}
	}
	return TSA{}, false
}

// WithTSA returns the text of the configuration in data with the table of one more authority at its end, as WithAccount
// does for an account.
func WithTSA(path string, data []byte, t TSA) ([]byte, error) {
	block, err := toml.Marshal(file{TSA: map[string]fileTSA{t.URL: {
		User: t.User, PasswordCommand: t.PasswordCommand, PasswordFile: t.PasswordFile,
		P12: t.P12, P12PasswordCommand: t.P12PasswordCommand, P12PasswordFile: t.P12PasswordFile, InsecureLoopback: t.InsecureLoopback,
	}}})
	if err != nil {
		return nil, err
	}
	return withBlock(path, data, bytes.TrimPrefix(block, []byte("[tsa]\n")))
}

// withBlock returns the text with a table at its end, validated.
func withBlock(path string, data, block []byte) ([]byte, error) {
	out := bytes.TrimRight(data, "\n")
	if len(out) > 0 {
		out = append(slices.Clone(out), "\n\n"...)
	}
	out = append(slices.Clone(out), block...)
	if _, err := Parse(path, out); err != nil {
		return nil, err
	}
	return out, nil
}
