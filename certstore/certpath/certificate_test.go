package certpath

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	anyPolicy, err := x509.ParseOID("2.5.29.32.0")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "Alice", Organization: []string{"Example"}},
		NotBefore: time.Unix(1e9, 0).UTC(), NotAfter: time.Unix(2e9, 0).UTC(), IsCA: true, BasicConstraintsValid: true, MaxPathLen: 3,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		EmailAddresses: []string{"alice@example.org"}, DNSNames: []string{"example.org"}, IPAddresses: []net.IP{{192, 0, 2, 1}},
		SubjectKeyId: []byte{1, 2}, CRLDistributionPoints: []string{"http://example.org/crl"}, OCSPServer: []string{"http://example.org/ocsp"},
		PermittedEmailAddresses: []string{"example.org"}, ExcludedDNSDomains: []string{"example.com"},
		Policies: []x509.OID{anyPolicy},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) > 0 || len(c.UnknownCritical) > 0 {
		t.Errorf("problems %v, unknown %v", c.Problems, c.UnknownCritical)
	}
	if c.SerialNumber.Int64() != 77 || c.Version != 3 || !c.SelfIssued() || c.Subject.String() != "CN=Alice, O=Example" ||
		!c.NotBefore.Equal(template.NotBefore) || !c.NotAfter.Equal(template.NotAfter) {
		t.Errorf("%d %d %v %v", c.SerialNumber, c.Version, c.Subject, c.Issuer)
	}
	if b := c.BasicConstraints; b == nil || !b.CA || b.PathLength != 3 {
		t.Errorf("basic constraints %v", b)
	}
	if c.KeyUsage != KeyCertSign|CRLSign || len(c.ExtendedKeyUsage) != 1 || c.ExtendedKeyUsage[0] != OIDEmailProtection {
		t.Errorf("usages %v %v", c.KeyUsage, c.ExtendedKeyUsage)
	}
	if len(c.SubjectAltNames) != 3 || len(c.Policies) != 1 || c.Policies[0].Policy != OIDAnyPolicy {
		t.Errorf("%v %v", c.SubjectAltNames, c.Policies)
	}
	if len(c.CRLDistributionPoints) != 1 || c.CRLDistributionPoints[0].Name.FullName[0].Text != "http://example.org/crl" ||
		c.AuthorityInfoAccess[0].Method != OIDAccessOCSP || c.AuthorityInfoAccess[0].Location.Text != "http://example.org/ocsp" {
		t.Errorf("%v %v", c.CRLDistributionPoints, c.AuthorityInfoAccess)
	}
	if n := c.NameConstraints; n == nil || n.Permitted[0].Text != "example.org" || n.Excluded[0].Text != "example.com" {
		t.Errorf("name constraints %v", n)
	}
	if c.KeyName() != "ECDSA on P-256" || c.SignatureAlgorithm.String() != "ECDSA with SHA-256" {
		t.Error(c.KeyName(), c.SignatureAlgorithm)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBS, c.Signature, AlgorithmPolicy{}); err != nil {
		t.Error(err)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBS[1:], c.Signature, AlgorithmPolicy{}); err != ErrSignature {
		t.Error(err)
	}
}
