package cms

import (
	"crypto"
	"crypto/ecdh"
	"encoding/asn1"
	"fmt"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
)

// KeyAgreeRecipientInfo is a content-encryption key, wrapped under a key that the originator and one recipient agree
// upon (RFC 5652 section 6.2.2), by ECDH on P-256, P-384, P-521 (RFC 5753) or X25519 (RFC 8418). S/MIME has the
// originator make a key for each message; a key that stands in the originator's certificate can be read as well.
type KeyAgreeRecipientInfo struct {
	recipient
	Version      int
	Originator   Originator
	UKM          []byte // user keying material; nil if absent
	EncryptedKey []byte

	originators []RawCertificate // of the message
}

// Originator is the sender's side of a key agreement: either a certificate, or a key of its own.
type Originator struct {
	Certificate        CertificateIdentifier
	PublicKeyAlgorithm AlgorithmIdentifier
	PublicKey          []byte // nil where the certificate is named
}

// ECDH is a recipient's private key for key agreement. An *[ecdh.PrivateKey] is one.
type ECDH interface {
	// ECDH returns the shared secret with the other side's public key, which is on the same curve.
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
	PublicKey() *ecdh.PublicKey
}

// keyAgreement is a scheme of key agreement.
type keyAgreement struct {
	oid      asn1.ObjectIdentifier
	hash     crypto.Hash // of the key derivation
	hkdf     bool        // the key derivation is HKDF, and not that of ANSI X9.63
	cofactor bool        // cofactor Diffie-Hellman: the same as the standard one on the NIST curves, whose cofactor is 1
}

// keyAgreements lists the schemes of RFC 5753 section 7.1.4 and RFC 8418 section 2.
var keyAgreements = []keyAgreement{
	{oidStdDHSHA256KDF, crypto.SHA256, false, false},
	{oidStdDHSHA384KDF, crypto.SHA384, false, false},
	{oidStdDHSHA512KDF, crypto.SHA512, false, false},
	{oidStdDHHKDFSHA256, crypto.SHA256, true, false},
	{oidStdDHHKDFSHA384, crypto.SHA384, true, false},
	{oidStdDHHKDFSHA512, crypto.SHA512, true, false},
	{oidStdDHSHA224KDF, crypto.SHA224, false, false},
	{oidStdDHSHA1KDF, crypto.SHA1, false, false},
	{oidCofactorDHSHA256KDF, crypto.SHA256, false, true},
	{oidCofactorDHSHA384KDF, crypto.SHA384, false, true},
	{oidCofactorDHSHA512KDF, crypto.SHA512, false, true},
	{oidCofactorDHSHA224KDF, crypto.SHA224, false, true},
	{oidCofactorDHSHA1KDF, crypto.SHA1, false, true},
}

func keyAgreementByOID(oid asn1.ObjectIdentifier) (keyAgreement, bool) {
	for _, k := range keyAgreements {
		if k.oid.Equal(oid) {
			return k, true
		}
	}
	return keyAgreement{}, false
}

// Type returns KeyAgreement.
func (ri *KeyAgreeRecipientInfo) Type() RecipientType { return KeyAgreement }

// AlgorithmName returns "ecdh-p256", "ecdh-x25519" and the like, "ecdh" where the curve is not known, or the number of an
// algorithm that is not implemented.
func (ri *KeyAgreeRecipientInfo) AlgorithmName() string {
	if _, ok := keyAgreementByOID(ri.algorithm.Algorithm); !ok {
		return algorithmName(ri.algorithm.Algorithm)
	}
	if name := ri.Originator.curveName(); name != "" {
		return "ecdh-" + name
	}
	return "ecdh"
}

