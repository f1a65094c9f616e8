package smime

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
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

// countingWriter counts the writes that reach it.
type countingWriter struct {
	bytes.Buffer
	writes int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.writes++
	return c.Buffer.Write(p)
}

// TestCopyCanonical has text of which each line is short: it must not come in as many pieces as there are lines, of which
// each may be a system call.
func TestCopyCanonical(t *testing.T) {
	for name, tt := range map[string]struct {
		line, want string
		bareCR     bool
	}{
		"empty lines":     {"\n", "\r\n", false},
		"short lines":     {"ab\n", "ab\r\n", false},
		"canonical lines": {"ab\r\n", "ab\r\n", false},
		"bare returns":    {"a\rb\n", "a\rb\r\n", true},
	} {
		const count = 100_000
		var out countingWriter
		bareCR, err := copyCanonical(t.Context(), &out, strings.NewReader(strings.Repeat(tt.line, count)))
		if err != nil || bareCR != tt.bareCR || out.String() != strings.Repeat(tt.want, count) {
			t.Errorf("%s: bare CR %v, %d octets, %v", name, bareCR, out.Len(), err)
		}
		if out.writes > 3+2*out.Len()/copyBuffer {
			t.Errorf("%s: %d octets in %d writes", name, out.Len(), out.writes)
		}
	}
}
