package ber

import "io"

// Writer writes BER as a stream: elements of indefinite length are opened and closed, others come whole. The first
// error of the destination sticks and is returned by every later call.
type Writer struct {
	dst io.Writer
	err error
	buf []byte
}

// NewWriter returns a Writer to dst. Elements are small: dst should be buffered.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Raw writes octets that are encoded already.
func (w *Writer) Raw(b []byte) error {
	if w.err == nil && len(b) > 0 {
		_, w.err = w.dst.Write(b)
	}
	return w.err
}

// Open starts a constructed element of indefinite length.
func (w *Writer) Open(class Class, number uint32) error {
	w.buf = AppendHeader(w.buf[:0], Header{Class: class, Constructed: true, Number: number, Length: Indefinite})
	return w.Raw(w.buf)
}

// Close ends the innermost element that Open started.
func (w *Writer) Close() error { return w.Raw([]byte{0, 0}) }

// SegmentSize is the length of the segments that OctetString cuts its content into.
const SegmentSize = 16 << 10

// OctetString starts an OCTET STRING in segments under this tag. Its Close writes what is left and ends the string;
// it must be called before the Writer is used again.
func (w *Writer) OctetString(class Class, number uint32) io.WriteCloser {
	_ = w.Open(class, number) // the error sticks
	return &octetWriter{w: w, buf: make([]byte, 0, SegmentSize)}
}

type octetWriter struct {
	w      *Writer
	buf    []byte
	header []byte
}

func (o *octetWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if len(o.buf) == 0 && len(p) >= SegmentSize {
			if err := o.segment(p[:SegmentSize]); err != nil {
				return total - len(p), err
			}
			p = p[SegmentSize:]
			continue
		}
		n := copy(o.buf[len(o.buf):SegmentSize], p)
		o.buf = o.buf[:len(o.buf)+n]
		p = p[n:]
		if len(o.buf) == SegmentSize {
			if err := o.segment(o.buf); err != nil {
				return total - len(p), err
			}
			o.buf = o.buf[:0]
		}
	}
	return total, nil
}

func (o *octetWriter) segment(b []byte) error {
	o.header = AppendHeader(o.header[:0], Header{Number: TagOctetString, Length: int64(len(b))})
	_ = o.w.Raw(o.header) // the error sticks
	return o.w.Raw(b)
}

func (o *octetWriter) Close() error {
	if len(o.buf) > 0 {
		_ = o.segment(o.buf) // the error sticks
		o.buf = o.buf[:0]
	}
	return o.w.Close()
}
