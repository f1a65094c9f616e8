package tsa

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// TestProxySeesNoCertificate goes through a proxy inside TLS to an authority that asks for a certificate. The proxy asks for
// one as well, and gets none.
func TestProxySeesNoCertificate(t *testing.T) {
	var toAuthority, toProxy int
	authority := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		toAuthority = len(r.TLS.PeerCertificates)
	}))
	tunnels := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		toProxy = len(r.TLS.PeerCertificates)
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		here, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		// What the server had read of the connection before it was taken over is in the buffer alone.
		go func() { _, _ = io.Copy(there, buffered) }()
		_, _ = io.Copy(here, there)
	}))
	roots := x509.NewCertPool()
	for _, server := range []*httptest.Server{authority, tunnels} {
		server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		server.StartTLS()
		defer server.Close()
		roots.AddCert(server.Certificate())
	}
	proxy, err := url.Parse(tunnels.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{URL: authority.URL, TLS: &tls.Config{RootCAs: roots, Certificates: authority.TLS.Certificates}}
	transport := c.transport(http.ProxyURL(proxy))
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if toAuthority != 1 || toProxy != 0 {
		t.Errorf("%d certificates were shown to the authority, and %d to the proxy", toAuthority, toProxy)
	}
}
