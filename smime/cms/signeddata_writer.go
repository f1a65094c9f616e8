package cms

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"slices"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignedDataOptions says what a SignedData is made of.
type SignedDataOptions struct {
	ContentType  asn1.ObjectIdentifier // nil: OIDData
	Detached     bool                  // leave the content out of the message
	Certificates []*x509.Certificate   // sent along as they are here; nothing is added
	Signers      []Signer              // at least one
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
	digest  *ContentDigest
	dst     *bufio.Writer
	out     *ber.Writer
	content io.WriteCloser // nil if detached
	err     error          // sticks
	closed  bool
}

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
	w.out = ber.NewWriter(w.dst)
	head, err := w.head()
	if err != nil {
		return nil, err
	}
	contentType, err := marshalOID(o.contentType())
	if err != nil {
		return nil, err
	}
	signedData, err := marshalOID(OIDSignedData)
	if err != nil {
		return nil, err
	}
	// Errors of ber.Writer stick, and show at the last step.
	_ = w.out.Open(ber.Universal, ber.TagSequence) // ContentInfo
	_ = w.out.Raw(signedData)
	_ = w.out.Open(ber.ContextSpecific, 0)
	_ = w.out.Open(ber.Universal, ber.TagSequence) // SignedData
	_ = w.out.Raw(head)
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
		return nil, errors.New("no signer")
	}
	if slices.Contains(o.Certificates, nil) {
		return nil, errors.New("a certificate to send along is nil")
	}
	w := &SignedDataWriter{ctx: ctx, options: o, dst: bufio.NewWriterSize(dst, 2*ber.SegmentSize)}
	var hashes []crypto.Hash
	for _, s := range o.Signers {
		p, err := s.prepare()
		if err != nil {
			return nil, err
		}
		w.signers = append(w.signers, p)
		hashes = append(hashes, p.Digest)
	}
	var err error
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
		if _, err := w.dst.Write(der); err != nil {
			return err
		}
		return w.dst.Flush()
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
	return w.dst.Flush()
}

// head returns what stands before the content: version and digest algorithms.
func (w *SignedDataWriter) head() ([]byte, error) {
	version := int64(1)
	if !w.options.contentType().Equal(OIDData) {
		version = 3 // RFC 5652 section 5.1
	}
	var algorithms []byte
	for i, s := range w.signers {
		if s.SID == SubjectKeyIdentifier {
			version = 3
		}
		if w.announced(i) {
			continue
		}
		var b cryptobyte.Builder
		s.digest.add(&b, cbasn1.SEQUENCE)
		der, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		algorithms = append(algorithms, der...)
	}
	algorithms, err := ber.SortSetOf(algorithms)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1Int64(version)
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(algorithms) })
	return b.Bytes()
}

// announced reports whether an earlier signer uses the same digest algorithm as signer i.
func (w *SignedDataWriter) announced(i int) bool {
	for _, earlier := range w.signers[:i] {
		if earlier.Digest == w.signers[i].Digest {
			return true
		}
	}
	return false
}

// tail signs and returns what stands behind the content: certificates and SignerInfos.
func (w *SignedDataWriter) tail() ([]byte, error) {
	var certificates []byte
	for i, c := range w.options.Certificates {
		if !containsCertificate(w.options.Certificates[:i], c) {
			certificates = append(certificates, c.Raw...)
		}
	}
	certificates, err := ber.SortSetOf(certificates)
	if err != nil {
		return nil, err
	}
	var infos []byte
	for i := range w.signers {
		der, err := w.signers[i].signerInfo(w.ctx, w.options, w.digest)
		if err != nil {
			return nil, err
		}
		infos = append(infos, der...)
	}
	if infos, err = ber.SortSetOf(infos); err != nil {
		return nil, err
	}
	var tail []byte
	if len(certificates) > 0 {
		tail = ber.AppendElement(tail, ber.ContextSpecific, true, 0, certificates)
	}
	return ber.AppendElement(tail, ber.Universal, true, ber.TagSet, infos), nil
}

func containsCertificate(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, other := range list {
		if bytes.Equal(other.Raw, c.Raw) {
			return true
		}
	}
	return false
}

// message signs and returns the whole message in DER.
func (w *SignedDataWriter) message(content []byte) ([]byte, error) {
	head, err := w.head()
	if err != nil {
		return nil, err
	}
	tail, err := w.tail()
	if err != nil {
		return nil, err
	}
	explicit := cbasn1.Tag(0).Constructed().ContextSpecific()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(OIDSignedData)
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(head)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(w.options.contentType())
					if !w.options.Detached {
						b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					}
				})
				b.AddBytes(tail)
			})
		})
	})
	return b.Bytes()
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

func marshalOID(oid asn1.ObjectIdentifier) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(oid)
	return b.Bytes()
}
