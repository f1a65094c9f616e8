package ca_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/certstore/ca"
)

// TestEarlierAuthority: one that was made before there were services, lists and responders has one issuer for all, and the
// rest is made when it is asked for.
func TestEarlierAuthority(t *testing.T) {
	_, dir := newAuthority(t, nil)
	for _, name := range []string{"services.pem", "services.crl", "issuing.crl", "root.crl"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	a := reopen(t, dir)
	if a.Certificate(ca.ServicesIssuer) != nil {
		t.Fatal("services")
	}
	issued := issue(t, a, ca.Profile{Purpose: ca.TLS, Key: ca.P256, DNS: []string{"example.org"}})
	if !issued.Chain[1].Equal(a.Issuing()) || issued.Certificate().CheckSignatureFrom(a.Issuing()) != nil {
		t.Errorf("issued by %v", issued.Chain[1].Subject)
	}
	if l := list(t, a, ca.MailIssuer, now()); len(l.RevokedCertificateEntries) != 0 {
		t.Errorf("%d entries", len(l.RevokedCertificateEntries))
	}
	revoke(t, a, serialOf(issued), ca.Superseded)
	if onList(list(t, a, ca.MailIssuer, now()), serialOf(issued)) == nil || statusOf(t, a, ca.MailIssuer, serialOf(issued)) != "revoked" {
		t.Error("not revoked")
	}
	if _, err := a.CRL(t.Context(), ca.RootIssuer, now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the root's list: %v", err)
	}
	if _, err := a.CRL(t.Context(), ca.ServicesIssuer, now()); !errors.Is(err, ca.ErrCRL) {
		t.Errorf("a list of nobody: %v", err)
	}
}
