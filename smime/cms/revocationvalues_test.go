package cms_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"github.com/sealmail/sealmail/smime/cms"
)

// explicit is an element under an explicit context-specific tag.
func explicit(number uint8, der ...[]byte) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(number).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(der, nil)) })
	})
}

func sequence(der ...[]byte) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(der, nil)) })
	})
}

// basicOf takes the BasicOCSPResponse out of an OCSPResponse with another parser than the one that is tested.
func basicOf(t testing.TB, response []byte) []byte {
	t.Helper()
	var r struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0"`
	}
	if rest, err := asn1.Unmarshal(response, &r); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	return r.Bytes.Basic
}

// TestRevocationValues signs with revocation values, beside another unsigned attribute and alone, and reads them again.
func TestRevocationValues(t *testing.T) {
	token := cms.Attribute{Type: cms.OIDAttributeTimeStampToken, Values: [][]byte{sequence(testCRL())}}
	for name, tt := range map[string]struct{ written, read cms.RevocationValues }{
		"response":           {written: cms.RevocationValues{OCSPResponses: [][]byte{testOCSP()}}},
		"list":               {written: cms.RevocationValues{CRLs: [][]byte{testCRL()}}},
		"both":               {written: cms.RevocationValues{CRLs: [][]byte{testCRL(), reissueCRL(t, 2)}, OCSPResponses: [][]byte{testOCSP()}}},
		"a response twice":   {cms.RevocationValues{OCSPResponses: [][]byte{testOCSP(), testOCSP()}}, cms.RevocationValues{OCSPResponses: [][]byte{testOCSP()}}},
		"nothing goes along": {},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.read.Empty() {
				tt.read = tt.written
			}
			for _, stamped := range []bool{false, true} {
				o := options(testP256())
				o.Signers[0].RevocationValues = tt.written
				if stamped {
					o.Signers[0].UnsignedAttributes = func(context.Context, []byte) ([]cms.Attribute, error) { return []cms.Attribute{token}, nil }
				}
				s, digest, _, err := readSigned(sign(t, []byte("content"), o), cms.Limits{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}); err != nil {
					t.Error(err)
				}
				si := s.SignerInfos[0]
				got, err := si.RevocationValues()
				if diff := cmp.Diff(tt.read, got); diff != "" || err != nil {
					t.Errorf("%v (-written +read):\n%s", err, diff)
				}
				// RFC 5652 section 5.1: an attribute does not change the version, as a response in crls does.
				if s.Version != 1 || len(s.CRLs)+len(s.OCSPResponses) > 0 || len(si.TimeStampTokens()) == 1 != stamped {
					t.Errorf("version %d, %d lists and %d responses, %d tokens", s.Version, len(s.CRLs), len(s.OCSPResponses), len(si.TimeStampTokens()))
				}
				if tt.written.Empty() && !stamped && si.UnsignedAttributes != nil {
					t.Error("there is an empty set of unsigned attributes")
				}
				for _, response := range got.OCSPResponses {
					if r, err := ocsp.ParseResponse(response, testP384().cert); err != nil || r.Status != ocsp.Good {
						t.Errorf("OCSP response: %v", err)
					}
				}
			}
		})
	}
}

