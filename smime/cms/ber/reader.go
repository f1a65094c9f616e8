package ber

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Limits bounds what reading may cost. The zero value of a field means its default.
type Limits struct {
	Depth    int // open elements, default 64
	Element  int // octets that Element and DER may bring into memory at once, default 1 MiB
	Elements int // elements in values that have to be re-encoded as DER, all in all, default 65536
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 64
	}
	if l.Element == 0 {
		l.Element = 1 << 20
	}
	if l.Elements == 0 {
		l.Elements = 1 << 16
	}
	return l
}

// Reader walks the elements of a BER stream. The caller opens constructed elements with Enter, closes them with
// Leave, and takes the elements between with Element, DER, Skip or OctetString. Memory is one buffer of at most 32 KiB,
// which is small for a small message, and the stack of open elements. A Reader that returned an error other than io.EOF
// must not be used further.
type Reader struct {
	src    source
	limits Limits
	offset int64
	open   []int64      // for each open element, the offset at which it ends, or Indefinite
	octets *OctetStream // the one that is being read: it is stream
	stream OctetStream

	stack [8]int64 // open elements of a message that is nested no deeper
	slab  []byte   // room for short elements, of which a message has dozens
}

// NewReader returns a Reader over src that reads no further than buffering needs: never more than src gives at once.
func NewReader(src io.Reader, limits Limits) *Reader {
	r := &Reader{src: newSource(src), limits: limits.withDefaults()}
	r.open = r.stack[:0]
	return r
}

// Offset returns how many octets were consumed.
func (r *Reader) Offset() int64 { return r.offset }

// Rest returns what follows the elements that were read, as plain octets. The Reader must not be used further.
func (r *Reader) Rest() io.Reader { return &r.src }

// Depth returns how many elements are open.
func (r *Reader) Depth() int { return len(r.open) }

func (r *Reader) errorf(err error, format string, args ...any) error {
	return fmt.Errorf("at offset %d: %w: %s", r.offset, err, fmt.Sprintf(format, args...))
}

// Peek returns the header of the next element inside the innermost open one, or io.EOF where that one ends. At the
// top level, io.EOF means that the stream ended between elements.
func (r *Reader) Peek() (Header, error) {
	h, _, err := r.peek()
	return h, err
}

func (r *Reader) peek() (Header, int, error) {
	if r.octets != nil {
		return Header{}, 0, r.errorf(ErrSyntax, "octet string was not read to its end")
	}
	end := Indefinite
	if len(r.open) > 0 {
		end = r.open[len(r.open)-1]
		if end == r.offset {
			return Header{}, 0, io.EOF
		}
	}
	h, n, err := r.parseNext()
	if err != nil {
		return Header{}, 0, err
	}
	if h.isEndOfContents() {
		if len(r.open) == 0 || end != Indefinite {
			return Header{}, 0, r.errorf(ErrSyntax, "end-of-contents outside an indefinite length")
		}
		return Header{}, n, io.EOF
	}
	if bound := r.bound(); bound != Indefinite && (r.offset+int64(n) > bound || h.Length > bound-r.offset-int64(n)) {
		return Header{}, 0, r.errorf(ErrSyntax, "element is longer than the one around it")
	}
	return h, n, nil
}

// bound is where the nearest open element of definite length ends.
func (r *Reader) bound() int64 {
	for i := len(r.open) - 1; i >= 0; i-- {
		if r.open[i] != Indefinite {
			return r.open[i]
		}
	}
	return Indefinite
}

func (r *Reader) parseNext() (Header, int, error) {
	for {
		b := r.src.buffered()
		h, n, err := parseHeader(b)
		if err != nil {
			return Header{}, 0, r.errorf(err, "header")
		}
		if n > 0 {
			return h, n, nil
		}
		if len(b) > maxHeaderSize {
			return Header{}, 0, r.errorf(ErrSyntax, "header too long")
		}
		// Only where the header is not there yet, so that a live stream is never waited for behind the message.
		if err := r.src.fill(); err != nil {
			if !errors.Is(err, io.EOF) {
				return Header{}, 0, err
			}
			if len(b) == 0 && len(r.open) == 0 {
				return Header{}, 0, io.EOF
			}
			return Header{}, 0, r.errorf(io.ErrUnexpectedEOF, "header")
		}
	}
}

// discard passes over octets that are in the buffer.
func (r *Reader) discard(n int) {
	r.src.consume(n)
	r.offset += int64(n)
}

// Enter opens the next element, which must be constructed and carry this tag.
func (r *Reader) Enter(class Class, number uint32) error {
	h, n, err := r.peek()
	if err != nil {
		return noEOF(err)
	}
	if !h.Is(class, number) {
		return r.errorf(ErrTag, "%v instead of %v", h, Header{Class: class, Number: number})
	}
	return r.enter(h, n)
}

