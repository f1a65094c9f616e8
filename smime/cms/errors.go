package cms

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// Errors about the form of a message. They arrive wrapped, with what was met and where.
var (
	// ErrMalformed says that the input is not what RFC 5652 describes, or ends early.
	ErrMalformed = errors.New("malformed CMS message")
	// ErrTrailing says that there is something behind the message other than zero octets and white space.
	ErrTrailing = fmt.Errorf("%w: data behind its end", ErrMalformed)
	// ErrTooMany says that a count in [Limits] is exceeded.
	ErrTooMany = errors.New("CMS message exceeds a limit of count")
	// ErrTooLarge says that a size in [Limits] is exceeded.
	ErrTooLarge = errors.New("CMS message exceeds a limit of size")
	// ErrTooDeep says that Limits.Depth is exceeded.
	ErrTooDeep = errors.New("CMS message is nested too deeply")
)

// Errors of [SignedData] about what is signed, and by whom.
var (
	// ErrNoSigners says that nobody signed: a SignedData without signers may carry certificates, and proves nothing.
	ErrNoSigners = errors.New("nobody signed")
	// ErrTwoContents says that a message carries a content of its own where a detached signature is expected, so that
	// there are two contents to choose from: a forgery.
	ErrTwoContents = errors.New("detached signature carries a content of its own")
	// ErrNoCertificate says that the signer's certificate is neither in the message nor among those at hand.
	ErrNoCertificate = errors.New("signer's certificate is missing")
)

// Errors of [SignerInfo.Verify]: the signature does not hold.
var (
	// ErrSignature says that the signature value is wrong.
	ErrSignature = errors.New("signature is not valid")
	// ErrMessageDigest says that the content is not the one that was signed.
	ErrMessageDigest = errors.New("message digest does not match the content")
	// ErrNotHashed says that the content was not hashed under the signer's digest algorithm: a SignedData that does not
	// announce it (RFC 5652 section 5.1). Hashing the content again under [SignerInfo.Digest] mends it.
	ErrNotHashed = errors.New("content was not hashed under the signer's digest algorithm")
	// ErrContentType says that the content-type attribute names another type than the SignedData.
	ErrContentType = errors.New("content type is not the one that was signed")
	// ErrAttributes is wrapped by every error about the form of the signed attributes.
	ErrAttributes = errors.New("signed attributes are malformed")
	// ErrMissingAttribute says that content-type or message-digest is missing, or that there are no signed attributes
	// where the content type asks for them (RFC 5652 section 5.3).
	ErrMissingAttribute = fmt.Errorf("%w: attribute is missing", ErrAttributes)
	// ErrDuplicateAttribute says that an attribute is there twice.
	ErrDuplicateAttribute = fmt.Errorf("%w: attribute is there twice", ErrAttributes)
	// ErrMultiValued says that an attribute that has one value has none or several.
	ErrMultiValued = fmt.Errorf("%w: attribute must have exactly one value", ErrAttributes)
	// ErrAttributesAsContent says that a signature without signed attributes stands over content that is itself a set
	// of signed attributes: somebody presents what another signature signed as if it were a message.
	ErrAttributesAsContent = errors.New("content is a set of signed attributes: forged from another signature")
	// ErrSigningCertificate says that a signing-certificate attribute names another certificate, or is malformed.
	ErrSigningCertificate = errors.New("signing-certificate attribute does not match the signer's certificate")
	// ErrAlgorithmProtection says that the algorithms are not those in the CMSAlgorithmProtection attribute (RFC 6211).
	ErrAlgorithmProtection = errors.New("algorithms are not the protected ones")
	// ErrAlgorithmMismatch says that digest algorithm, signature algorithm and key do not go together.
	ErrAlgorithmMismatch = errors.New("algorithms of the signature do not go together")
	// ErrDigestAlgorithm says that the signature algorithm has another digest algorithm than the one named beside it.
	ErrDigestAlgorithm = fmt.Errorf("%w: two digest algorithms", ErrAlgorithmMismatch)
	// ErrSignerIdentifier says that the certificate is not the one that the SignerInfo names.
	ErrSignerIdentifier = errors.New("certificate is not the one that the signer names")
	// ErrBrokenDigest says that the digest algorithm is MD5 or older, which proves nothing at all.
	ErrBrokenDigest = errors.New("digest algorithm is broken")
)

// UnsupportedError says that a message, or a signature in it, needs something that is not implemented. It says nothing
// about whether the message is genuine.
type UnsupportedError struct {
	What      string                // as in "content type"
	Algorithm asn1.ObjectIdentifier // nil where no identifier is at hand; Error gives its name, if it is a known one
}

func (e *UnsupportedError) Error() string {
	if len(e.Algorithm) == 0 {
		return "unsupported " + e.What
	}
	name := signingAlgorithmName(e.Algorithm)
	if name == "" {
		name = algorithmName(e.Algorithm) // or the number
	}
	return "unsupported " + e.What + " " + name
}

// WeakError says that an algorithm or key is too weak to rely on: a signature under it matches, and a content under it was
// not decrypted.
type WeakError struct {
	What string // as in "SHA-1", "RSA key of 1024 bits" or "encryption with 3des-cbc"
}

func (e *WeakError) Error() string { return "too weak: " + e.What }

// malformed maps an error of the ber package to this package's own, and leaves errors of the source as they are.
func malformed(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrMalformed):
		return err
	case errors.Is(err, ber.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, ber.ErrTooDeep):
		return fmt.Errorf("%w: %w", ErrTooDeep, err)
	case errors.Is(err, ber.ErrSyntax), errors.Is(err, ber.ErrTag), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return err
}
