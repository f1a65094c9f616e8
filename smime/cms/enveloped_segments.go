package cms

import (
	"crypto/aes"
	"slices"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

const (
	segmentHeader = 4 // octets of the header of a full segment
	segmentSize   = ber.SegmentSize
	maxSegments   = 8
	closingRoom   = 64 // octets for padding and what mostly stands behind the ciphertext
)

// segments are pieces of content in the form in which they go into an OCTET STRING in segments, so that they are copied
// once, encrypted in place, and written in one go. Room is taken as it is needed.
type segments struct {
	buf []byte // header, piece, header, piece…; every piece but the last is full
}

// add takes as much of p as there is room for.
func (s *segments) add(p []byte) (taken int) {
	for len(p) > 0 {
		last := len(s.buf) % (segmentHeader + segmentSize)
		if last == 0 {
			if len(s.buf) == maxSegments*(segmentHeader+segmentSize) {
				break
			}
			s.grow(segmentHeader + min(len(p), segmentSize))
			s.buf = s.buf[:len(s.buf)+segmentHeader]
			last = segmentHeader
		}
		n := min(len(p), segmentHeader+segmentSize-last)
		s.grow(n)
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
		taken += n
	}
	return taken
}

// grow makes room for n octets, and for padding behind them.
func (s *segments) grow(n int) {
	want := len(s.buf) + n + aes.BlockSize
	if want <= cap(s.buf) {
		return
	}
	size := min(2*cap(s.buf), maxSegments*(segmentHeader+segmentSize)+aes.BlockSize)
	s.buf = append(make([]byte, 0, max(want, size)), s.buf...)
}

// encrypt encrypts segments that are all full.
func (s *segments) encrypt(c contentEncrypter) error {
	for at := 0; at < len(s.buf); at += segmentHeader + segmentSize {
		piece := s.buf[at+segmentHeader : at+segmentHeader+segmentSize]
		if err := c.encrypt(piece); err != nil {
			return err
		}
		putSegmentHeader(s.buf[at:at:at+segmentHeader], segmentSize)
	}
	return nil
}

func putSegmentHeader(b []byte, size int) []byte {
	return ber.AppendHeader(b, ber.Header{Number: ber.TagOctetString, Length: int64(size)})
}

// octets returns what encrypt made.
func (s *segments) octets() []byte { return s.buf }

// reset forgets the content and keeps the room.
func (s *segments) reset() { s.buf = s.buf[:0] }

// finish encrypts all segments, the last of which may be short, and appends them to out.
func (s *segments) finish(out []byte, c contentEncrypter) ([]byte, error) {
	full := len(s.buf) / (segmentHeader + segmentSize) * (segmentHeader + segmentSize)
	if full == len(s.buf) && full > 0 {
		full -= segmentHeader + segmentSize // the last one takes the padding
	}
	rest := s.buf[full:]
	before := segments{s.buf[:full]}
	if err := before.encrypt(c); err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		rest = rest[segmentHeader:]
	}
	rest, err := c.finish(rest)
	if err != nil {
		return nil, err
	}
	out = append(slices.Grow(out, len(s.buf)+closingRoom), before.buf...)
	if len(rest) > 0 {
		out = append(putSegmentHeader(out, len(rest)), rest...)
	}
	return out, nil
}

// sealing encrypts segments in the background. It touches nothing but them and the cipher, and so may be left alone at
// any time.
type sealing struct {
	segments segments
	err      error
	done     chan struct{} // one message for each begin
}

func newSealing() *sealing { return &sealing{done: make(chan struct{}, 1)} }

// begin takes the segments. Neither they nor the cipher may be used before wait has returned.
func (s *sealing) begin(c contentEncrypter, work segments) {
	s.segments = work
	go func() {
		s.err = s.segments.encrypt(c)
		s.done <- struct{}{}
	}()
}

// wait returns the segments, encrypted.
func (s *sealing) wait() (segments, error) {
	<-s.done
	return s.segments, s.err
}
