package cms

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Signer says who signs, and how. Scheme and Digest must be stated, for example as [DefaultSignature] returns them.
type Signer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer   // the key of the certificate
	Scheme      SignatureScheme // PSS is made with MGF1 under the same hash, and a salt as long as the hash
	Digest      crypto.Hash     // SHA-256, SHA-384 or SHA-512
	SID         IdentifierForm  // how the message names the certificate

	SigningTime  time.Time    // claimed; zero: not claimed
	Capabilities Capabilities // announced to the recipients; nil: not announced
	// EncryptTo is the signer's certificate that the recipients are to encrypt to (RFC 8551 section 2.5.3); nil: none is named.
	EncryptTo        *x509.Certificate
	SignedAttributes []Attribute // further ones, of other types than those that are always made

	// RevocationValues, if there are any, go along as an unsigned attribute.
	RevocationValues RevocationValues
	// UnsignedAttributes, if set, is called with the signature value; a time-stamp token is made from it. With a
	// *[SignEarlierError] the signature is made once more.
	UnsignedAttributes func(ctx context.Context, signature []byte) ([]Attribute, error)
}

// SignEarlierError asks for a signature that claims an earlier time: what UnsignedAttributes got proves that the clock which
// Signer.SigningTime is from is ahead, and the signature would seem to be older than the time it claims.
type SignEarlierError struct{ SigningTime time.Time }

func (e *SignEarlierError) Error() string {
	return "the signature claims a time later than " + e.SigningTime.UTC().Format(time.RFC3339Nano) + ", when it was there already"
}

// preparedSigner is a Signer that was checked, with what names it in a message, in DER.
type preparedSigner struct {
	Signer
	id        []byte
	digest    []byte
	signature []byte
	unsigned  Attributes // those that do not depend on the signature value
}

// prepare checks that key, certificate and algorithms belong together. What is too weak to rely on is a *[WeakError]
// here, too.
func (s Signer) prepare() (preparedSigner, error) {
	p := preparedSigner{Signer: s}
	switch {
	case s.Certificate == nil || s.Key == nil:
		return p, errors.New("signer without certificate or key")
	case s.Scheme == 0 || s.Digest == 0:
		return p, errors.New("signer without signature scheme or digest algorithm")
	}
	key, err := publicKey(s.Certificate)
	if err != nil {
		return p, err
	}
	if !samePublicKey(s.Key.Public(), key) {
		return p, errors.New("key is not the one of the certificate")
	}
	switch s.Digest {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return p, &WeakError{What: s.Digest.String()}
	}
	// RFC 4056 section 2.2: the salt SHOULD be as long as the hash.
	algorithm := signatureAlgorithm{scheme: s.Scheme, hash: s.Digest, saltLength: s.Digest.Size()}
	if err := algorithm.checkKey(key); err != nil {
		return p, err
	}
	if weak := weakness(s.Digest, key); weak != "" {
		return p, &WeakError{What: weak}
	}
	if !s.RevocationValues.Empty() {
		values, err := s.RevocationValues.Marshal()
		if err != nil {
			return p, err
		}
		p.unsigned = Attributes{{Type: OIDAttributeRevocationValues, Values: [][]byte{values}}}
	}
	return p, p.marshalIdentifiers(algorithm)
}

func (p *preparedSigner) marshalIdentifiers(algorithm signatureAlgorithm) error {
	signature, err := algorithm.identifier()
	if err != nil {
		return err
	}
	if p.signature, err = signature.marshal(); err != nil {
		return err
	}
	digest, err := digestIdentifier(p.Digest)
	if err != nil {
		return err
	}
	if p.digest, err = digest.marshal(); err != nil {
		return err
	}
	id, err := NewCertificateIdentifier(p.Certificate, p.SID)
	if err != nil {
		return err
	}
	p.id, err = id.marshal()
	return err
}

// version returns the version of the SignerInfo (RFC 5652 section 5.3).
func (p *preparedSigner) version() byte {
	if p.SID == SubjectKeyIdentifier {
		return 3
	}
	return 1
}

// samePublicKey reports whether a key is the one of a certificate, as publicKey returns that.
func samePublicKey(key, certified crypto.PublicKey) bool {
	if restricted, ok := certified.(pssKey); ok {
		certified = restricted.PublicKey
	}
	public, ok := key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(certified)
}

