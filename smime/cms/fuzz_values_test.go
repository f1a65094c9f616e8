package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// addValues adds those elements of the samples and of the corpora as seeds that a parser takes, each once.
func addValues(f *testing.F, take func(der []byte) bool) {
	f.Helper()
	messages := corpusMessages(f)
	for _, sample := range sampleMessages(f) {
		messages = append(messages, sample)
	}
	seen := map[string]bool{}
	for _, message := range messages {
		der, err := ber.ToDER(message, ber.Limits{})
		if err != nil {
			continue
		}
		var list []piece
		for at := 0; at < len(der); {
			h, n, err := ber.ParseHeader(der[at:])
			if err != nil || n == 0 {
				break
			}
			list = append(list, piece{start: at, content: at + n, end: at + n + int(h.Length)})
			at += n
			if !h.Constructed {
				at += int(h.Length)
			}
		}
		for _, p := range list {
			value := der[p.start:p.end]
			if !seen[string(value)] && take(value) {
				f.Add(value)
			}
			seen[string(value)] = true
		}
	}
}

// valueStructure reads from a value.
func valueStructure(der []byte) *structure {
	return newStructure(ber.NewReader(bytes.NewReader(der), fuzzLimits.ber()), fuzzLimits)
}

// inJSON is a value in a form that can be compared.
func inJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// FuzzSignerInfo: what is accepted is written again and read as the same, with the same octets to be signed.
func FuzzSignerInfo(f *testing.F) {
	addValues(f, func(der []byte) bool { _, err := valueStructure(der).signerInfo(); return err == nil })
	f.Fuzz(func(t *testing.T, der []byte) {
		si, err := valueStructure(der).signerInfo()
		if err != nil {
			return
		}
		everything{info: &SignedData{SignerInfos: []*SignerInfo{si}}}.ask()
		var e encoder
		written := e.signerInfo(si)
		if e.failed {
			return
		}
		again, err := valueStructure(written).signerInfo()
		if err != nil {
			t.Fatalf("written as %x: %v", written, err)
		}
		if before, after := inJSON(t, si), inJSON(t, again); before != after {
			t.Errorf("before %s\nafter %s", before, after)
		}
		if !bytes.Equal(si.signed, again.signed) {
			t.Errorf("%x is signed, and then %x", si.signed, again.signed)
		}
		// What is signed is a SET OF in DER (RFC 5652 section 5.4), which holds the attributes and nothing else.
		if si.signed != nil {
			marshaled, err := si.SignedAttributes.marshal()
			if err != nil || !bytes.Equal(marshaled, si.signed) {
				t.Errorf("%x is signed, and written is %x, %v", si.signed, marshaled, err)
			}
		}
	})
}

// FuzzAttributes: what is accepted comes out in the order of DER, whatever the order was.
func FuzzAttributes(f *testing.F) {
	read := func(der []byte) (Attributes, []byte, error) { return valueStructure(der).attributes(0) }
	addValues(f, func(der []byte) bool { _, _, err := read(der); return err == nil })
	f.Fuzz(func(t *testing.T, in []byte) {
		list, der, err := read(in)
		if err != nil {
			return
		}
		var e encoder
		for _, a := range list {
			e.oid(a.Type)
			list.Values(a.Type)
		}
		if e.failed {
			return
		}
		for name, again := range map[string][]byte{"in DER": append([]byte{0xa0}, der[1:]...), "as sent": e.attributes(0xa0, list)} {
			members, derAgain, err := read(again)
			if err != nil || !bytes.Equal(derAgain, der) || len(members) != len(list) {
				t.Errorf("%x became %x, and %s %x, %v", in, der, name, derAgain, err)
			}
		}
		members := splitElements(t, der)
		for i := 1; i < len(members); i++ {
			if bytes.Compare(members[i-1], members[i]) > 0 {
				t.Errorf("%x is not in order", der)
			}
		}
		if (list.checkDuplicates() == nil) != allDifferent(list) {
			t.Errorf("duplicates: %v", list.checkDuplicates())
		}
	})
}

func allDifferent(list Attributes) bool {
	seen := map[string]bool{}
	for _, a := range list {
		if seen[a.Type.String()] {
			return false
		}
		seen[a.Type.String()] = true
	}
	return true
}

