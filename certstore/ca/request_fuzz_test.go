package ca

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/smime/cms"
)

// FuzzRequestedExtensions makes a certificate of whatever a request asks for. It is refused, or has the usages of its purpose,
// is no authority's, and speaks for the addresses of the request and no others.
func FuzzRequestedExtensions(f *testing.F) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	a, err := Init(context.Background(), InitOptions{Dir: filepath.Join(f.TempDir(), "CA"), Name: "Example CA", Protection: vault.Protection{Unprotected: true}, Now: at})
	if err != nil {
		f.Fatal(err)
	}
	issuerKey, err := a.key(MailIssuer)
	if err != nil {
		f.Fatal(err)
	}
	key, err := P256.Generate()
	if err != nil {
		f.Fatal(err)
	}
	names, err := certstore.MarshalSubjectAltName([]string{"alice@example.org", "jörg@example.org"}, []string{"example.org", "127.0.0.1"})
	if err != nil {
		f.Fatal(err)
	}
	capabilities, err := cms.OwnCapabilities().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("Alice", names, []byte{0x30, 0}, capabilities)
	f.Add("", names, []byte{0x30, 3, 1, 1, 0xff}, []byte{})
	f.Fuzz(func(t *testing.T, name string, san, constraints, capabilities []byte) {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, ExtraExtensions: []pkix.Extension{
			{Id: oidSubjectAltName, Value: san}, {Id: oidBasicConstraints(), Value: constraints}, {Id: cms.OIDAttributeSMIMECapabilities, Value: capabilities},
		}}, key)
		if err != nil {
			return
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			return
		}
		p := Profile{Purpose: Mail, CSR: csr, Now: at}
		cert, err := func() (*x509.Certificate, error) {
			public, err := p.subjectKey(new(Issued))
			if err != nil {
				return nil, err
			}
			template, err := a.template(p, public)
			if err != nil {
				return nil, err
			}
			return sign(template, a.Issuing(), public, &lintingSigner{Signer: issuerKey, level: p.baseline(), withoutURL: true})
		}()
		if err != nil {
			if !errors.Is(err, ErrProfile) {
				t.Errorf("%v", err)
			}
			return
		}
		asked := requestedAddresses(csr)
		for _, address := range certstore.Addresses(cert) {
			if !slices.ContainsFunc(asked, func(other string) bool {
				x, _ := certstore.NormalizeAddress(address)
				y, _ := certstore.NormalizeAddress(other)
				return x == y
			}) {
				t.Errorf("%q was not asked for among %q", address, asked)
			}
		}
		if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement || len(cert.ExtKeyUsage) != 1 ||
			cert.ExtKeyUsage[0] != x509.ExtKeyUsageEmailProtection || len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.URIs) != 0 || len(certstore.Addresses(cert)) == 0 {
			t.Errorf("%v, %v, %v, %v", cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage, cert.DNSNames)
		}
	})
}
