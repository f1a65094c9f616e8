package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// VerifyOptions says what a signature is measured against.
type VerifyOptions struct {
	ContentType asn1.ObjectIdentifier // EContentType of the SignedData; required
	AllowWeak   bool                  // accept SHA-1, and RSA keys of 1024 to 2047 bits

	// Content is the content once more, for an Ed25519 signature without signed attributes, which stands over the
	// content itself and not over its digest. It is read only then, whole, and only up to 16 MiB. If it is nil, such a
	// signature is an *[UnsupportedError].
	Content SizeReaderAt

	// ParseCertificate parses certificates of the message for [SignedData.Verify]; nil means [RawCertificate.Parse].
	ParseCertificate func(RawCertificate) (*x509.Certificate, error)

	whole *wholeContent // Content, for all signatures and certificates that are tried
}

// SizeReaderAt is octets that can be read twice, such as a *[bytes.Reader] or an *[io.SectionReader].
type SizeReaderAt interface {
	io.ReaderAt
	Size() int64
}

// maxWholeContent bounds the content that is brought into memory, where a signature scheme wants it whole.
const maxWholeContent = 16 << 20

// signedInput is what a signature value stands over: the signed attributes, or else the content.
type signedInput struct {
	hash       crypto.Hash
	digest     []byte
	attributes []byte // nil: the content
	content    *wholeContent
}

// message returns the octets themselves. If they are the content, they are those that were hashed.
func (in signedInput) message() ([]byte, error) {
	if in.attributes != nil {
		return in.attributes, nil
	}
	return in.content.octets(in.hash, in.digest)
}

// wholeContent is a content that is brought into memory once, when a signature wants it.
type wholeContent struct {
	src    SizeReaderAt // may be nil
	read   bool
	all    []byte
	err    error
	hash   crypto.Hash // under which all was compared last, or 0
	digest []byte
}

// octets returns the content, which is to have this digest.
func (w *wholeContent) octets(h crypto.Hash, digest []byte) ([]byte, error) {
	if !w.read {
		w.all, w.err = readWhole(w.src)
		w.read = true
	}
	if w.err != nil {
		return nil, w.err
	}
	if w.hash != h {
		w.hash, w.digest = h, digestOf(h, w.all)
	}
	if !bytes.Equal(w.digest, digest) {
		return nil, fmt.Errorf("%w: VerifyOptions.Content is another one", ErrMessageDigest)
	}
	return w.all, nil
}

func readWhole(src SizeReaderAt) ([]byte, error) {
	if src == nil {
		return nil, &UnsupportedError{What: "Ed25519 signature without signed attributes, over a content that cannot be read twice"}
	}
	size := src.Size()
	if size < 0 || size > maxWholeContent {
		return nil, &UnsupportedError{What: fmt.Sprintf("Ed25519 signature without signed attributes, over a content of %d octets", size)}
	}
	all := make([]byte, size)
	if n, err := src.ReadAt(all, 0); n < len(all) {
		return nil, fmt.Errorf("content: %w", err)
	}
	return all, nil
}

// Verify checks the signature over content with the public key of cert (RFC 5652 sections 5.4 to 5.6):
//
//   - cert is the one that SID names, and that signing-certificate attributes name, where there are any (RFC 5035);
//   - the signed attributes hold content-type and message-digest once each and with one value each, both match, and no
//     attribute is there twice; without signed attributes, the content is plain data and does not look like them;
//   - digest algorithm, signature algorithm and key go together, and are those of the CMSAlgorithmProtection
//     attribute, if there is one (RFC 6211);
//   - the signature value fits the signed attributes re-encoded as DER, or the content. Outlook for Mac did not bring the
//     attributes into the order of DER before it signed them: the order in which they were sent passes as well.
//
// It says nothing about whether cert is to be trusted. Errors wrap one of this package's sentinels, or are an
// *[UnsupportedError], or a *[WeakError]: the latter only if everything else is in order, except that RSA keys under
// 1024 bits are not looked at.
func (si *SignerInfo) Verify(cert *x509.Certificate, content *ContentDigest, o VerifyOptions) error {
	if cert == nil || content == nil {
		return errors.New("no certificate or no content to verify with")
	}
	if !si.SID.Matches(cert) {
		return ErrSignerIdentifier
	}
	h, err := si.Digest()
	if err != nil {
		return err
	}
	digest, ok := content.Sum(h)
	if !ok {
		return fmt.Errorf("%w: %s", ErrNotHashed, DigestName(h))
	}
	if o.whole == nil {
		o.whole = &wholeContent{src: o.Content}
	}
	signed := signedInput{hash: h, digest: digest, content: o.whole}
	if si.signed == nil {
		// The same octets are signed in both cases, so content that would pass for signed attributes is a forgery.
		if content.AttributesAsContent() {
			return ErrAttributesAsContent
		}
		// RFC 5652 section 5.3: signedAttrs MUST be present for any content type but id-data.
		if !o.ContentType.Equal(OIDData) {
			return fmt.Errorf("%w: no signed attributes over content of type %v", ErrMissingAttribute, o.ContentType)
		}
	} else {
		if err := si.checkAttributes(digest, o.ContentType); err != nil {
			return err
		}
		// This comes before the signature, because it costs less where several certificates are tried.
		err := si.signingCertificates(func(ids []ESSCertID) error {
			return ids[0].check(cert) // RFC 5035 section 5: the first is the signer's
		})
		if err != nil {
			return err
		}
		signed = signedInput{hash: h, digest: digestOf(h, si.signed), attributes: si.signed}
	}
	algorithm, err := si.signatureAlgorithm(h)
	if err != nil {
		return err
	}
	key, err := publicKey(cert)
	if err != nil {
		return err
	}
	err = algorithm.verify(key, signed, si.Signature)
	if errors.Is(err, ErrSignature) && si.sent != nil {
		// It is the same set, and a set has no order: nothing else is said by the same signer.
		signed.digest, signed.attributes = digestOf(h, si.sent), si.sent
		err = algorithm.verify(key, signed, si.Signature)
	}
	if err != nil {
		return err
	}
	if weak := weakness(h, key); weak != "" && !o.AllowWeak {
		return &WeakError{What: weak}
	}
	return nil
}