// FuzzRecipientInfo: what is accepted is written again and read as the same; keys of the wrong kind do no harm.
func FuzzRecipientInfo(f *testing.F) {
	key := contentKey{size: 16}
	read := func(der []byte) ([]RecipientInfo, error) {
		list, err := valueStructure(element(0x31, der)).recipientInfos(fuzzLimits.Recipients)
		for _, ri := range list {
			ri.setMessage(key, nil)
		}
		return list, err
	}
	addValues(f, func(der []byte) bool { _, err := read(der); return err == nil })
	f.Fuzz(func(t *testing.T, der []byte) {
		list, err := read(der)
		if err != nil {
			return
		}
		for _, ri := range list {
			all := everything{info: &EnvelopedData{Recipients: []RecipientInfo{ri}}}
			all.ask()
			all.unwrap(t)
			var e encoder
			written := e.recipientInfo(ri)
			if e.failed {
				continue
			}
			again, err := read(written)
			if err != nil || len(again) != 1 {
				t.Fatalf("written as %x: %v", written, err)
			}
			if before, after := view(t, everything{info: &EnvelopedData{Recipients: []RecipientInfo{ri}}}), view(t, everything{info: &EnvelopedData{Recipients: again}}); before != after {
				t.Errorf("before %s\nafter %s", before, after)
			}
		}
	})
}

// FuzzRevocationInfo reads RevocationInfoChoices: what is accepted is written again and read as the same.
func FuzzRevocationInfo(f *testing.F) {
	read := func(der []byte) (*SignedData, error) {
		s := &SignedData{structure: valueStructure(der), limits: fuzzLimits}
		return s, s.readRevocationInfo()
	}
	addValues(f, func(der []byte) bool { _, err := read(der); return err == nil })
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := read(der)
		if err != nil {
			return
		}
		var content []byte
		for _, crl := range s.CRLs {
			content = append(content, crl...)
		}
		for _, response := range s.OCSPResponses {
			content = append(content, element(0xa1, oidElement(t, oidRevocationOCSP), response)...)
		}
		again, err := read(element(0xa1, content))
		if err != nil || !reflect.DeepEqual(again.CRLs, s.CRLs) || !reflect.DeepEqual(again.OCSPResponses, s.OCSPResponses) {
			t.Errorf("%x, %x\nbecame %x, %x, %v", s.CRLs, s.OCSPResponses, again.CRLs, again.OCSPResponses, err)
		}
		slow := &SignedData{structure: newStructure(ber.NewReader(iotest.OneByteReader(bytes.NewReader(der)), fuzzLimits.ber()), fuzzLimits), limits: fuzzLimits}
		if err := slow.readRevocationInfo(); err != nil || !reflect.DeepEqual(slow.CRLs, s.CRLs) || !reflect.DeepEqual(slow.OCSPResponses, s.OCSPResponses) {
			t.Errorf("by octets: %v", err)
		}
	})
}

// FuzzRevocationValues reads the attribute's value: encoding/asn1 reads the same, and what is accepted is written again and
// read as the same.
func FuzzRevocationValues(f *testing.F) {
	addValues(f, func(der []byte) bool { v, err := ParseRevocationValues(der); return err == nil && !v.Empty() })
	f.Fuzz(func(t *testing.T, der []byte) {
		v, err := ParseRevocationValues(der)
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooMany) {
			t.Errorf("%v", err)
		}
		if len(v.CRLs) > maxRevocationValues || len(v.OCSPResponses) > maxRevocationValues {
			t.Errorf("%d lists, %d responses", len(v.CRLs), len(v.OCSPResponses))
		}
		var want struct {
			CRLs  []asn1.RawValue `asn1:"explicit,optional,tag:0"`
			OCSP  []asn1.RawValue `asn1:"explicit,optional,tag:1"`
			Other asn1.RawValue   `asn1:"optional,tag:2"`
		}
		if rest, wantErr := asn1.Unmarshal(der, &want); err == nil && wantErr == nil && len(rest) == 0 {
			if len(want.CRLs) != len(v.CRLs) || len(want.OCSP) != len(v.OCSPResponses) {
				t.Fatalf("%d lists and %d responses, and encoding/asn1 says %d and %d", len(v.CRLs), len(v.OCSPResponses), len(want.CRLs), len(want.OCSP))
			}
			for i, crl := range want.CRLs {
				if !bytes.Equal(v.CRLs[i], crl.FullBytes) {
					t.Errorf("%x, and encoding/asn1 says %x", v.CRLs[i], crl.FullBytes)
				}
			}
			for i, basic := range want.OCSP {
				if got := basicOCSPResponse(v.OCSPResponses[i]); !bytes.Equal(got, basic.FullBytes) {
					t.Errorf("%x, and encoding/asn1 says %x", got, basic.FullBytes)
				}
			}
		}
		if v.Empty() { // of what is malformed, too, what was read is good
			return
		}
		written, err := v.Marshal()
		if err != nil {
			t.Fatalf("%x is not written: %v", der, err)
		}
		again, err := ParseRevocationValues(written)
		if err != nil || !reflect.DeepEqual(again.CRLs, distinct(v.CRLs)) || !reflect.DeepEqual(again.OCSPResponses, distinct(v.OCSPResponses)) {
			t.Errorf("%x\nbecame %x, %v", der, written, err)
		}
	})
}

