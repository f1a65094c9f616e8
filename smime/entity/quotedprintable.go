package entity

import (
	"bytes"
	"io"
	"mime/quotedprintable"
)

// QuotedPrintableWriter encodes text in quoted-printable (RFC 2045 section 6.7). CRLF, and a line feed alone, end a line; a carriage
// return without line feed is no line end, and is kept as the octet that it is.
type QuotedPrintableWriter struct {
	encoder *quotedprintable.Writer
	cr      bool // one is held back: what follows says what it is
}

// NewQuotedPrintableWriter returns a QuotedPrintableWriter that writes to dst. Its Close writes what is left, and does not close
// dst.
func NewQuotedPrintableWriter(dst io.Writer) *QuotedPrintableWriter {
	return &QuotedPrintableWriter{encoder: quotedprintable.NewWriter(dst)}
}

// Write encodes p.
func (w *QuotedPrintableWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if w.cr && p[0] != '\n' {
			if err := w.octetCR(); err != nil {
				return total - len(p), err
			}
		}
		w.cr = false // before a line feed, which is a line end either way
		text, rest, found := bytes.Cut(p, []byte{'\r'})
		if _, err := w.encoder.Write(text); err != nil {
			return total - len(p), err
		}
		p, w.cr = rest, found
	}
	return total, nil
}

// octetCR writes a carriage return that ends no line.
func (w *QuotedPrintableWriter) octetCR() error {
	w.encoder.Binary = true
	_, err := w.encoder.Write([]byte{'\r'})
	w.encoder.Binary = false
	return err
}

// Close implements io.Closer.
func (w *QuotedPrintableWriter) Close() error {
	if w.cr {
		w.cr = false
		if err := w.octetCR(); err != nil {
			return err
		}
	}
	return w.encoder.Close()
}
