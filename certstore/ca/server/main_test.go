package server_test

import (
	"context"
	"crypto/x509"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/ca/server"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

// newAuthority makes an authority whose certificates are valid now, because peers look at the real clock.
func newAuthority(t testing.TB, key ca.KeyType) (*ca.Authority, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "CA")
	a, err := ca.Init(context.Background(), ca.InitOptions{Dir: dir, Name: "Example CA", Key: key,
		BaseURL: "http://ca.example.org/pki", Protection: vault.Protection{Unprotected: true}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func issue(t testing.TB, a *ca.Authority, p ca.Profile) *x509.Certificate {
	t.Helper()
	p.Key, p.Now = ca.P256, time.Now()
	issued, err := a.Issue(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return issued.Certificate()
}

func revoke(t testing.TB, a *ca.Authority, cert *x509.Certificate) {
	t.Helper()
	if _, err := a.Revoke(t.Context(), ca.RevokeOptions{Serial: certstore.SerialHex(cert.SerialNumber), Reason: ca.Superseded, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func mailFor(address string) ca.Profile {
	return ca.Profile{Purpose: ca.Mail, Emails: []string{address}}
}

func listen(t testing.TB, a server.Authority) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(server.New(server.Options{Authority: a, Clock: time.Now, Prefix: "/pki", Failed: func(err error) { t.Errorf("failed: %v", err) }}))
	t.Cleanup(s.Close)
	return s
}
