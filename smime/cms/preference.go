package cms

import (
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// EncryptionKeyPreference returns which certificate the signer wants to be encrypted to (RFC 8551 section 2.5.3); ok is
// false where the signer does not say so, or in a way that cannot be read.
func (si *SignerInfo) EncryptionKeyPreference() (id CertificateIdentifier, ok bool) {
	value, err := si.SignedAttributes.single(OIDAttributeEncryptionKeyPreference)
	if err != nil || value == nil {
		return id, false
	}
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !value.ReadAnyASN1(&content, &tag) || !value.Empty() {
		return id, false
	}
	switch tag {
	case cbasn1.Tag(0).ContextSpecific().Constructed(): // IssuerAndSerialNumber
		var issuer cryptobyte.String
		if !content.ReadASN1Element(&issuer, cbasn1.SEQUENCE) {
			return id, false
		}
		id.Issuer = issuer
		id.Serial, ok = readSerial(&content)
		return id, ok && content.Empty()
	case cbasn1.Tag(1).ContextSpecific().Constructed(): // RecipientKeyIdentifier, whose further members are of no use here
		var keyID cryptobyte.String
		ok = content.ReadASN1(&keyID, cbasn1.OCTET_STRING)
		id.SubjectKeyID = keyID
	case cbasn1.Tag(2).ContextSpecific(): // SubjectKeyIdentifier
		id.SubjectKeyID, ok = content, true
	}
	return id, ok && len(id.SubjectKeyID) > 0
}

// encryptionKeyPreference returns the attribute's value in the form that all readers know, issuerAndSerialNumber.
func encryptionKeyPreference(c *x509.Certificate) ([]byte, error) {
	id, err := NewCertificateIdentifier(c, IssuerAndSerialNumber)
	if err != nil {
		return nil, err
	}
	der, err := id.marshal()
	if err != nil {
		return nil, err
	}
	return derImplicit(0, der), nil
}
