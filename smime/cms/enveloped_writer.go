package cms

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// EnvelopedDataOptions says how to encrypt.
type EnvelopedDataOptions struct {
	Cipher      Cipher                // must be stated; an authenticated one makes an AuthEnvelopedData
	Recipients  []Recipient           // at least one
	ContentType asn1.ObjectIdentifier // of what is encrypted; nil means id-data
}

// EnvelopedDataWriter encrypts what is written to it, as a stream and in constant memory. See [NewEnvelopedDataWriter].
type EnvelopedDataWriter struct {
	ctx     context.Context
	buffer  *bufio.Writer
	out     *ber.Writer
	octets  io.WriteCloser // the ciphertext's octet string in out
	cipher  contentEncrypter
	pending []byte // text that is not encrypted yet
	tag     func(additional []byte) [gcmTagSize]byte
	// attributes is the SET OF authenticated attributes, nil if there are none.
	attributes []byte
	err        error
	closed     bool
}

// contentEncrypter encrypts pieces in place. Their lengths are whole blocks, but for the last, which goes to finish and
// may grow by a block.
type contentEncrypter interface {
	encrypt(buf []byte) error
	finish(buf []byte) ([]byte, error)
}

const writerBufferSize = 64 << 10

var errWriterClosed = errors.New("write to a closed encrypter")

// NewEnvelopedDataWriter writes the head of an encrypted message to dst and returns a writer for the content. Close
// completes the message, and does not close dst; a message that was not closed, or whose Close failed, is useless. The
// encoding is BER with indefinite lengths.
//
// Nothing is written where an option or a recipient's key cannot be used. That error names the recipient by its place
// in the list, counting from one.
func NewEnvelopedDataWriter(ctx context.Context, dst io.Writer, o EnvelopedDataOptions) (*EnvelopedDataWriter, error) {
	if !o.Cipher.writable() {
		if o.Cipher.Weak() {
			return nil, &WeakError{What: "encryption with " + o.Cipher.String()}
		}
		return nil, errors.New("no cipher is stated")
	}
	if o.ContentType == nil {
		o.ContentType = OIDData
	}
	cek := make([]byte, o.Cipher.KeySize())
	_, _ = rand.Read(cek) // never fails
	defer clear(cek)

	recipients, plain, err := marshalRecipientInfos(o.Recipients, cek)
	if err != nil {
		return nil, err
	}
	w := &EnvelopedDataWriter{
		ctx:     ctx,
		buffer:  bufio.NewWriterSize(dst, writerBufferSize),
		pending: make([]byte, 0, writerBufferSize+aes.BlockSize), // with room for padding
	}
	w.out = ber.NewWriter(w.buffer)
	algorithm, err := w.setCipher(o.Cipher, cek)
	if err != nil {
		return nil, err
	}
	if w.tag != nil && !o.ContentType.Equal(OIDData) {
		// RFC 5083 section 2.1: such a content MUST have its type among authenticated attributes.
		if w.attributes, err = contentTypeAttributes(o.ContentType); err != nil {
			return nil, err
		}
	}
	if err := w.writeHead(o, recipients, plain, algorithm); err != nil {
		return nil, err
	}
	return w, nil
}

// setCipher makes the encrypter and returns its algorithm identifier, with a fresh nonce or IV.
func (w *EnvelopedDataWriter) setCipher(c Cipher, cek []byte) (AlgorithmIdentifier, error) {
	var b cryptobyte.Builder
	if c.Authenticated() {
		nonce := make([]byte, gcmNonceSize)
		_, _ = rand.Read(nonce) // never fails
		g, err := newGCM(cek, nonce)
		if err != nil {
			return AlgorithmIdentifier{}, err
		}
		w.cipher, w.tag = g, g.tag
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // GCMParameters, RFC 5084 section 3.2
			b.AddASN1OctetString(nonce)
			b.AddASN1Int64(gcmTagSize)
		})
	} else {
		iv := make([]byte, aes.BlockSize)
		_, _ = rand.Read(iv) // never fails
		block, err := aes.NewCipher(cek)
		if err != nil {
			return AlgorithmIdentifier{}, err
		}
		e, err := newCBCEncrypter(block, iv)
		if err != nil {
			return AlgorithmIdentifier{}, err
		}
		w.cipher = e
		b.AddASN1OctetString(iv) // AES-IV, RFC 3565 section 4.1
	}
	parameters, err := b.Bytes()
	return AlgorithmIdentifier{Algorithm: c.OID(), Parameters: parameters}, err
}

