package ca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/smime/cms"
)

func request(t testing.TB, key crypto.Signer, change func(*x509.CertificateRequest)) *x509.CertificateRequest {
	t.Helper()
	return requestFrom(t, key, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "Requester", Organization: []string{"Claimed Inc"}}, EmailAddresses: []string{"r@example.org"}}, change)
}

func requestFrom(t testing.TB, key crypto.Signer, template *x509.CertificateRequest, change func(*x509.CertificateRequest)) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(csr)
	}
	return csr
}

func TestCSR(t *testing.T) {
	a, _ := newAuthority(t, nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issued := issue(t, a, ca.Profile{Purpose: ca.Mail, CSR: request(t, key, nil)})
	c := issued.Certificate()
	if issued.Key != nil || !key.PublicKey.Equal(c.PublicKey) {
		t.Error("another key was certified")
	}
	if c.Subject.CommonName != "Requester" || len(c.Subject.Organization) != 0 || !slices.Equal(certstore.Addresses(c), []string{"r@example.org"}) {
		t.Errorf("%v, %q", c.Subject, certstore.Addresses(c))
	}
	if _, ok := cms.CertificateCapabilities(c); ok {
		t.Error("capabilities of a program that is not known")
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c = issue(t, a, ca.Profile{Purpose: ca.Mail, CSR: request(t, other, nil), Emails: []string{"stated@example.org"}, Name: "Stated", Organization: "Org"}).Certificate()
	if c.Subject.CommonName != "Stated" || !slices.Equal(certstore.Addresses(c), []string{"stated@example.org"}) || c.Subject.Organization[0] != "Org" {
		t.Errorf("%v, %q", c.Subject, certstore.Addresses(c))
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]ca.Profile{
		"signature":    {CSR: request(t, key, func(r *x509.CertificateRequest) { r.Signature[len(r.Signature)-1] ^= 1 })},
		"another key":  {CSR: request(t, key, func(r *x509.CertificateRequest) { r.PublicKey = weak.Public() })},
		"weak RSA":     {CSR: request(t, weak, nil)},
		"P-224":        {CSR: request(t, p224, nil)},
		"key and both": {CSR: request(t, key, nil), Key: ca.P256},
	} {
		p.Purpose, p.Now = ca.Mail, now()
		if _, err := a.Issue(t.Context(), p); !errors.Is(err, ca.ErrProfile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The size of a key is looked at before its signature, which may take hours to check.
	modulus := new(big.Int).Lsh(big.NewInt(1), 1<<20)
	long := &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: 65537}
	p := ca.Profile{Purpose: ca.Mail, Now: now(), CSR: request(t, key, func(r *x509.CertificateRequest) { r.PublicKey = long })}
	if _, err := a.Issue(t.Context(), p); !errors.Is(err, ca.ErrProfile) || !strings.Contains(err.Error(), "RSA key of 1048577 bits") {
		t.Errorf("long RSA: %v", err)
	}
}

// TestRequestedExtensions: a request gets names and capabilities, no usages, and never authority.
func TestRequestedExtensions(t *testing.T) {
	a, _ := newAuthority(t, nil)
	key := newKey(t)
	extension := func(oid asn1.ObjectIdentifier, value any) pkix.Extension {
		der, err := asn1.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return pkix.Extension{Id: oid, Value: der}
	}
	var (
		keyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
		extKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
		basicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
		serverAuth       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
		policies         = asn1.ObjectIdentifier{2, 5, 29, 32}
	)
	capabilities, err := cms.OwnCapabilities().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	type constraints struct {
		CA bool `asn1:"optional"`
	}
	csr := requestFrom(t, key, &x509.CertificateRequest{EmailAddresses: []string{"r@example.org"}, ExtraExtensions: []pkix.Extension{
		extension(keyUsage, asn1.BitString{Bytes: []byte{4}, BitLength: 6}), // keyCertSign
		extension(extKeyUsage, []asn1.ObjectIdentifier{serverAuth}),
		extension(basicConstraints, constraints{}),
		extension(policies, []struct{ ID asn1.ObjectIdentifier }{{asn1.ObjectIdentifier{2, 23, 140, 1, 5, 1, 2}}}),
		{Id: cms.OIDAttributeSMIMECapabilities, Value: capabilities},
	}}, nil)
	c := issue(t, a, ca.Profile{Purpose: ca.Mail, CSR: csr}).Certificate()
	if c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}) ||
		c.IsCA || len(c.PolicyIdentifiers) != 0 {
		t.Errorf("key usage %b, %v, policies %v", c.KeyUsage, c.ExtKeyUsage, c.PolicyIdentifiers)
	}
	got, ok := cms.CertificateCapabilities(c)
	if !ok || !got.Supports(cms.AES256GCM) || len(got) != len(cms.OwnCapabilities().Ciphers()) {
		t.Errorf("capabilities %v", got)
	}
	for value, want := range map[any]string{
		constraints{CA: true}: "is for an authority",
		"text":                "cannot be read",
	} {
		csr := requestFrom(t, key, &x509.CertificateRequest{EmailAddresses: []string{"r@example.org"},
			ExtraExtensions: []pkix.Extension{extension(basicConstraints, value)}}, nil)
		if _, err := a.Issue(t.Context(), ca.Profile{Purpose: ca.Mail, CSR: csr, Now: now()}); !errors.Is(err, ca.ErrProfile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", value, err)
		}
	}
	// CA:FALSE in so many words, which is not DER, and what old programs write.
	csr = requestFrom(t, key, &x509.CertificateRequest{EmailAddresses: []string{"r@example.org"},
		ExtraExtensions: []pkix.Extension{{Id: basicConstraints, Value: []byte{0x30, 3, 1, 1, 0}}}}, nil)
	issue(t, a, ca.Profile{Purpose: ca.Mail, CSR: csr})
}

// TestRequestedNames: addresses beyond ASCII, and those that stand in the subject, as old programs write them.
func TestRequestedNames(t *testing.T) {
	a, _ := newAuthority(t, nil)
	from := issue(t, a, ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{"jörg@example.org", "j@example.org"}}).Certificate()
	var names pkix.Extension
	for _, e := range from.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			names = e
		}
	}
	for name, test := range map[string]struct {
		template x509.CertificateRequest
		want     []string
	}{
		"SmtpUTF8Mailbox": {x509.CertificateRequest{ExtraExtensions: []pkix.Extension{names}}, []string{"jörg@example.org", "j@example.org"}},
		"in the subject": {x509.CertificateRequest{Subject: pkix.Name{CommonName: "R", ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "r@example.org"}}}}, []string{"r@example.org"}},
	} {
		c := issue(t, a, ca.Profile{Purpose: ca.Mail, CSR: requestFrom(t, newKey(t), &test.template, nil)}).Certificate()
		if got := certstore.Addresses(c); !slices.Equal(got, test.want) || len(c.Subject.Names) > 1 {
			t.Errorf("%s: %q, subject %v", name, got, c.Subject)
		}
	}
}