// FuzzObjectIdentifier: what is accepted is what encoding/asn1 reads, where that reads it, and is written as it was.
func FuzzObjectIdentifier(f *testing.F) {
	read := func(der []byte) (asn1.ObjectIdentifier, bool) {
		in := cryptobyte.String(der)
		oid, ok := readOID(&in)
		return oid, ok && in.Empty()
	}
	addValues(f, func(der []byte) bool { _, ok := read(der); return ok })
	f.Fuzz(func(t *testing.T, der []byte) {
		oid, ok := read(der)
		var want asn1.ObjectIdentifier
		rest, err := asn1.Unmarshal(der, &want)
		if known := err == nil && len(rest) == 0 && len(der) < maxOIDSize; known && (!ok || !oid.Equal(want)) {
			t.Errorf("%v, and encoding/asn1 says %v", oid, want)
		}
		if !ok || oid == nil {
			return
		}
		if again, err := marshalOID(oid); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x became %x, %v", der, again, err)
		}
	})
}

// FuzzSigningTime: what is accepted is written again as the same moment.
func FuzzSigningTime(f *testing.F) {
	for _, seed := range []string{"\x17\x0d261121101234Z", "\x18\x0f20501121101234Z", "\x18\x0f00010101000000Z", "\x17\x0d000229235959Z", "\x17\x0d+00101000000Z"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		at, err := parseSigningTime(der)
		if err != nil {
			if !errors.Is(err, ErrAttributes) || len(err.Error()) > 100 {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := marshalSigningTime(at)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := parseSigningTime(again); err != nil || !same.Equal(at) {
			t.Errorf("%v became %v, %v", at, same, err)
		}
		// One that must be written as UTCTime may come as GeneralizedTime all the same.
		if der[0] == byte(cbasn1.UTCTime) && !bytes.Equal(again, der) {
			t.Errorf("%x became %x", der, again)
		}
	})
}

// FuzzSigningCertificate: what is accepted is written again and read as the same.
func FuzzSigningCertificate(f *testing.F) {
	addValues(f, func(der []byte) bool {
		_, err := parseSigningCertificate(der, true)
		_, errV1 := parseSigningCertificate(der, false)
		return err == nil || errV1 == nil
	})
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, v2 := range []bool{true, false} {
			ids, err := parseSigningCertificate(der, v2)
			if err != nil {
				if !errors.Is(err, ErrSigningCertificate) {
					t.Errorf("%v", err)
				}
				continue
			}
			var e encoder
			written := e.essCertIDs(ids, v2)
			if e.failed {
				continue
			}
			again, err := parseSigningCertificate(written, v2)
			if err != nil || inJSON(t, again) != inJSON(t, ids) {
				t.Errorf("%s became %s, %v", inJSON(t, ids), inJSON(t, again), err)
			}
		}
	})
}

// FuzzCertificateNames: what is read without parsing a certificate is what crypto/x509 reads, where that takes it.
func FuzzCertificateNames(f *testing.F) {
	addValues(f, func(der []byte) bool { _, err := x509.ParseCertificate(der); return err == nil })
	f.Fuzz(func(t *testing.T, der []byte) {
		raw := RawCertificate(der)
		issuer, serial, keyID, ok := raw.names()
		info := raw.publicKeyInfo()
		cert, err := raw.Parse()
		if err != nil {
			return
		}
		if len(cert.SerialNumber.Bytes()) >= maxSerialSize {
			return
		}
		number, isNumber := readSerial(&serial)
		if !ok || !isNumber || !bytes.Equal(issuer, cert.RawIssuer) || number.Cmp(cert.SerialNumber) != 0 || !bytes.Equal(keyID, cert.SubjectKeyId) {
			t.Errorf("%x, %v, %x, %v; crypto/x509 says %x, %v, %x", issuer, number, keyID, ok, cert.RawIssuer, cert.SerialNumber, cert.SubjectKeyId)
		}
		if !bytes.Equal(info, cert.RawSubjectPublicKeyInfo) {
			t.Errorf("%x; crypto/x509 says %x", info, cert.RawSubjectPublicKeyInfo)
		}
		for _, form := range []IdentifierForm{IssuerAndSerialNumber, SubjectKeyIdentifier} {
			if id, err := NewCertificateIdentifier(cert, form); err == nil && (!id.Matches(cert) || !id.MatchesRaw(raw)) {
				t.Errorf("%+v does not match", id)
			}
		}
	})
}
