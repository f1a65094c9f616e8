package entity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/emersion/go-message/charset"
)

// Field is one header field as it stands in the message.
type Field struct {
	Name string // as written; "" for a line that is no field
	Raw  []byte // name, colon, value and line ends, with the folding
}

// Is reports whether the field has this name, in whatever case.
func (f Field) Is(name string) bool {
	return f.Name != "" && len(f.Name) == len(name) && (f.Name == name || strings.EqualFold(f.Name, name))
}

// Structural reports whether the field describes the MIME structure, as RFC 9787 section 1.1.1 defines it: such a
// field belongs to one entity, all others to the message.
func (f Field) Structural() bool {
	const prefix = "content-"
	return f.Is("MIME-Version") || len(f.Name) >= len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix)
}

// Value returns the text behind the colon, unfolded (RFC 5322 section 2.2.3) and without white space around it.
func (f Field) Value() string {
	raw := f.Raw
	if f.Name != "" {
		raw = raw[bytes.IndexByte(raw, ':')+1:]
	}
	raw = bytes.Trim(raw, " \t\r\n")
	if bytes.IndexByte(raw, '\n') < 0 {
		return shared(raw, usualValues[:])
	}
	var unfolded strings.Builder
	unfolded.Grow(len(raw))
	for more := true; more; {
		var line []byte
		line, raw, more = bytes.Cut(raw, []byte{'\n'})
		unfolded.Write(bytes.TrimSuffix(line, []byte{'\r'}))
	}
	return strings.Trim(unfolded.String(), " \t\r")
}

// Text returns the value with its encoded words (RFC 2047) decoded, as valid UTF-8. It may contain any character: what
// goes to a terminal must be cleaned.
func (f Field) Text() string { return DecodeWords(f.Value()) }

// maxWords bounds the text in which encoded words are looked for.
const maxWords = 64 << 10

