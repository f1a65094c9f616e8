package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// testCRL is a revocation list of the CA, with one certificate on it that is none of these tests'.
var testCRL = sync.OnceValue(func() []byte {
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: testNotBefore, NextUpdate: testNotAfter,
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(99), RevocationTime: testTime}},
	}, testCA().cert, testCA().key)
	if err != nil {
		panic(err)
	}
	return der
})

// testOCSP is an OCSP response of an authority of its own, about testP256.
var testOCSP = sync.OnceValue(func() []byte {
	der, err := ocsp.CreateResponse(testP384().cert, testP384().cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: testP256().cert.SerialNumber, ThisUpdate: testTime, NextUpdate: testNotAfter,
		IssuerHash: crypto.SHA1,
	}, testP384().key)
	if err != nil {
		panic(err)
	}
	return der
})

// TestBag has every combination of what may lie beside a signature, written and read again.
func TestBag(t *testing.T) {
	otherCRL := reissueCRL(t, 2)
	for name, tt := range map[string]struct {
		change  func(*cms.SignedDataOptions)
		crls    int
		ocsp    int
		version int // RFC 5652 section 5.1
	}{
		"nothing":         {func(*cms.SignedDataOptions) {}, 0, 0, 1},
		"CRL":             {func(o *cms.SignedDataOptions) { o.CRLs = [][]byte{testCRL()} }, 1, 0, 1},
		"two CRLs":        {func(o *cms.SignedDataOptions) { o.CRLs = [][]byte{testCRL(), otherCRL, testCRL()} }, 2, 0, 1},
		"OCSP":            {func(o *cms.SignedDataOptions) { o.OCSPResponses = [][]byte{testOCSP()} }, 0, 1, 5},
		"CRL and OCSP":    {func(o *cms.SignedDataOptions) { o.CRLs, o.OCSPResponses = [][]byte{testCRL()}, [][]byte{testOCSP()} }, 1, 1, 5},
		"key identifier":  {func(o *cms.SignedDataOptions) { o.Signers[0].SID = cms.SubjectKeyIdentifier }, 0, 0, 3},
		"another type":    {func(o *cms.SignedDataOptions) { o.ContentType = cms.OIDTSTInfo }, 0, 0, 3},
		"type and CRL":    {func(o *cms.SignedDataOptions) { o.ContentType, o.CRLs = cms.OIDTSTInfo, [][]byte{testCRL()} }, 1, 0, 3},
		"no certificates": {func(o *cms.SignedDataOptions) { o.Certificates, o.CRLs = nil, [][]byte{testCRL()} }, 1, 0, 1},
		"type and OCSP": {func(o *cms.SignedDataOptions) {
			o.ContentType, o.OCSPResponses = cms.OIDTSTInfo, [][]byte{testOCSP()}
		}, 0, 1, 5},
	} {
		for _, detached := range []bool{false, true} {
			o := options(testP256())
			o.Detached = detached
			tt.change(&o)
			content := []byte("content")
			for _, message := range [][]byte{sign(t, content, o), stream(t, content, o)} {
				s, digest, _, err := readSigned(message, cms.Limits{}, content)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: s.EContentType}, testP256().cert); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if s.Version != tt.version || len(s.CRLs) != tt.crls || len(s.OCSPResponses) != tt.ocsp || s.CertsOnly() {
					t.Errorf("%s: version %d, %d CRLs, %d OCSP responses, certs-only %v",
						name, s.Version, len(s.CRLs), len(s.OCSPResponses), s.CertsOnly())
				}
				for _, crl := range s.CRLs {
					if list, err := x509.ParseRevocationList(crl); err != nil || list.CheckSignatureFrom(testCA().cert) != nil {
						t.Errorf("%s: CRL: %v", name, err)
					}
				}
				for _, response := range s.OCSPResponses {
					if r, err := ocsp.ParseResponse(response, testP384().cert); err != nil || r.Status != ocsp.Good {
						t.Errorf("%s: OCSP response: %v", name, err)
					}
				}
			}
		}
	}
}

func reissueCRL(t *testing.T, number int64) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(number), ThisUpdate: testNotBefore, NextUpdate: testNotAfter,
	}, testCA().cert, testCA().key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// otherRevocation is an OtherRevocationInfoFormat (RFC 5652 section 10.2.1).
func otherRevocation(format []int, info ...[]byte) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(format)
			b.AddBytes(bytes.Join(info, nil))
		})
	})
}

