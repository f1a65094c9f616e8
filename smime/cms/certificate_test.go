package cms_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

func TestCertificateIdentifier(t *testing.T) {
	certs := map[string]identity{"CA": testCA(), "p256": testP256(), "rsa": testRSA(), "ed25519": testEd25519()}
	for name, id := range certs {
		for _, form := range []cms.IdentifierForm{cms.IssuerAndSerialNumber, cms.SubjectKeyIdentifier} {
			identifier, err := cms.NewCertificateIdentifier(id.cert, form)
			if err != nil {
				t.Fatal(err)
			}
			for other, candidate := range certs {
				want := name == other
				if got := identifier.Matches(candidate.cert); got != want {
					t.Errorf("%s matches %s: %v", name, other, got)
				}
				if got := identifier.MatchesRaw(candidate.cert.Raw); got != want {
					t.Errorf("%s matches %s unparsed: %v", name, other, got)
				}
			}
			for n := 0; n < len(id.cert.Raw); n += 7 {
				if identifier.MatchesRaw(id.cert.Raw[:n]) {
					t.Errorf("%s matches %d octets of its certificate", name, n)
				}
			}
		}
	}
	if (cms.CertificateIdentifier{}).Matches(testP256().cert) || (cms.CertificateIdentifier{}).Matches(nil) {
		t.Error("an empty identifier matches")
	}
	cert := *testP256().cert
	cert.SubjectKeyId = nil
	if _, err := cms.NewCertificateIdentifier(&cert, cms.SubjectKeyIdentifier); err == nil {
		t.Error("a certificate is named by a key identifier that it has not")
	}
}

// TestCertificateVersion has a certificate of an older version with the extensions of version 3, which count for nothing
// there (RFC 5280 section 4.1.2.9): crypto/x509 reads none either.
func TestCertificateVersion(t *testing.T) {
	raw := testP256().cert.Raw
	identifier, err := cms.NewCertificateIdentifier(testP256().cert, cms.SubjectKeyIdentifier)
	if err != nil {
		t.Fatal(err)
	}
	versionField := []byte{0xa0, 3, 2, 1, 2}
	if bytes.Count(raw, versionField) != 1 {
		t.Fatal("the version is not found")
	}
	for version := range byte(3) {
		altered := bytes.Replace(raw, versionField, []byte{0xa0, 3, 2, 1, version}, 1)
		cert, err := x509.ParseCertificate(altered)
		if err != nil {
			t.Fatal(err)
		}
		want := version == 2
		if identifier.Matches(cert) != want || identifier.MatchesRaw(altered) != want {
			t.Errorf("version %d: %v, and unparsed %v", version+1, identifier.Matches(cert), identifier.MatchesRaw(altered))
		}
	}
}

// TestParseReason has a certificate that crypto/x509 refuses by repeating what it holds, escaped, and twice.
func TestParseReason(t *testing.T) {
	template := *testP256().cert
	template.URIs = []*url.URL{{Scheme: "http", Host: "x", Path: "/" + strings.Repeat("a", 10_000)}}
	raw := mustCertificate(&template, testCA().cert, testP256().key, testCA().key).Raw
	raw = bytes.ReplaceAll(raw, bytes.Repeat([]byte("a"), 10_000), bytes.Repeat([]byte{1}, 10_000))
	if _, err := x509.ParseCertificate(raw); err == nil || len(err.Error()) < 10_000 {
		t.Fatal("crypto/x509 has another reason now")
	}
	if _, err := cms.RawCertificate(raw).Parse(); err == nil || len(err.Error()) > 210 || !strings.HasPrefix(err.Error(), "x509: cannot parse URI") {
		t.Errorf("%v", err)
	}
}

// TestLongRSAKey has a signer whose RSA key is longer than any that is honest: it is not tried.
func TestLongRSAKey(t *testing.T) {
	signer := testRSA()
	modulus := new(big.Int).Lsh(big.NewInt(1), 8192)
	long := *signer.cert
	long.PublicKey = &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: 65537}
	s, digest, _, err := readSigned(sign(t, []byte("content"), options(signer)), cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.SignerInfos[0].Verify(&long, digest, cms.VerifyOptions{ContentType: cms.OIDData})
	if unsupported := new(cms.UnsupportedError); !errors.As(err, &unsupported) || unsupported.What != "RSA key of 8193 bits" {
		t.Errorf("%v", err)
	}
}
