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
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Signer says who signs, and how. Scheme and Digest must be stated, for example as [DefaultSignature] returns them.
type Signer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer   // the key of the certificate
	Scheme      SignatureScheme // PSS is made with MGF1 under the same hash, and a salt as long as the hash
	Digest      crypto.Hash     // SHA-256, SHA-384 or SHA-512
	SID         IdentifierForm  // how the message names the certificate

	SigningTime      time.Time    // claimed; zero: not claimed
	Capabilities     Capabilities // announced to the recipients; nil: not announced
	SignedAttributes []Attribute  // further ones, of other types than those that are always made

	// UnsignedAttributes, if set, is called with the signature value; a time-stamp token is made from it.
	UnsignedAttributes func(ctx context.Context, signature []byte) ([]Attribute, error)
}

// preparedSigner is a Signer that was checked.
type preparedSigner struct {
	Signer
	id        CertificateIdentifier
	digest    AlgorithmIdentifier
	signature AlgorithmIdentifier
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
	if p.signature, err = algorithm.identifier(); err != nil {
		return p, err
	}
	if p.digest, err = digestIdentifier(s.Digest); err != nil {
		return p, err
	}
	p.id, err = NewCertificateIdentifier(s.Certificate, s.SID)
	return p, err
}

// version returns the version of the SignerInfo (RFC 5652 section 5.3).
func (p *preparedSigner) version() int64 {
	if p.SID == SubjectKeyIdentifier {
		return 3
	}
	return 1
}

func samePublicKey(key, certified crypto.PublicKey) bool {
	if restricted, ok := certified.(pssKey); ok {
		certified = restricted.PublicKey
	}
	comparable, ok := key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(certified)
}

// signerInfo signs and returns the SignerInfo in DER.
func (p *preparedSigner) signerInfo(ctx context.Context, o SignedDataOptions, content *ContentDigest) ([]byte, error) {
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
	var unsigned []byte
	if p.UnsignedAttributes != nil {
		more, err := p.UnsignedAttributes(ctx, signature)
		if err != nil {
			return nil, fmt.Errorf("unsigned attributes: %w", err)
		}
		if len(more) > 0 {
			if unsigned, err = Attributes(more).marshal(); err != nil {
				return nil, err
			}
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(p.version())
		p.id.add(b)
		p.digest.add(b, cbasn1.SEQUENCE)
		addImplicitSet(b, 0, signed)
		p.signature.add(b, cbasn1.SEQUENCE)
		b.AddASN1OctetString(signature)
		if unsigned != nil {
			addImplicitSet(b, 1, unsigned)
		}
	})
	return b.Bytes()
}

// addImplicitSet appends a SET OF, given in DER, under an implicit tag.
func addImplicitSet(b *cryptobyte.Builder, tag uint8, set []byte) {
	in := cryptobyte.String(set)
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.SET) {
		b.SetError(fmt.Errorf("%w: set", ErrMalformed))
		return
	}
	b.AddASN1(cbasn1.Tag(tag).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(content) })
}

// signedAttributes returns the attributes that are always made, those that were asked for, and the further ones.
func (p *preparedSigner) signedAttributes(o SignedDataOptions, digest []byte) (Attributes, error) {
	var list Attributes
	var failed error
	add := func(attributeType asn1.ObjectIdentifier, value []byte, err error) {
		if err != nil && failed == nil {
			failed = fmt.Errorf("attribute %v: %w", attributeType, err)
		}
		list = append(list, Attribute{Type: attributeType, Values: [][]byte{value}})
	}
	contentType, err := marshalOID(o.contentType())
	add(OIDAttributeContentType, contentType, err)
	var octets cryptobyte.Builder
	octets.AddASN1OctetString(digest)
	messageDigest, err := octets.Bytes()
	add(OIDAttributeMessageDigest, messageDigest, err)
	certificate, err := signingCertificateV2(p.Certificate)
	add(OIDAttributeSigningCertificateV2, certificate, err)
	protection, err := algorithmProtection(p.digest, p.signature)
	add(OIDAttributeAlgorithmProtection, protection, err)
	if !p.SigningTime.IsZero() {
		signingTime, err := marshalSigningTime(p.SigningTime)
		add(OIDAttributeSigningTime, signingTime, err)
	}
	if len(p.Capabilities) > 0 {
		capabilities, err := p.Capabilities.Marshal()
		add(OIDAttributeSMIMECapabilities, capabilities, err)
	}
	list = append(list, p.SignedAttributes...)
	if failed == nil {
		failed = list.checkDuplicates()
	}
	return list, failed
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
