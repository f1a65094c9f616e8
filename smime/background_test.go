package smime

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestBackground(t *testing.T) {
	octets := make([]byte, 20*backgroundBlock+17)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(octets)
	for _, size := range []int{0, 1, backgroundBlock - 1, backgroundBlock, backgroundBlock + 1, 2 * backgroundBlock, len(octets)} {
		for _, piece := range []int{1000, 32 << 10, backgroundBlock, len(octets)} {
			var out bytes.Buffer
			b := newBackground(&out)
			for rest := octets[:size]; len(rest) > 0; {
				n := min(piece, len(rest))
				if _, err := b.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := errors.Join(b.Close(), b.Close()); err != nil || !bytes.Equal(out.Bytes(), octets[:size]) {
				t.Errorf("%d octets in pieces of %d: %d came, %v", size, piece, out.Len(), err)
			}
		}
	}
}

// failingWriter fails behind so many octets.
type failingWriter struct{ left int }

func (f *failingWriter) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestBackgroundReportsErrors(t *testing.T) {
	for _, left := range []int{0, backgroundBlock, 5 * backgroundBlock, 10*backgroundBlock - 1} {
		b := newBackground(&failingWriter{left})
		_, err := io.Copy(b, bytes.NewReader(make([]byte, 10*backgroundBlock)))
		if closeErr := b.Close(); !errors.Is(closeErr, io.ErrClosedPipe) || err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("failing behind %d octets: %v, %v", left, err, closeErr)
		}
	}
}
