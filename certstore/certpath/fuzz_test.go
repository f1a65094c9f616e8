package certpath

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"
)

// FuzzParse: what the standard library reads is read here, with equal fields; and whatever is read can be shown.
func FuzzParse(f *testing.F) {
	for _, der := range corpusCertificates(f) {
		if len(der) < 4096 {
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := Parse(der)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("error %v", err)
		}
		x, xErr := x509.ParseCertificate(der)
		// crypto/x509 adds one to a version before it compares it: the largest of all integers becomes the smallest.
		if xErr == nil && err != nil && !errors.Is(err, errTooMany) && len(der) <= MaxCertificate && x.Version > 0 {
			t.Fatalf("x509 reads it: %v", err)
		}
		if err != nil {
			return
		}
		if xErr == nil {
			sameFields(t, "", c, x)
		}
		if c.KeyName() == "" || c.display() == "" || c.SignatureAlgorithm.String() == "" {
			t.Error("it cannot be shown")
		}
		for _, n := range []Name{c.Issuer, c.Subject} {
			again, err := ParseName(n.Raw)
			if err != nil || !again.Equal(n) || again.Key() != n.Key() || !n.within(n) || !n.mayBeWithin(n) {
				t.Errorf("the name %q is not itself: %v", n, err)
			}
			if len(n.RDNs) > 0 {
				last := len(n.RDNs) - 1
				if whole := (Name{Raw: tlv(0x30), RDNs: nil}).Append(n.RDNs[0]); last == 0 && (!whole.Equal(n) || !bytes.Equal(whole.Raw, n.Raw)) {
					t.Errorf("the name %q, put together, is %q", n, whole)
				}
			}
		}
		if !c.SelfIssued() {
			return
		}
		if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBS, c.Signature, AlgorithmPolicy{MinRSABits: 1024}); err == nil && xErr == nil {
			if err := x.CheckSignature(x.SignatureAlgorithm, x.RawTBSCertificate, x.Signature); err != nil && c.SignatureAlgorithm.Algorithm != oidRSAPSS {
				t.Errorf("self-signed for us alone: %v", err)
			}
		}
	})
}

// FuzzValidate makes a chain by the fuzzer's choices, changes octets of one certificate, and signs it again: so the change
// arrives behind the signature check. A path that is valid here is valid for the standard library, or the difference is one
// that has a reason.
func FuzzValidate(f *testing.F) {
	f.Add([]byte{0}, uint8(0), uint16(0), []byte{})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 1, 2, 1}, uint8(1), uint16(40), []byte{1})
	f.Add([]byte{2, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6}, uint8(2), uint16(300), []byte{0xff, 0})
	f.Fuzz(func(t *testing.T, data []byte, which uint8, offset uint16, change []byte) {
		g := generate(t, &choices{data})
		n := len(g.certs)
		i := int(which) % n
		ders := make([][]byte, n)
		for j, c := range g.certs {
			ders[j] = c.Raw
		}
		if len(change) > 0 {
			tbs := append([]byte(nil), g.certs[i].RawTBSCertificate...)
			for k, b := range change[:min(len(change), 16)] {
				tbs[(int(offset)+k)%len(tbs)] = b
			}
			ders[i] = signAgain(t, tbs, g.keys[min(i+1, n-1)])
		}
		j := judged{}
		certs := make([]*x509.Certificate, n)
		for k, der := range ders {
			c, err := Parse(der)
			if err != nil {
				return
			}
			j.certs = append(j.certs, c)
			if certs[k], err = x509.ParseCertificate(der); err != nil {
				j.theirs = err
			}
		}
		_, j.ours = buildOurs(j.certs)
		if j.theirs == nil {
			j.theirs = verifyX509(certs)
		}
		if j.ours != nil {
			return
		}
		if _, ok := j.explained(); ok {
			return
		}
		if _, ok := unread(j.certs); !ok {
			t.Errorf("valid for us alone: %v", j.theirs)
		}
	})
}

// signAgain puts a certificate together from what is to be signed.
func signAgain(t testing.TB, tbs []byte, key crypto.Signer) []byte {
	t.Helper()
	digest := sha256.Sum256(tbs)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	algorithm, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
	if err != nil {
		t.Fatal(err)
	}
	return tlv(0x30, tbs, tlv(0x30, algorithm), tlv(3, []byte{0}, signature))
}
