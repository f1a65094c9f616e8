package main

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/rogpeppe/go-internal/testscript"
)

// authority NAME basic|certificate|forbidden|page|silent: starts a timestamp authority over https that is the world's behind a door:
// it wants the user alice with the world's password, or alice's certificate; it lets nobody in; it is none, and answers with a
// page; it does not answer. Sets $NAME_URL.
func (s *stories) authority(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: authority NAME basic|certificate|forbidden|page|silent")
	}
	behind, err := url.Parse(s.world.tsa)
	ts.Check(err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }}
	config := &tls.Config{Certificates: []tls.Certificate{s.world.certificate}}
	var door http.HandlerFunc
	switch args[1] {
	case "basic":
		door = func(w http.ResponseWriter, r *http.Request) {
			if user, password, ok := r.BasicAuth(); !ok || user != "alice" || password != string(s.world.password) {
				w.Header().Set("WWW-Authenticate", `Basic realm="stamps"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			proxy.ServeHTTP(w, r)
		}
	case "certificate":
		alice, err := readPair(s.world.in("alice.p12"), string(s.world.password))
		ts.Check(err)
		config.ClientAuth = tls.RequireAnyClientCert
		door = func(w http.ResponseWriter, r *http.Request) {
			if !r.TLS.PeerCertificates[0].Equal(alice.Chain[0]) || r.Header.Get("Authorization") != "" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			proxy.ServeHTTP(w, r)
		}
	case "forbidden":
		door = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	case "page":
		door = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<p>Welcome") }
	case "silent":
		door = func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then it is noticed that the client went away
			<-r.Context().Done()
		}
	default:
		ts.Fatalf("authority: unknown word %q", args[1])
	}
	server := httptest.NewUnstartedServer(door)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // some handshakes are to fail
	server.TLS = config
	server.EnableHTTP2 = true
	server.StartTLS()
	ts.Defer(server.Close)
	ts.Setenv(args[0]+"_URL", server.URL)
}