// TestBadRSA: keys that give their secret away, or are weak by their exponent. Their signatures need not be right: the
// key is looked at first.
func TestBadRSA(t *testing.T) {
	a, _ := newAuthority(t, nil)
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p, err := rand.Prime(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	near := new(big.Int).Add(p, big.NewInt(2))
	for !near.ProbablyPrime(20) {
		near.Add(near, big.NewInt(2))
	}
	for name, test := range map[string]struct {
		key  rsa.PublicKey
		want string
	}{
		"exponent 3":    {rsa.PublicKey{N: good.N, E: 3}, "exponent 3"},
		"even exponent": {rsa.PublicKey{N: good.N, E: 65538}, "exponent 65538"},
		"even modulus":  {rsa.PublicKey{N: new(big.Int).Lsh(good.N, 1), E: 65537}, "small factor"},
		"small factor":  {rsa.PublicKey{N: new(big.Int).Mul(good.N, big.NewInt(743)), E: 65537}, "small factor"},
		"close primes":  {rsa.PublicKey{N: new(big.Int).Mul(p, near), E: 65537}, "close to each other"},
	} {
		csr := request(t, good, func(r *x509.CertificateRequest) { r.PublicKey = &test.key })
		if _, err := a.Issue(t.Context(), ca.Profile{Purpose: ca.Mail, CSR: csr, Now: now()}); !errors.Is(err, ca.ErrProfile) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	issue(t, a, ca.Profile{Purpose: ca.Mail, CSR: request(t, good, nil)})
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
