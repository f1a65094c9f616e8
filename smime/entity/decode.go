package entity

import (
	"bufio"
	"io"
	"math"
	"slices"
	"strings"
)

// Decoder reads a body with its transfer encoding undone, in constant memory. It never fails because of what the body
// contains: Notes says afterwards which liberties were taken.
type Decoder struct {
	r      io.Reader
	body   io.SectionReader // of an entity
	base64 base64Reader     // for that encoding
	notes  []Note
	left   int64
}

// Read implements io.Reader. Its errors are those of the source.
func (d *Decoder) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.left = max(0, d.left-int64(n))
	return n, err
}

// Len returns how many octets are left at most, as a reader of short messages wants to know; math.MaxInt where that is not
// known.
func (d *Decoder) Len() int { return int(min(d.left, math.MaxInt)) }

// Notes returns what was met so far.
func (d *Decoder) Notes() []Note { return d.notes }

func (d *Decoder) note(n Note) { d.notes = add(d.notes, n) }

// Decode returns a reader over the body without its transfer encoding (RFC 2045 section 6). Each call starts anew.
func (e *Entity) Decode() *Decoder {
	d := &Decoder{body: *e.BodySection(), left: e.End - e.Body}
	if e.Encoding == "base64" {
		d.left = (d.left + 3) / 4 * 3
	}
	d.decode(&d.body, e.Encoding, e.End-e.Body)
	return d
}

// NewDecoder returns a Decoder over src for a transfer encoding, given in lower case.
func NewDecoder(src io.Reader, encoding string) *Decoder {
	d := &Decoder{left: math.MaxInt64}
	d.decode(src, encoding, longBody+1)
	return d
}

// decode lets the decoder read a source of about this size.
func (d *Decoder) decode(src io.Reader, encoding string, size int64) {
	switch encoding {
	case "base64":
		d.base64.start(d, src, size)
		d.r = &d.base64
	case "quoted-printable":
		d.r = &quotedReader{d: d, src: bufio.NewReaderSize(src, max(windowSize(size), 2*maxSpace))}
	case "", "7bit", "8bit", "binary":
		d.r = src
	default:
		d.note(NoteTransferEncoding)
		d.r = src
	}
}

// Measure returns how many octets Decode gives, and in what way the entity is not as it should be, its transfer encoding
// too. For base64 and quoted-printable it reads the body.
func (e *Entity) Measure() (size int64, notes []Note, err error) {
	d := e.Decode()
	if size = e.End - e.Body; !e.identity() {
		size, err = io.Copy(io.Discard, d)
	}
	return size, slices.Concat(e.Notes, d.Notes()), err
}

// quotedReader decodes quoted-printable (RFC 2045 section 6.7). White space at the end of a line is dropped; a
// sequence that is malformed stays as it is.
type quotedReader struct {
	d     *Decoder
	src   *bufio.Reader
	out   []byte
	buf   []byte
	space []byte // white space that may turn out to end the line
	err   error
}

// maxSpace bounds the white space that is held back; a longer run is text.
const maxSpace = 1024

func (q *quotedReader) Read(p []byte) (int, error) {
	for len(q.out) == 0 {
		if q.err != nil {
			return 0, q.err
		}
		q.fill()
	}
	n := copy(p, q.out)
	q.out = q.out[n:]
	return n, nil
}

func (q *quotedReader) fill() {
	q.buf = q.buf[:0]
	for q.err == nil && len(q.buf) < 16<<10 {
		c, err := q.src.ReadByte()
		if err != nil {
			q.err = err
			break
		}
		switch {
		case c == ' ' || c == '\t':
			if q.space = append(q.space, c); len(q.space) == maxSpace {
				q.flush()
			}
		case c == '\n':
			q.space = q.space[:0]
			q.buf = append(q.buf, c)
		case c == '\r':
			if next, _ := q.src.Peek(1); len(next) == 1 && next[0] == '\n' {
				q.space = q.space[:0]
			} else {
				q.flush()
			}
			q.buf = append(q.buf, c)
		case c == '=':
			q.flush()
			q.escape()
		default:
			q.flush()
			q.buf = append(q.buf, c)
		}
	}
	q.out = q.buf
}

func (q *quotedReader) flush() {
	q.buf = append(q.buf, q.space...)
	q.space = q.space[:0]
}

// escape decodes what follows an equals sign: two hexadecimal digits, or a soft line break.
func (q *quotedReader) escape() {
	next, _ := q.src.Peek(2)
	if len(next) == 2 {
		if hi, lo := unhex(next[0]), unhex(next[1]); hi >= 0 && lo >= 0 {
			q.buf = append(q.buf, byte(hi<<4|lo))
			q.discard(2)
			return
		}
	}
	// Soft line break, with white space in front of the line end where a gateway added some (rule 3).
	for n := 0; n < maxSpace; n++ {
		ahead, _ := q.src.Peek(n + 1)
		if len(ahead) <= n {
			if strings.Trim(string(ahead), " \t\r") == "" { // the body ends in a soft line break
				q.discard(n)
				return
			}
			break
		}
		switch ahead[n] {
		case ' ', '\t', '\r':
			continue
		case '\n':
			q.discard(n + 1)
			return
		}
		break
	}
	q.d.note(NoteIllegalQuoted)
	q.buf = append(q.buf, '=')
}

func (q *quotedReader) discard(n int) {
	_, _ = q.src.Discard(n) // peeked before
}
