package entity

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"sync"

	fastbase64 "github.com/segmentio/asm/base64"
)

// base64Reader decodes base64 (RFC 2045 section 6.8): characters outside the alphabet are ignored, padding ends the
// data. Text that lists and gateways append is told from data: behind the padding everything is, and before it a line
// that starts with a rule ("__", "--"), or one behind an empty line that holds anything but base64.
type base64Reader struct {
	*base64Buffers
	d     *Decoder
	out   []byte // decoded, not yet read
	carry []byte // fewer than four characters
	begun bool   // data was met
	blank bool   // the line before was empty
	open  bool   // the line before was a piece of one
	slow  int    // octets ahead that are not all usual lines
	ended bool
	err   error
}

// base64Buffers is what decoding works with.
type base64Buffers struct {
	src   *bufio.Reader
	buf   []byte // behind out
	block []byte // lines without their ends
}

// shortBase64Buffers are those for short bodies: making them would be a good part of the work.
var shortBase64Buffers = sync.Pool{New: func() any { return newBase64Buffers(windowSize(longBody)) }}

func newBase64Buffers(window int) *base64Buffers {
	return &base64Buffers{src: bufio.NewReaderSize(nil, window), buf: make([]byte, 0, window), block: make([]byte, 0, window)}
}

// start lets the reader decode a source of about this size.
func (b *base64Reader) start(d *Decoder, src io.Reader, size int64) {
	b.d = d
	if size > longBody {
		b.base64Buffers = newBase64Buffers(windowSize(size))
	} else {
		b.base64Buffers = shortBase64Buffers.Get().(*base64Buffers)
	}
	b.src.Reset(src)
}

// release leaves the buffers to others, wiped, at the end of the source.
func (b *base64Reader) release() {
	if b.base64Buffers != nil && b.src.Size() <= windowSize(longBody) {
		wipe(b.src)
		clear(b.buf[:cap(b.buf)])
		clear(b.block[:cap(b.block)])
		shortBase64Buffers.Put(b.base64Buffers)
	}
	b.base64Buffers = nil
}

// wipe takes the source from a reader, and out of its buffer what it has read: that may have been secret.
func wipe(r *bufio.Reader) {
	r.Reset(zeros{})
	_, _ = r.Peek(r.Size()) // zeros do not fail
	r.Reset(nil)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (b *base64Reader) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
			b.release()
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	return n, nil
}

// fill decodes lines until there is enough to be worth a Read.
func (b *base64Reader) fill() {
	b.buf = b.buf[:0]
	for b.err == nil && len(b.buf) < b.src.Size()/2 {
		if b.usualLines() {
			continue
		}
		line, err := b.src.ReadSlice('\n')
		b.slow = max(0, b.slow-len(line))
		b.line(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			b.err = err
			b.finish()
		}
	}
	b.out = b.buf
}

// usualLines decodes what is buffered as far as it consists of lines of one length that hold nothing but whole quanta of
// the alphabet, all at once: line by line, calls and branches would cost more than the decoding. It reports whether
// there were any; else the next line needs a closer look.
func (b *base64Reader) usualLines() bool {
	if b.slow > 0 || b.ended || b.open || len(b.carry) > 0 {
		return false
	}
	ahead, _ := b.src.Peek(b.src.Buffered())
	stride := bytes.IndexByte(ahead, '\n') + 1
	text := len(bytes.TrimSuffix(ahead[:max(0, stride-1)], []byte{'\r'}))
	if text == 0 || text%4 != 0 {
		return false
	}
	end := ahead[text:stride]
	b.block = slices.Grow(b.block[:0], len(ahead))
	used := 0
	for used+stride <= len(ahead) && string(ahead[used+text:used+stride]) == string(end) {
		if text == base64LineText { // as nearly all are: a copy of known length costs less
			b.block = append(b.block, (*[base64LineText]byte)(ahead[used:])[:]...)
		} else {
			b.block = append(b.block, ahead[used:used+text]...)
		}
		used += stride
	}
	at, size := len(b.buf), len(b.block)/4*3
	b.buf = slices.Grow(b.buf, size)[:at+size]
	// Fewer octets come out where there are line ends inside a line, or padding.
	if n, err := fastbase64.StdEncoding.Decode(b.buf[at:], b.block); err != nil || n != size {
		b.buf = b.buf[:at]
		b.slow = used // so that nothing is tried again for each of these lines
		return false
	}
	_, _ = b.src.Discard(used) // peeked before
	b.begun, b.blank = true, false
	return true
}

