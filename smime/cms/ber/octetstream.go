package ber

import (
	"errors"
	"io"
)

// OctetString opens the next element, an OCTET STRING under this tag (its own, or an implicit one), primitive or in
// segments, and returns its content as a stream. It must be read to io.EOF before the Reader is used again, and not after
// the next one was opened.
func (r *Reader) OctetString(class Class, number uint32) (*OctetStream, error) {
	h, n, err := r.peek()
	if err != nil {
		return nil, noEOF(err)
	}
	if !h.Is(class, number) {
		return nil, r.errorf(ErrTag, "%v instead of an octet string %v", h, Header{Class: class, Number: number})
	}
	r.stream = OctetStream{r: r, base: len(r.open)}
	o := &r.stream
	if h.Constructed {
		if err := r.enter(h, n); err != nil {
			return nil, err
		}
	} else {
		r.discard(n)
		o.left = h.Length
	}
	r.octets = o
	return o, nil
}

// OctetStream is the content of an OCTET STRING, with its segments put together.
type OctetStream struct {
	r    *Reader
	base int   // depth outside the string
	left int64 // octets left in the segment that is being read
	err  error
}

// Read fills p across segments as far as they are there already, so that short segments do not make short reads. It
// does not wait for more where it has something to give.
func (o *OctetStream) Read(p []byte) (n int, err error) {
	for n < len(p) && o.err == nil {
		if o.left == 0 {
			if n > 0 && len(o.r.src.buffered()) < maxHeaderSize {
				break
			}
			if o.err = o.next(); o.err == nil && o.left == 0 {
				break
			}
			continue
		}
		if n > 0 && len(o.r.src.buffered()) == 0 {
			break
		}
		got, err := o.r.src.Read(p[n:min(int64(len(p)), int64(n)+o.left)])
		n += got
		o.left -= int64(got)
		o.r.offset += int64(got)
		o.err = noEOF(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, o.err
}

// Next returns some more octets of the content without copying them, or an error and none, which is io.EOF at the end. They
// are valid until the next call, here or of the Reader. There may be none without an error, behind many empty segments: so
// the caller can look whether it is to go on.
func (o *OctetStream) Next() ([]byte, error) {
	if o.left == 0 && o.err == nil {
		o.err = o.next()
	}
	if o.err != nil || o.left == 0 {
		return nil, o.err
	}
	src := &o.r.src
	if len(src.buffered()) == 0 {
		if err := src.fill(); err != nil {
			o.err = noEOF(err)
			return nil, o.err
		}
	}
	b := src.buffered()
	b = b[:min(int64(len(b)), o.left)]
	o.left -= int64(len(b))
	o.r.discard(len(b))
	return b, nil
}

// maxEmptySegments is how many segments in a row are passed over at once where they hold nothing.
const maxEmptySegments = 1 << 10

// next moves to the next segment, through any segments that hold segments, or returns io.EOF behind the last one. Behind
// many empty ones it stays where it is.
func (o *OctetStream) next() error {
	r := o.r
	r.octets = nil
	for passed := 0; len(r.open) > o.base; passed++ {
		if passed == maxEmptySegments {
			r.octets = o
			return nil
		}
		h, n, err := r.peek()
		switch {
		case errors.Is(err, io.EOF):
			r.discard(n)
			r.open = r.open[:len(r.open)-1]
		case err != nil:
			return err
		case !h.Is(Universal, TagOctetString):
			return r.errorf(ErrTag, "%v as a segment of an octet string", h)
		case h.Constructed:
			if err := r.enter(h, n); err != nil {
				return err
			}
		default:
			r.discard(n)
			o.left = h.Length
			if o.left > 0 {
				r.octets = o
				return nil
			}
		}
	}
	return io.EOF
}
