package cms

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MarshalCertsOnly returns a SignedData in DER that nobody signed: it carries certificates and revocation lists, these
// in DER (RFC 5652 section 5.2, RFC 8551 section 3.8; application/pkcs7-mime with smime-type=certs-only, or a file
// whose name ends in .p7c or .p7b). The order is not kept. There must be something to carry.
func MarshalCertsOnly(certificates []*x509.Certificate, crls [][]byte) ([]byte, error) {
	if len(certificates) == 0 && len(crls) == 0 {
		return nil, errors.New("neither certificates nor revocation lists")
	}
	bag, err := marshalBag(certificates, crls, nil)
	if err != nil {
		return nil, err
	}
	head := []byte{2, 1, 1, 0x31, 0} // version 1, no digest algorithms
	var der nested
	der.behind(derData) // section 5.2: MUST be id-data, and the content absent
	return der.signedData(head, appendSetOf(bag, ber.Universal, ber.TagSet, nil)), nil
}

// marshalBag returns what stands between content and SignerInfos: CertificateSet and RevocationInfoChoices, each if
// there is something in it (RFC 5652 sections 10.2.1 and 10.2.3). What is there twice is written once.
func marshalBag(certificates []*x509.Certificate, crls, ocspResponses [][]byte) ([]byte, error) {
	var members [][]byte
	for i, c := range certificates {
		if c == nil || len(c.Raw) == 0 {
			return nil, fmt.Errorf("certificate %d to send along is none", i+1)
		}
		members = append(members, c.Raw)
	}
	var bag []byte
	if len(members) > 0 {
		bag = appendSetOf(bag, ber.ContextSpecific, 0, distinct(members))
	}
	members = nil
	for i, crl := range crls {
		if !isSequence(crl) {
			return nil, fmt.Errorf("revocation list %d to send along is no DER", i+1)
		}
		members = append(members, crl)
	}
	for i, response := range ocspResponses {
		if !isSequence(response) {
			return nil, fmt.Errorf("OCSP response %d to send along is no DER", i+1)
		}
		members = append(members, derElement(ber.ContextSpecific, true, 1, derRevocationOCSP, response))
	}
	if len(members) > 0 {
		bag = appendSetOf(bag, ber.ContextSpecific, 1, distinct(members))
	}
	return bag, nil
}

// isSequence reports whether der is one SEQUENCE. What is in it is the caller's business.
func isSequence(der []byte) bool {
	in := cryptobyte.String(der)
	return in.SkipASN1(cbasn1.SEQUENCE) && in.Empty()
}

// distinct leaves out members that are there already.
func distinct(members [][]byte) [][]byte {
	var list [][]byte
	for _, m := range members {
		if !slices.ContainsFunc(list, func(other []byte) bool { return bytes.Equal(m, other) }) {
			list = append(list, m)
		}
	}
	return list
}

// nested is an element that is put together from the inside out, and copied only once.
type nested struct {
	pieces [][]byte
	size   int
}

func (n *nested) behind(b []byte) {
	n.pieces = append(n.pieces, b)
	n.size += len(b)
}

func (n *nested) before(b []byte) {
	n.pieces = slices.Insert(n.pieces, 0, b)
	n.size += len(b)
}

// wrap makes all that is there the content of an element.
func (n *nested) wrap(class ber.Class, constructed bool, number uint32) {
	h := ber.Header{Class: class, Constructed: constructed, Number: number, Length: int64(n.size)}
	n.before(ber.AppendHeader(nil, h))
}

// signedData makes a message of an EncapsulatedContentInfo without its header, and of what stands before and behind it.
func (n *nested) signedData(head, tail []byte) []byte {
	n.wrap(ber.Universal, true, ber.TagSequence) // EncapsulatedContentInfo
	n.before(head)
	n.behind(tail)
	n.wrap(ber.Universal, true, ber.TagSequence) // SignedData
	n.wrap(ber.ContextSpecific, true, 0)
	n.before(derSignedData)
	n.wrap(ber.Universal, true, ber.TagSequence) // ContentInfo
	return n.append(nil)
}

func (n *nested) append(b []byte) []byte {
	b = slices.Grow(b, n.size)
	for _, p := range n.pieces {
		b = append(b, p...)
	}
	return b
}

// Object identifiers in DER: OIDSignedData, OIDData, and id-ri-ocsp-response (RFC 5940 section 2.1).
var (
	derSignedData     = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}
	derData           = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}
	derRevocationOCSP = []byte{6, 8, 0x2b, 6, 1, 5, 5, 7, 16, 2}
)