// keyAgreeRecipientInfos reads one KeyAgreeRecipientInfo, and returns one for each of its at most max recipients.
func (s *structure) keyAgreeRecipientInfos(max int) ([]*KeyAgreeRecipientInfo, error) {
	common := KeyAgreeRecipientInfo{}
	err := malformed(s.r.Enter(ber.ContextSpecific, 1))
	if err != nil {
		return nil, err
	}
	if common.Version, err = s.version(); err != nil {
		return nil, err
	}
	if err := malformed(s.r.Enter(ber.ContextSpecific, 0)); err != nil {
		return nil, err
	}
	if common.Originator, err = s.originator(); err != nil {
		return nil, err
	}
	if err := malformed(s.r.Leave()); err != nil {
		return nil, err
	}
	ukm, err := s.optional(1)
	if err != nil {
		return nil, err
	}
	if ukm {
		if common.UKM, err = s.userKeyingMaterial(); err != nil {
			return nil, err
		}
	}
	if common.algorithm, err = s.algorithmIdentifier(); err != nil {
		return nil, err
	}
	var list []*KeyAgreeRecipientInfo
	err = s.each(ber.Universal, ber.TagSequence, "recipients", max, func(ber.Header) error {
		ri := common
		list = append(list, &ri)
		return s.recipientEncryptedKey(&ri)
	})
	if err != nil {
		return nil, err
	}
	return list, malformed(s.r.Leave())
}

// originator reads an OriginatorIdentifierOrKey.
func (s *structure) originator() (o Originator, err error) {
	key, err := s.optional(1)
	if err != nil {
		return o, err
	}
	if !key {
		o.Certificate, err = s.certificateIdentifier()
		return o, err
	}
	if err := malformed(s.r.Enter(ber.ContextSpecific, 1)); err != nil {
		return o, err
	}
	if o.PublicKeyAlgorithm, err = s.algorithmIdentifier(); err != nil {
		return o, err
	}
	der, err := s.der()
	if err != nil {
		return o, err
	}
	in := cryptobyte.String(der)
	if !in.ReadASN1BitStringAsBytes(&o.PublicKey) || !in.Empty() {
		return o, fmt.Errorf("%w: originator's public key", ErrMalformed)
	}
	return o, malformed(s.r.Leave())
}

// maxUKM bounds the octets of user keying material: each recipient's key is derived from all of it. RFC 8418 section 2.2
// wants as many as a hash has.
const maxUKM = 4 << 10

func (s *structure) userKeyingMaterial() ([]byte, error) {
	if err := malformed(s.r.Enter(ber.ContextSpecific, 1)); err != nil {
		return nil, err
	}
	ukm, err := s.octets(ber.Universal, ber.TagOctetString)
	if err != nil {
		return nil, err
	}
	if len(ukm) > maxUKM {
		return nil, fmt.Errorf("%w: user keying material of %d octets", ErrTooLarge, len(ukm))
	}
	return ukm, malformed(s.r.Leave())
}

// recipientEncryptedKey reads a RecipientEncryptedKey into ri.
func (s *structure) recipientEncryptedKey(ri *KeyAgreeRecipientInfo) error {
	err := malformed(s.r.Enter(ber.Universal, ber.TagSequence))
	if err != nil {
		return err
	}
	keyID, err := s.optional(0)
	if err != nil {
		return err
	}
	if keyID {
		ri.rid, err = s.recipientKeyIdentifier()
	} else {
		ri.rid, err = s.certificateIdentifier()
	}
	if err != nil {
		return err
	}
	if ri.EncryptedKey, err = s.octets(ber.Universal, ber.TagOctetString); err != nil {
		return err
	}
	return malformed(s.r.Leave())
}

// recipientKeyIdentifier reads a RecipientKeyIdentifier. Its date and other members select among keys with the same
// identifier, which do not occur.
func (s *structure) recipientKeyIdentifier() (id CertificateIdentifier, err error) {
	if err := malformed(s.r.Enter(ber.ContextSpecific, 0)); err != nil {
		return id, err
	}
	if id.SubjectKeyID, err = s.octets(ber.Universal, ber.TagOctetString); err != nil {
		return id, err
	}
	if len(id.SubjectKeyID) == 0 {
		return id, fmt.Errorf("%w: empty subject key identifier", ErrMalformed)
	}
	for {
		_, more, err := s.next()
		if err != nil {
			return id, err
		}
		if !more {
			return id, malformed(s.r.Leave())
		}
		if _, err := s.element(); err != nil {
			return id, err
		}
	}
}
