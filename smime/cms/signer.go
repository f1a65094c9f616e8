package cms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
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

// Signer says who signs, and how.
type Signer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer  // RSA (PKCS #1 v1.5), ECDSA on P-256, P-384 or P-521, or Ed25519
	Digest      crypto.Hash    // SHA-256, SHA-384 or SHA-512; 0: by key, SHA-256 or what the curve's strength asks for
	SID         IdentifierForm // how the certificate is named

	SigningTime      time.Time    // claimed; zero: not claimed
	Capabilities     Capabilities // announced to the recipients; nil: not announced
	SignedAttributes []Attribute  // further ones, of other types than those that are always made

	// UnsignedAttributes, if set, is called with the signature value; a time-stamp token is made from it.
	UnsignedAttributes func(ctx context.Context, signature []byte) ([]Attribute, error)
}

// preparedSigner is a Signer that was checked, with its algorithms chosen.
type preparedSigner struct {
	Signer
	id        CertificateIdentifier
	hash      crypto.Hash
	digest    AlgorithmIdentifier
	signature AlgorithmIdentifier
}

// prepare checks that key and certificate belong together, and chooses the algorithms. What is too weak to rely on is
// a *[WeakError] here, too.
func (s Signer) prepare() (preparedSigner, error) {
	p := preparedSigner{Signer: s}
	if s.Certificate == nil || s.Key == nil {
		return p, errors.New("signer without certificate or key")
	}
	public, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(s.Certificate.PublicKey) {
		return p, errors.New("key is not the one of the certificate")
	}
	var err error
	if p.id, err = NewCertificateIdentifier(s.Certificate, s.SID); err != nil {
		return p, err
	}
	if err := p.chooseAlgorithms(); err != nil {
		return p, err
	}
	switch p.hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return p, &WeakError{What: p.hash.String()}
	}
	if weak := weakness(p.hash, s.Certificate.PublicKey); weak != "" {
		return p, &WeakError{What: weak}
	}
	p.digest, err = digestIdentifier(p.hash)
	return p, err
}

func (p *preparedSigner) chooseAlgorithms() error {
	p.hash = p.Digest
	byKey := crypto.SHA256
	switch key := p.Key.Public().(type) {
	case *rsa.PublicKey:
		// RFC 3370 section 3.2: rsaEncryption is what every reader knows; the digest is named beside it.
		p.signature = AlgorithmIdentifier{Algorithm: oidRSAEncryption, Parameters: derNull}
	case *ecdsa.PublicKey:
		switch curveName(key.Curve) {
		case "p256":
		case "p384":
			byKey = crypto.SHA384
		case "p521":
			byKey = crypto.SHA512
		default:
			return &UnsupportedError{What: "elliptic curve " + key.Params().Name}
		}
		if p.hash == 0 {
			p.hash = byKey
		}
		for _, known := range signatureAlgorithms {
			if known.kind == kindECDSA && known.hash == p.hash {
				p.signature = AlgorithmIdentifier{Algorithm: known.oid} // RFC 5754 section 3.3: parameters absent
			}
		}
	case ed25519.PublicKey:
		byKey = crypto.SHA512
		if p.hash != 0 && p.hash != byKey { // RFC 8419 section 3.1
			return fmt.Errorf("%w: Ed25519 goes with SHA-512", ErrAlgorithmMismatch)
		}
		p.signature = AlgorithmIdentifier{Algorithm: oidEd25519}
	default:
		return &UnsupportedError{What: fmt.Sprintf("key type %T", key)}
	}
	if p.hash == 0 {
		p.hash = byKey
	}
	return nil
}

// signerInfo signs and returns the SignerInfo in DER.
func (p *preparedSigner) signerInfo(ctx context.Context, o SignedDataOptions, content *ContentDigest) ([]byte, error) {
	digest, ok := content.Sum(p.hash)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotHashed, DigestName(p.hash))
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
	version := int64(1)
	if p.SID == SubjectKeyIdentifier {
		version = 3 // RFC 5652 section 5.3
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
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
	if p.signature.Algorithm.Equal(oidEd25519) {
		return p.Key.Sign(rand.Reader, signed, crypto.Hash(0))
	}
	return p.Key.Sign(rand.Reader, digestOf(p.hash, signed), p.hash)
}
