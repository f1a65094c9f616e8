package ca_test

import (
	"strings"
	"testing"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3/lint"

	"github.com/sealmail/sealmail/certstore/ca"
)

// TestMatrix issues for every purpose and kind of key, with and without base URL, organization, several names and names
// beyond ASCII, and has zlint judge what came out, and the authority's own certificates and lists.
func TestMatrix(t *testing.T) {
	names := map[string]ca.Profile{
		"one address": {Emails: []string{"alice@example.org"}, Name: "Alice Adams"},
		"three":       {Emails: []string{"alice@example.org", "a.adams@example.org", "it@bücher.example"}},
		"UTF-8":       {Emails: []string{"jörg@bücher.example", "阿Q@example.org"}, Name: "Jörg Müller"},
		"long":        {Emails: []string{strings.Repeat("x", 64) + "@example.org"}},
	}
	hosts := []string{"mail.example.org", "*.example.org", "bücher.example", "127.0.0.1", "::1"}
	for _, authorityKey := range []ca.KeyType{ca.P256, ca.P384, ca.RSA3072} {
		for _, base := range []string{"http://ca.example.org/pki", ""} {
			if authorityKey != ca.P256 && base == "" {
				continue
			}
			a, _ := newAuthority(t, func(o *ca.InitOptions) { o.Key, o.BaseURL = authorityKey, base })
			for _, i := range []ca.Issuer{ca.RootIssuer, ca.MailIssuer, ca.ServicesIssuer} {
				lintCertificate(t, string(i), a.Certificate(i).Raw)
				list, err := a.CRL(t.Context(), i, now())
				if err != nil {
					t.Fatal(err)
				}
				lintList(t, string(i), list.Raw)
			}
			for _, purpose := range []ca.Purpose{ca.Mail, ca.Sign, ca.Encrypt, ca.TSA, ca.Archive, ca.TLS} {
				for _, key := range []ca.KeyType{ca.P256, ca.P384, ca.RSA2048, ca.Ed25519} {
					if key == ca.Ed25519 && (purpose == ca.Mail || purpose == ca.Encrypt) || authorityKey != ca.P256 && key != ca.P256 {
						continue
					}
					for name, p := range names {
						for _, organization := range []string{"", "Example GmbH"} {
							if name != "one address" && (organization != "" || authorityKey != ca.P256 || key == ca.RSA2048) {
								continue
							}
							p.Purpose, p.Key, p.Organization = purpose, key, organization
							if purpose == ca.TLS {
								p.Emails, p.DNS = nil, hosts
							}
							what := strings.Join([]string{string(authorityKey), base, string(purpose), string(key), name, organization}, "/")
							lintCertificate(t, what, issue(t, a, p).Certificate().Raw)
						}
					}
				}
			}
		}
	}
}

func lintCertificate(t *testing.T, what string, der []byte) {
	t.Helper()
	cert, err := zx509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	ran := 0
	registry := lint.GlobalRegistry()
	for _, l := range registry.CertificateLints().Lints() {
		switch result := l.Execute(cert, registry.GetConfiguration()); result.Status {
		case lint.Error, lint.Fatal:
			t.Errorf("%s: %s: %s", what, l.Name, result.Details)
		case lint.Pass:
			ran++
		}
	}
	if ran < 20 {
		t.Errorf("%s: only %d lints looked at it", what, ran)
	}
}

func lintList(t *testing.T, what string, der []byte) {
	t.Helper()
	list, err := zx509.ParseRevocationList(der)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	registry := lint.GlobalRegistry()
	for _, l := range registry.RevocationListLints().Lints() {
		if result := l.Execute(list, registry.GetConfiguration()); result.Status > lint.Notice {
			t.Errorf("%s: %s: %v %s", what, l.Name, result.Status, result.Details)
		}
	}
}
