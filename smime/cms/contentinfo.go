package cms

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// Limits bounds what reading a message may cost. A field that is not positive means its default.
//
// Reading a message to its end, decrypting and decompressing it, allocates at most 1 MiB and twelve times Structure in total,
// whether that is in use at once or not, and apart from what the caller keeps of the content. At the defaults this is 49 MiB
// for the worst message; an ordinary one takes some 8 KiB, and a long content passes through buffers of at most 0.6 MiB.
// Unwrapping the key of one recipient allocates at most 256 KiB and twice Structure. [SignedData.Verify] allocates at most
// 64 MiB, nearly all of it where package [crypto/x509] parses hostile certificates that signers name; [VerifyOptions] says
// when it needs the content besides. Errors do not repeat what a message holds.
//
// Time grows with the length of the message, and with the operations with keys: one for each certificate that is tried on a
// signature, and one for each recipient that is unwrapped. What a password's key derivation may cost is bounded for all
// recipients of a message together.
type Limits struct {
	Depth        int   // nested elements, default 64
	Structure    int   // octets held in memory for everything but content: certificates, attributes…, default 4 MiB
	Signers      int   // SignerInfos, default 64
	Recipients   int   // RecipientInfos, default 1024
	Certificates int   // certificates, and likewise revocation lists, default 256
	Content      int64 // octets of content; unbounded by default
	// Ratio bounds how many octets of content one compressed octet may become, default 200. The first MiB of content
	// is free.
	Ratio int
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.Depth, 64},
		{&l.Structure, 4 << 20},
		{&l.Signers, 64},
		{&l.Recipients, 1024},
		{&l.Certificates, 256},
		{&l.Ratio, 200},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

// minElements is how many elements of a value are re-encoded in any case.
const minElements = 1 << 10

// ber returns the limits for reading: to re-encode an element takes some 64 octets for each that is in it.
func (l Limits) ber() ber.Limits {
	return ber.Limits{Depth: l.Depth, Element: l.Structure, Elements: max(minElements, l.Structure/64)}
}

// ContentInfo is a message whose head was read (RFC 5652 section 3): a *[SignedData], *[EnvelopedData],
// *[EncryptedData], *[CompressedData] or *[DigestedData]. It holds the open stream, from which its methods read on.
type ContentInfo interface {
	// ContentType says which kind of message it is: OIDSignedData, OIDEnvelopedData, OIDAuthEnvelopedData,
	// OIDEncryptedData, OIDCompressedData or OIDDigestedData.
	ContentType() asn1.ObjectIdentifier
}

// Read reads the head of a CMS message in BER or DER and stops before its content, without reading further than
// buffering needs. Content types that are not implemented are an *[UnsupportedError].
//
// Behind the message, when its end is reached, zero octets and white space are tolerated, because files and base64
// decoders add them; anything else is [ErrTrailing], so that nothing rides along unseen.
func Read(src io.Reader, l Limits) (ContentInfo, error) {
	l = l.withDefaults()
	r := ber.NewReader(src, l.ber())
	if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	s := newStructure(r, l)
	contentType, err := s.oid()
	if err != nil {
		return nil, err
	}
	read := reader(contentType)
	if read == nil {
		return nil, &UnsupportedError{What: "content type", Algorithm: contentType}
	}
	if err := r.Enter(ber.ContextSpecific, 0); err != nil {
		return nil, malformed(err)
	}
	return read(s, l)
}

// reader returns what reads a message of this type, inside the content field of its ContentInfo; nil for a type that is
// not implemented.
func reader(contentType asn1.ObjectIdentifier) func(*structure, Limits) (ContentInfo, error) {
	switch {
	case contentType.Equal(OIDSignedData):
		return func(s *structure, l Limits) (ContentInfo, error) { return orError(readSignedData(s, l)) }
	case contentType.Equal(OIDEnvelopedData):
		return func(s *structure, l Limits) (ContentInfo, error) { return orError(readEnvelopedData(s, l, false)) }
	case contentType.Equal(OIDAuthEnvelopedData):
		return func(s *structure, l Limits) (ContentInfo, error) { return orError(readEnvelopedData(s, l, true)) }
	case contentType.Equal(OIDEncryptedData):
		return func(s *structure, l Limits) (ContentInfo, error) { return orError(readEncryptedData(s, l)) }
	case contentType.Equal(OIDCompressedData):
		return func(s *structure, l Limits) (ContentInfo, error) { return orError(readCompressedData(s, l)) }
	case contentType.Equal(OIDDigestedData):
		return func(s *structure, l Limits) (ContentInfo, error) { return orError(readDigestedData(s, l)) }
	}
	return nil
}

// orError keeps a nil pointer from becoming an interface that is not nil.
func orError[T ContentInfo](info T, err error) (ContentInfo, error) {
	if err != nil {
		return nil, err
	}
	return info, nil
}

// readEnd closes the ContentInfo, behind everything inside its content field, and checks what follows it.
func readEnd(r *ber.Reader) error {
	for range 2 { // the [0] around the content, and the ContentInfo itself
		if err := r.Leave(); err != nil {
			return malformed(err)
		}
	}
	rest := r.Rest()
	buf := make([]byte, 128) // mostly there is nothing
	for {
		n, err := rest.Read(buf)
		for _, b := range buf[:n] {
			switch b {
			case 0, ' ', '\t', '\r', '\n':
			default:
				return fmt.Errorf("%w: octet %#02x", ErrTrailing, b)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