// DecodeWords decodes the encoded words (RFC 2047) in a header value and returns valid UTF-8. Words in a character set
// that is not known stay as they are.
func DecodeWords(value string) string {
	if len(value) <= maxWords && strings.Contains(value, "=?") {
		decoder := mime.WordDecoder{CharsetReader: charset.Reader}
		if text, err := decoder.DecodeHeader(value); err == nil {
			value = text
		}
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

// Header is a header section: its fields in their order.
type Header []Field

// All returns the fields of this name, in whatever case.
func (h Header) All(name string) []Field {
	var fields []Field
	for _, f := range h {
		if f.Is(name) {
			fields = append(fields, f)
		}
	}
	return fields
}

// Get returns the first field of this name.
func (h Header) Get(name string) (Field, bool) {
	for _, f := range h {
		if f.Is(name) {
			return f, true
		}
	}
	return Field{}, false
}

// Value returns the value of the first field of this name, or "".
func (h Header) Value(name string) string {
	f, _ := h.Get(name)
	return f.Value()
}

// ReadHeader reads a header section from r, including the empty line behind it, and leaves r at the body. At most limit
// octets are read: beyond that the error is ErrHeaderTooLarge. The raw octets come back as they were. Where the input
// does not start with a field, there is no header, and r stays where it is.
func ReadHeader(r *bufio.Reader, limit int) (h Header, raw []byte, notes []Note, err error) {
	return readHeader(r, limit, nil)
}

// readHeader is ReadHeader that puts the fields into room, as far as that is enough.
func readHeader(r *bufio.Reader, limit int, room Header) (h Header, raw []byte, notes []Note, err error) {
	s := headerScanner{limit: limit, fields: room}
	for {
		line, err := s.line(r)
		switch {
		case errors.Is(err, errBody):
			return s.fields, s.raw, s.notes, nil
		case err != nil && !errors.Is(err, io.EOF):
			return nil, nil, nil, err
		}
		if len(line) > 0 && s.take(line) {
			return s.fields, s.raw, s.notes, nil
		}
		if err != nil {
			if len(s.raw) > 0 {
				s.notes = add(s.notes, NoteUnfinishedHeader)
			}
			return s.fields, s.raw, s.notes, nil
		}
	}
}

var errBody = errors.New("the body starts here")

type headerScanner struct {
	limit  int
	raw    []byte
	fields Header
	notes  []Note
}

// line returns the next line with its end, as a slice of s.raw; errBody where the input has no header.
func (s *headerScanner) line(r *bufio.Reader) ([]byte, error) {
	start := len(s.raw)
	for first := true; ; first = false {
		if first && start == 0 {
			// Look before taking: what is no header must stay in r.
			peek, err := r.Peek(maxName)
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
				return nil, err // or what cannot be read would pass for a body without a header
			}
			if !looksLikeHeader(peek) {
				s.notes = add(s.notes, NoteNoHeader)
				return nil, errBody
			}
			s.makeRoom(r)
		}
		piece, err := r.ReadSlice('\n')
		if len(piece) > s.limit-len(s.raw) {
			return nil, fmt.Errorf("%w: limit is %d octets", ErrHeaderTooLarge, s.limit)
		}
		s.raw = append(s.raw, piece...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return s.raw[start:len(s.raw):len(s.raw)], err
	}
}

// makeRoom takes memory for the header, as far as its size shows already.
func (s *headerScanner) makeRoom(r *bufio.Reader) {
	ahead, _ := r.Peek(r.Buffered()) // does not fail
	for _, end := range [...]string{"\n\r\n", "\n\n"} {
		if n := bytes.Index(ahead, []byte(end)); n >= 0 {
			ahead = ahead[:n+len(end)]
		}
	}
	ahead = ahead[:min(len(ahead), s.limit)]
	s.raw = make([]byte, 0, len(ahead))
}

// take adds a line to the fields; done says that it was the empty line that ends the section.
//
// Fields point into s.raw, whose growth leaves older backing arrays to older fields: their octets stay the same.
func (s *headerScanner) take(line []byte) (done bool) {
	start := len(s.raw) - len(line)
	switch {
	case len(bytes.TrimRight(line, "\r\n")) == 0:
		return true
	case start == 0 && bytes.HasPrefix(line, []byte("From ")):
		s.notes = add(s.notes, NoteMboxLine)
		s.fields = append(s.fields, Field{Raw: line})
		return false
	case line[0] == ' ' || line[0] == '\t':
		if n := len(s.fields); n > 0 && s.fields[n-1].Name != "" {
			last := &s.fields[n-1]
			last.Raw = s.raw[start-len(last.Raw):]
			return false
		}
	default:
		if name := fieldName(line); name != "" {
			s.fields = append(s.fields, Field{Name: name, Raw: line})
			return false
		}
	}
	s.notes = add(s.notes, NoteMalformedLine)
	s.fields = append(s.fields, Field{Raw: line})
	return false
}

// maxName bounds the length of a field name.
const maxName = 256

// looksLikeHeader decides from the first octets whether they start a header section: a field, an empty line, or a
// mailbox separator.
func looksLikeHeader(b []byte) bool {
	return len(b) > 0 && (b[0] == '\n' || bytes.HasPrefix(b, []byte("\r\n")) || bytes.HasPrefix(b, []byte("From ")) ||
		fieldName(b) != "")
}

// fieldName returns the name of the field that the line starts, or "". White space before the colon is the obsolete
// syntax of RFC 5322 section 4.5.
func fieldName(line []byte) string {
	colon := bytes.IndexByte(line[:min(len(line), maxName)], ':')
	if colon < 0 {
		return ""
	}
	name := bytes.TrimRight(line[:colon], " \t")
	if len(name) == 0 {
		return ""
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f { // RFC 5322 section 2.2
			return ""
		}
	}
	return shared(name, usualNames[:])
}

// shared returns text as a string: one of those that are known, without making it anew for each message.
func shared(text []byte, known []string) string {
	for _, k := range known {
		if string(text) == k {
			return k
		}
	}
	return string(text)
}

// usualNames are names of fields that nearly every message has.
var usualNames = [...]string{
	"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-Description", "MIME-Version", "From", "To",
	"Subject", "Date", "Message-ID", "Received", "Return-Path", "HP-Outer",
}

// usualValues are values of fields that many messages have.
var usualValues = [...]string{"base64", "7bit", "8bit", "quoted-printable", "1.0", "text/plain"}