// TestOtherRevocationInfo reads what is no CRL and no OCSP response: it is left out, and nothing else is lost.
func TestOtherRevocationInfo(t *testing.T) {
	ocspFormat, scvpFormat := []int{1, 3, 6, 1, 5, 5, 7, 16, 2}, []int{1, 3, 6, 1, 5, 5, 7, 16, 4}
	response := otherRevocation(ocspFormat, testOCSP())
	// The same in BER, of indefinite length.
	_, inner, _ := bytes.Cut(response, []byte{6, 8})
	inBER := append(append([]byte{0xa1, 0x80, 6, 8}, inner...), 0, 0)
	for name, tt := range map[string]struct {
		info []byte
		want int // OCSP responses beside the good one
	}{
		"OCSP again":         {response, 1},
		"OCSP in BER":        {inBER, 1},
		"SCVP":               {otherRevocation(scvpFormat, []byte{0x30, 0}), 0},
		"OCSP of two":        {otherRevocation(ocspFormat, testOCSP(), testOCSP()), 0},
		"OCSP of none":       {otherRevocation(ocspFormat), 0},
		"OCSP, a string":     {otherRevocation(ocspFormat, []byte{4, 0}), 0},
		"without a format":   {[]byte{0xa1, 2, 0x30, 0}, 0},
		"empty":              {[]byte{0xa1, 0}, 0},
		"primitive":          {[]byte{0x81, 1, 0}, 0},
		"garbage inside":     {[]byte{0xa1, 3, 6, 0x7f, 0}, 0},
		"another choice":     {[]byte{0xa2, 2, 5, 0}, 0},
		"not even a choice":  {[]byte{5, 0}, 0},
		"indefinite garbage": {[]byte{0xa3, 0x80, 5, 0, 0, 0}, 0},
	} {
		d := newDraft(testP256())
		d.version = 5
		d.revocation = bytes.Join([][]byte{testCRL(), tt.info, response}, nil)
		s, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.CRLs) != 1 || len(s.OCSPResponses) != 1+tt.want || s.Version != 5 {
			t.Errorf("%s: %d CRLs, %d OCSP responses", name, len(s.CRLs), len(s.OCSPResponses))
		}
		for _, got := range s.OCSPResponses {
			if !bytes.Equal(got, testOCSP()) {
				t.Errorf("%s: another response came out", name)
			}
		}
	}
}

// readBag reads a message of which only the bag matters.
func readBag(t *testing.T, message []byte) *cms.SignedData {
	t.Helper()
	s, _, _, err := readSigned(message, cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMarshalCertsOnly(t *testing.T) {
	certificates := []*x509.Certificate{testP256().cert, testCA().cert, testP256().cert, testPSS().cert}
	der, err := cms.MarshalCertsOnly(certificates, [][]byte{testCRL()})
	if err != nil {
		t.Fatal(err)
	}
	s := readBag(t, der)
	if !s.CertsOnly() || s.Version != 1 || len(s.Certificates) != 3 || len(s.CRLs) != 1 || len(s.DigestAlgorithms) != 0 {
		t.Errorf("certs-only %v, version %d, %d certificates, %d CRLs", s.CertsOnly(), s.Version, len(s.Certificates), len(s.CRLs))
	}
	for _, c := range certificates {
		id, err := cms.NewCertificateIdentifier(c, cms.IssuerAndSerialNumber)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.CertificatesFor(id)) == 0 {
			t.Errorf("%v is missing", c.Subject)
		}
	}
	if results, err := s.Verify(nil, cms.VerifyOptions{ContentType: cms.OIDData}); results != nil {
		t.Errorf("%d signatures, %v", len(results), err)
	} else {
		checkOnly(t, err, cms.ErrNoSigners)
	}

	for name, tt := range map[string]struct {
		certificates []*x509.Certificate
		crls         [][]byte
	}{
		"nothing":          {nil, nil},
		"nil certificate":  {[]*x509.Certificate{nil}, nil},
		"no DER":           {[]*x509.Certificate{{}}, nil},
		"CRL that is none": {nil, [][]byte{[]byte("-----BEGIN X509 CRL-----")}},
	} {
		if der, err := cms.MarshalCertsOnly(tt.certificates, tt.crls); err == nil || der != nil {
			t.Errorf("%s: %x", name, der)
		}
	}
	if der, err = cms.MarshalCertsOnly(nil, [][]byte{testCRL()}); err != nil {
		t.Error(err)
	} else if s := readBag(t, der); !s.CertsOnly() || len(s.CRLs) != 1 || len(s.Certificates) != 0 {
		t.Errorf("a bag of one CRL: certs-only %v", s.CertsOnly())
	}
}

// TestCertsOnly reads what is no bag.
func TestCertsOnly(t *testing.T) {
	o := options(testP256())
	o.Detached = true
	if readBag(t, sign(t, nil, o)).CertsOnly() {
		t.Error("a detached signature is certs-only")
	}
	der, err := cms.MarshalCertsOnly([]*x509.Certificate{testP256().cert}, nil)
	if err != nil {
		t.Fatal(err)
	}
	info, err := cms.Read(bytes.NewReader(der), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if info.(*cms.SignedData).CertsOnly() {
		t.Error("certs-only is known before the end was read")
	}
	// Another type, or a content: nobody signed, and yet it is no mere bag.
	other := bytes.Replace(der, []byte{0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}, []byte{0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 9}, 1)
	if bytes.Equal(der, other) || readBag(t, other).CertsOnly() {
		t.Error("a bag of another type is certs-only")
	}
}
