package cms

import (
	"encoding/asn1"
	"fmt"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// RecipientType is one of the ways to hand a content-encryption key to a recipient.
type RecipientType string

// The choices of RecipientInfo (RFC 5652 section 6.2), and the one of RFC 9629.
const (
	KeyTransport     RecipientType = "key-transport"
	KeyAgreement     RecipientType = "key-agreement"
	KeyEncryptionKey RecipientType = "kek"
	Password         RecipientType = "password"
	KeyEncapsulation RecipientType = "kem"
	OtherRecipient   RecipientType = "other"
)

// RecipientInfo is the content-encryption key, encrypted for one recipient (RFC 5652 section 6.2): one of
// *[KeyTransRecipientInfo], *[KeyAgreeRecipientInfo], *[KEKRecipientInfo], *[PasswordRecipientInfo] and
// *[OtherRecipientInfo].
//
// All but the last have a method Unwrap, which returns the content-encryption key for [EnvelopedData.Decrypt]. A message
// may name one recipient several times, and only one entry may open it: all that match are to be tried. Unwrap returns
// what [EnvelopedData.Check] returns where the key would be of no use. A key that does not unwrap is [ErrDecrypt],
// the same error whatever was wrong with it; with RSA and PKCS #1 v1.5 it is no error, and Decrypt fails.
type RecipientInfo interface {
	// Type says how the key is handed over.
	Type() RecipientType
	// Recipient names the recipient's certificate. It is the zero value where the recipient is no certificate.
	Recipient() CertificateIdentifier
	// KeyEncryption is the algorithm that encrypts the content-encryption key.
	KeyEncryption() AlgorithmIdentifier
	// AlgorithmName is a short name of it, such as "rsa-pkcs1v15" or "ecdh-p256", or else its number.
	AlgorithmName() string
	// CEKSize is the length in octets of the content-encryption key, as the content's cipher wants it; 0 where that
	// cipher is not implemented.
	CEKSize() int

	setMessage(key contentKey, originators []RawCertificate)
}

// contentKey is what is known of a content-encryption key before it is unwrapped.
type contentKey struct {
	size     int   // octets
	weak     bool  // its cipher is Cipher.Weak
	unusable error // why it would be of no use; nil where it is of use
}

// recipient is what all kinds have in common.
type recipient struct {
	rid       CertificateIdentifier
	algorithm AlgorithmIdentifier
	key       contentKey
}

// Recipient names the recipient's certificate; it is the zero value where there is none.
func (r *recipient) Recipient() CertificateIdentifier { return r.rid }

// KeyEncryption returns the algorithm that encrypts the content-encryption key.
func (r *recipient) KeyEncryption() AlgorithmIdentifier { return r.algorithm }

// CEKSize returns the octets of the content-encryption key; 0 where the content's cipher is not implemented.
func (r *recipient) CEKSize() int { return r.key.size }

func (r *recipient) setMessage(key contentKey, _ []RawCertificate) { r.key = key }

// recipientInfos reads RecipientInfos. A key agreement for several recipients becomes one RecipientInfo for each.
func (s *structure) recipientInfos(max int) ([]RecipientInfo, error) {
	var list []RecipientInfo
	iterations := maxPasswordIterations
	err := s.each(ber.Universal, ber.TagSet, "recipients", max, func(h ber.Header) error {
		switch {
		case h.Is(ber.Universal, ber.TagSequence):
			ri, err := s.keyTransRecipientInfo()
			list = append(list, ri)
			return err
		case h.Is(ber.ContextSpecific, 1):
			infos, err := s.keyAgreeRecipientInfos(max - len(list))
			for _, ri := range infos {
				list = append(list, ri)
			}
			return err
		case h.Is(ber.ContextSpecific, 2):
			ri, err := s.kekRecipientInfo()
			list = append(list, ri)
			return err
		case h.Is(ber.ContextSpecific, 3):
			ri, err := s.passwordRecipientInfo()
			if err != nil {
				return err
			}
			iterations = ri.charge(iterations)
			list = append(list, ri)
			return nil
		case h.Class == ber.ContextSpecific:
			ri, err := s.otherRecipientInfo(h.Number)
			list = append(list, ri)
			return err
		}
		return fmt.Errorf("%w: recipient with tag %v", ErrMalformed, h)
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		// RFC 5652 section 6.1: SET SIZE (1..MAX).
		return nil, fmt.Errorf("%w: no recipient", ErrMalformed)
	}
	return list, nil
}

// OtherRecipientInfo is a recipient of a kind that is not implemented: a key encapsulation (RFC 9629), or something else.
type OtherRecipientInfo struct {
	recipient
	Raw []byte // DER of the RecipientInfo

	kind RecipientType
}

// Type returns KeyEncapsulation or OtherRecipient.
func (ri *OtherRecipientInfo) Type() RecipientType { return ri.kind }

// AlgorithmName returns the name of the kind of recipient, or its number, or "unknown".
func (ri *OtherRecipientInfo) AlgorithmName() string { return algorithmName(ri.algorithm.Algorithm) }

// oidKEMRecipient is id-ori-kem of RFC 9629 section 2.
var oidKEMRecipient = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 13, 3}

// otherRecipientInfo keeps what it cannot use. It looks inside only to name it, and minds nothing it finds there.
func (s *structure) otherRecipientInfo(number uint32) (*OtherRecipientInfo, error) {
	raw, err := s.der()
	if err != nil {
		return nil, err
	}
	ri := &OtherRecipientInfo{Raw: raw, kind: OtherRecipient}
	in := cryptobyte.String(raw)
	var seq cryptobyte.String
	if number == 4 && in.ReadAnyASN1(&seq, new(cbasn1.Tag)) { // OtherRecipientInfo, RFC 5652 section 6.2.5
		ri.algorithm.Algorithm, _ = readOID(&seq)
		if ri.algorithm.Algorithm.Equal(oidKEMRecipient) {
			ri.kind = KeyEncapsulation
		}
	}
	return ri, nil
}
