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
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ErrDecrypt says that a message, or the key in it, does not open with the key at hand: it is for another key, or was
// altered. There is deliberately nothing more precise, because whoever can send messages and watch the difference
// between two errors can use the difference to decrypt.
var ErrDecrypt = errors.New("message cannot be decrypted")

// EnvelopedData is an encrypted message: EnvelopedData (RFC 5652 section 6) or, if Authenticated, AuthEnvelopedData
// (RFC 5083). After [Read] its head is known; [EnvelopedData.Decrypt] reads the rest.
type EnvelopedData struct {
	Authenticated     bool // it is an AuthEnvelopedData; says nothing about a sender
	Version           int
	Recipients        []RecipientInfo       // one for each recipient
	EContentType      asn1.ObjectIdentifier // what is inside
	ContentEncryption AlgorithmIdentifier
	Cipher            Cipher // 0 where the algorithm is not implemented, or is none for this kind of message

	// The attributes stand behind the content in a message and are there after Decrypt.

	AuthenticatedAttributes   Attributes // AuthEnvelopedData only
	UnauthenticatedAttributes Attributes // anybody may have changed them

	structure *structure
	limits    Limits
	detached  bool
	done      bool
}

// ContentType returns OIDEnvelopedData or OIDAuthEnvelopedData.
func (e *EnvelopedData) ContentType() asn1.ObjectIdentifier {
	if e.Authenticated {
		return OIDAuthEnvelopedData
	}
	return OIDEnvelopedData
}

// readEnvelopedData reads up to the octets of the ciphertext.
func readEnvelopedData(r *ber.Reader, l Limits, authenticated bool) (*EnvelopedData, error) {
	e := &EnvelopedData{Authenticated: authenticated, structure: newStructure(r, l), limits: l}
	if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	var err error
	if e.Version, err = e.structure.version(); err != nil {
		return nil, err
	}
	originatorInfo, err := e.structure.optional(0)
	if err != nil {
		return nil, err
	}
	if originatorInfo { // certificates of a static originator, which no recipient of ours needs
		if _, err := e.structure.element(); err != nil {
			return nil, err
		}
	}
	if e.Recipients, err = e.structure.recipientInfos(l.Recipients); err != nil {
		return nil, err
	}
	return e, e.readEncryptedContentInfo()
}

// readEncryptedContentInfo reads the head of an EncryptedContentInfo (RFC 5652 section 6.1).
func (e *EnvelopedData) readEncryptedContentInfo() error {
	err := malformed(e.structure.r.Enter(ber.Universal, ber.TagSequence))
	if err != nil {
		return err
	}
	if e.EContentType, err = e.structure.oid(); err != nil {
		return err
	}
	if e.ContentEncryption, err = e.structure.algorithmIdentifier(); err != nil {
		return err
	}
	present, err := e.structure.optional(0)
	if err != nil {
		return err
	}
	e.detached = !present
	// An authenticated cipher has no place for its tag in EnvelopedData, and AuthEnvelopedData needs one.
	if c, ok := CipherByOID(e.ContentEncryption.Algorithm); ok && c.Authenticated() == e.Authenticated {
		e.Cipher = c
	}
	for _, ri := range e.Recipients {
		ri.setContent(e.Cipher.KeySize(), e.Supported())
	}
	return nil
}

// Supported returns an *[UnsupportedError] where the content cannot be decrypted whatever the key. Decrypt, and Unwrap of
// the recipients, return the same.
func (e *EnvelopedData) Supported() error {
	if e.Cipher == 0 {
		what := "content encryption algorithm"
		if c, ok := CipherByOID(e.ContentEncryption.Algorithm); ok {
			what = c.String() + " in EnvelopedData"
			if e.Authenticated {
				what = c.String() + " in AuthEnvelopedData"
			}
			return &UnsupportedError{What: what, Algorithm: e.ContentEncryption.Algorithm}
		}
		if name, ok := unsupportedName(e.ContentEncryption.Algorithm); ok {
			what += " " + name
		}
		return &UnsupportedError{What: what, Algorithm: e.ContentEncryption.Algorithm}
	}
	if e.detached {
		return &UnsupportedError{What: "message without its encrypted content"}
	}
	return nil
}

// Decrypt decrypts the content under the content-encryption key, which a [RecipientInfo] unwrapped, writes it to
// quarantine and reads the message to its end. It may be called once.
//
// What is in the quarantine is unverified until Decrypt returns nil, and must be released to nobody before that. With
// a cipher that is not [Cipher.Authenticated], it is unverified after that as well. Any failure that depends on the key
// or on the ciphertext is [ErrDecrypt]; an algorithm that is not implemented is an *[UnsupportedError].
func (e *EnvelopedData) Decrypt(ctx context.Context, quarantine io.Writer, cek []byte) error {
	if e.done {
		return errors.New("content was read already")
	}
	if err := e.Supported(); err != nil {
		return err
	}
	if len(cek) != e.Cipher.KeySize() {
		return ErrDecrypt
	}
	e.done = true
	content, err := e.structure.r.OctetString(ber.ContextSpecific, 0)
	if err != nil {
		return malformed(err)
	}
	src := &contentReader{src: content, limit: e.limits.Content}
	dst := quarantineWriter{quarantine}
	if e.Authenticated {
		return e.decryptGCM(ctx, dst, src, cek)
	}
	return e.decryptCBC(ctx, dst, src, cek)
}

