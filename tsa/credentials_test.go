package tsa_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/tsa"
)

const secret = "correct horse"

// serveTLS starts an https server and returns a client of it.
func serveTLS(t *testing.T, h http.Handler, http2 bool, config *tls.Config) *tsa.Client {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // some handshakes are to fail
	server.EnableHTTP2, server.TLS = http2, config
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return &tsa.Client{URL: server.URL, TLS: &tls.Config{RootCAs: roots}}
}

// basic lets in who has the user alice and the secret.
func basic(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "alice" || password != secret {
			w.Header().Add("WWW-Authenticate", `Basic realm="stamps", charset="UTF-8"`)
			http.Error(w, secret, http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func TestCredentials(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		c := serveTLS(t, basic(newAuthority(t, nil)), http2, nil)
		for _, tt := range []struct {
			name        string
			credentials *tsa.Credentials
			want        error
		}{
			{"right", &tsa.Credentials{User: "alice", Password: secret}, nil},
			{"none", nil, tsa.ErrUnauthorized},
			{"other password", &tsa.Credentials{User: "alice", Password: "wrong horse"}, tsa.ErrUnauthorized},
			{"other user", &tsa.Credentials{User: "bob", Password: secret}, tsa.ErrUnauthorized},
		} {
			c.Credentials = tt.credentials
			_, err := c.Stamp(t.Context(), bytes.NewReader(message))
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
			if tt.want != nil && (!strings.Contains(err.Error(), `401, which asks for "Basic"`) || strings.Contains(err.Error(), "horse")) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}
}

func TestForbidden(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	_, err := c.Stamp(t.Context(), bytes.NewReader(message))
	if !errors.Is(err, tsa.ErrUnauthorized) || !strings.HasSuffix(err.Error(), "HTTP status 403") {
		t.Errorf("got %v", err)
	}
}

// Nothing is sent where a password could be read on the way, or could not be written.
func TestCredentialsRefused(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	good := tsa.Credentials{User: "alice", Password: secret}
	for _, tt := range []struct {
		name, url   string
		loopback    bool
		credentials tsa.Credentials
		says        string
	}{
		{"http", "http://tsa.example/", false, good, "https only"},
		{"http to a loopback address", server.URL, false, good, "https only"},
		{"http to another address, loopback allowed", "http://192.0.2.1" + port, true, good, "loopback"},
		{"http to a name, loopback allowed", "http://localhost" + port, true, good, "loopback"},
		{"no user", "https://tsa.example/", false, tsa.Credentials{Password: secret}, "user is empty"},
		{"colon", "https://tsa.example/", false, tsa.Credentials{User: "a:b", Password: secret}, "colon"},
		{"line end in the user", "https://tsa.example/", false, tsa.Credentials{User: "a\r\nX", Password: secret}, "control"},
		{"line end in the password", "https://tsa.example/", false, tsa.Credentials{User: "alice", Password: secret + "\n"}, "control"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tsa.Client{URL: tt.url, HTTP: server.Client(), Credentials: &tt.credentials, InsecureLoopback: tt.loopback}
			_, err := c.Stamp(t.Context(), bytes.NewReader(message))
			if !errors.Is(err, tsa.ErrConfig) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v, which should say %q", err, tt.says)
			}
		})
	}
	if asked {
		t.Error("something was sent")
	}
}

func TestCredentialsOverLoopback(t *testing.T) {
	c := serve(t, basic(newAuthority(t, nil)))
	c.Credentials, c.InsecureLoopback = &tsa.Credentials{User: "alice", Password: secret}, true
	if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); err != nil {
		t.Error(err)
	}
}

// Who redirects gets the password, being the authority; where it redirects to gets nothing.
func TestCredentialsAreNotRedirected(t *testing.T) {
	asked := false
	other := serveTLS(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }), false, nil)
	for _, to := range []string{other.URL, "/elsewhere"} {
		c := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				asked = true
			}
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}), false, nil)
		c.HTTP = &http.Client{
			Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.TLS.RootCAs}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return nil }, // does not count
		}
		c.Credentials = &tsa.Credentials{User: "alice", Password: secret}
		if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); !errors.Is(err, tsa.ErrHTTP) {
			t.Errorf("got %v", err)
		}
	}
	if asked {
		t.Error("redirect is followed")
	}
}

// An authority that wants a client certificate gets it, and one that gets none ends the exchange.
func TestClientCertificate(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		a := newAuthority(t, nil)
		config := &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		c := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !r.TLS.PeerCertificates[0].Equal(a.other) {
				t.Error("another certificate")
			}
			a.ServeHTTP(w, r)
		}), http2, config)
		if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); !errors.Is(err, tsa.ErrNetwork) {
			t.Errorf("without a certificate: %v", err)
		}
		c.TLS.Certificates = []tls.Certificate{{Certificate: [][]byte{a.other.Raw}, PrivateKey: a.key}}
		if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); err != nil {
			t.Error(err)
		}
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	k := tsa.Credentials{User: "alice", Password: secret}
	js, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(k), fmt.Sprintf("%+v %#v %q %x %s %d", k, k, k, k.Password, &k, k.Password), string(js), k.Password.String(),
		k.Password.LogValue().String(),
	} {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("printed: %s", text)
		}
	}
}
