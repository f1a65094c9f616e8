package archive

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"slices"

	"github.com/sealmail/sealmail/smime/cms"
)

// errForm says that a SignedData could be written in another way and still be as good.
var errForm = errors.New("it is not written in the one form that an archive's own things have")

// oneForm makes sure that of all SignedData that have this content, these signed attributes, this signature and these
// certificates, raw is the only one that is accepted: so each octet of it counts, even those that no signature covers.
func oneForm(raw, content []byte, s *cms.SignedData, signer *cms.SignerInfo) error {
	algorithm := func(a cms.AlgorithmIdentifier) []byte {
		oid, _ := asn1.Marshal(a.Algorithm) // else it is not the same in the end
		return der(0x30, oid, a.Parameters)
	}
	digest, scheme := algorithm(signer.DigestAlgorithm), algorithm(signer.SignatureAlgorithm)
	protected := bytes.Clone(scheme)
	protected[0] = 0xa1
	if !slices.ContainsFunc(signer.SignedAttributes, func(a cms.Attribute) bool {
		// RFC 6211 section 2; absent parameters and NULL are the same elsewhere.
		return a.Type.Equal(cms.OIDAttributeAlgorithmProtection) && len(a.Values) == 1 && bytes.Equal(a.Values[0], der(0x30, digest, protected))
	}) {
		return errForm
	}
	var attributes, certificates [][]byte
	for _, a := range signer.SignedAttributes {
		oid, _ := asn1.Marshal(a.Type)
		attributes = append(attributes, der(0x30, oid, derSet(0x31, a.Values)))
	}
	for _, c := range s.Certificates {
		certificates = append(certificates, c)
	}
	slices.SortFunc(certificates, bytes.Compare)
	if signer.SID.Serial == nil || !ascending(certificates, bytes.Compare) {
		return errForm
	}
	serial, _ := asn1.Marshal(signer.SID.Serial)
	data, _ := asn1.Marshal(cms.OIDData)
	signedData, _ := asn1.Marshal(cms.OIDSignedData)
	version := []byte{2, 1, 1}
	want := der(0x30, signedData, der(0xa0, der(0x30, version, der(0x31, digest), der(0x30, data, der(0xa0, der(0x04, content))), derSet(0xa0, certificates),
		der(0x31, der(0x30, version, der(0x30, signer.SID.Issuer, serial), digest, derSet(0xa0, attributes), scheme, der(0x04, signer.Signature))))))
	if !bytes.Equal(raw, want) {
		return errForm
	}
	return nil
}

// der returns an element in DER.
func der(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	element, _ := asn1.Marshal(asn1.RawValue{Tag: 0, Class: asn1.ClassUniversal, Bytes: content})
	element[0] = tag // all tags here have one octet
	return element
}

// derSet returns a SET OF, or what stands in its place, in the order of DER (X.690 section 11.6).
func derSet(tag byte, members [][]byte) []byte {
	members = slices.Clone(members)
	slices.SortFunc(members, bytes.Compare)
	return der(tag, members...)
}
