package cms

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// KEKRecipientInfo is a content-encryption key under a key-encryption key that both sides have by other means (RFC 5652
// section 6.2.3).
type KEKRecipientInfo struct {
	recipient
	Version       int
	KeyIdentifier []byte // names the key-encryption key
	Date          []byte // DER of the GeneralizedTime that tells keys of one identifier apart; nil if absent
	EncryptedKey  []byte
}

// Type returns KeyEncryptionKey.
func (ri *KEKRecipientInfo) Type() RecipientType { return KeyEncryptionKey }

// AlgorithmName returns "aes-256-wrap" and the like, or the number of an algorithm that is not implemented.
func (ri *KEKRecipientInfo) AlgorithmName() string { return algorithmName(ri.algorithm.Algorithm) }

func (s *structure) kekRecipientInfo() (*KEKRecipientInfo, error) {
	raw, err := s.der()
	if err != nil {
		return nil, err
	}
	ri := &KEKRecipientInfo{}
	in := cryptobyte.String(raw)
	var seq, kekid, key cryptobyte.String
	ok := in.ReadASN1(&seq, cbasn1.Tag(2).ContextSpecific().Constructed()) && seq.ReadASN1Integer(&ri.Version) &&
		seq.ReadASN1(&kekid, cbasn1.SEQUENCE) && kekid.ReadASN1Bytes(&ri.KeyIdentifier, cbasn1.OCTET_STRING)
	if ok && kekid.PeekASN1Tag(cbasn1.GeneralizedTime) {
		var date cryptobyte.String
		ok = kekid.ReadASN1Element(&date, cbasn1.GeneralizedTime)
		ri.Date = date
	}
	// The other attribute of KEKIdentifier selects in ways that are private to its users.
	ok = ok && kekid.SkipOptionalASN1(cbasn1.SEQUENCE) && kekid.Empty()
	if ok {
		ri.algorithm, ok = ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE)
	}
	if !ok || !seq.ReadASN1(&key, cbasn1.OCTET_STRING) || !seq.Empty() {
		return nil, fmt.Errorf("%w: recipient with a key-encryption key", ErrMalformed)
	}
	ri.EncryptedKey = key
	return ri, nil
}

// Unwrap unwraps the content-encryption key. A key-encryption key that does not fit, whatever its length, is
// [ErrDecrypt]; a wrap that is not implemented is an *[UnsupportedError].
func (ri *KEKRecipientInfo) Unwrap(kek []byte) (cek []byte, err error) {
	if ri.key.unusable != nil {
		return nil, ri.key.unusable
	}
	wrap, err := keyWrapFor(ri.algorithm, ri.key)
	if err != nil {
		return nil, err
	}
	return ri.key.unwrap(wrap, kek, ri.EncryptedKey)
}

// addKEKRecipientInfo appends a KEKRecipientInfo with AES key wrap.
func addKEKRecipientInfo(b *cryptobyte.Builder, identifier, kek, cek []byte) error {
	if len(identifier) == 0 {
		return fmt.Errorf("key-encryption key without an identifier")
	}
	wrap, ok := aesKeyWrap(len(kek))
	if !ok {
		return fmt.Errorf("key-encryption key of %d octets", len(kek))
	}
	wrapped, err := wrapKey(kek, cek)
	if err != nil {
		return err
	}
	b.AddASN1(cbasn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1Int64(4) // RFC 5652 section 6.2.3
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(identifier) })
		AlgorithmIdentifier{Algorithm: wrap.oid}.AddTo(b, cbasn1.SEQUENCE) // without parameters: RFC 3565 section 2.3.2
		b.AddASN1OctetString(wrapped)
	})
	return nil
}
