// Package tsatest makes what tests about time stamps need: certificates of authorities, good and bad, and tokens that
// break one rule at a time. It builds them by itself, without the code that it serves to test.
package tsatest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/tsa"
)

// Now is the time at which tests run, as far as they can choose it. Certificates are valid for decades around it,
// because peers take the time from the real clock.
func Now() time.Time { return time.Date(2026, 11, 21, 10, 2, 13, 0, time.UTC) }

// Policy is the policy under which test tokens are issued.
func Policy() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1} }

// PKI is a root and what it has issued.
type PKI struct {
	Root *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64
}

// NewPKI makes a root.
func NewPKI(t testing.TB) *PKI {
	t.Helper()
	p := &PKI{key: ECKey(t), last: 1}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(p.last),
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: "Example Root"},
		NotBefore:             Now().AddDate(-20, 0, 0),
		NotAfter:              Now().AddDate(60, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	p.Root = create(t, template, template, p.key.Public(), p.key)
	return p
}

// ECKey makes a P-256 key.
func ECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// RSAKey makes an RSA key.
func RSAKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ExtKeyUsage returns the extension for these usages, in the form that crypto/x509 does not make: critical.
func ExtKeyUsage(t testing.TB, critical bool, usages ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal(usages)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: value}
}

// Extended key usages.
func TimeStamping() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8} }
func ServerAuth() asn1.ObjectIdentifier   { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1} }

// Issue issues the certificate of an authority, fit for time stamping unless change (which may be nil) makes it unfit.
func (p *PKI) Issue(t testing.TB, public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	p.last++
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(p.last),
		Subject:         pkix.Name{Organization: []string{"Example"}, CommonName: "Example TSA"},
		NotBefore:       Now().AddDate(-10, 0, 0),
		NotAfter:        Now().AddDate(50, 0, 0),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		SubjectKeyId:    []byte{0x5a, byte(p.last)},
		ExtraExtensions: []pkix.Extension{ExtKeyUsage(t, true, TimeStamping())},
	}
	if change != nil {
		change(template)
	}
	return create(t, template, p.Root, public, p.key)
}

// Intermediate issues a CA certificate, and from it the certificate of an authority.
func (p *PKI) Intermediate(t testing.TB, public crypto.PublicKey) (between, cert *x509.Certificate) {
	t.Helper()
	below := &PKI{key: ECKey(t)}
	p.last++
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(p.last),
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: "Example CA"},
		NotBefore:             p.Root.NotBefore,
		NotAfter:              p.Root.NotAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	below.Root = create(t, template, p.Root, below.key.Public(), p.key)
	return below.Root, below.Issue(t, public, nil)
}

func create(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Path trusts the root for time stamping.
func (p *PKI) Path() tsa.PathFunc { return Path(p.Root) }

// Path returns a PathFunc of the standard library's path validation under these roots.
func Path(roots ...*x509.Certificate) tsa.PathFunc {
	return func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		o := x509.VerifyOptions{
			Roots:         x509.NewCertPool(),
			Intermediates: x509.NewCertPool(),
			CurrentTime:   at,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}, // the default is a TLS server
		}
		for _, c := range roots {
			o.Roots.AddCert(c)
		}
		for _, c := range bag {
			o.Intermediates.AddCert(c)
		}
		chains, err := cert.Verify(o)
		if err != nil {
			return nil, err
		}
		return chains[0], nil
	}
}

// WritePEM writes certificates to a file of this name in a directory of the test's, and returns its path.
func WritePEM(t testing.TB, name string, certs ...*x509.Certificate) string {
	t.Helper()
	var data []byte
	for _, c := range certs {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return WriteFile(t, name, data)
}

// ReadPEM reads the first certificate in a file.
func ReadPEM(t testing.TB, path string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("%s is no PEM", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// WriteKey is WritePEM for a private key.
func WriteKey(t testing.TB, name string, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return WriteFile(t, name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// WriteFile writes a file to a directory of the test's and returns its path.
func WriteFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