// contentTypeAttributes returns the SET OF attributes that holds the content type only.
func contentTypeAttributes(contentType asn1.ObjectIdentifier) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(contentType)
	value, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("content type: %w", err)
	}
	return Attributes{{Type: OIDAttributeContentType, Values: [][]byte{value}}}.marshal()
}

// writeHead writes all that stands before the ciphertext.
func (w *EnvelopedDataWriter) writeHead(o EnvelopedDataOptions, recipients []byte, plain bool, algorithm AlgorithmIdentifier) error {
	messageType := OIDEnvelopedData
	version := int64(2) // RFC 5652 section 6.1
	if plain {
		version = 0
	}
	if w.tag != nil {
		messageType, version = OIDAuthEnvelopedData, 0 // RFC 5083 section 2.1
	}
	var oid, head, info cryptobyte.Builder
	oid.AddASN1ObjectIdentifier(messageType)
	head.AddASN1Int64(version)
	head.AddBytes(recipients)
	info.AddASN1ObjectIdentifier(o.ContentType)
	algorithm.add(&info, cbasn1.SEQUENCE)

	open := func(class ber.Class, number uint32, b *cryptobyte.Builder) {
		_ = w.out.Open(class, number) // errors stick
		der, err := b.Bytes()
		_ = w.out.Raw(der)
		w.err = errors.Join(w.err, err)
	}
	open(ber.Universal, ber.TagSequence, &oid) // ContentInfo
	open(ber.ContextSpecific, 0, new(cryptobyte.Builder))
	open(ber.Universal, ber.TagSequence, &head) // EnvelopedData, AuthEnvelopedData
	open(ber.Universal, ber.TagSequence, &info) // EncryptedContentInfo
	w.octets = w.out.OctetString(ber.ContextSpecific, 0)
	return errors.Join(w.err, w.out.Raw(nil))
}

// Write encrypts p. An error is final: later calls return it again.
func (w *EnvelopedDataWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errWriterClosed
	}
	total := len(p)
	for len(p) > 0 {
		if err := w.check(); err != nil {
			return total - len(p), err
		}
		n := copy(w.pending[len(w.pending):writerBufferSize], p)
		w.pending = w.pending[:len(w.pending)+n]
		p = p[n:]
		if len(w.pending) == writerBufferSize {
			w.err = w.encryptPending()
		}
	}
	return total, w.err
}

func (w *EnvelopedDataWriter) check() error {
	if w.err == nil {
		w.err = w.ctx.Err()
	}
	return w.err
}

func (w *EnvelopedDataWriter) encryptPending() error {
	if err := w.cipher.encrypt(w.pending); err != nil {
		return err
	}
	_, err := w.octets.Write(w.pending)
	w.pending = w.pending[:0]
	return err
}

// Close encrypts what is left and completes the message. To abandon a message, do not close it.
func (w *EnvelopedDataWriter) Close() error {
	if w.closed {
		return w.err
	}
	w.closed = true
	if err := w.check(); err != nil {
		return err
	}
	w.err = w.complete()
	return w.err
}

func (w *EnvelopedDataWriter) complete() error {
	last, err := w.cipher.finish(w.pending)
	if err != nil {
		return err
	}
	if _, err := w.octets.Write(last); err != nil {
		return err
	}
	_ = w.octets.Close() // errors stick
	_ = w.out.Close()    // EncryptedContentInfo
	if w.tag != nil {
		tag := w.tag(w.attributes)
		if w.attributes != nil {
			// What is authenticated begins with the tag of a SET OF, what is sent with [1] (RFC 5083 section 2.2).
			sent := append([]byte{0xa1}, w.attributes[1:]...)
			_ = w.out.Raw(sent)
		}
		_ = w.out.Raw(ber.AppendElement(nil, ber.Universal, false, ber.TagOctetString, tag[:]))
	}
	for range 3 { // EnvelopedData, [0], ContentInfo
		_ = w.out.Close()
	}
	if err := w.out.Raw(nil); err != nil {
		return err
	}
	return w.buffer.Flush()
}
