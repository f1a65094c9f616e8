package cms

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func (ri *KeyAgreeRecipientInfo) setMessage(key contentKey, originators []RawCertificate) {
	ri.key, ri.originators = key, originators
}

// Unwrap agrees with the originator upon the key-encryption key and unwraps the content-encryption key. The key is on
// the curve that the recipient's certificate names: a NIST curve or X25519. An originator that is named by certificate is
// looked for among the originators, and then in the message; what is found there is anybody's claim, and that the message
// opens says nothing about who sent it.
//
// A key that does not unwrap is [ErrDecrypt]; an algorithm that is not implemented, or an originator whose certificate is
// missing, is an *[UnsupportedError].
func (ri *KeyAgreeRecipientInfo) Unwrap(key ECDH, originators ...*x509.Certificate) (cek []byte, err error) {
	if ri.key.unusable != nil {
		return nil, ri.key.unusable
	}
	curve := key.PublicKey().Curve()
	scheme, ok := keyAgreementByOID(ri.algorithm.Algorithm)
	if !ok || scheme.cofactor && curve == ecdh.X25519() { // RFC 8418 section 2 has the standard schemes only
		return nil, &UnsupportedError{What: "key agreement algorithm", Algorithm: ri.algorithm.Algorithm}
	}
	// RFC 5753 section 7.1.4: the parameters are the KeyWrapAlgorithm.
	parameters := cryptobyte.String(ri.algorithm.Parameters)
	wrapAlgorithm, ok := ReadAlgorithmIdentifier(&parameters, cbasn1.SEQUENCE)
	if !ok || !parameters.Empty() {
		return nil, fmt.Errorf("%w: parameters of the key agreement", ErrMalformed)
	}
	wrap, err := keyWrapFor(wrapAlgorithm, ri.key)
	if err != nil {
		return nil, err
	}
	remote, err := ri.Originator.key(curve, ri.originators, originators)
	if err != nil {
		return nil, err
	}
	// On X25519 a point of low order, which would make the secret known to all, is an error (RFC 8418 section 2).
	secret, err := key.ECDH(remote)
	if err != nil {
		return nil, ErrDecrypt
	}
	defer clear(secret)
	// The key wrap algorithm stands in the shared information as it was sent, be its parameters NULL or absent.
	kek, err := scheme.deriveKey(secret, wrapAlgorithm, ri.UKM, wrap.keySize)
	if err != nil {
		return nil, fmt.Errorf("%w: parameters of the key wrap", ErrMalformed)
	}
	defer clear(kek)
	return ri.key.unwrap(wrap, kek, ri.EncryptedKey)
}

// addKeyAgreeRecipientInfo appends a KeyAgreeRecipientInfo with a fresh ephemeral key on the recipient's curve.
func addKeyAgreeRecipientInfo(b *cryptobyte.Builder, rid CertificateIdentifier, key *ecdh.PublicKey, scheme keyAgreement, cek []byte) error {
	ephemeral, err := key.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("ephemeral key: %w", err)
	}
	secret, err := ephemeral.ECDH(key)
	if err != nil {
		return fmt.Errorf("ECDH: %w", err)
	}
	defer clear(secret)
	// RFC 8551 section 2.3: the key wrap and the content encryption MUST have keys of one size.
	wrap, ok := aesKeyWrap(len(cek))
	if !ok {
		return fmt.Errorf("key wrap of a key of %d octets", len(cek))
	}
	wrapAlgorithm := AlgorithmIdentifier{Algorithm: wrap.oid} // without parameters: RFC 3565 section 2.3.2
	keyEncryption := AlgorithmIdentifier{Algorithm: scheme.oid}
	if keyEncryption.Parameters, err = wrapAlgorithm.marshal(); err != nil {
		return err
	}
	kek, err := scheme.deriveKey(secret, wrapAlgorithm, nil, wrap.keySize)
	if err != nil {
		return err
	}
	defer clear(kek)
	wrapped, err := wrapKey(kek, cek)
	if err != nil {
		return err
	}
	keyAlgorithm := AlgorithmIdentifier{Algorithm: oidECPublicKey}
	if key.Curve() == ecdh.X25519() {
		keyAlgorithm.Algorithm = oidX25519 // RFC 8418 section 3
	}
	b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3) // RFC 5652 section 6.2.2
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				keyAlgorithm.AddTo(b, cbasn1.SEQUENCE)
				b.AddASN1BitString(ephemeral.PublicKey().Bytes())
			})
		})
		keyEncryption.AddTo(b, cbasn1.SEQUENCE)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addKeyAgreeRecipientIdentifier(b, rid)
				b.AddASN1OctetString(wrapped)
			})
		})
	})
	return nil
}

// addKeyAgreeRecipientIdentifier appends a KeyAgreeRecipientIdentifier, whose key identifier is wrapped otherwise than
// that of the other recipients (RFC 5652 section 6.2.2).
func addKeyAgreeRecipientIdentifier(b *cryptobyte.Builder, rid CertificateIdentifier) {
	if len(rid.SubjectKeyID) == 0 {
		rid.add(b)
		return
	}
	b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(rid.SubjectKeyID)
	})
}
