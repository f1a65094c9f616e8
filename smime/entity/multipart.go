package entity

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Range is a run of octets of the source.
type Range struct{ Start, End int64 }

// maxBoundary bounds the length of a boundary. RFC 2046 section 5.1.1 allows 70.
const maxBoundary = 250

// Split cuts a multipart body at its boundaries (RFC 2046 section 5.1.1). The line end before a boundary belongs to
// the boundary: a part ends in front of it. Line ends may be CRLF or bare line feeds. At most limit parts are returned; a
// missing final boundary is tolerated. What was not as it should be comes back as notes.
func (e *Entity) Split(limit int) (parts []Range, notes []Note, err error) {
	boundary := e.Type.Params["boundary"]
	if boundary == "" || len(boundary) > maxBoundary {
		return nil, []Note{NoteNoBoundary}, nil
	}
	delimiter := []byte("--" + boundary)
	lines := newLineScanner(io.NewSectionReader(e.source, e.Body, e.End-e.Body), e.Body)
	start := int64(-1) // of the open part
	for {
		line, err := lines.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		if kind := delimits(line.text, delimiter); line.whole && kind != notDelimiter {
			if start >= 0 {
				if len(parts) == limit {
					return parts, add(notes, NoteTooManyParts), nil
				}
				// A part may be so empty that its end line is the one that started it.
				parts = append(parts, Range{start, max(start, line.start-line.before)})
			}
			if kind == closeDelimiter {
				if start < 0 {
					notes = add(notes, NoteNoParts)
				}
				return parts, notes, nil
			}
			start = line.end
		}
		if err != nil {
			break
		}
	}
	if start < 0 {
		return nil, add(notes, NoteNoParts), nil
	}
	if len(parts) == limit {
		return parts, add(notes, NoteTooManyParts), nil
	}
	return append(parts, Range{start, e.End}), add(notes, NoteMissingFinalBoundary), nil
}

type delimiterKind int

const (
	notDelimiter delimiterKind = iota
	dashBoundary
	closeDelimiter
)

// delimits reports whether the line is a delimiter: nothing but white space may follow the boundary.
func delimits(line, delimiter []byte) delimiterKind {
	rest, ok := bytes.CutPrefix(line, delimiter)
	if !ok {
		return notDelimiter
	}
	kind := dashBoundary
	if after, ok := bytes.CutPrefix(rest, []byte("--")); ok {
		rest, kind = after, closeDelimiter
	}
	if len(bytes.Trim(rest, " \t\r\n")) > 0 {
		return notDelimiter
	}
	return kind
}

// lineScanner walks the lines of a range in constant memory. A line that does not fit the buffer comes in pieces, of
// which only the first can be a delimiter.
type lineScanner struct {
	r      *bufio.Reader
	offset int64
	line   line
	lastCR bool
}

type line struct {
	text       []byte // with its end; valid until the next call
	start, end int64  // in the source
	before     int64  // octets of the line end before this line
	whole      bool   // text starts at the start of a line
}

func newLineScanner(r io.Reader, offset int64) *lineScanner {
	return &lineScanner{r: bufio.NewReaderSize(r, 64<<10), offset: offset, line: line{whole: true}}
}

// next returns the next line, or piece of one. At the end the error is io.EOF, perhaps with a last line.
func (s *lineScanner) next() (line, error) {
	if text := s.line.text; len(text) > 0 {
		s.line.whole = text[len(text)-1] == '\n'
		s.line.before = 0
		if s.line.whole {
			s.line.before = 1
			if len(text) > 1 && text[len(text)-2] == '\r' || len(text) == 1 && s.lastCR {
				s.line.before = 2
			}
		}
		s.lastCR = text[len(text)-1] == '\r'
	}
	text, err := s.r.ReadSlice('\n')
	s.line.text, s.line.start = text, s.offset
	s.offset += int64(len(text))
	s.line.end = s.offset
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	return s.line, err
}
