package client

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// sequenceOf is a SEQUENCE in DER of n octets and some more, each SEQUENCE in it being filled with one octet.
func sequenceOf(t *testing.T, n int, fill byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct{ Inside struct{ Octets []byte } }{struct{ Octets []byte }{bytes.Repeat([]byte{fill}, n)}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// responseOf is an OCSPResponse with a basic response of n octets and some more.
func responseOf(t *testing.T, n int, fill byte) []byte {
	t.Helper()
	type responseBytes struct {
		Type  asn1.ObjectIdentifier
		Basic []byte
	}
	der, err := asn1.Marshal(struct {
		Status asn1.Enumerated
		Bytes  responseBytes `asn1:"explicit,tag:0"`
	}{0, responseBytes{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, sequenceOf(t, n, fill)}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestValuesOf: of what was found out about a path goes along what says good, OCSP first, the signer's first, and no more
// than there is room for.
func TestValuesOf(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	byOCSP := func(index, n int) revocation.Answer {
		return revocation.Answer{Index: index, Status: revocation.Good, At: at, Source: revocation.SourceOCSP, Evidence: revocation.Evidence{OCSPResponses: [][]byte{responseOf(t, n, byte(index))}}}
	}
	byList := func(index, n int, fill byte) revocation.Answer {
		return revocation.Answer{Index: index, Status: revocation.Good, At: at, Source: revocation.SourceCRL, Evidence: revocation.Evidence{CRLs: [][]byte{sequenceOf(t, n, fill)}}}
	}
	unknown := revocation.Answer{Index: 0, Why: "nobody answers"}
	revoked := byOCSP(0, 1000)
	revoked.Status = revocation.Revoked
	indirect := byList(1, 1000, 1)
	indirect.Evidence.Certificates = [][]byte{sequenceOf(t, 10, 9)}
	withDelta := byList(1, 40<<10, 1)
	withDelta.Evidence.CRLs = append(withDelta.Evidence.CRLs, sequenceOf(t, 40<<10, 2))
	const whole = 64<<10 - 100 // as much as one may have
	for name, tt := range map[string]struct {
		answers   []revocation.Answer
		responses []byte // which of them, by what they are filled with
		lists     []byte
		signer    string
	}{
		"nothing was asked":                  {nil, nil, nil, ""},
		"responses":                          {[]revocation.Answer{byOCSP(0, 1000), byOCSP(1, 1000)}, []byte{0, 1}, nil, "OCSP"},
		"a response and a list":              {[]revocation.Answer{byOCSP(0, 1000), byList(1, 1000, 1)}, []byte{0}, []byte{1}, "OCSP"},
		"responses before lists":             {[]revocation.Answer{byList(0, 40<<10, 0), byOCSP(1, 40<<10)}, []byte{1}, nil, ""},
		"the signer's before others'":        {[]revocation.Answer{byOCSP(0, 40<<10), byOCSP(1, 40<<10)}, []byte{0}, nil, "OCSP"},
		"what is small still finds its room": {[]revocation.Answer{byOCSP(0, 40<<10), byOCSP(1, 40<<10), byOCSP(2, 1000)}, []byte{0, 2}, nil, "OCSP"},
		"as much as there is room for":       {[]revocation.Answer{byOCSP(0, whole)}, []byte{0}, nil, "OCSP"},
		"more":                               {[]revocation.Answer{byOCSP(0, whole+100), byList(1, whole+100, 1)}, nil, nil, ""},
		"much more":                          {[]revocation.Answer{byList(0, 30<<20, 0), byOCSP(1, 1000)}, []byte{1}, nil, ""},
		"a list and its delta are one":       {[]revocation.Answer{byList(0, 1000, 0), withDelta}, nil, []byte{0}, "CRL"},
		"one list about two":                 {[]revocation.Answer{byList(0, 40<<10, 0), byList(1, 40<<10, 0)}, nil, []byte{0}, "CRL"},
		"nobody answered about the signer":   {[]revocation.Answer{unknown, byOCSP(1, 1000)}, []byte{1}, nil, ""},
		"revoked":                            {[]revocation.Answer{revoked}, nil, nil, ""},
		"a list by somebody else":            {[]revocation.Answer{byOCSP(0, 1000), indirect}, []byte{0}, nil, "OCSP"},
	} {
		v := valuesOf(tt.answers)
		var responses, lists []byte
		for _, der := range v.values.OCSPResponses {
			responses = append(responses, der[len(der)-1])
		}
		for _, der := range v.values.CRLs {
			lists = append(lists, der[len(der)-1])
		}
		if diff := cmp.Diff([2][]byte{tt.responses, tt.lists}, [2][]byte{responses, lists}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		var signer *RevocationReport
		if tt.signer != "" {
			signer = &RevocationReport{Source: tt.signer, At: &at}
		}
		if diff := cmp.Diff(signer, v.signer); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if v.values.Empty() {
			continue
		}
		if der, err := v.values.Marshal(); err != nil || len(der) > 64<<10 {
			t.Errorf("%s: %d octets, %v", name, len(der), err)
		}
	}
}

// TestBrought: what a signature brings along is looked at before what its layer does; what cannot be read is said once.
func TestBrought(t *testing.T) {
	layer := &smime.Signed{CRLs: [][]byte{{1}}, OCSPResponses: [][]byte{{2}}}
	s := smime.Signature{RevocationValues: cms.RevocationValues{CRLs: [][]byte{{3}}, OCSPResponses: [][]byte{{4}}}}
	r := &judged{}
	want := revocation.Evidence{CRLs: [][]byte{{3}, {1}}, OCSPResponses: [][]byte{{4}, {2}}}
	if diff := cmp.Diff(want, r.brought(layer, s)); diff != "" || len(r.remarks) > 0 {
		t.Errorf("(-want +got):\n%s%v", diff, r.remarks)
	}
	s.RevocationErr = errors.New("malformed")
	for range 2 {
		if diff := cmp.Diff(want, r.brought(layer, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if len(r.remarks) != 1 || r.remarks[0].Code != "revocation-values" {
		t.Errorf("%v", r.remarks)
	}
	if len(layer.CRLs) != 1 || len(s.RevocationValues.CRLs) != 1 {
		t.Error("the message was changed")
	}
}