// decryptCBC reports bad padding only when the whole message was read, so that its structure is judged before the key
// has a say.
func (e *EnvelopedData) decryptCBC(ctx context.Context, dst io.Writer, src io.Reader, cek []byte) error {
	// RFC 3565 section 4.1: AES-IV ::= OCTET STRING (SIZE (16)).
	parameters := cryptobyte.String(e.ContentEncryption.Parameters)
	var iv cryptobyte.String
	if !parameters.ReadASN1(&iv, cbasn1.OCTET_STRING) || !parameters.Empty() || len(iv) != 16 {
		return fmt.Errorf("%w: initialization vector of AES-CBC", ErrMalformed)
	}
	d, err := newCBCDecrypter(cek, iv)
	if err != nil {
		return err
	}
	verdict := d.decryptTo(ctx, dst, src)
	if verdict != nil && !errors.Is(verdict, ErrDecrypt) {
		return verdict
	}
	if err := malformed(e.structure.r.Leave()); err != nil { // EncryptedContentInfo
		return err
	}
	if err := e.readTail(1); err != nil {
		return err
	}
	return verdict
}

func (e *EnvelopedData) decryptGCM(ctx context.Context, dst io.Writer, src io.Reader, cek []byte) error {
	nonce, tagSize, err := gcmParameters(e.ContentEncryption)
	if err != nil {
		return err
	}
	g, err := newGCM(cek, nonce)
	if err != nil {
		return err
	}
	if err := g.decryptTo(ctx, dst, src); err != nil {
		return err
	}
	r := e.structure.r
	if err := malformed(r.Leave()); err != nil { // EncryptedContentInfo
		return err
	}
	present, err := e.structure.optional(1)
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
	mac, err := e.structure.octets(ber.Universal, ber.TagOctetString)
	if err != nil {
		return err
	}
	if err := e.readTail(2); err != nil {
		return err
	}
	tag := g.tag(additional)
	if altered || len(mac) != tagSize || subtle.ConstantTimeCompare(tag[:tagSize], mac) != 1 {
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
	raw, err := e.structure.element()
	if err != nil {
		return nil, nil, err
	}
	limits := ber.Limits{Depth: e.limits.Depth, Element: e.limits.Structure}
	inner := newStructure(ber.NewReader(bytes.NewReader(raw), limits), e.limits)
	list, der, err = inner.attributes(1)
	if errors.Is(err, ErrMalformed) {
		return nil, nil, errAttributesAltered
	}
	return list, der, err
}

// readTail reads the unauthenticated attributes under this tag, if there are any, and the end of the message.
func (e *EnvelopedData) readTail(number uint32) error {
	present, err := e.structure.optional(number)
	if err != nil {
		return err
	}
	if present {
		if e.UnauthenticatedAttributes, _, err = e.structure.attributes(number); err != nil {
			return err
		}
	}
	if err := e.structure.r.Leave(); err != nil { // EnvelopedData
		return malformed(err)
	}
	return readEnd(e.structure.r)
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

// gcmParameters reads GCMParameters (RFC 5084 section 3.2).
func gcmParameters(a AlgorithmIdentifier) (nonce []byte, tagSize int, err error) {
	parameters := cryptobyte.String(a.Parameters)
	var seq, iv cryptobyte.String
	tagSize = gcmMinTagSize // the DEFAULT
	ok := parameters.ReadASN1(&seq, cbasn1.SEQUENCE) && parameters.Empty() &&
		seq.ReadASN1(&iv, cbasn1.OCTET_STRING) && len(iv) > 0 &&
		(seq.Empty() || seq.ReadASN1Integer(&tagSize) && seq.Empty())
	if !ok || tagSize < gcmMinTagSize || tagSize > gcmTagSize {
		return nil, 0, fmt.Errorf("%w: parameters of AES-GCM", ErrMalformed)
	}
	return bytes.Clone(iv), tagSize, nil
}

// contentReader bounds the ciphertext and names its errors.
type contentReader struct {
	src   io.Reader
	limit int64 // 0: none
	size  int64
}

func (c *contentReader) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.size += int64(n)
	if c.limit > 0 && c.size > c.limit {
		return 0, fmt.Errorf("%w: content of more than %d octets", ErrTooLarge, c.limit)
	}
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, malformed(err)
}

// quarantineWriter tells errors of the quarantine from those of the message.
type quarantineWriter struct{ dst io.Writer }

func (q quarantineWriter) Write(p []byte) (int, error) {
	n, err := q.dst.Write(p)
	if err != nil {
		err = fmt.Errorf("quarantine: %w", err)
	}
	return n, err
}
