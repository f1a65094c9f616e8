package cms

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"math"
	"math/big"
	"testing"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// TestMarshalOID compares with encoding/asn1.
func TestMarshalOID(t *testing.T) {
	for _, oid := range []asn1.ObjectIdentifier{
		OIDData, OIDSignedData, oidRevocationOCSP, oidSHA256, {0, 0}, {0, 39}, {1, 39, 0}, {2, 0}, {2, 40, 127, 128}, {2, 999, 1},
		{1, 2, 16383, 16384, 2097151, 2097152}, {2, 47, math.MaxInt32}, {1, 3, 0, 0, 0},
	} {
		want, err := asn1.Marshal(oid)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := marshalOID(oid); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %x, %v; want %x", oid, got, err, want)
		}
	}
	for _, oid := range []asn1.ObjectIdentifier{nil, {}, {1}, {3, 1}, {0, 40}, {1, 40}, {-1, 1}, {1, -1}, {1, 2, -3}} {
		if got, err := marshalOID(oid); err == nil {
			t.Errorf("%v: %x", oid, got)
		}
	}
	// Lengths that take two octets.
	long := make(asn1.ObjectIdentifier, 300)
	long[0] = 1
	want, err := asn1.Marshal(long)
	if got, err2 := marshalOID(long); err != nil || err2 != nil || !bytes.Equal(got, want) {
		t.Errorf("a long one: %x, %v", got, err2)
	}
}

func TestDEROfOIDs(t *testing.T) {
	for _, tt := range []struct {
		oid asn1.ObjectIdentifier
		der []byte
	}{{OIDSignedData, derSignedData}, {OIDData, derData}, {oidRevocationOCSP, derRevocationOCSP}} {
		if want, err := asn1.Marshal(tt.oid); err != nil || !bytes.Equal(want, tt.der) {
			t.Errorf("%v is %x, not %x", tt.oid, want, tt.der)
		}
	}
}

// TestDERElements compares what is put together here with encoding/asn1.
func TestDERElements(t *testing.T) {
	hash := sha256.Sum256(nil)
	type certID struct {
		Hash   []byte
		Serial *big.Int
	}
	for _, size := range []int{0, 1, 100, 127, 128, 255, 256, 65535, 65536} {
		content := bytes.Repeat([]byte{7}, size)
		serial := new(big.Int).SetBytes(hash[:])
		want, err := asn1.Marshal(certID{content, serial})
		if err != nil {
			t.Fatal(err)
		}
		integer, err := marshalInteger(serial)
		if err != nil {
			t.Fatal(err)
		}
		if got := derSequence(derOctetString(content), integer); !bytes.Equal(got, want) {
			t.Errorf("%d octets: %x", size, got)
		}
		want, err = asn1.MarshalWithParams([][]byte{content, {3}, {1, 2}}, "set")
		if err != nil {
			t.Fatal(err)
		}
		set := derSetOf([][]byte{derOctetString(content), derOctetString([]byte{3}), derOctetString([]byte{1, 2})})
		if !bytes.Equal(set, want) {
			t.Errorf("set of %d octets: %x", size, set)
		}
		tagged := derImplicit(2, set)
		if tagged[0] != 0xa2 || !bytes.Equal(tagged[1:], set[1:]) || set[0] != 0x31 {
			t.Errorf("tagged: %x", tagged)
		}
		var n nested
		n.behind(content)
		n.wrap(ber.Universal, false, ber.TagOctetString)
		n.behind(integer)
		n.wrap(ber.Universal, true, ber.TagSequence)
		if got := n.append(nil); !bytes.Equal(got, derSequence(derOctetString(content), integer)) || len(got) != n.size {
			t.Errorf("nested, %d octets: %x", size, got)
		}
	}
	if _, err := marshalInteger(nil); err == nil {
		t.Error("no number was written")
	}
}

// TestAttributesInDisorder reads attributes and values in any order, and signs them in that of DER.
func TestAttributesInDisorder(t *testing.T) {
	oid := func(last int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 999, last} }
	values := [][]byte{{4, 1, 9}, {4, 1, 3}, {5, 0}, {4, 2, 1, 1}}
	want, err := Attributes{{oid(1), values[:1]}, {oid(2), values}}.marshal()
	if err != nil {
		t.Fatal(err)
	}
	raw := func(last int, values ...[]byte) []byte {
		der, err := marshalOID(oid(last))
		if err != nil {
			t.Fatal(err)
		}
		return derSequence(der, derElement(ber.Universal, true, ber.TagSet, values...))
	}
	first, second := raw(1, values[0]), raw(2, values[3], values[2], values[0], values[1])
	for name, message := range map[string][]byte{
		"in disorder": derElement(ber.ContextSpecific, true, 0, second, first),
		"in order":    derImplicit(0, want),
	} {
		s := newStructure(ber.NewReader(bytes.NewReader(message), ber.Limits{}), Limits{}.withDefaults())
		list, der, err := s.attributes(0)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(der, want) || len(list) != 2 {
			t.Errorf("%s: %x, want %x", name, der, want)
		}
		again, err := list.marshal()
		if err != nil || !bytes.Equal(again, want) {
			t.Errorf("%s, written again: %x, %v", name, again, err)
		}
	}
	for name, a := range map[string]Attributes{
		"no type":     {{nil, values}},
		"no DER":      {{oid(1), [][]byte{{4, 2, 0}}}},
		"two values":  {{oid(1), [][]byte{{5, 0, 5, 0}}}},
		"empty value": {{oid(1), [][]byte{{}}}},
	} {
		if der, err := a.marshal(); err == nil {
			t.Errorf("%s: %x", name, der)
		}
	}
}
