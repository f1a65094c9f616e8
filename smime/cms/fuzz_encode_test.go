package cms

import (
	"crypto"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// encoder writes values again that were read, independently of the code that writes messages. It fails where something
// was not kept, such as an object identifier whose arcs are too large.
type encoder struct{ failed bool }

func (e *encoder) oid(oid asn1.ObjectIdentifier) []byte {
	der, err := asn1.Marshal(oid)
	if err != nil {
		e.failed = true
	}
	return der
}

func (e *encoder) integer(v int) []byte { return e.bigInteger(big.NewInt(int64(v))) }

func (e *encoder) bigInteger(v *big.Int) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		e.failed = true
	}
	return der
}

func (e *encoder) algorithm(tag byte, a AlgorithmIdentifier) []byte {
	return element(tag, e.oid(a.Algorithm), a.Parameters)
}

func (e *encoder) identifier(id CertificateIdentifier) []byte {
	if len(id.SubjectKeyID) > 0 {
		return element(0x80, id.SubjectKeyID)
	}
	return element(0x30, id.Issuer, e.bigInteger(id.Serial))
}

// attributes writes them in the order in which they were read, under a tag.
func (e *encoder) attributes(tag byte, list Attributes) []byte {
	var content []byte
	for _, a := range list {
		content = append(content, element(0x30, e.oid(a.Type), element(0x31, a.Values...))...)
	}
	return element(tag, content)
}

func (e *encoder) signerInfo(si *SignerInfo) []byte {
	parts := [][]byte{e.integer(si.Version), e.identifier(si.SID), e.algorithm(0x30, si.DigestAlgorithm)}
	if si.SignedAttributes != nil {
		parts = append(parts, e.attributes(0xa0, si.SignedAttributes))
	}
	parts = append(parts, e.algorithm(0x30, si.SignatureAlgorithm), element(0x04, si.Signature))
	if si.UnsignedAttributes != nil {
		parts = append(parts, e.attributes(0xa1, si.UnsignedAttributes))
	}
	return element(0x30, parts...)
}

func (e *encoder) recipientInfo(ri RecipientInfo) []byte {
	encryption := e.algorithm
	switch ri := ri.(type) {
	case *KeyTransRecipientInfo:
		return element(0x30, e.integer(ri.Version), e.identifier(ri.rid), encryption(0x30, ri.algorithm), element(0x04, ri.EncryptedKey))
	case *KeyAgreeRecipientInfo:
		originator := e.originator(ri.Originator)
		var ukm []byte
		if ri.UKM != nil {
			ukm = element(0xa1, element(0x04, ri.UKM))
		}
		rid := e.identifier(ri.rid)
		if len(ri.rid.SubjectKeyID) > 0 {
			rid = element(0xa0, element(0x04, ri.rid.SubjectKeyID))
		}
		key := element(0x30, element(0x30, rid, element(0x04, ri.EncryptedKey)))
		return element(0xa1, e.integer(ri.Version), element(0xa0, originator), ukm, encryption(0x30, ri.algorithm), key)
	case *KEKRecipientInfo:
		kekid := element(0x30, element(0x04, ri.KeyIdentifier), ri.Date)
		return element(0xa2, e.integer(ri.Version), kekid, encryption(0x30, ri.algorithm), element(0x04, ri.EncryptedKey))
	case *PasswordRecipientInfo:
		var derivation []byte
		if ri.KeyDerivation.Algorithm != nil || ri.KeyDerivation.Parameters != nil {
			derivation = e.algorithm(0xa0, ri.KeyDerivation)
		}
		return element(0xa3, e.integer(ri.Version), derivation, encryption(0x30, ri.algorithm), element(0x04, ri.EncryptedKey))
	case *OtherRecipientInfo:
		return ri.Raw
	}
	e.failed = true
	return nil
}

func (e *encoder) originator(o Originator) []byte {
	if o.PublicKey == nil {
		return e.identifier(o.Certificate)
	}
	return element(0xa1, e.algorithm(0x30, o.PublicKeyAlgorithm), element(0x03, []byte{0}, o.PublicKey))
}

func (e *encoder) hash(t testing.TB, h crypto.Hash) []byte {
	t.Helper()
	id, err := digestIdentifier(h)
	if err != nil {
		t.Fatal(err)
	}
	return e.algorithm(0x30, id)
}

// oaep writes RSAES-OAEP-params with every member.
func (e *encoder) oaep(t testing.TB, hash, mgf crypto.Hash, label []byte) []byte {
	t.Helper()
	return element(0x30,
		element(0xa0, e.hash(t, hash)),
		element(0xa1, element(0x30, e.oid(oidMGF1), e.hash(t, mgf))),
		element(0xa2, element(0x30, e.oid(oidPSpecified), element(0x04, label))))
}

// contentParameters writes the parameters of a content cipher.
func (e *encoder) contentParameters(p contentParameters) []byte {
	iv := element(0x04, p.iv)
	switch {
	case p.cipher.Authenticated():
		return element(0x30, iv, e.integer(p.tagSize))
	case p.cipher == RC2CBC:
		version := map[int]int{40: 160, 64: 120, 128: 58}[p.effectiveBits]
		return element(0x30, e.integer(version), iv)
	}
	return iv
}

// essCertIDs writes SigningCertificate, or SigningCertificateV2 if v2.
func (e *encoder) essCertIDs(ids []ESSCertID, v2 bool) []byte {
	var list []byte
	for _, id := range ids {
		var parts [][]byte
		if v2 {
			parts = append(parts, e.algorithm(0x30, id.HashAlgorithm))
		}
		parts = append(parts, element(0x04, id.Hash))
		switch {
		case id.Serial != nil && id.Issuer == nil:
			e.failed = true // by a name that is no directory name
		case id.Serial != nil:
			parts = append(parts, element(0x30, element(0x30, element(0xa4, id.Issuer)), e.bigInteger(id.Serial)))
		}
		list = append(list, element(0x30, parts...)...)
	}
	return element(0x30, element(0x30, list))
}

// splitElements returns the members of a SEQUENCE or SET in DER.
func splitElements(t testing.TB, der []byte) [][]byte {
	t.Helper()
	in := cryptobyte.String(der)
	var content cryptobyte.String
	if !in.ReadAnyASN1(&content, new(cbasn1.Tag)) {
		t.Fatal("no element")
	}
	var list [][]byte
	for !content.Empty() {
		var member cryptobyte.String
		if !content.ReadAnyASN1Element(&member, new(cbasn1.Tag)) {
			t.Fatal("no members")
		}
		list = append(list, slices.Clone(member))
	}
	return list
}
