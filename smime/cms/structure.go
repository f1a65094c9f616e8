package cms

import (
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

// element returns the next element verbatim.
func (s *structure) element() ([]byte, error) { return s.hold(s.r.Element) }

// der returns the next element as DER.
func (s *structure) der() ([]byte, error) { return s.hold(s.r.DER) }

// octets returns the content of an octet string under this tag.
func (s *structure) octets(class ber.Class, number uint32) ([]byte, error) {
	return s.hold(func(max int) ([]byte, error) {
		o, err := s.r.OctetString(class, number)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(o, int64(max)+1))
		if err == nil && len(b) > max {
			err = fmt.Errorf("%w: octet string", ErrTooLarge)
		}
		return b, err
	})
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
	a, ok := readAlgorithmIdentifier(&in, cbasn1.SEQUENCE)
	if !ok || !in.Empty() {
		return AlgorithmIdentifier{}, fmt.Errorf("%w: algorithm identifier", ErrMalformed)
	}
	return a, nil
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
