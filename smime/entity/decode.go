package entity

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
)

// Decoder reads a body with its transfer encoding undone, in constant memory. It never fails because of what the body
// contains: Notes says afterwards which liberties were taken.
type Decoder struct {
	r     io.Reader
	notes []Note
}

// Read implements io.Reader. Its errors are those of the source.
func (d *Decoder) Read(p []byte) (int, error) { return d.r.Read(p) }

// Notes returns what was met so far.
func (d *Decoder) Notes() []Note { return d.notes }

func (d *Decoder) note(n Note) { d.notes = add(d.notes, n) }

// Decode returns a reader over the body without its transfer encoding (RFC 2045 section 6). Each call starts anew.
func (e *Entity) Decode() *Decoder { return NewDecoder(e.BodySection(), e.Encoding) }

// NewDecoder returns a Decoder over src for a transfer encoding, given in lower case.
func NewDecoder(src io.Reader, encoding string) *Decoder {
	d := new(Decoder)
	switch encoding {
	case "base64":
		d.r = &base64Reader{d: d, src: bufio.NewReaderSize(src, 32<<10)}
	case "quoted-printable":
		d.r = &quotedReader{d: d, src: bufio.NewReaderSize(src, 32<<10)}
	case "", "7bit", "8bit", "binary":
		d.r = src
	default:
		d.note(NoteTransferEncoding)
		d.r = src
	}
	return d
}

// DecodedSize returns how many octets Decode gives. For base64 and quoted-printable it reads the body.
func (e *Entity) DecodedSize() (int64, error) {
	if e.identity() {
		return e.End - e.Body, nil
	}
	return io.Copy(io.Discard, e.Decode())
}

// base64Reader decodes base64 (RFC 2045 section 6.8): characters outside the alphabet are ignored, padding ends the
// data. Text that lists and gateways append is told from data: behind the padding everything is, and before it a line
// that starts with a rule ("__", "--"), or one behind an empty line that holds anything but base64.
type base64Reader struct {
	d     *Decoder
	src   *bufio.Reader
	out   []byte // decoded, not yet read
	buf   []byte // behind out
	carry []byte // fewer than four characters
	begun bool   // data was met
	blank bool   // the line before was empty
	open  bool   // the line before was a piece of one
	ended bool
	err   error
}

func (b *base64Reader) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
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
	for b.err == nil && len(b.buf) < 16<<10 {
		line, err := b.src.ReadSlice('\n')
		b.line(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			b.err = err
			b.finish()
		}
	}
	b.out = b.buf
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
	// The usual line needs no second look.
	if len(b.carry) == 0 && len(line)%4 == 0 && line[len(line)-1] != '=' {
		at := len(b.buf)
		b.buf = append(b.buf, make([]byte, len(line)/4*3)...)
		if _, err := base64.StdEncoding.Decode(b.buf[at:], line); err == nil {
			b.begun, b.blank = true, false
			return
		}
		b.buf = b.buf[:at]
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
