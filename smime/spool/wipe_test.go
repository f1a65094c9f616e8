package spool

import (
	"bytes"
	"testing"
)

// The memory that a spool leaves to others holds nothing of its text: neither after Close nor behind a move to a file.
func TestWipe(t *testing.T) {
	text := bytes.Repeat([]byte("secret"), chunkSize/2) // three chunks
	for name, test := range map[string]struct {
		memory int
		more   []byte
	}{"closed": {1 << 20, nil}, "moved to a file": {len(text), []byte("more")}} {
		s := New(Options{Memory: test.memory, Dir: t.TempDir()})
		if _, err := s.Write(text); err != nil {
			t.Fatal(err)
		}
		chunks := s.chunks
		if len(chunks) != 3 {
			t.Fatalf("%s: %d chunks", name, len(chunks))
		}
		if _, err := s.Write(test.more); err != nil {
			t.Fatal(err)
		}
		if test.more == nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range chunks {
			if *c != (chunk{}) {
				t.Errorf("%s: text is left in chunk %d", name, i)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
