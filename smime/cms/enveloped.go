package cms

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// ErrDecrypt says that a message, or the key in it, does not open with the key at hand: it is for another key, or was
// altered. There is deliberately nothing more precise, because whoever can send messages and watch the difference
// between two errors can use the difference to decrypt.
var ErrDecrypt = errors.New("message cannot be decrypted")

// EnvelopedData is an encrypted message: EnvelopedData (RFC 5652 section 6) or, if Authenticated, AuthEnvelopedData
// (RFC 5083). After [Read] its head is known; [EnvelopedData.Decrypt] reads the rest.
type EnvelopedData struct {
	Authenticated bool // it is an AuthEnvelopedData; says nothing about a sender
	Version       int

	// What the originator sent along (originatorInfo), unverified. A static key agreement needs the originator's
	// certificate; see [KeyAgreeRecipientInfo.Unwrap].

	OriginatorCertificates []RawCertificate // X.509 certificates; other kinds are left out
	OriginatorCRLs         [][]byte         // X.509 revocation lists, verbatim; other kinds are left out

	Recipients        []RecipientInfo       // one for each recipient
	EContentType      asn1.ObjectIdentifier // what is inside
	ContentEncryption AlgorithmIdentifier
	Cipher            Cipher // 0 where the algorithm is not implemented, or is none for this kind of message

	// The attributes stand behind the content in a message and are there after Decrypt.

	AuthenticatedAttributes   Attributes // AuthEnvelopedData only
	UnauthenticatedAttributes Attributes // anybody may have changed them

	content *encryptedContent
}

// ContentType returns OIDEnvelopedData or OIDAuthEnvelopedData.
func (e *EnvelopedData) ContentType() asn1.ObjectIdentifier {
	if e.Authenticated {
		return OIDAuthEnvelopedData
	}
	return OIDEnvelopedData
}

// readEnvelopedData reads up to the octets of the ciphertext.
func readEnvelopedData(s *structure, l Limits, authenticated bool) (*EnvelopedData, error) {
	e := &EnvelopedData{Authenticated: authenticated}
	if err := s.r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	var err error
	if e.Version, err = s.version(); err != nil {
		return nil, err
	}
	if err := e.readOriginatorInfo(s, l); err != nil {
		return nil, err
	}
	if e.Recipients, err = s.recipientInfos(l.Recipients); err != nil {
		return nil, err
	}
	form := "EnvelopedData"
	if authenticated {
		form = "AuthEnvelopedData"
	}
	if e.content, err = s.encryptedContentInfo(l, form, authenticated); err != nil {
		return nil, err
	}
	e.EContentType, e.ContentEncryption, e.Cipher = e.content.contentType, e.content.algorithm, e.content.parameters.cipher
	key := contentKey{size: e.content.parameters.keySize, weak: e.Cipher.Weak(), unusable: e.content.supported()}
	for _, ri := range e.Recipients {
		ri.setMessage(key, e.OriginatorCertificates)
	}
	return e, nil
}

// readOriginatorInfo reads OriginatorInfo, if it is there (RFC 5652 section 6.1).
func (e *EnvelopedData) readOriginatorInfo(s *structure, l Limits) error {
	present, err := s.optional(0)
	if err != nil || !present {
		return err
	}
	if err := malformed(s.r.Enter(ber.ContextSpecific, 0)); err != nil {
		return err
	}
	set := func(number uint32, what string, keep func(raw []byte)) error {
		present, err := s.optional(number)
		if err != nil || !present {
			return err
		}
		return s.each(ber.ContextSpecific, number, what, l.Certificates, func(h ber.Header) error {
			if !h.Is(ber.Universal, ber.TagSequence) { // of another kind than X.509
				return malformed(s.r.Skip())
			}
			raw, err := s.element()
			if err == nil {
				keep(raw)
			}
			return err
		})
	}
	err = set(0, "certificates", func(raw []byte) { e.OriginatorCertificates = append(e.OriginatorCertificates, raw) })
	if err != nil {
		return err
	}
	if err := set(1, "revocation lists", func(raw []byte) { e.OriginatorCRLs = append(e.OriginatorCRLs, raw) }); err != nil {
		return err
	}
	return malformed(s.r.Leave())
}