// signerInfo signs and returns the SignerInfo in DER.
func (p *preparedSigner) signerInfo(ctx context.Context, o SignedDataOptions, content *ContentDigest) ([]byte, error) {
	der, err := p.signerInfoAsOf(ctx, o, content)
	if earlier, ok := errors.AsType[*SignEarlierError](err); ok && earlier.SigningTime.Before(p.SigningTime) {
		p.SigningTime = earlier.SigningTime
		return p.signerInfoAsOf(ctx, o, content)
	}
	return der, err
}

func (p *preparedSigner) signerInfoAsOf(ctx context.Context, o SignedDataOptions, content *ContentDigest) ([]byte, error) {
	digest, ok := content.Sum(p.Digest)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotHashed, DigestName(p.Digest))
	}
	attributes, err := p.signedAttributes(o, digest)
	if err != nil {
		return nil, err
	}
	signed, err := attributes.marshal()
	if err != nil {
		return nil, err
	}
	signature, err := p.sign(signed)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	unsigned, err := p.unsignedAttributes(ctx, signature)
	if err != nil {
		return nil, err
	}
	version := []byte{2, 1, p.version()}
	return derSequence(version, p.id, p.digest, derImplicit(0, signed), p.signature, derOctetString(signature), unsigned), nil
}

// unsignedAttributes returns the field of that name in DER; nil where there is none.
func (p *preparedSigner) unsignedAttributes(ctx context.Context, signature []byte) ([]byte, error) {
	list := slices.Clone(p.unsigned)
	if p.UnsignedAttributes != nil {
		more, err := p.UnsignedAttributes(ctx, signature)
		if err != nil {
			return nil, fmt.Errorf("unsigned attributes: %w", err)
		}
		list = append(list, more...)
	}
	if len(list) == 0 {
		return nil, nil
	}
	der, err := list.marshal()
	if err != nil {
		return nil, err
	}
	return derImplicit(1, der), nil
}

// signedAttributes returns the attributes that are always made, those that were asked for, and the further ones.
func (p *preparedSigner) signedAttributes(o SignedDataOptions, digest []byte) (Attributes, error) {
	contentType, err := marshalOID(o.contentType())
	if err != nil {
		return nil, err
	}
	certificate, err := signingCertificateV2(p.Certificate)
	if err != nil {
		return nil, err
	}
	list := make(Attributes, 0, 7+len(p.SignedAttributes))
	add := func(attributeType asn1.ObjectIdentifier, value []byte) {
		list = append(list, Attribute{Type: attributeType, Values: [][]byte{value}})
	}
	add(OIDAttributeContentType, contentType)
	add(OIDAttributeMessageDigest, derOctetString(digest))
	add(OIDAttributeSigningCertificateV2, certificate)
	add(OIDAttributeAlgorithmProtection, algorithmProtection(p.digest, p.signature))
	if !p.SigningTime.IsZero() {
		signingTime, err := marshalSigningTime(p.SigningTime)
		if err != nil {
			return nil, fmt.Errorf("signing time: %w", err)
		}
		add(OIDAttributeSigningTime, signingTime)
	}
	if len(p.Capabilities) > 0 {
		capabilities, err := p.Capabilities.Marshal()
		if err != nil {
			return nil, fmt.Errorf("capabilities: %w", err)
		}
		add(OIDAttributeSMIMECapabilities, capabilities)
	}
	if p.EncryptTo != nil {
		preference, err := encryptionKeyPreference(p.EncryptTo)
		if err != nil {
			return nil, fmt.Errorf("encryption key preference: %w", err)
		}
		add(OIDAttributeEncryptionKeyPreference, preference)
	}
	list = append(list, p.SignedAttributes...)
	return list, list.checkDuplicates()
}

// sign makes the signature value over the DER of the signed attributes.
func (p *preparedSigner) sign(signed []byte) ([]byte, error) {
	switch p.Scheme {
	case Ed25519:
		return p.Key.Sign(rand.Reader, signed, crypto.Hash(0))
	case RSASSAPSS:
		return p.Key.Sign(rand.Reader, digestOf(p.Digest, signed),
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: p.Digest})
	}
	return p.Key.Sign(rand.Reader, digestOf(p.Digest, signed), p.Digest)
}