// checkAttributes checks the signed attributes against the content, and against the algorithms of the SignerInfo.
func (si *SignerInfo) checkAttributes(digest []byte, contentType asn1.ObjectIdentifier) error {
	if err := si.SignedAttributes.checkDuplicates(); err != nil {
		return err
	}
	// RFC 5652 sections 5.3 and 11.1: content-type MUST be there, single-valued, with the type of the content.
	value, err := si.SignedAttributes.required(OIDAttributeContentType)
	if err != nil {
		return err
	}
	oid, ok := readOID(&value)
	if !ok || !value.Empty() {
		return fmt.Errorf("%w: content type", ErrAttributes)
	}
	if len(oid) == 0 || !oid.Equal(contentType) {
		return fmt.Errorf("%w: %v is signed, and here is %v", ErrContentType, oid, contentType)
	}
	// Section 11.2: likewise message-digest.
	if value, err = si.SignedAttributes.required(OIDAttributeMessageDigest); err != nil {
		return err
	}
	var want cryptobyte.String
	if !value.ReadASN1(&want, cbasn1.OCTET_STRING) || !value.Empty() {
		return fmt.Errorf("%w: message digest", ErrAttributes)
	}
	if !bytes.Equal(want, digest) {
		return ErrMessageDigest
	}
	// Section 11.3: signing-time, if present, is single-valued.
	if value, err = si.SignedAttributes.single(OIDAttributeSigningTime); err != nil {
		return err
	}
	if value != nil {
		if _, err := parseSigningTime(value); err != nil {
			return err
		}
	}
	// RFC 8551 sections 2.5.2 and 2.5.3: so are SMIMECapabilities and SMIMEEncryptionKeyPreference.
	for _, attributeType := range []asn1.ObjectIdentifier{OIDAttributeSMIMECapabilities, OIDAttributeEncryptionKeyPreference} {
		if _, err = si.SignedAttributes.single(attributeType); err != nil {
			return err
		}
	}
	return si.checkAlgorithmProtection()
}

// required is single for an attribute that must be there.
func (a Attributes) required(attributeType asn1.ObjectIdentifier) (cryptobyte.String, error) {
	value, err := a.single(attributeType)
	if err == nil && value == nil {
		err = fmt.Errorf("%w: %v", ErrMissingAttribute, attributeType)
	}
	return value, err
}

// checkAlgorithmProtection compares the algorithms with those in the CMSAlgorithmProtection attribute (RFC 6211
// section 3).
func (si *SignerInfo) checkAlgorithmProtection() error {
	value, err := si.SignedAttributes.single(OIDAttributeAlgorithmProtection)
	if err != nil || value == nil {
		return err
	}
	var seq cryptobyte.String
	if !value.ReadASN1(&seq, cbasn1.SEQUENCE) || !value.Empty() {
		return fmt.Errorf("%w: malformed", ErrAlgorithmProtection)
	}
	digest, ok := ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE)
	if !ok {
		return fmt.Errorf("%w: malformed", ErrAlgorithmProtection)
	}
	// Section 2: signatureAlgorithm is there for SignedData, and macAlgorithm is not.
	signature, ok := ReadAlgorithmIdentifier(&seq, cbasn1.Tag(1).Constructed().ContextSpecific())
	if !ok || !seq.Empty() {
		return fmt.Errorf("%w: malformed", ErrAlgorithmProtection)
	}
	if !digest.equal(si.DigestAlgorithm) {
		return fmt.Errorf("%w: digest algorithm", ErrAlgorithmProtection)
	}
	if !signature.equal(si.SignatureAlgorithm) {
		return fmt.Errorf("%w: signature algorithm", ErrAlgorithmProtection)
	}
	return nil
}

// algorithmProtection returns the value of the CMSAlgorithmProtection attribute, of identifiers in DER.
func algorithmProtection(digest, signature []byte) []byte {
	return derSequence(digest, derImplicit(1, signature))
}

// weakness names what is too weak to rely on; "" if nothing is.
func weakness(h crypto.Hash, key crypto.PublicKey) string {
	if h == crypto.SHA1 {
		return "SHA-1"
	}
	if bits := rsaBits(key); bits > 0 && bits < weakRSABits {
		return fmt.Sprintf("RSA key of %d bits", bits)
	}
	return ""
}
