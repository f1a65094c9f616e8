package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
)

// A SignerInfo has dozens of small elements: these functions take one piece of memory for each.

// appendDER appends an element in DER with the given parts as its content.
func appendDER(b []byte, class ber.Class, constructed bool, number uint32, parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	const header = 10 // at most
	b = slices.Grow(b, header+size)
	b = ber.AppendHeader(b, ber.Header{Class: class, Constructed: constructed, Number: number, Length: int64(size)})
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// derElement returns an element in DER with the given parts as its content.
func derElement(class ber.Class, constructed bool, number uint32, parts ...[]byte) []byte {
	return appendDER(nil, class, constructed, number, parts...)
}

// derSequence returns a SEQUENCE of the given members.
func derSequence(members ...[]byte) []byte {
	return derElement(ber.Universal, true, ber.TagSequence, members...)
}

// derOctetString returns an OCTET STRING.
func derOctetString(b []byte) []byte { return derElement(ber.Universal, false, ber.TagOctetString, b) }

// derImplicit returns a constructed element under a context-specific tag in place of its own, which has one octet.
func derImplicit(number uint32, der []byte) []byte {
	der = slices.Clone(der)
	der[0] = 0xa0 | byte(number)
	return der
}

// derSetOf returns a SET OF, with its members, which are in DER, in the order of DER (X.690 section 11.6).
func derSetOf(members [][]byte) []byte { return appendSetOf(nil, ber.Universal, ber.TagSet, members) }

// appendSetOf appends a SET OF under any tag.
func appendSetOf(b []byte, class ber.Class, number uint32, members [][]byte) []byte {
	if !slices.IsSortedFunc(members, bytes.Compare) {
		members = slices.Clone(members)
		slices.SortFunc(members, bytes.Compare)
	}
	return appendDER(b, class, true, number, members...)
}

// marshalOID returns an OBJECT IDENTIFIER in DER (X.690 section 8.19).
func marshalOID(oid asn1.ObjectIdentifier) ([]byte, error) {
	if len(oid) < 2 || slices.Min(oid) < 0 || oid[0] > 2 || oid[0] < 2 && oid[1] >= 40 {
		return nil, fmt.Errorf("%v is no object identifier", oid)
	}
	b := make([]byte, 0, 32) // more than most identifiers have
	b = appendArc(b, uint64(oid[0])*40+uint64(oid[1]))
	for _, v := range oid[2:] {
		b = appendArc(b, uint64(v))
	}
	return derElement(ber.Universal, false, ber.TagOID, b), nil
}

func appendArc(b []byte, v uint64) []byte {
	shift := 0
	for v>>(shift+7) != 0 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		b = append(b, 0x80|byte(v>>shift)&0x7f)
	}
	return append(b, byte(v)&0x7f)
}

// marshalInteger returns an INTEGER in DER.
func marshalInteger(v *big.Int) ([]byte, error) {
	if v == nil {
		return nil, errors.New("no serial number")
	}
	var b cryptobyte.Builder
	b.AddASN1BigInt(v)
	return b.Bytes()
}

// marshal returns the identifier in DER.
func (a AlgorithmIdentifier) marshal() ([]byte, error) {
	oid, err := marshalOID(a.Algorithm)
	if err != nil {
		return nil, err
	}
	return derSequence(oid, a.Parameters), nil
}

// marshal returns the SignerIdentifier.
func (id CertificateIdentifier) marshal() ([]byte, error) {
	if len(id.SubjectKeyID) > 0 {
		return derElement(ber.ContextSpecific, false, 0, id.SubjectKeyID), nil
	}
	serial, err := marshalInteger(id.Serial)
	if err != nil {
		return nil, err
	}
	return derSequence(id.Issuer, serial), nil
}
