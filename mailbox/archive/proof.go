package archive

import (
	"context"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
)

// MessageProof is what proves one message to others: its octets and its salt make the commitment, the commitment is in the segment, and
// the segment is signed and stamped.
type MessageProof struct {
	Record     *Record
	Segment    int
	Commitment []byte // content of the commit file
	Signature  []byte // SignedData over the line of the segment's ZIP file
	Signer     *x509.Certificate
	Bag        []*x509.Certificate // all that came with the signature
	Token      []byte              // over Signature; nil: there is none yet
	Evidence   []byte              // the newest evidence record of the segment; nil: there is none yet
	Leaves     [][]byte            // of its hash tree
	Index      int                 // of Commitment among them
}

// Prove collects what proves a message. That the segment is what was signed is seen to by CopySegment.
func (a *Archive) Prove(ctx context.Context, n Number) (*MessageProof, error) {
	s, err := a.SegmentOf(ctx, n)
	if err != nil {
		return nil, err
	}
	p := &MessageProof{Segment: s.Number, Index: int(n-s.First) + 1}
	if p.Record, err = s.Record(ctx, n); err != nil {
		return nil, err
	}
	commitments, err := s.commitments(ctx)
	if err != nil {
		return nil, err
	}
	p.Commitment = commitments[n-s.First]
	if p.Signature, err = a.read(ctx, segmentName(s.Number, suffixSignature)); err != nil {
		return nil, err
	}
	p.Leaves = leaves(p.Signature, commitments)
	sum, _ := a.head.Sum(segmentName(s.Number, suffixZIP))
	signed, err := openSigned(ctx, p.Signature, sumLine(sum[:], s.Number))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", segmentName(s.Number, suffixSignature), err)
	}
	p.Signer, p.Bag = signed.signer, signed.bag
	stamps, err := a.Stamps(ctx, s.Number)
	switch {
	case err == nil:
		p.Token, p.Evidence = stamps.Token, stamps.Evidence
	case !errors.Is(err, ErrUnstamped):
		return nil, err
	}
	return p, nil
}

// CopySegment writes the ZIP file of a segment to dst. Where it is not the one that the head speaks of, the error wraps
// ErrAltered, and what was written is not to be used.
func (a *Archive) CopySegment(ctx context.Context, segment int, dst io.Writer) (err error) {
	name := segmentName(segment, suffixZIP)
	want, ok := a.head.Sum(name)
	if !ok {
		return fmt.Errorf("%s: %w", name, ErrMissing)
	}
	o, err := a.storage.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	sum := sha512.New()
	if _, err := io.Copy(io.MultiWriter(dst, sum), contextReader{ctx, io.NewSectionReader(o, 0, o.Size())}); err != nil {
		return err
	}
	if [sha512.Size]byte(sum.Sum(nil)) != want {
		return fmt.Errorf("%s: %w", name, ErrAltered)
	}
	return nil
}

// contextReader fails once the context ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read reads on.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
