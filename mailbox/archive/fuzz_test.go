package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"
)

// octetsStorage is a storage of what is in memory, for reading.
type octetsStorage map[string][]byte

func (s octetsStorage) Open(_ context.Context, name string) (Object, error) {
	data, ok := s[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return octetsObject{bytes.NewReader(data)}, nil
}

func (s octetsStorage) List(context.Context) (names []string, err error) {
	for name := range s {
		names = append(names, name)
	}
	return names, nil
}

func (octetsStorage) Create(context.Context, string) (ObjectWriter, error)  { return nil, fs.ErrInvalid }
func (octetsStorage) Replace(context.Context, string, []byte, []byte) error { return fs.ErrInvalid }
func (octetsStorage) Remove(context.Context, string) error                  { return fs.ErrInvalid }
func (octetsStorage) Lock(context.Context) (func() error, error)            { return nil, ErrBusy }

type octetsObject struct{ *bytes.Reader }

func (octetsObject) Close() error { return nil }

// FuzzHead reads heads: what is accepted is written again the same, and its numbers make sense.
func FuzzHead(f *testing.F) {
	h := &Head{Archive: newIdentifier(), Sequence: 3, Time: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Messages: 7, Segments: 2, Unstamped: []int{2}}
	h.put(ObjectSum{Name: readmeName}, ObjectSum{Name: segmentName(1, suffixZIP)}, ObjectSum{Name: keysName(1, 1)})
	f.Add(h.marshal())
	f.Add([]byte(headTitle + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseHead(text)
		if err != nil {
			return
		}
		if !bytes.Equal(h.marshal(), text) {
			t.Error("another one is written")
		}
		if h.Segments < 0 || h.Segments > maxSegment || h.Messages < 0 || h.Messages > maxNumber {
			t.Errorf("numbers %+v", h)
		}
		for _, o := range h.Objects {
			h.expects(o.Name)
			if _, ok := h.Sum(o.Name); !ok {
				t.Errorf("%q is not found", o.Name)
			}
		}
	})
}

// FuzzSegment opens what may be the ZIP file of a segment, by its directory and without: nothing panics, and what is read of a file
// is no more than there is.
func FuzzSegment(f *testing.F) {
	f.Add(segmentOctets(f), false)
	f.Add(segmentOctets(f), true)
	var behind bytes.Buffer // with sizes behind the files
	z := zip.NewWriter(&behind)
	for name, text := range map[string]string{infoName: fieldMessages + ": 1-1\n", payloadFolder + Number(1).String() + suffixCommit: "x"} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "000001/" + name})
		if err != nil {
			f.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			f.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(behind.Bytes(), true)
	f.Add([]byte("PK\x03\x04"), true)
	f.Fuzz(func(t *testing.T, data []byte, salvaged bool) {
		a := &Archive{storage: octetsStorage{segmentName(1, suffixZIP): data}, description: &description{ID: newIdentifier()}}
		h := &Head{Segments: 1}
		s, err := a.openSegment(t.Context(), h, 1)
		if salvaged {
			s, _, err = a.salvageSegment(t.Context(), h, 1)
		}
		if err != nil {
			return
		}
		if s.First < 1 || s.Last < s.First || int64(s.Last-s.First) >= int64(len(s.files)) {
			t.Errorf("messages %d to %d in %d files", s.First, s.Last, len(s.files))
		}
		for name := range s.files {
			file, err := s.file(name)
			if err != nil {
				continue
			}
			if n, _ := io.Copy(io.Discard, file); n > int64(len(data)) {
				t.Errorf("%q has %d octets", name, n)
			}
		}
		r := &segmentResult{v: &verification{a: a, storage: a.storage, spans: map[int]span{}}, number: 1}
		r.inside(t.Context(), s, true)
		if len(r.findings) > maxFindings {
			t.Errorf("%d findings", len(r.findings))
		}
	})
}

// FuzzSealed opens keys and records from octets under a key that somebody has.
func FuzzSealed(f *testing.F) {
	k := bytes.Repeat([]byte{7}, keySize)
	sealed := func(name, text string) []byte {
		var b bytes.Buffer
		w, err := newSealer(context.Background(), &b, k, name, nil)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	id := newIdentifier()
	name := keyName(id, 1, 1)
	f.Add(sealed(name, `{"archive":"`+id+`","segment":1,"generation":1}`))
	f.Add(sealed("record", `{"number":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a := &Archive{storage: octetsStorage{keysName(1, 1): raw}, o: Options{Keeper: oneKey(k)}, description: &description{ID: id}}
		h := &Head{Segments: 1}
		h.put(ObjectSum{Name: keysName(1, 1), SHA512: sha512.Sum512(raw)})
		if keys, err := a.keys(t.Context(), h, 1); err == nil && (keys.Archive != id || keys.Segment != 1) {
			t.Errorf("keys of %+v", keys)
		} else if err != nil && !errors.Is(err, ErrSealed) {
			t.Errorf("%v", err)
		}
		buffer := &limitedBuffer{left: 1 << 16}
		if err := key(k).open(t.Context(), bytes.NewReader(raw), "record", buffer); err != nil && !errors.Is(err, ErrSealed) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v", err)
		}
		_, _, _ = openHead(t.Context(), raw) // which panics at nothing
	})
}

type oneKey []byte

func (k oneKey) Key(context.Context, string) ([]byte, error) { return bytes.Clone(k), nil }
func (oneKey) Keep(context.Context, string, []byte) error    { return fs.ErrInvalid }

// takes is a storage that takes one object into memory.
type takes struct {
	octetsStorage
	*bytes.Buffer
}

func (t takes) Create(context.Context, string) (ObjectWriter, error) { return t, nil }
func (takes) Commit() error                                          { return nil }
func (takes) Abort() error                                           { return nil }

// segmentOctets returns the ZIP file of a segment with two messages.
func segmentOctets(tb testing.TB) []byte {
	tb.Helper()
	var b bytes.Buffer
	a := &Archive{storage: takes{nil, &b}, o: Options{Now: func() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }}, description: &description{ID: newIdentifier()}}
	s, err := a.newSegment(tb.Context(), &Head{})
	if err != nil {
		tb.Fatal(err)
	}
	for _, octets := range []string{"small", strings.Repeat("larger", 100)} {
		if _, err := s.add(tb.Context(), Message{}, strings.NewReader(octets)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.finish(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