func (b *base64Reader) line(line []byte) {
	piece := b.open
	b.open = len(line) > 0 && line[len(line)-1] != '\n'
	line = bytes.Trim(line, " \t\r\n")
	if b.ended {
		if len(line) > 0 {
			b.d.note(NoteTextAfterBase64)
		}
		return
	}
	if len(line) == 0 {
		b.blank = b.begun
		return
	}
	if len(b.carry) == 0 && b.wholeLine(line) {
		return
	}
	if b.begun && !piece && b.footer(line) {
		b.d.note(NoteTextAfterBase64)
		b.ended = true
		return
	}
	b.begun, b.blank = true, false
	for i, c := range line {
		switch {
		case alphabet(c):
			if b.carry = append(b.carry, c); len(b.carry) == 4 {
				b.quantum()
			}
		case c == '=' && len(b.carry) >= 2:
			b.quantum()
			b.ended = true
			if len(bytes.Trim(line[i:], "= \t\r\n")) > 0 {
				b.d.note(NoteTextAfterBase64)
			}
			return
		default:
			b.d.note(NoteIllegalBase64)
		}
	}
}

// wholeLine decodes a line that consists of whole quanta of the alphabet, perhaps the last ones. It reports whether it does.
func (b *base64Reader) wholeLine(line []byte) bool {
	if len(line)%4 != 0 {
		return false
	}
	text := bytes.TrimRight(line, "=")
	at, size := len(b.buf), len(text)*3/4
	b.buf = slices.Grow(b.buf, len(line)/4*3)[:at+len(line)/4*3]
	n, err := fastbase64.StdEncoding.Decode(b.buf[at:], line)
	if err != nil || n != size { // carriage returns inside the line are passed over
		b.buf = b.buf[:at]
		return false
	}
	b.buf = b.buf[:at+n]
	b.begun, b.blank, b.ended = true, false, len(text) < len(line)
	return true
}

func (b *base64Reader) footer(line []byte) bool {
	if bytes.HasPrefix(line, []byte("__")) || bytes.HasPrefix(line, []byte("--")) {
		return true
	}
	return b.blank && bytes.ContainsFunc(line, func(r rune) bool { return r >= 0x80 || r != '=' && !alphabet(byte(r)) })
}

func alphabet(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// quantum decodes the carried characters, two to four.
func (b *base64Reader) quantum() {
	var dst [3]byte
	n, _ := base64.RawStdEncoding.Decode(dst[:], b.carry) // nothing but the alphabet got here
	b.buf = append(b.buf, dst[:n]...)
	b.carry = b.carry[:0]
}

// finish handles data that ends without its padding.
func (b *base64Reader) finish() {
	if b.ended || len(b.carry) == 0 {
		return
	}
	b.d.note(NoteTruncatedBase64)
	if len(b.carry) >= 2 {
		b.quantum()
	}
}

// Octets, and characters, of a full line of base64 (RFC 2045 section 6.8).
const (
	base64Line     = 57
	base64LineText = 76
)

// base64Block is how many octets are encoded at once.
const base64Block = 1024 * base64Line

// Base64Writer writes base64 in lines of 76 characters with CRLF (RFC 2045 section 6.8).
type Base64Writer struct {
	dst     io.Writer
	pending []byte // less than a line
	text    []byte // what was encoded, before it is cut into lines
	lines   []byte
}

// NewBase64Writer returns a Base64Writer that writes to dst. Its Close writes the last line, and does not close dst.
func NewBase64Writer(dst io.Writer) *Base64Writer { return &Base64Writer{dst: dst} }

// Write encodes p, less what does not fill a line.
func (w *Base64Writer) Write(p []byte) (int, error) {
	total := len(p)
	if len(w.pending) > 0 {
		n := min(base64Line-len(w.pending), len(p))
		w.pending = append(w.pending, p[:n]...)
		p = p[n:]
		if len(w.pending) < base64Line {
			return total, nil
		}
		if err := w.encode(w.pending); err != nil {
			return 0, err
		}
		w.pending = w.pending[:0]
	}
	for len(p) >= base64Line {
		block := p[:min(len(p)/base64Line*base64Line, base64Block)]
		if err := w.encode(block); err != nil {
			return total - len(p), err
		}
		p = p[len(block):]
	}
	w.pending = append(w.pending, p...)
	return total, nil
}

// encode writes the octets in lines. A line that is not full is the last.
func (w *Base64Writer) encode(octets []byte) error {
	size := base64.StdEncoding.EncodedLen(len(octets))
	w.text = slices.Grow(w.text[:0], size)[:size]
	fastbase64.StdEncoding.Encode(w.text, octets)
	w.lines = slices.Grow(w.lines[:0], size+len(crlf)*(size/base64LineText+1))
	for text := w.text; len(text) > 0; {
		n := min(len(text), base64LineText)
		w.lines = append(w.lines, text[:n]...)
		w.lines = append(w.lines, '\r', '\n')
		text = text[n:]
	}
	_, err := w.dst.Write(w.lines)
	return err
}

// Close writes the last line.
func (w *Base64Writer) Close() error {
	if len(w.pending) == 0 {
		return nil
	}
	last := w.pending
	w.pending = nil
	return w.encode(last)
}
