package cms

import (
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
	dst     io.Writer
	head    []byte // what stands before the ciphertext, until it was written
	cipher  contentEncrypter
	pending segments
	sealing *sealing // nil before there was something to encrypt in the background
	busy    bool     // it has the segments before those in pending
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

var errWriterClosed = errors.New("write to a closed encrypter")

// NewEnvelopedDataWriter begins an encrypted message and returns a writer for its content. Close completes the message,
// and does not close dst; a message that was not closed, or whose Close failed, is useless. The encoding is BER with
// indefinite lengths. dst is written to during Write and Close only, in large pieces; a short message comes in one.
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

	recipients, version, err := marshalRecipientInfos(o.Recipients, cek)
	if err != nil {
		return nil, err
	}
	w := &EnvelopedDataWriter{ctx: ctx, dst: dst}
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
	w.head, err = w.marshalHead(o, recipients, version, algorithm)
	if err != nil {
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

// marshalHead returns all that stands before the ciphertext.
func (w *EnvelopedDataWriter) marshalHead(o EnvelopedDataOptions, recipients []byte, version int64, algorithm AlgorithmIdentifier) ([]byte, error) {
	messageType := OIDEnvelopedData
	if w.tag != nil {
		messageType, version = OIDAuthEnvelopedData, 0 // RFC 5083 section 2.1
	}
	var oid, head, info cryptobyte.Builder
	oid.AddASN1ObjectIdentifier(messageType)
	head.AddASN1Int64(version)
	head.AddBytes(recipients)
	info.AddASN1ObjectIdentifier(o.ContentType)
	algorithm.AddTo(&info, cbasn1.SEQUENCE)

	var out []byte
	var errs error
	open := func(class ber.Class, number uint32, b *cryptobyte.Builder) {
		out = ber.AppendHeader(out, ber.Header{Class: class, Constructed: true, Number: number, Length: ber.Indefinite})
		der, err := b.Bytes()
		out, errs = append(out, der...), errors.Join(errs, err)
	}
	open(ber.Universal, ber.TagSequence, &oid) // ContentInfo
	open(ber.ContextSpecific, 0, new(cryptobyte.Builder))
	open(ber.Universal, ber.TagSequence, &head)           // EnvelopedData, AuthEnvelopedData
	open(ber.Universal, ber.TagSequence, &info)           // EncryptedContentInfo
	open(ber.ContextSpecific, 0, new(cryptobyte.Builder)) // the ciphertext
	return out, errs
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
		p = p[w.pending.add(p):]
		if len(p) > 0 { // there is more than goes into pending
			w.err = w.sealPending()
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

// sealPending has the full segments encrypted while others are filled.
func (w *EnvelopedDataWriter) sealPending() error {
	free, err := w.writeBusy()
	if err != nil {
		return err
	}
	if w.sealing == nil {
		w.sealing = newSealing()
	}
	w.sealing.begin(w.cipher, w.pending)
	w.pending, w.busy = free, true
	return nil
}

// writeBusy writes the segments that were encrypted in the background, and returns room for others.
func (w *EnvelopedDataWriter) writeBusy() (free segments, err error) {
	if !w.busy {
		return segments{}, nil
	}
	free, err = w.sealing.wait()
	w.busy = false
	if err != nil {
		return segments{}, err
	}
	if err := w.write(free.octets()); err != nil {
		return segments{}, err
	}
	free.reset()
	return free, nil
}

func (w *EnvelopedDataWriter) write(b []byte) error {
	if len(w.head) > 0 {
		head := w.head
		w.head = nil
		if _, err := w.dst.Write(head); err != nil {
			return err
		}
	}
	_, err := w.dst.Write(b)
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
	if _, err := w.writeBusy(); err != nil {
		return err
	}
	// The head is still there in a short message.
	out, err := w.pending.finish(w.head, w.cipher)
	if err != nil {
		return err
	}
	w.head = nil
	end := []byte{0, 0}
	out = append(out, end...) // the ciphertext
	out = append(out, end...) // EncryptedContentInfo
	if w.tag != nil {
		tag := w.tag(w.attributes)
		if w.attributes != nil {
			// What is authenticated begins with the tag of a SET OF, what is sent with [1] (RFC 5083 section 2.2).
			out = append(append(out, 0xa1), w.attributes[1:]...)
		}
		out = ber.AppendElement(out, ber.Universal, false, ber.TagOctetString, tag[:])
	}
	for range 3 { // EnvelopedData, [0], ContentInfo
		out = append(out, end...)
	}
	return w.write(out)
}
