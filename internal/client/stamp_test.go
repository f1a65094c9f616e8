package client_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/tsa"
)

// TestAuthorityOverTLS asks an authority whose server's certificate is the person's own affair. It gets through to an
// answer as soon as that is trusted for servers.
func TestAuthorityOverTLS(t *testing.T) {
	w := newWorld(t)
	authority := httptest.NewUnstartedServer(http.NotFoundHandler())
	authority.Config.ErrorLog = log.New(io.Discard, "", 0)
	authority.StartTLS()
	defer authority.Close()
	c := w.client()
	stamp := func() error {
		_, err := c.Stamp(t.Context(), client.StampParams{TSA: []string{authority.URL}, Hash: "sha256"}, w.write("file", "text"), client.Output{Name: w.in("file.tsr")})
		return err
	}
	if err := stamp(); !errors.Is(err, tsa.ErrNetwork) {
		t.Fatalf("untrusted: %v", err)
	}
	anchors, err := c.CertAnchors(w.write("server.pem", string(certstore.EncodeCertificates(authority.Certificate()))))
	if err == nil {
		_, err = c.CertTrust(anchors, "server")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := stamp(); !errors.Is(err, tsa.ErrHTTP) {
		t.Errorf("trusted: %v", err)
	}
}
