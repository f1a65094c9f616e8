package smime

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/entity"
)

// Sizes of the buffers that copying uses. What is short gets by with less.
const (
	firstCopyBuffer = 4 << 10
	copyBuffer      = 64 << 10
)

// bufferedWriter collects small writes for dst. Its buffer grows with need, so that a short message does not pay for
// a long one. The first error of dst sticks.
type bufferedWriter struct {
	dst io.Writer
	buf []byte
	err error
}

func newBufferedWriter(dst io.Writer) *bufferedWriter { return &bufferedWriter{dst: dst} }

func (w *bufferedWriter) Write(p []byte) (int, error) {
	large := len(p) > copyBuffer/2
	if large || len(w.buf)+len(p) > copyBuffer {
		_ = w.Flush() // the error sticks
	}
	if w.err != nil {
		return 0, w.err
	}
	if large {
		n, err := w.dst.Write(p)
		w.err = err
		return n, err
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// printf writes formatted text. Its error comes out with Flush.
func (w *bufferedWriter) printf(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// Flush passes on what was collected.
func (w *bufferedWriter) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.dst.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}

// WriteContent copies content, such as [Message.Content], to dst. Of large content, reading and writing overlap.
func WriteContent(ctx context.Context, dst io.Writer, content *io.SectionReader) error {
	if content.Size() <= 2*backgroundBlock {
		return copyContext(ctx, dst, section(content))
	}
	beside := newBackground(dst)
	return errors.Join(copyContext(ctx, beside, section(content)), beside.Close())
}

// firstBuffer returns the size of a buffer that suits what src has, or will do to begin with.
func firstBuffer(src io.Reader) int {
	size := int64(firstCopyBuffer)
	switch src := src.(type) {
	case interface{ Len() int }: // *bytes.Buffer, *bytes.Reader, *strings.Reader
		size = int64(src.Len())
	case interface{ Size() int64 }: // *io.SectionReader
		size = src.Size()
	}
	return int(max(1, min(size, copyBuffer)))
}

// copyContext is io.Copy that ends with the context.
func copyContext(ctx context.Context, dst io.Writer, src io.Reader) error {
	buf := make([]byte, firstBuffer(src))
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
		if n == len(buf) && n < copyBuffer {
			buf = make([]byte, min(4*n, copyBuffer))
		}
	}
}

// copyCanonical copies src to dst with canonical line ends (RFC 8551 section 3.1.1), and reports whether there is a
// carriage return that no line feed follows.
func copyCanonical(ctx context.Context, dst io.Writer, src io.Reader) (bareCR bool, err error) {
	buffered := newBufferedWriter(dst) // bare line feeds make many small writes
	canonical := entity.NewCanonicalWriter(buffered)
	if err := copyContext(ctx, canonical, src); err != nil {
		return false, err
	}
	return canonical.BareCR(), buffered.Flush()
}
