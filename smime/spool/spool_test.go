package spool_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/smime/spool"
)

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func TestSpoolReturnsWhatWasWritten(t *testing.T) {
	tests := map[string]struct {
		memory, size, piece int
	}{
		"empty":            {0, 0, 1},
		"memory":           {0, 40_000, 777},
		"memory to chunk":  {1 << 20, 64 << 10, 32 << 10},
		"exactly full":     {5000, 5000, 1000},
		"spills":           {5000, 50_001, 4097},
		"spills at once":   {10, 50_000, 50_000},
		"file only":        {-1, 33_000, 16},
		"spills by octets": {40_000, 41_000, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := content(test.size)
			s := spool.New(spool.Options{Memory: test.memory, Dir: t.TempDir()})
			defer s.Close()
			for rest := want; len(rest) > 0; {
				n := min(test.piece, len(rest))
				if got, err := s.Write(rest[:n]); got != n || err != nil {
					t.Fatalf("Write: %d, %v", got, err)
				}
				rest = rest[n:]
			}
			if s.Size() != int64(len(want)) {
				t.Fatalf("size is %d", s.Size())
			}
			if err := iotest.TestReader(s.Section(), want); err != nil {
				t.Error(err)
			}
			for _, off := range []int{0, 1, 15, 16, 17, 4095, 32767, 32768, 40_000} {
				if off >= len(want) {
					continue
				}
				p := make([]byte, min(100, len(want)-off))
				if _, err := s.ReadAt(p, int64(off)); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				if !bytes.Equal(p, want[off:off+len(p)]) {
					t.Errorf("wrong octets at %d", off)
				}
			}
		})
	}
}

func TestSpoolReadsConcurrently(t *testing.T) {
	want := content(200_000)
	s := spool.New(spool.Options{Memory: -1, Dir: t.TempDir()})
	defer s.Close()
	if _, err := s.Write(want); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := io.ReadAll(s.Section())
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("differs, %v", err)
			}
		})
	}
	wg.Wait()
}

func TestSpoolLimit(t *testing.T) {
	s := spool.New(spool.Options{Limit: 10})
	defer s.Close()
	if _, err := s.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{0}); !errors.Is(err, spool.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestSpoolLeavesNothingReadable(t *testing.T) {
	dir := t.TempDir()
	s := spool.New(spool.Options{Memory: 16, Dir: dir})
	secret := []byte(strings.Repeat("the secret of the spool ", 10_000))
	if _, err := s.Write(secret); err != nil {
		t.Fatal(err)
	}
	// On systems that cannot unlink an open file it is still there, and must not contain the text.
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("secret")) {
			t.Error("plaintext on disk")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal("second Close:", err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	if _, err := s.ReadAt(make([]byte, 1), 0); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("ReadAt after Close: %v", err)
	}
	if _, err := s.Write([]byte{1}); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
}

func TestSpoolWithoutFolder(t *testing.T) {
	s := spool.New(spool.Options{Memory: -1, Dir: filepath.Join(t.TempDir(), "absent")})
	defer s.Close()
	if _, err := s.Write([]byte("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkSpool(b *testing.B) {
	piece := content(64 << 10)
	b.SetBytes(16 << 20)
	for b.Loop() {
		s := spool.New(spool.Options{Memory: 1 << 20, Dir: b.TempDir()})
		for range 256 {
			if _, err := s.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := io.Copy(io.Discard, s.Section()); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// The memory of a spool that was closed serves others. Whoever still reads from the closed one must not see their text.
func TestSpoolClosedWhileRead(t *testing.T) {
	for range 200 {
		s := spool.New(spool.Options{})
		if _, err := s.Write(bytes.Repeat([]byte{'a'}, 1000)); err != nil {
			t.Fatal(err)
		}
		var reader sync.WaitGroup
		started := make(chan struct{})
		reader.Go(func() {
			close(started)
			p := make([]byte, 1000)
			for {
				n, err := s.ReadAt(p, 0)
				if err != nil {
					if n != 0 || !errors.Is(err, spool.ErrClosed) {
						t.Errorf("%d octets, %v", n, err)
					}
					return
				}
				if i := bytes.IndexFunc(p, func(r rune) bool { return r != 'a' }); i >= 0 {
					t.Errorf("octet %d is %q", i, p[i])
					return
				}
			}
		})
		<-started
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		other := spool.New(spool.Options{})
		if _, err := other.Write(bytes.Repeat([]byte{'b'}, 1000)); err != nil {
			t.Fatal(err)
		}
		reader.Wait()
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
