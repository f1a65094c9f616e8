package smime

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
)

// base64Line is how many octets make a line of 76 characters (RFC 2045 section 6.8).
const base64Line = 57

// lineWriter writes base64 in lines of 76 characters with CRLF.
type lineWriter struct {
	dst     io.Writer
	pending []byte // less than a line
	out     []byte
}

func newLineWriter(dst io.Writer) *lineWriter { return &lineWriter{dst: dst} }

func (w *lineWriter) Write(p []byte) (int, error) {
	total := len(p)
	w.out = w.out[:0]
	if len(w.pending) > 0 {
		n := min(base64Line-len(w.pending), len(p))
		w.pending = append(w.pending, p[:n]...)
		p = p[n:]
		if len(w.pending) < base64Line {
			return total, nil
		}
		w.line(w.pending)
		w.pending = w.pending[:0]
	}
	for ; len(p) >= base64Line; p = p[base64Line:] {
		w.line(p[:base64Line])
		if len(w.out) >= 32<<10 {
			if err := w.flush(); err != nil {
				return total - len(p), err
			}
		}
	}
	w.pending = append(w.pending, p...)
	return total, w.flush()
}

func (w *lineWriter) line(p []byte) {
	w.out = base64.StdEncoding.AppendEncode(w.out, p)
	w.out = append(w.out, '\r', '\n')
}

func (w *lineWriter) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.dst.Write(w.out)
	w.out = w.out[:0]
	return err
}

// Close writes the last line.
func (w *lineWriter) Close() error {
	if len(w.pending) == 0 {
		return nil
	}
	w.line(w.pending)
	w.pending = nil
	return w.flush()
}

// copyContext is io.Copy that ends with the context.
func copyContext(ctx context.Context, dst io.Writer, src io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
