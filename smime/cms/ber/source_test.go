package ber_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// allocated returns how many octets f takes from the heap, all in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// segments returns content as an OCTET STRING in segments of the given sizes, which are used in turn.
func segments(content []byte, sizes ...int) []byte {
	message := ber.AppendHeader(nil, ber.Header{Constructed: true, Number: ber.TagOctetString, Length: ber.Indefinite})
	for i := 0; len(content) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(content))
		message = ber.AppendElement(message, ber.Universal, false, ber.TagOctetString, content[:n])
		content = content[n:]
	}
	return append(message, 0, 0)
}

// TestOctetStringCuts reads content whatever its segments, the source's reads and the reader's buffers are.
func TestOctetStringCuts(t *testing.T) {
	content := make([]byte, 150_000)
	for i := range content {
		content[i] = byte(i >> 8 * i)
	}
	for name, sizes := range map[string][]int{
		"one": {len(content)}, "tiny": {1, 0, 2}, "mixed": {1, 5000, 0, 127, 128, 40_000}, "ordinary": {16 << 10}, "odd": {4093},
	} {
		message := segments(content, sizes...)
		for source, wrap := range map[string]func(io.Reader) io.Reader{
			"memory": func(r io.Reader) io.Reader { return r },
			"stream": func(r io.Reader) io.Reader { return onlyReader{r} },
			"half":   iotest.HalfReader,
			"octets": iotest.OneByteReader,
			"error":  iotest.DataErrReader,
		} {
			for _, into := range []int{0, 1, 100, 4096, 1 << 20} { // 0: by Next
				r := ber.NewReader(wrap(bytes.NewReader(append(slices.Clone(message), "rest"...))), ber.Limits{})
				o, err := r.OctetString(ber.Universal, ber.TagOctetString)
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				if into > 0 {
					_, err = io.CopyBuffer(onlyWriter{&got}, o, make([]byte, into))
				} else {
					err = copyNext(&got, o)
				}
				if err != nil {
					t.Fatalf("%s, %s, into %d: %v", name, source, into, err)
				}
				rest, err := io.ReadAll(r.Rest())
				if !bytes.Equal(got.Bytes(), content) || r.Offset() != int64(len(message)) || err != nil || string(rest) != "rest" {
					t.Fatalf("%s, %s, into %d: %d octets, at %d of %d, then %q, %v", name, source, into, got.Len(), r.Offset(), len(message), rest, err)
				}
			}
		}
	}
}

func copyNext(dst io.Writer, o *ber.OctetStream) error {
	for {
		b, err := o.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := dst.Write(b); err != nil {
			return err
		}
	}
}

