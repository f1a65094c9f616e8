package certpath

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestOddCertificates: what the standard library does not read is read here, is said to be what it is, and breaks nothing.
func TestOddCertificates(t *testing.T) {
	keys := testKeys()
	brainpool := peertest.Run(t, "openssl", "req", "-x509", "-subj", "/CN=middle", "-nodes", "-keyout", "/dev/null", "-outform", "DER",
		"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1")
	isCA := handExtension(OIDBasicConstraints, true, tlv(0x30, tlv(1, []byte{0xff})))
	middleName := tlv(0x30, rdn(attribute(OIDCommonName, testPrintable, "middle")))
	rootName := tlv(0x30, rdn(attribute(OIDCommonName, testPrintable, "root")))
	under := func(h handmade) []byte {
		h.key, h.subject, h.issuer = keys[1], middleName, rootName
		h.extensions = append(h.extensions, isCA)
		return h.sign(t, keys[2])
	}
	tests := []struct {
		what   string
		der    []byte
		want   Code   // of a path through it
		reason string // in it
	}{
		{"a brainpool curve", brainpool, UnsupportedCertificate, "the elliptic curve brainpoolP256r1 is not supported"},
		{"a negative serial number", under(handmade{serial: []byte{0x80}}), "", ""},
		{"a malformed rfc822Name", under(handmade{extensions: [][]byte{handExtension(OIDSubjectAltName, false, generalNames(RFC822Name, "m\xfcller@example.org"))}}),
			ChainInvalid, "the subjectAltName is malformed: the rfc822Name is malformed"},
	}
	root := mustParse(t, newRoot(t, "root", keys[2], nil).Raw)
	honest := newCertificate(t, "middle", true, newRoot(t, "root", keys[2], nil), keys[1], keys[2], nil)
	leaf := mustParse(t, handmade{key: keys[0], issuer: middleName}.sign(t, keys[1])) // which names no key of its issuer
	for _, test := range tests {
		if _, err := x509.ParseCertificate(test.der); err == nil {
			t.Errorf("%s is not odd", test.what)
		}
		odd := mustParse(t, test.der)
		if !strings.Contains(odd.Subject.String(), "middle") {
			t.Errorf("%s: the subject is %v", test.what, odd.Subject)
		}
		b := Builder{Anchors: NewSet([]*Certificate{root}), Issuers: []*Set{NewSet([]*Certificate{odd})}}
		_, err := b.Build(leaf, Parameters{Time: testTime()})
		wantCode(t, err, test.want)
		if test.reason != "" && !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v", test.what, err)
		}
		// Beside a good one it does no harm, whichever is first.
		b.Issuers = append(b.Issuers, NewSet([]*Certificate{mustParse(t, honest.Raw)}))
		if _, err := b.Build(leaf, Parameters{Time: testTime()}); err != nil {
			t.Errorf("%s beside a good certificate: %v", test.what, err)
		}
	}
	// A leaf that nobody can use is explained by the first step that fails.
	_, err := Builder{Anchors: NewSet([]*Certificate{root})}.Build(mustParse(t, brainpool), Parameters{Time: testTime()})
	var e *Error
	if !errors.As(err, &e) || e.Code != NoAnchor {
		t.Errorf("%v", err)
	}
}
