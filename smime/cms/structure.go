package cms

import (
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// structure reads those parts of a message that are held in memory, all of them together within Limits.Structure.
type structure struct {
	r    *ber.Reader
	left int
}

func newStructure(r *ber.Reader, l Limits) *structure { return &structure{r: r, left: l.Structure} }

// hold charges what read consumes to the budget.
func (s *structure) hold(read func(max int) ([]byte, error)) ([]byte, error) {
	if s.left <= 0 {
		return nil, fmt.Errorf("%w: structure", ErrTooLarge)
	}
	start := s.r.Offset()
	b, err := read(s.left)
	if err != nil {
		return nil, malformed(err)
	}
	s.left -= int(s.r.Offset() - start)
	return b, nil
}

// charge takes so many octets off the budget for memory that is needed beside what was read.
func (s *structure) charge(octets int) error {
	if s.left -= octets; s.left < 0 {
		return fmt.Errorf("%w: structure", ErrTooLarge)
	}
	return nil
}

// element returns the next element verbatim.
func (s *structure) element() ([]byte, error) { return s.hold(s.r.Element) }

// der returns the next element as DER.
func (s *structure) der() ([]byte, error) { return s.hold(s.r.DER) }

// octets returns the content of an octet string under this tag.
func (s *structure) octets(class ber.Class, number uint32) ([]byte, error) {
	if h, more, err := s.next(); err == nil && more && h.Is(class, number) && !h.Constructed {
		whole, err := s.element()
		if err != nil {
			return nil, err
		}
		return whole[len(whole)-int(h.Length):], nil
	}
	start := s.r.Offset()
	return s.hold(func(max int) ([]byte, error) {
		o, err := s.r.OctetString(class, number)
		if err != nil {
			return nil, err
		}
		content := []byte{} // nil would say that there is none
		for {
			b, err := o.Next()
			if errors.Is(err, io.EOF) {
				return content, nil
			}
			if err != nil {
				return nil, err
			}
			if s.r.Offset()-start > int64(max) { // empty segments count as well
				return nil, fmt.Errorf("%w: octet string", ErrTooLarge)
			}
			content = append(content, b...)
		}
	})
}

// copyOctets passes the content of an octet string on, piece by piece; limit is that of Limits.Content.
func copyOctets(ctx context.Context, content *ber.OctetStream, limit int64, take func([]byte) error) error {
	pieces := gatherer{content: content}
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := pieces.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformed(err)
		}
		if size += int64(len(b)); limit > 0 && size > limit {
			return fmt.Errorf("%w: content of more than %d octets", ErrTooLarge, limit)
		}
		if err := take(b); err != nil {
			return err
		}
	}
}

// gatherer puts short pieces of content together, so that a message cut into single octets does not cost a call, a
// hash or a write for each. A message with few pieces needs no buffer for that.
type gatherer struct {
	content *ber.OctetStream
	short   int
	buf     []byte
}

const (
	shortPiece  = 512
	shortPieces = 16 // so many are passed on as they are
)

func (g *gatherer) next() ([]byte, error) {
	b, err := g.content.Next()
	if err != nil || len(b) >= shortPiece {
		return b, err
	}
	if g.short++; g.short <= shortPieces {
		return b, nil
	}
	if g.buf == nil {
		g.buf = make([]byte, 16*shortPiece)
	}
	n := copy(g.buf, b)
	more, _ := g.content.Read(g.buf[n:]) // its error comes again
	return g.buf[:n+more], nil
}

// version reads a CMSVersion (RFC 5652 section 10.2.5).
func (s *structure) version() (int, error) {
	der, err := s.der()
	if err != nil {
		return 0, err
	}
	in := cryptobyte.String(der)
	var v int
	if !in.ReadASN1Integer(&v) || !in.Empty() || v < 0 {
		return 0, fmt.Errorf("%w: version", ErrMalformed)
	}
	return v, nil
}

func (s *structure) oid() (asn1.ObjectIdentifier, error) {
	der, err := s.der()
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	oid, ok := readOID(&in)
	if !ok || !in.Empty() {
		return nil, fmt.Errorf("%w: object identifier", ErrMalformed)
	}
	return oid, nil
}

func (s *structure) algorithmIdentifier() (AlgorithmIdentifier, error) {
	der, err := s.der()
	if err != nil {
		return AlgorithmIdentifier{}, err
	}
	in := cryptobyte.String(der)
	a, ok := ReadAlgorithmIdentifier(&in, cbasn1.SEQUENCE)
	if !ok || !in.Empty() {
		return AlgorithmIdentifier{}, fmt.Errorf("%w: algorithm identifier", ErrMalformed)
	}
	return a, nil
}

// encapsulatedContentInfo reads an EncapsulatedContentInfo (RFC 5652 section 5.2) up to the octets of the content, or, if
// there are none, up to where they would be. leaveEncapsulated reads its end.
func (s *structure) encapsulatedContentInfo() (eContentType asn1.ObjectIdentifier, present bool, err error) {
	if err := s.r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, false, malformed(err)
	}
	if eContentType, err = s.oid(); err != nil {
		return nil, false, err
	}
	if present, err = s.optional(0); err != nil || !present {
		return eContentType, false, err
	}
	if err := s.r.Enter(ber.ContextSpecific, 0); err != nil {
		return nil, false, malformed(err)
	}
	h, more, err := s.next()
	switch {
	case err != nil:
		return nil, false, err
	case !more:
		return nil, false, fmt.Errorf("%w: content is missing", ErrMalformed)
	case !h.Is(ber.Universal, ber.TagOctetString):
		// Section 5.2.1: PKCS #7 allowed any type here.
		return nil, false, &UnsupportedError{What: "PKCS #7 content that is no octet string"}
	}
	return eContentType, true, nil
}

// leaveEncapsulated reads the end of an EncapsulatedContentInfo, behind its content if that is present.
func (s *structure) leaveEncapsulated(present bool) error {
	if present {
		if err := s.r.Leave(); err != nil { // [0]
			return malformed(err)
		}
	}
	return malformed(s.r.Leave())
}

// next returns the header of the next member of the innermost open element; more is false at its end.
func (s *structure) next() (h ber.Header, more bool, err error) {
	h, err = s.r.Peek()
	if errors.Is(err, io.EOF) {
		return ber.Header{}, false, nil
	}
	return h, err == nil, malformed(err)
}

// optional reports whether the next member carries this context-specific tag.
func (s *structure) optional(number uint32) (bool, error) {
	h, more, err := s.next()
	return more && h.Is(ber.ContextSpecific, number), err
}

// each calls read for every member of the element under this tag, at most max times.
func (s *structure) each(class ber.Class, number uint32, what string, max int, read func(ber.Header) error) error {
	if err := s.r.Enter(class, number); err != nil {
		return malformed(err)
	}
	for count := 0; ; count++ {
		h, more, err := s.next()
		if err != nil {
			return err
		}
		if !more {
			return malformed(s.r.Leave())
		}
		if count == max {
			return fmt.Errorf("%w: more than %d %s", ErrTooMany, max, what)
		}
		if err := read(h); err != nil {
			return err
		}
	}
}