// Check returns why the content cannot be decrypted, whatever the key: an *[UnsupportedError]; a *[WeakError] where its
// cipher is too weak for the options; an error that wraps [ErrMalformed] where the parameters of the cipher are wrong.
// Decrypt returns the same.
func (e *EnvelopedData) Check(o DecryptOptions) error { return e.content.check(o) }

// Decrypt decrypts the content under the content-encryption key, which a [RecipientInfo] unwrapped, writes it to
// quarantine (nil discards it) and reads the message to its end. It may be called once.
//
// What is in the quarantine is unverified until Decrypt returns nil, and must be released to nobody before that. With
// a cipher that is not [Cipher.Authenticated], it is unverified after that as well. Any failure that depends on the key
// or on the ciphertext is [ErrDecrypt]; for others see Check.
func (e *EnvelopedData) Decrypt(ctx context.Context, quarantine io.Writer, cek []byte, o DecryptOptions) error {
	src, err := e.content.open(cek, o)
	if err != nil {
		return err
	}
	if e.Authenticated {
		return e.decryptGCM(ctx, quarantine, src, cek)
	}
	return e.content.decryptCBC(ctx, quarantine, cek, src, func() (err error) {
		e.UnauthenticatedAttributes, err = e.content.readTail(1)
		return err
	})
}

func (e *EnvelopedData) decryptGCM(ctx context.Context, quarantine io.Writer, src io.Reader, cek []byte) error {
	parameters := e.content.parameters
	g, err := newGCM(cek, parameters.iv)
	if err != nil {
		return err
	}
	if err := g.decryptTo(ctx, quarantineWriter{quarantine}, src); err != nil {
		return err
	}
	s := e.content.structure
	if err := malformed(s.r.Leave()); err != nil { // EncryptedContentInfo
		return err
	}
	present, err := s.optional(1)
	if err != nil {
		return err
	}
	var attributes Attributes
	var additional []byte
	altered := false
	if present {
		if attributes, additional, err = e.readAuthenticatedAttributes(); errors.Is(err, errAttributesAltered) {
			altered = true
		} else if err != nil {
			return err
		}
	}
	mac, err := s.octets(ber.Universal, ber.TagOctetString)
	if err != nil {
		return err
	}
	if e.UnauthenticatedAttributes, err = e.content.readTail(2); err != nil {
		return err
	}
	tag := g.tag(additional)
	if altered || len(mac) != parameters.tagSize || subtle.ConstantTimeCompare(tag[:parameters.tagSize], mac) != 1 {
		return ErrDecrypt
	}
	e.AuthenticatedAttributes = attributes
	return e.checkAuthenticatedAttributes()
}

// errAttributesAltered says that authenticated attributes cannot be read, inside an element that can.
var errAttributesAltered = errors.New("authenticated attributes cannot be read")

// readAuthenticatedAttributes returns the attributes and their DER as a SET OF, which is what is authenticated (RFC
// 5083 section 2.2).
func (e *EnvelopedData) readAuthenticatedAttributes() (list Attributes, der []byte, err error) {
	raw, err := e.content.structure.element()
	if err != nil {
		return nil, nil, err
	}
	l := e.content.limits
	inner := newStructure(ber.NewReader(bytes.NewReader(raw), l.ber()), l)
	list, der, err = inner.attributes(1)
	if errors.Is(err, ErrMalformed) {
		return nil, nil, errAttributesAltered
	}
	return list, der, err
}

// checkAuthenticatedAttributes keeps RFC 5083 section 2.1: a content that is not id-data has authenticated attributes,
// among them its type. Where that attribute is there, it must be right.
func (e *EnvelopedData) checkAuthenticatedAttributes() error {
	value, err := e.AuthenticatedAttributes.single(OIDAttributeContentType)
	if err != nil {
		return fmt.Errorf("%w: authenticated %w", ErrMalformed, err)
	}
	if value == nil {
		if e.EContentType.Equal(OIDData) {
			return nil
		}
		return fmt.Errorf("%w: the content type is not authenticated", ErrMalformed)
	}
	got, ok := readOID(&value)
	if !ok || !value.Empty() || len(got) == 0 || !got.Equal(e.EContentType) {
		return fmt.Errorf("%w: the content type is not the authenticated one", ErrMalformed)
	}
	return nil
}
