package certstore_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

func TestDescribe(t *testing.T) {
	root := issue(t, nil, "Example CA", newRSAKey(t), asCA(nil))
	c := issue(t, root, "Alice Adams", newKey(t), forMail("alice@example.org", func(c *x509.Certificate) {
		c.Subject.Organization = []string{"Example GmbH"}
		c.SerialNumber = big.NewInt(0x0fab)
	})).cert
	d := certstore.Describe(c)
	want := certstore.Description{
		Name: "Alice Adams", Organization: "Example GmbH", Addresses: []string{"alice@example.org"}, Issuer: "Example CA",
		Serial: "0fab", Fingerprint: certstore.Fingerprint(c), NotBefore: now().AddDate(-1, 0, 0), NotAfter: now().AddDate(1, 0, 0),
		KeyAlgorithm: "ecdsa-p256", Usages: []string{"digitalSignature", "keyAgreement", "emailProtection"},
	}
	if d.Name != want.Name || d.Organization != want.Organization || !slices.Equal(d.Addresses, want.Addresses) || d.Issuer != want.Issuer ||
		d.Serial != want.Serial || d.Fingerprint != want.Fingerprint || !d.NotBefore.Equal(want.NotBefore) || !d.NotAfter.Equal(want.NotAfter) ||
		d.KeyAlgorithm != want.KeyAlgorithm || !slices.Equal(d.Usages, want.Usages) || d.CA {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
	if d := certstore.Describe(root.cert); !d.CA || d.KeyAlgorithm != "rsa-2048" {
		t.Errorf("%+v", d)
	}
	for want, change := range map[string]func(*x509.Certificate){
		"alice@example.org": func(c *x509.Certificate) { c.EmailAddresses = []string{"alice@example.org"} },
		"mail.example.org":  func(c *x509.Certificate) { c.DNSNames = []string{"mail.example.org"} },
		"Example GmbH, Mail": func(c *x509.Certificate) {
			c.Subject.Organization, c.Subject.OrganizationalUnit = []string{"Example GmbH"}, []string{"Mail"}
		},
		"Alice Adams": func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "Alice"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: "Adams"}}
		},
		"nick": func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 65}, Value: "nick"}}
		},
		"": nil,
	} {
		if got := certstore.Name(issue(t, nil, "", newKey(t), change).cert); got != want {
			t.Errorf("name %q, want %q", got, want)
		}
	}
}

func TestSerialHex(t *testing.T) {
	for want, n := range map[string]int64{"00": 0, "01": 1, "0100": 256, "-05": -5} {
		if got := certstore.SerialHex(big.NewInt(n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestKeyAlgorithm(t *testing.T) {
	for file, want := range map[string]string{
		"alice-sign": "rsa-2048", "carlos-sign": "ed25519", "carlos-encrypt": "x25519", "dana-encrypt": "x25519",
	} {
		certs, err := certstore.ParseCertificates(readFile(t, peertest.Corpora(t, "rfc9216", file+".crt.pem")))
		if err != nil {
			t.Fatal(err)
		}
		if got := certstore.KeyAlgorithm(certs[0]); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

// TestRFC9216Paths: both sample authorities, each end entity for its use, and never for the other's.
func TestRFC9216Paths(t *testing.T) {
	read := func(name string) []*x509.Certificate {
		certs, err := certstore.ParseCertificates(readFile(t, peertest.Corpora(t, "rfc9216", name+".crt.pem")))
		if err != nil {
			t.Fatal(err)
		}
		return certs
	}
	v := certstore.Validator{Anchors: append(read("ca-rsa"), read("ca-ed25519")...)}
	for _, name := range []string{"alice", "bob", "carlos", "dana"} {
		sign, encrypt := read(name + "-sign")[0], read(name + "-encrypt")[0]
		if _, err := v.Path(sign, nil, certstore.SignMail, now()); err != nil {
			t.Errorf("%s signs: %v", name, err)
		}
		if _, err := v.Path(encrypt, nil, certstore.EncryptMail, now()); err != nil {
			t.Errorf("to %s: %v", name, err)
		}
		_, err := v.Path(encrypt, nil, certstore.SignMail, now())
		wantCode(t, err, certstore.KeyUsage, "")
		_, err = v.Path(sign, nil, certstore.EncryptMail, now())
		wantCode(t, err, certstore.KeyUsage, "")
		if !certstore.MatchAddress(sign, name+"@smime.example") {
			t.Errorf("%s: addresses %q", name, certstore.Addresses(sign))
		}
	}
}

func TestValidation(t *testing.T) {
	policy := func(arcs ...int) *x509.Certificate {
		return &x509.Certificate{PolicyIdentifiers: []asn1.ObjectIdentifier{{2, 5, 29, 32, 0}, arcs}}
	}
	for _, test := range []struct {
		c      *x509.Certificate
		origin certstore.Origin
		want   string
	}{
		{policy(2, 23, 140, 1, 5, 1, 1), certstore.Public, "mailbox"},
		{policy(2, 23, 140, 1, 5, 2, 3), certstore.Public, "organization"},
		{policy(2, 23, 140, 1, 5, 3, 2), certstore.Public, "sponsor"},
		{policy(2, 23, 140, 1, 5, 4, 1), certstore.Public, "individual"},
		{policy(2, 23, 140, 1, 5, 5, 1), certstore.Public, ""},
		{policy(2, 23, 140, 1, 5, 2, 4), certstore.Public, ""},
		{policy(2, 23, 140, 1, 5, 0, 1), certstore.Public, ""},
		{policy(2, 23, 140, 1, 2, 2), certstore.Public, ""},
		{policy(2, 23, 140, 1, 5, 2, 3), certstore.Private, "private"},
		{policy(2, 23, 140, 1, 5, 2, 3), certstore.Local, "local"},
		{policy(2, 23, 140, 1, 5, 2, 3), "", ""},
	} {
		if got := certstore.Validation(test.c, certstore.Anchor{Origin: test.origin}); got != test.want {
			t.Errorf("%v under %q: %q, want %q", test.c.PolicyIdentifiers[1], test.origin, got, test.want)
		}
	}
}