// TestRevocationValuesForm compares what is written with RFC 5126 section 6.3.4, whose module has explicit tags.
func TestRevocationValuesForm(t *testing.T) {
	got, err := cms.RevocationValues{CRLs: [][]byte{testCRL()}, OCSPResponses: [][]byte{testOCSP()}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := sequence(explicit(0, sequence(testCRL())), explicit(1, sequence(basicOf(t, testOCSP()))))
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestRevocationValuesRefused has what cannot be written, before anything is signed.
func TestRevocationValuesRefused(t *testing.T) {
	unsuccessful := sequence([]byte{10, 1, 3})
	if _, err := (cms.RevocationValues{}).Marshal(); err == nil {
		t.Error("nothing is written as a value")
	}
	for name, v := range map[string]cms.RevocationValues{
		"list that is none":       {CRLs: [][]byte{{1, 1, 0}}},
		"list with more":          {CRLs: [][]byte{append(bytes.Clone(testCRL()), 0)}},
		"response without answer": {OCSPResponses: [][]byte{testOCSP(), unsuccessful}},
		"basic response":          {OCSPResponses: [][]byte{basicOf(t, testOCSP())}},
		"response with more":      {OCSPResponses: [][]byte{append(bytes.Clone(testOCSP()), 0)}},
		"empty":                   {OCSPResponses: [][]byte{{}}},
	} {
		o := options(testP256())
		o.Signers[0].RevocationValues = v
		if _, err := cms.Sign(t.Context(), nil, o); err == nil || !strings.Contains(err.Error(), "to send along") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRevocationValuesOdd reads attributes as others, and forgers, may write them: what is good in them is there, what is not
// is an error, and the signature holds all the same.
func TestRevocationValuesOdd(t *testing.T) {
	basic := basicOf(t, testOCSP())
	crls, responses := explicit(0, sequence(testCRL())), explicit(1, sequence(basic))
	many := func(n int) []byte { return bytes.Repeat(basic, n) }
	other := explicit(2, sequence([]byte{6, 1, 42}, []byte{5, 0}))
	for name, tt := range map[string]struct {
		values          [][]byte
		lists, answered int
		err             error
	}{
		"both":                        {[][]byte{sequence(crls, responses)}, 1, 1, nil},
		"of other kinds":              {[][]byte{sequence(crls, responses, other)}, 1, 1, nil},
		"of other kinds alone":        {[][]byte{sequence(other)}, 0, 0, nil},
		"nothing":                     {[][]byte{sequence()}, 0, 0, nil},
		"empty lists":                 {[][]byte{sequence(explicit(0, sequence()), explicit(1, sequence()))}, 0, 0, nil},
		"two values":                  {[][]byte{sequence(crls), sequence(responses)}, 1, 1, nil},
		"as many as are read":         {[][]byte{sequence(explicit(1, sequence(many(64))))}, 0, 64, nil},
		"one more":                    {[][]byte{sequence(explicit(1, sequence(many(65))))}, 0, 64, cms.ErrTooMany},
		"one more in another value":   {[][]byte{sequence(explicit(1, sequence(many(64)))), sequence(responses)}, 0, 64, cms.ErrTooMany},
		"65 lists":                    {[][]byte{sequence(explicit(0, sequence(bytes.Repeat(testCRL(), 65))), responses)}, 64, 0, cms.ErrTooMany},
		"no value":                    {nil, 0, 0, nil},
		"no SEQUENCE":                 {[][]byte{{5, 0}}, 0, 0, cms.ErrMalformed},
		"a bad value before a good":   {[][]byte{{5, 0}, sequence(responses)}, 0, 1, cms.ErrMalformed},
		"implicit tag":                {[][]byte{sequence(explicit(1, basic))}, 0, 0, cms.ErrMalformed},
		"OCSPResponse":                {[][]byte{sequence(crls, explicit(1, sequence(testOCSP())))}, 1, 0, cms.ErrMalformed},
		"OCSPResponse behind a good":  {[][]byte{sequence(explicit(1, sequence(basic, testOCSP())))}, 0, 1, cms.ErrMalformed},
		"other order":                 {[][]byte{sequence(responses, crls)}, 0, 1, cms.ErrMalformed},
		"responses twice":             {[][]byte{sequence(responses, responses)}, 0, 1, cms.ErrMalformed},
		"list that is no SEQUENCE":    {[][]byte{sequence(explicit(0, sequence([]byte{5, 0})), responses)}, 0, 0, cms.ErrMalformed},
		"no tag":                      {[][]byte{sequence(sequence(testCRL()))}, 0, 0, cms.ErrMalformed},
		"two elements in a tag":       {[][]byte{sequence(explicit(0, sequence(testCRL()), sequence()))}, 0, 0, cms.ErrMalformed},
		"something behind":            {[][]byte{sequence(crls, responses, other, other)}, 1, 1, cms.ErrMalformed},
		"empty tag":                   {[][]byte{sequence(explicit(0))}, 0, 0, cms.ErrMalformed},
		"response of a wrong element": {[][]byte{sequence(explicit(1, sequence(sequence([]byte{5, 0}))))}, 0, 0, cms.ErrMalformed},
	} {
		for _, apart := range []bool{false, true} { // in one attribute, or in one for each value
			o := options(testP256())
			o.Signers[0].UnsignedAttributes = func(context.Context, []byte) ([]cms.Attribute, error) {
				if !apart {
					return []cms.Attribute{{Type: cms.OIDAttributeRevocationValues, Values: tt.values}}, nil
				}
				var list []cms.Attribute
				for _, v := range tt.values {
					list = append(list, cms.Attribute{Type: cms.OIDAttributeRevocationValues, Values: [][]byte{v}})
				}
				return list, nil
			}
			s, digest, _, err := readSigned(sign(t, []byte("content"), o), cms.Limits{}, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			v, err := s.SignerInfos[0].RevocationValues()
			if !errors.Is(err, tt.err) || len(v.CRLs) != tt.lists || len(v.OCSPResponses) != tt.answered {
				t.Errorf("%s: %d lists, %d responses, %v", name, len(v.CRLs), len(v.OCSPResponses), err)
			}
			if slices.ContainsFunc(v.OCSPResponses, func(der []byte) bool { return !bytes.Equal(der, testOCSP()) }) ||
				slices.ContainsFunc(v.CRLs, func(der []byte) bool { _, err := x509.ParseRevocationList(der); return err != nil }) {
				t.Errorf("%s: not what was written", name)
			}
		}
	}
}
