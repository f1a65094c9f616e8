package ber

import (
	"errors"
	"io"
)

// source is a buffer before an io.Reader. It differs from a bufio.Reader in that it starts small, because most messages
// are, and grows while there is more to read.
type source struct {
	src        io.Reader
	buf        []byte // octets that were read and not consumed are buf[start:end]
	start, end int
	total      int64 // octets that were read
	filled     bool  // the last read filled the buffer: there may be much more
	err        error // of src, once it had one
}

const (
	firstBuffer  = 512
	secondBuffer = 4 << 10
	largeBuffer  = 32 << 10
	direct       = 4 << 10 // whoever wants this much gets it without the detour of the buffer
	maxEmpty     = 100     // reads in a row that may give nothing
)

var errSource = errors.New("source claims to have read more than it was asked for")

func newSource(src io.Reader) source { return source{src: src} }

// buffered returns what is there without reading.
func (s *source) buffered() []byte { return s.buf[s.start:s.end] }

// consume passes over n octets, which are in the buffer.
func (s *source) consume(n int) { s.start += n }

// nextSize says how large a buffer is worth its memory, now that so much was read.
func (s *source) nextSize() int {
	switch {
	case s.buf == nil:
		// Many sources know how much there is.
		if l, ok := s.src.(interface{ Len() int }); ok && l.Len() <= secondBuffer {
			return max(maxHeaderSize+1, l.Len())
		}
		return firstBuffer
	case !s.filled: // so far there is no more, or it goes past the buffer
		return len(s.buf)
	case s.total >= 2*largeBuffer:
		return largeBuffer
	}
	return secondBuffer
}

// fill reads once, and adds what comes to the buffer. There is room for at least one header: whoever has that in the
// buffer asks for no more.
func (s *source) fill() error {
	if s.err != nil {
		return s.err
	}
	if s.start > 0 {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	if size := s.nextSize(); len(s.buf) < size {
		buf := make([]byte, size)
		copy(buf, s.buf[:s.end])
		s.buf = buf
	}
	n, err := s.readSource(s.buf[s.end:])
	s.end += n
	s.filled = s.end == len(s.buf)
	if n > 0 {
		return nil
	}
	return err
}

// readSource reads past the buffer, and keeps the error. It gives octets, or an error, or both.
func (s *source) readSource(p []byte) (n int, err error) {
	for range maxEmpty {
		n, err = s.src.Read(p)
		if n < 0 || n > len(p) {
			n, err = 0, errSource
		}
		if n > 0 || err != nil {
			s.total += int64(n)
			s.err = err
			return n, err
		}
	}
	s.err = io.ErrNoProgress
	return 0, s.err
}

// Read reads what is in the buffer; if that is nothing, from the source, at once where p is large.
func (s *source) Read(p []byte) (int, error) {
	if s.start == s.end && len(p) > 0 {
		if len(p) >= min(direct, max(firstBuffer, len(s.buf))) && s.err == nil {
			s.filled = false
			n, err := s.readSource(p)
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.buf[s.start:s.end])
	s.start += n
	return n, nil
}

// readFull fills p. The error is io.EOF or io.ErrUnexpectedEOF where the source ends before.
func (s *source) readFull(p []byte) (int, error) { return io.ReadFull(s, p) }

// discard passes over n octets.
func (s *source) discard(n int64) (done int64, err error) {
	for done < n {
		if s.start == s.end {
			if err := s.fill(); err != nil {
				return done, err
			}
		}
		step := int(min(n-done, int64(s.end-s.start)))
		s.start += step
		done += int64(step)
	}
	return done, nil
}