func (r *Reader) enter(h Header, n int) error {
	if !h.Constructed {
		return r.errorf(ErrSyntax, "%v is primitive", h)
	}
	if len(r.open) >= r.limits.Depth {
		return r.errorf(ErrTooDeep, "limit is %d", r.limits.Depth)
	}
	r.discard(n)
	end := Indefinite
	if h.Length != Indefinite {
		end = r.offset + h.Length
	}
	r.open = append(r.open, end)
	return nil
}

// Leave closes the innermost open element, which must have been read to its end.
func (r *Reader) Leave() error {
	if len(r.open) == 0 {
		return r.errorf(ErrSyntax, "no element is open")
	}
	h, n, err := r.peek()
	if err == nil {
		return r.errorf(ErrSyntax, "surplus element %v", h)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	r.discard(n)
	r.open = r.open[:len(r.open)-1]
	return nil
}

// Element returns the next element verbatim, header and all. It may be at most max octets long, or the reader's own
// limit where max is 0.
func (r *Reader) Element(max int) ([]byte, error) {
	if max <= 0 {
		max = r.limits.Element
	}
	if raw, err := r.bufferedElement(max); raw != nil || err != nil {
		return raw, err
	}
	var raw []byte
	err := r.walk(func(n int64) error {
		if n > int64(max-len(raw)) {
			return r.errorf(ErrTooLarge, "limit is %d octets", max)
		}
		for n > 0 {
			// A length is a claim: memory grows with what arrives.
			step := int(min(n, int64(len(raw)+elementStep)))
			start := len(raw)
			raw = slices.Grow(raw, step)[:start+step]
			got, err := r.src.readFull(raw[start:])
			r.offset += int64(got)
			if err != nil {
				return noEOF(err)
			}
			n -= int64(step)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// bufferedElement is Element where the whole of it is in the buffer, as it mostly is; nil where it is not, or is too long.
func (r *Reader) bufferedElement(max int) ([]byte, error) {
	h, n, err := r.peek()
	if err != nil {
		return nil, noEOF(err)
	}
	ahead := r.src.buffered()
	if h.Length == Indefinite || h.Length > int64(min(len(ahead), max)-n) {
		return nil, nil
	}
	size := n + int(h.Length)
	var raw []byte
	if size <= shortElement {
		raw = r.short(size)
	} else {
		raw = make([]byte, size)
	}
	copy(raw, ahead)
	r.discard(size)
	return raw, nil
}

// elementStep is how many octets of an element are believed before any of them was seen.
const elementStep = 16 << 10

// Short elements share their memory.
const (
	shortElement = 128
	slabSize     = 4 * shortElement
)

// short returns room for an element.
func (r *Reader) short(size int) []byte {
	if len(r.slab) < size {
		r.slab = make([]byte, slabSize)
	}
	room := r.slab[:size:size]
	r.slab = r.slab[size:]
	return room
}

// DER returns the next element re-encoded as DER; see [ToDER]. The limit is that of Element, and Limits.Elements bounds what
// one Reader re-encodes.
func (r *Reader) DER(max int) ([]byte, error) {
	raw, err := r.Element(max)
	if err != nil {
		return nil, err
	}
	return r.Reencode(raw)
}

// Reencode is [ToDER] for an element that Element returned, within the limits of the Reader.
func (r *Reader) Reencode(raw []byte) ([]byte, error) {
	der, count, err := toDER(raw, r.limits)
	r.limits.Elements = max(1, r.limits.Elements-count) // 0 means the default
	return der, err
}

// Skip passes over the next element, whatever its size.
func (r *Reader) Skip() error {
	return r.walk(func(n int64) error {
		got, err := r.src.discard(n)
		r.offset += got
		return noEOF(err)
	})
}

// walk passes over one element and calls take for each run of its octets. Definite lengths are one run; an indefinite
// one is opened, so that its end can be found.
func (r *Reader) walk(take func(n int64) error) error {
	base := len(r.open)
	for {
		h, n, err := r.peek()
		switch {
		case errors.Is(err, io.EOF) && len(r.open) > base:
			if err := take(int64(n)); err != nil {
				return err
			}
			r.open = r.open[:len(r.open)-1]
		case err != nil:
			return noEOF(err)
		case h.Length != Indefinite:
			if err := take(int64(n) + h.Length); err != nil {
				return err
			}
		default:
			if len(r.open) >= r.limits.Depth {
				return r.errorf(ErrTooDeep, "limit is %d", r.limits.Depth)
			}
			if err := take(int64(n)); err != nil {
				return err
			}
			r.open = append(r.open, Indefinite)
		}
		if len(r.open) == base {
			return nil
		}
	}
}

// noEOF says that an end of input inside an element is no regular end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