// TestLiveStream reads messages from a connection on which nothing follows: waiting for more would never end.
func TestLiveStream(t *testing.T) {
	for name, message := range map[string][]byte{
		"short":    unhex(t, "05 00"),
		"definite": unhex(t, "30 03 02 01 05"),
		"open":     unhex(t, "30 80 02 01 05 00 00"),
		"segments": segments(make([]byte, 10_000), 1000),
	} {
		src, dst := io.Pipe()
		done := make(chan error, 1)
		go func() {
			// By single octets, so that each read beyond the message waits for one that does not come.
			for i := range message {
				if _, err := dst.Write(message[i : i+1]); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		raw, err := ber.NewReader(src, ber.Limits{}).Element(0)
		if err != nil || !bytes.Equal(raw, message) {
			t.Errorf("%s: %d octets, %v", name, len(raw), err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// faultySource gives octets and errors as no source should.
type faultySource struct {
	n   int
	err error
}

func (s faultySource) Read(p []byte) (int, error) {
	clear(p)
	return s.n, s.err
}

func TestFaultySource(t *testing.T) {
	broken := errors.New("broken")
	octets := func(src io.Reader, copy func(*ber.OctetStream) error) error {
		message := io.MultiReader(bytes.NewReader(unhex(t, "04 82 ff ff")), src)
		o, err := ber.NewReader(message, ber.Limits{}).OctetString(ber.Universal, ber.TagOctetString)
		if err != nil {
			return err
		}
		return copy(o)
	}
	byRead := func(o *ber.OctetStream) error {
		_, err := io.CopyBuffer(onlyWriter{io.Discard}, o, make([]byte, 8<<10))
		return err
	}
	byNext := func(o *ber.OctetStream) error { return copyNext(io.Discard, o) }
	for name, tt := range map[string]struct {
		src  io.Reader
		want error // nil: any
	}{
		"never anything": {faultySource{}, io.ErrNoProgress},
		"error":          {faultySource{err: broken}, broken},
		"too much":       {faultySource{n: 1 << 20}, nil},
		"less":           {faultySource{n: -1}, nil},
		"end":            {faultySource{err: io.EOF}, io.ErrUnexpectedEOF},
		"octet, error":   {faultySource{n: 1, err: broken}, broken},
	} {
		for _, copy := range []func(*ber.OctetStream) error{byRead, byNext} {
			err := octets(tt.src, copy)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := ber.NewReader(faultySource{}, ber.Limits{}).Skip(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("header that never comes: %v", err)
	}
}

// TestReaderMemory: what a Reader takes grows with what there is, and not with what is claimed.
func TestReaderMemory(t *testing.T) {
	claim := unhex(t, "04 87 ff ff ff ff ff ff ff 61")
	large := segments(make([]byte, 8<<20), 16<<10)
	for name, tt := range map[string]struct {
		bound uint64
		read  func()
	}{
		"small": {2 << 10, func() {
			_, _ = ber.NewReader(onlyReader{bytes.NewReader(unhex(t, "30 03 02 01 05"))}, ber.Limits{}).Element(0)
		}},
		"claimed": {40 << 10, func() { _, _ = ber.NewReader(bytes.NewReader(claim), ber.Limits{Element: 1 << 60}).Element(0) }},
		"skipped": {60 << 10, func() { _ = ber.NewReader(bytes.NewReader(large), ber.Limits{}).Skip() }},
		"octets, next": {60 << 10, func() {
			o, err := ber.NewReader(bytes.NewReader(large), ber.Limits{}).OctetString(ber.Universal, ber.TagOctetString)
			if err == nil {
				err = copyNext(io.Discard, o)
			}
			if err != nil {
				t.Error(err)
			}
		}},
		"octets": {100 << 10, func() {
			o, err := ber.NewReader(bytes.NewReader(large), ber.Limits{}).OctetString(ber.Universal, ber.TagOctetString)
			if err == nil {
				_, err = io.CopyBuffer(onlyWriter{io.Discard}, o, make([]byte, 32<<10))
			}
			if err != nil {
				t.Error(err)
			}
		}},
		"element": {40 << 20, func() {
			if raw, err := ber.NewReader(bytes.NewReader(large), ber.Limits{Element: 16 << 20}).Element(0); err != nil || len(raw) != len(large) {
				t.Error(len(raw), err)
			}
		}},
	} {
		if got := allocated(tt.read); got > tt.bound {
			t.Errorf("%s: %d octets, at most %d expected", name, got, tt.bound)
		}
	}
}

// TestEmptySegments: a caller is asked now and then whether it wants to go on, and what is behind the empty segments comes.
func TestEmptySegments(t *testing.T) {
	const empty = 100_000
	message := ber.AppendHeader(nil, ber.Header{Constructed: true, Number: ber.TagOctetString, Length: ber.Indefinite})
	message = append(message, bytes.Repeat([]byte{ber.TagOctetString, 0}, empty)...)
	message = append(message, ber.TagOctetString, 1, 'x', 0, 0, ber.TagOctetString, 0)
	for name, read := range map[string]func(*ber.OctetStream) ([]byte, error){
		"Next": func(o *ber.OctetStream) ([]byte, error) { return o.Next() },
		"Read": func(o *ber.OctetStream) ([]byte, error) {
			p := make([]byte, 10)
			n, err := o.Read(p)
			return p[:n], err
		},
	} {
		r := ber.NewReader(bytes.NewReader(message), ber.Limits{})
		o, err := r.OctetString(ber.Universal, ber.TagOctetString)
		if err != nil {
			t.Fatal(err)
		}
		var content []byte
		pauses := 0
		for {
			b, err := read(o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(b) == 0 {
				if _, err := r.Peek(); err == nil {
					t.Fatalf("%s: the string is not at its end, and the reader goes on", name)
				}
				pauses++
			}
			content = append(content, b...)
		}
		if string(content) != "x" || pauses < 10 {
			t.Errorf("%s: %q after %d pauses", name, content, pauses)
		}
		if err := r.Skip(); err != nil {
			t.Errorf("%s: what follows: %v", name, err)
		}
	}
}
