package cms_test

import (
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
