package ber_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

func addSeeds(f *testing.F) {
	for _, seed := range []string{
		"30 0f 02 01 05 a0 08 04 06 61 62 63 64 65 66 31 00",
		"30 80 02 01 05 a0 80 24 80 04 02 61 62 04 00 04 04 63 64 65 66 00 00 00 00 31 80 00 00 00 00",
		"24 80 24 05 04 03 61 62 63 24 80 24 00 04 03 64 65 66 00 00 00 00",
		"2c 80 04 01 61 00 00", "01 01 05", "04 83 00 00 01 61", "30 82 00 04 a0 80 00 00", "ff 87 68 00",
	} {
		f.Add(unhex(f, seed))
	}
}

// FuzzToDER checks that what is accepted comes out the same when it is re-encoded again, that a Reader agrees, and
// that the result is no deeper than the limit and hardly longer than the input.
func FuzzToDER(f *testing.F) {
	addSeeds(f)
	limits := ber.Limits{Depth: 8, Elements: 100}
	f.Fuzz(func(t *testing.T, in []byte) {
		der, err := ber.ToDER(in, limits)
		r := ber.NewReader(bytes.NewReader(in), limits)
		read, readErr := r.DER(len(in) + 1)
		if readErr == nil && r.Offset() < int64(len(in)) {
			// The Reader takes one element and leaves the rest.
			if err == nil {
				t.Fatalf("ToDER accepts %d octets behind the element", int64(len(in))-r.Offset())
			}
			return
		}
		if (err == nil) != (readErr == nil) || !bytes.Equal(der, read) {
			t.Fatalf("ToDER: %x, %v\nReader: %x, %v", der, err, read, readErr)
		}
		if err != nil {
			return
		}
		again, err := ber.ToDER(der, limits)
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x became %x, %v", der, again, err)
		}
		if len(der) > len(in)+8*limits.Depth {
			t.Errorf("%d octets became %d", len(in), len(der))
		}
	})
}

// FuzzReader walks into everything that can be entered, and checks that a walk and a Skip end at the same place.
func FuzzReader(f *testing.F) {
	addSeeds(f)
	limits := ber.Limits{Depth: 8}
	f.Fuzz(func(t *testing.T, in []byte) {
		skipped := ber.NewReader(bytes.NewReader(in), limits)
		skipErr := skipped.Skip()
		walked := ber.NewReader(bytes.NewReader(in), limits)
		err := walkAll(t, walked, limits.Depth)
		if err == nil && (skipErr != nil || skipped.Offset() != walked.Offset()) {
			t.Errorf("walk ends at %d, Skip at %d: %v", walked.Offset(), skipped.Offset(), skipErr)
		}
		if walked.Offset() > int64(len(in)) || skipped.Offset() > int64(len(in)) {
			t.Error("more was read than there is")
		}
	})
}

// walkAll reads one element with all its members.
func walkAll(t *testing.T, r *ber.Reader, depth int) error {
	for {
		h, err := r.Peek()
		switch {
		case errors.Is(err, io.EOF) && r.Depth() > 0:
			if err := r.Leave(); err != nil {
				t.Errorf("Leave at the end: %v", err)
			}
		case err != nil:
			return err
		case h.Is(ber.Universal, ber.TagOctetString):
			o, err := r.OctetString(ber.Universal, ber.TagOctetString)
			if err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, o); err != nil {
				return err
			}
		case h.Constructed:
			if err := r.Enter(h.Class, h.Number); err != nil {
				return err
			}
		default:
			if err := r.Skip(); err != nil {
				return err
			}
		}
		if r.Depth() > depth {
			t.Fatalf("depth %d", r.Depth())
		}
		if r.Depth() == 0 {
			return nil
		}
	}
}

// FuzzSortSetOf checks that sorting is stable in length, idempotent, and keeps a SET OF a SET OF.
func FuzzSortSetOf(f *testing.F) {
	f.Add(unhex(f, "04 01 61 02 01 02 02 01 01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		sorted, err := ber.SortSetOf(in)
		if err != nil {
			return
		}
		again, err := ber.SortSetOf(sorted)
		if err != nil || !bytes.Equal(again, sorted) || len(sorted) != len(in) {
			t.Errorf("%x became %x, then %x, %v", in, sorted, again, err)
		}
	})
}

// FuzzHeader checks that a header that is accepted is written again as the same one, in no more octets, and that one cut
// short is told from one that is wrong.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{"30 03", "30 80", "5f 1f 01", "ff 87 68 00", "04 82 01 00", "04 84 00 00 00 05", "00 00", "04 87 ff ff ff ff ff ff ff"} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := ber.ParseHeader(in)
		if err != nil || n == 0 {
			return
		}
		if n > len(in) || h.Length < ber.Indefinite {
			t.Fatalf("%+v in %d of %d octets", h, n, len(in))
		}
		for i := range n {
			if _, n, err := ber.ParseHeader(in[:i]); n != 0 || err != nil {
				t.Errorf("%x cut at %d: %d, %v", in, i, n, err)
			}
		}
		out := ber.AppendHeader(nil, h)
		if again, m, err := ber.ParseHeader(out); err != nil || again != h || m != len(out) || m > n {
			t.Errorf("%+v became %x: %+v, %v", h, out, again, err)
		}
	})
}

// FuzzOctetString reads anything as an octet string, into buffers of several sizes: the content is the same, and that of
// its DER.
func FuzzOctetString(f *testing.F) {
	addSeeds(f)
	f.Add(segments(bytes.Repeat([]byte("content "), 100), 1, 0, 200, 7))
	limits := ber.Limits{Depth: 8}
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func(src io.Reader, copy func(io.Writer, *ber.OctetStream) error) (content []byte, end int64, err error) {
			var out bytes.Buffer
			r := ber.NewReader(src, limits)
			o, err := r.OctetString(ber.Universal, ber.TagOctetString)
			if err == nil {
				err = copy(&out, o)
			}
			return out.Bytes(), r.Offset(), err
		}
		want, end, err := read(bytes.NewReader(in), copyNext)
		for _, size := range []int{1, 3, 1 << 16} {
			got, gotEnd, gotErr := read(onlyReader{bytes.NewReader(in)}, func(dst io.Writer, o *ber.OctetStream) error {
				_, err := io.CopyBuffer(onlyWriter{dst}, o, make([]byte, size))
				return err
			})
			if (err == nil) != (gotErr == nil) || !bytes.Equal(got, want) || err == nil && end != gotEnd {
				t.Fatalf("%x to %d, %v; by %d %x to %d, %v", want, end, err, size, got, gotEnd, gotErr)
			}
		}
		if err != nil {
			return
		}
		der, err := ber.ToDER(in[:end], ber.Limits{Elements: len(in)})
		if err != nil || !bytes.Equal(der, ber.AppendElement(nil, ber.Universal, false, ber.TagOctetString, want)) {
			t.Errorf("%x became %x, %v", in[:end], der, err)
		}
	})
}
