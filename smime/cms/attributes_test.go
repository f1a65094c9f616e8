package cms_test

import (
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// TestSigningTime goes over the ends of the range of UTCTime (RFC 5652 section 11.3).
func TestSigningTime(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(1949, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 21, 11, 2, 11, 999, time.FixedZone("", 3600)),
		time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		o := options(testP256())
		o.Signers[0].SigningTime = at
		s, _, err := verifyAll(sign(t, nil, o), nil, cms.VerifyOptions{})
		if err != nil {
			t.Errorf("%v: %v", at, err)
			continue
		}
		if got, ok := s.SignerInfos[0].SigningTime(); !ok || !got.Equal(at.Truncate(time.Second)) {
			t.Errorf("%v became %v, %v", at, got, ok)
		}
	}
	o := options(testP256())
	o.Signers[0].SigningTime = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := cms.Sign(t.Context(), nil, o); err == nil {
		t.Error("a year of five digits was signed")
	}
}

// TestNoClaims asks a signature for what is not in it, or cannot be read.
func TestNoClaims(t *testing.T) {
	for name, attributes := range map[string][]cms.Attribute{
		"none": nil,
		"malformed": {
			{Type: cms.OIDAttributeSigningTime, Values: [][]byte{{5, 0}}},
			{Type: cms.OIDAttributeSMIMECapabilities, Values: [][]byte{{5, 0}}},
		},
		"several": {
			{Type: cms.OIDAttributeSigningTime, Values: [][]byte{[]byte("\x17\x0d261121100211Z"), {5, 0}}},
			{Type: cms.OIDAttributeSMIMECapabilities, Values: [][]byte{{0x30, 0}, {5, 0}}},
		},
	} {
		si := &cms.SignerInfo{SignedAttributes: attributes, UnsignedAttributes: attributes}
		if at, ok := si.SigningTime(); ok || !at.IsZero() {
			t.Errorf("%s: signing time %v", name, at)
		}
		if c := si.SMIMECapabilities(); c != nil {
			t.Errorf("%s: capabilities %v", name, c)
		}
		if tokens := si.TimeStampTokens(); tokens != nil {
			t.Errorf("%s: tokens %x", name, tokens)
		}
		if ids, err := si.SigningCertificates(); ids != nil || err != nil {
			t.Errorf("%s: certificates %v, %v", name, ids, err)
		}
	}
}

// TestAttributeLimits has a message with as many attributes and values as are read, and with one more.
func TestAttributeLimits(t *testing.T) {
	for extra, want := range map[int]error{0: nil, 1: cms.ErrTooMany} {
		d := newDraft(testP256())
		for i := len(d.attributes); i < 128+extra; i++ {
			d.add(asn1.ObjectIdentifier{2, 999, i}, []byte{5, 0})
		}
		if _, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{}); !errors.Is(err, want) {
			t.Errorf("%d attributes: %v", len(d.attributes), err)
		}
		values := make([][]byte, 64+extra)
		for i := range values {
			values[i] = []byte{2, 1, byte(i)}
		}
		d = newDraft(testP256())
		d.add(oidUnknown, values...)
		if _, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{}); !errors.Is(err, want) {
			t.Errorf("%d values: %v", len(values), err)
		}
	}
}

// TestAttributeBeyondInt has attributes whose identifiers do not fit an int: they are no harm, and no duplicates.
func TestAttributeBeyondInt(t *testing.T) {
	d := newDraft(testP256())
	d.attributes = append(d.attributes, cms.Attribute{Type: oidUnknown}, cms.Attribute{Type: asn1.ObjectIdentifier{2, 999, 2}})
	d.rawTypes = true
	s, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nameless := 0
	for _, a := range s.SignerInfos[0].SignedAttributes {
		if a.Type == nil {
			nameless++
		}
	}
	if nameless != 2 {
		t.Errorf("%d attributes without an identifier", nameless)
	}
}
