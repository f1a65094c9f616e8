package cms

import (
	"bufio"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// SignedDataOptions says what a SignedData is made of.
type SignedDataOptions struct {
	ContentType  asn1.ObjectIdentifier // nil: OIDData
	Detached     bool                  // leave the content out of the message
	Signers      []Signer              // at least one
	Certificates []*x509.Certificate   // sent along as they are here; nothing is added

	CRLs          [][]byte // revocation lists to send along, in DER
	OCSPResponses [][]byte // likewise (RFC 5940): each an OCSPResponse in DER
}

func (o SignedDataOptions) contentType() asn1.ObjectIdentifier {
	if len(o.ContentType) == 0 {
		return OIDData
	}
	return o.ContentType
}

// SignedDataWriter makes a SignedData from the content that is written to it. Memory does not grow with the content.
type SignedDataWriter struct {
	ctx     context.Context // an io.WriteCloser has no other way to be told to stop
	options SignedDataOptions
	signers []preparedSigner
	bag     []byte // certificates and revocation information, encoded
	digest  *ContentDigest
	dst     io.Writer
	buffer  *bufio.Writer // nil if detached, and so are the next two
	out     *ber.Writer
	content io.WriteCloser
	err     error // sticks
	closed  bool
}

// headBuffer is for what stands around the content: the content itself comes in segments that are larger.
const headBuffer = 512

var errClosed = errors.New("writer is closed")

// NewSignedDataWriter returns a writer that takes the content and writes the message to dst: in BER while the content
// comes in, or, if Detached, in DER on Close. The message is complete only when Close returned nil.
//
// Every signature is over signed attributes: content-type, message-digest, signing-certificate-v2 (RFC 5035) and
// CMSAlgorithmProtection (RFC 6211) are always among them.
func NewSignedDataWriter(ctx context.Context, dst io.Writer, o SignedDataOptions) (*SignedDataWriter, error) {
	w, err := newSignedDataWriter(ctx, dst, o)
	if err != nil || o.Detached {
		return w, err
	}
	w.buffer = bufio.NewWriterSize(dst, headBuffer)
	w.out = ber.NewWriter(w.buffer)
	contentType, err := marshalOID(o.contentType())
	if err != nil {
		return nil, err
	}
	// Errors of ber.Writer stick, and show at the last step.
	_ = w.out.Open(ber.Universal, ber.TagSequence) // ContentInfo
	_ = w.out.Raw(derSignedData)
	_ = w.out.Open(ber.ContextSpecific, 0)
	_ = w.out.Open(ber.Universal, ber.TagSequence) // SignedData
	_ = w.out.Raw(w.head())
	_ = w.out.Open(ber.Universal, ber.TagSequence) // EncapsulatedContentInfo
	_ = w.out.Raw(contentType)
	if err := w.out.Open(ber.ContextSpecific, 0); err != nil {
		return nil, err
	}
	w.content = w.out.OctetString(ber.Universal, ber.TagOctetString)
	return w, nil
}

// newSignedDataWriter checks the options and sets up the hashing.
func newSignedDataWriter(ctx context.Context, dst io.Writer, o SignedDataOptions) (*SignedDataWriter, error) {
	if len(o.Signers) == 0 {
		return nil, ErrNoSigners
	}
	bag, err := marshalBag(o.Certificates, o.CRLs, o.OCSPResponses)
	if err != nil {
		return nil, err
	}
	w := &SignedDataWriter{ctx: ctx, options: o, bag: bag, dst: dst}
	var hashes []crypto.Hash
	for _, s := range o.Signers {
		p, err := s.prepare()
		if err != nil {
			return nil, err
		}
		w.signers = append(w.signers, p)
		hashes = append(hashes, p.Digest)
	}
	w.digest, err = NewContentDigest(hashes...)
	return w, err
}

// Write adds content.
func (w *SignedDataWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	if w.err == nil {
		w.err = w.ctx.Err()
	}
	if w.err != nil {
		return 0, w.err
	}
	_, _ = w.digest.Write(p) // never fails
	if w.content == nil {
		return len(p), nil
	}
	n, err := w.content.Write(p)
	w.err = err
	return n, err
}

// Close signs, and writes what is left of the message. It does not close the destination.
func (w *SignedDataWriter) Close() error {
	if w.closed {
		return w.err
	}
	w.closed = true
	if w.err == nil {
		w.err = w.ctx.Err()
	}
	if w.err == nil {
		w.err = w.finish()
	}
	return w.err
}

func (w *SignedDataWriter) finish() error {
	if w.content == nil {
		der, err := w.message(nil)
		if err != nil {
			return err
		}
		_, err = w.dst.Write(der)
		return err
	}
	tail, err := w.tail()
	if err != nil {
		return err
	}
	_ = w.content.Close()
	_ = w.out.Close() // [0]
	_ = w.out.Close() // EncapsulatedContentInfo
	_ = w.out.Raw(tail)
	_ = w.out.Close()                     // SignedData
	_ = w.out.Close()                     // [0]
	if err := w.out.Close(); err != nil { // ContentInfo
		return err
	}
	return w.buffer.Flush()
}

// version returns the version of the SignedData (RFC 5652 section 5.1).
func (w *SignedDataWriter) version() byte {
	if len(w.options.OCSPResponses) > 0 {
		return 5 // revocation information of another kind
	}
	if !w.options.contentType().Equal(OIDData) {
		return 3
	}
	for _, s := range w.signers {
		if s.version() == 3 {
			return 3
		}
	}
	return 1
}

// head returns what stands before the content: version and digest algorithms.
func (w *SignedDataWriter) head() []byte {
	algorithms := make([][]byte, len(w.signers))
	for i, s := range w.signers {
		algorithms[i] = s.digest
	}
	return appendSetOf([]byte{2, 1, w.version()}, ber.Universal, ber.TagSet, distinct(algorithms))
}

// tail signs and returns what stands behind the content: certificates, revocation information and SignerInfos.
func (w *SignedDataWriter) tail() ([]byte, error) {
	infos := make([][]byte, len(w.signers))
	for i := range w.signers {
		var err error
		if infos[i], err = w.signers[i].signerInfo(w.ctx, w.options, w.digest); err != nil {
			return nil, err
		}
	}
	return appendSetOf(w.bag, ber.Universal, ber.TagSet, infos), nil
}

// message signs and returns the whole message in DER.
func (w *SignedDataWriter) message(content []byte) ([]byte, error) {
	contentType, err := marshalOID(w.options.contentType())
	if err != nil {
		return nil, err
	}
	tail, err := w.tail()
	if err != nil {
		return nil, err
	}
	var der nested
	if !w.options.Detached {
		der.behind(content)
		der.wrap(ber.Universal, false, ber.TagOctetString)
		der.wrap(ber.ContextSpecific, true, 0)
	}
	der.before(contentType)
	return der.signedData(w.head(), tail), nil
}

// Sign makes a SignedData of a content in memory, in DER.
func Sign(ctx context.Context, content []byte, o SignedDataOptions) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := newSignedDataWriter(ctx, io.Discard, o)
	if err != nil {
		return nil, err
	}
	_, _ = w.digest.Write(content) // never fails
	return w.message(content)
}
