package entity

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Range is a run of octets of the source.
type Range struct{ Start, End int64 }

// maxBoundary bounds the length of a boundary. RFC 2046 section 5.1.1 allows 70.
const maxBoundary = 250

// Split cuts a multipart body at its boundaries (RFC 2046 section 5.1.1). The line end before a boundary belongs to
// the boundary: a part ends in front of it. Line ends may be CRLF or bare line feeds. At most limit parts are returned; a
// missing final boundary is tolerated. What was not as it should be comes back as notes.
func (e *Entity) Split(limit int) (parts []Range, notes []Note, err error) {
	return e.SplitTo(nil, limit)
}

// SplitTo is Split that also writes the octets of the first part to first while it passes over them, so that they need not
// be read once more. first may be nil. An error of first comes back as it is.
func (e *Entity) SplitTo(first io.Writer, limit int) (parts []Range, notes []Note, err error) {
	boundary := e.Type.Params.Get("boundary")
	if boundary == "" || len(boundary) > maxBoundary {
		return nil, []Note{NoteNoBoundary}, nil
	}
	s := newSplitter(e, append([]byte("--"), boundary...))
	defer s.release()
	start := int64(-1) // of the open part
	for {
		var to io.Writer
		if start >= 0 && len(parts) == 0 {
			to = first
		}
		d, found, err := s.next(to)
		if err != nil {
			return nil, nil, err
		}
		if !found {
			break
		}
		if start >= 0 {
			if len(parts) == limit {
				return parts, add(notes, NoteTooManyParts), nil
			}
			// A part may be so empty that its end line is the one that started it.
			parts = append(parts, Range{start, max(start, d.start-d.before)})
		}
		if d.final {
			if start < 0 {
				notes = add(notes, NoteNoParts)
			}
			return parts, notes, nil
		}
		start = d.end
	}
	if start < 0 {
		return nil, add(notes, NoteNoParts), nil
	}
	if len(parts) == limit {
		return parts, add(notes, NoteTooManyParts), nil
	}
	return append(parts, Range{start, e.End}), add(notes, NoteMissingFinalBoundary), nil
}

// delimiter is a line that is a boundary.
type delimiter struct {
	start, end int64 // in the source
	before     int64 // octets of the line end before it
	final      bool  // the last one
}

// maxDelimiter bounds the length of a boundary line with the white space behind it and its end. Mail has no lines longer than 998
// characters (RFC 5322 section 2.1.1).
const maxDelimiter = 2 << 10

// splitter finds the delimiters of a multipart body in constant memory. It looks for the boundary's octets, and not
// at every line.
type splitter struct {
	src     io.SectionReader
	start   int64  // of the body in the source
	mark    []byte // "--" and the boundary
	window  []byte // of the body
	short   *window
	offset  int64 // of the window in the source
	at      int   // up to where the window was searched
	written int   // up to where it was passed on, or need not be
	ended   bool  // the body ends with the window
}

type window [shortWindow]byte

// shortWindows are wiped windows for short bodies.
var shortWindows = sync.Pool{New: func() any { return new(window) }}

func newSplitter(e *Entity, mark []byte) *splitter {
	s := &splitter{src: *e.BodySection(), start: e.Body, mark: mark, offset: e.Body}
	if size := windowSize(e.End - e.Body); size > shortWindow {
		s.window = make([]byte, 0, size)
	} else {
		s.short = shortWindows.Get().(*window)
		s.window = s.short[:0]
	}
	return s
}

// release leaves the window to others, wiped: what was in it may have been secret.
func (s *splitter) release() {
	if s.short != nil {
		clear(s.short[:])
		shortWindows.Put(s.short)
	}
	s.window, s.short = nil, nil
}

// next returns the next delimiter, and writes what is between it and the last one to dst, if that is not nil; found is
// false where there is none any more.
func (s *splitter) next(dst io.Writer) (d delimiter, found bool, err error) {
	for {
		n := bytes.Index(s.window[s.at:], s.mark)
		if n < 0 {
			// The start of a mark may be at the end of the window.
			s.at = max(s.at, len(s.window)-len(s.mark)+1)
			if s.ended {
				return d, false, s.pass(dst, len(s.window))
			}
			if err := s.more(dst); err != nil {
				return d, false, err
			}
			continue
		}
		s.at += n
		end, final, decided := s.delimits()
		switch {
		case !decided:
			if err := s.more(dst); err != nil {
				return d, false, err
			}
			continue
		case end == 0:
			s.at++
			continue
		}
		before := s.lineEnd()
		if err := s.pass(dst, s.at-before); err != nil {
			return d, false, err
		}
		d = delimiter{s.offset + int64(s.at), s.offset + int64(end), int64(before), final}
		s.at, s.written = end, end
		return d, true, nil
	}
}

// delimits decides whether the mark at s.at is a delimiter: at the start of a line, and with nothing but white space
// behind it in that line. end is where the line ends, 0 if it is none; decided is false where the window ends too early.
func (s *splitter) delimits() (end int, final, decided bool) {
	if s.lineEnd() == 0 && s.offset+int64(s.at) != s.start {
		return 0, false, true
	}
	at := s.at + len(s.mark)
	rest := s.window[at:]
	if len(rest) < 2 && !s.ended {
		return 0, false, false
	}
	if bytes.HasPrefix(rest, []byte("--")) {
		final = true
		at += 2
	}
	for ; at < len(s.window); at++ {
		if at-s.at >= maxDelimiter {
			return 0, false, true
		}
		switch s.window[at] {
		case '\n':
			return at + 1, final, true
		case ' ', '\t', '\r':
		default:
			return 0, false, true
		}
	}
	return at, final, s.ended
}

// lineEnd returns how many octets of a line end are in front of s.at.
func (s *splitter) lineEnd() int {
	switch {
	case bytes.HasSuffix(s.window[:s.at], crlf):
		return 2
	case bytes.HasSuffix(s.window[:s.at], crlf[1:]):
		return 1
	}
	return 0
}

// keep is from where the window may be needed: the line end before s.at.
func (s *splitter) keep() int { return max(0, s.at-len(crlf)) }

// pass writes the window up to end to dst, as far as it was not passed before.
func (s *splitter) pass(dst io.Writer, end int) error {
	if end <= s.written {
		return nil
	}
	part := s.window[s.written:end]
	s.written = end
	if dst == nil {
		return nil
	}
	_, err := dst.Write(part)
	return err
}

// more drops what is no longer needed and reads on.
func (s *splitter) more(dst io.Writer) error {
	keep := s.keep()
	if err := s.pass(dst, keep); err != nil {
		return err
	}
	s.window = s.window[:copy(s.window, s.window[keep:])]
	s.offset += int64(keep)
	s.at -= keep
	s.written -= keep
	for len(s.window) < cap(s.window) {
		n, err := s.src.Read(s.window[len(s.window):cap(s.window)])
		s.window = s.window[:len(s.window)+n]
		if errors.Is(err, io.EOF) {
			s.ended = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
