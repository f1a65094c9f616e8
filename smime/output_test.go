package smime

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestBufferedWriterKeepsTheOrder(t *testing.T) {
	octets := make([]byte, 10*copyBuffer)
	_, _ = rand.NewChaCha8([32]byte{6}).Read(octets)
	random := rand.New(rand.NewChaCha8([32]byte{7}))
	for range 100 {
		var out bytes.Buffer
		w := newBufferedWriter(&out)
		for rest := octets; len(rest) > 0; {
			n := min(random.IntN(copyBuffer+10)>>random.IntN(8), len(rest))
			if written, err := w.Write(rest[:n]); written != n || err != nil {
				t.Fatal(written, err)
			}
			rest = rest[n:]
		}
		if err := w.Flush(); err != nil || !bytes.Equal(out.Bytes(), octets) {
			t.Fatalf("%d octets came, %v", out.Len(), err)
		}
	}
}

func TestBufferedWriterReportsErrors(t *testing.T) {
	for _, size := range []int{1, copyBuffer, 3 * copyBuffer} {
		w := newBufferedWriter(&failingWriter{})
		_, _ = w.Write(make([]byte, size)) // may be kept
		if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%d octets: %v", size, err)
		}
	}
}
