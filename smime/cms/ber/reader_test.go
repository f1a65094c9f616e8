package ber_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// unhex reads hexadecimal digits with spaces between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHeader(t *testing.T) {
	for name, tt := range map[string]struct {
		hex  string
		want ber.Header
		form string // shortest form, if another
	}{
		"sequence":       {"30 03", ber.Header{Constructed: true, Number: 16, Length: 3}, ""},
		"indefinite":     {"30 80", ber.Header{Constructed: true, Number: 16, Length: ber.Indefinite}, ""},
		"context":        {"80 00", ber.Header{Class: ber.ContextSpecific}, ""},
		"application":    {"5f 1f 01", ber.Header{Class: ber.Application, Number: 31, Length: 1}, ""},
		"private, large": {"ff 87 68 00", ber.Header{Class: ber.Private, Constructed: true, Number: 1000}, ""},
		"long length":    {"04 82 01 00", ber.Header{Number: 4, Length: 256}, ""},
		"padded length":  {"04 84 00 00 00 05", ber.Header{Number: 4, Length: 5}, "04 05"},
		"longest":        {"04 87 ff ff ff ff ff ff ff", ber.Header{Number: 4, Length: 1<<56 - 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := unhex(t, tt.hex)
			got, n, err := ber.ParseHeader(in)
			if err != nil || n != len(in) || got != tt.want {
				t.Fatalf("got %+v, %d, %v", got, n, err)
			}
			form := in
			if tt.form != "" {
				form = unhex(t, tt.form)
			}
			if out := ber.AppendHeader(nil, got); !bytes.Equal(out, form) {
				t.Errorf("written as %x", out)
			}
			for i := range in {
				if _, n, err := ber.ParseHeader(in[:i]); n != 0 || err != nil {
					t.Errorf("cut at %d: %d, %v", i, n, err)
				}
			}
		})
	}
}

func TestHeaderRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"reserved length":      "30 ff",
		"primitive indefinite": "04 80",
		"length too large":     "04 88 01 00 00 00 00 00 00 00",
		"tag of zeros":         "1f 80 01 00",
		"tag in need of none":  "1f 1e 00",
		"tag too large":        "1f ff ff ff ff 7f 00",
		"end with content":     "00 01",
		"end, constructed":     "20 00",
		"end in the long form": "00 81 00",
	} {
		if _, _, err := ber.ParseHeader(unhex(t, in)); !errors.Is(err, ber.ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReader walks SEQUENCE { INTEGER, [0] { OCTET STRING "abcdef" }, SET { } } in several encodings.
func TestReader(t *testing.T) {
	for name, in := range map[string]string{
		"definite":    "30 0f 02 01 05 a0 08 04 06 61 62 63 64 65 66 31 00",
		"indefinite":  "30 80 02 01 05 a0 80 04 06 61 62 63 64 65 66 00 00 31 80 00 00 00 00",
		"segments":    "30 80 02 01 05 a0 80 24 80 04 02 61 62 04 00 04 04 63 64 65 66 00 00 00 00 31 80 00 00 00 00",
		"in segments": "30 80 02 01 05 a0 80 24 80 24 05 04 03 61 62 63 24 80 24 00 04 03 64 65 66 00 00 00 00 00 00 31 00 00 00",
		"long form":   "30 81 19 02 81 01 05 a0 82 00 0e 24 81 0b 04 83 00 00 06 61 62 63 64 65 66 31 81 00",
	} {
		t.Run(name, func(t *testing.T) {
			raw := unhex(t, in)
			for _, src := range []io.Reader{bytes.NewReader(raw), iotest.OneByteReader(bytes.NewReader(raw))} {
				r := ber.NewReader(src, ber.Limits{})
				if err := walkExample(r); err != nil {
					t.Fatal(err)
				}
				if r.Offset() != int64(len(raw)) || r.Depth() != 0 {
					t.Errorf("%d octets read, depth %d", r.Offset(), r.Depth())
				}
			}
			for n := range raw {
				if err := walkExample(ber.NewReader(bytes.NewReader(raw[:n]), ber.Limits{})); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("cut at %d: %v", n, err)
				}
			}
		})
	}
}

func walkExample(r *ber.Reader) error {
	if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return err
	}
	integer, err := r.DER(0)
	if err != nil {
		return err
	}
	if !bytes.Equal(integer, []byte{2, 1, 5}) {
		return errors.New("another integer")
	}
	if err := r.Enter(ber.ContextSpecific, 0); err != nil {
		return err
	}
	octets, err := r.OctetString(ber.Universal, ber.TagOctetString)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(octets)
	if err != nil {
		return err
	}
	if string(content) != "abcdef" {
		return errors.New("another content")
	}
	if err := r.Leave(); err != nil {
		return err
	}
	if err := r.Skip(); err != nil {
		return err
	}
	if err := r.Leave(); err != nil {
		return err
	}
	if _, err := r.Peek(); !errors.Is(err, io.EOF) {
		return errors.New("more than one element")
	}
	return nil
}

func TestReaderRefuses(t *testing.T) {
	element := func(r *ber.Reader) error { _, err := r.Element(0); return err }
	octets := func(r *ber.Reader) error {
		o, err := r.OctetString(ber.Universal, ber.TagOctetString)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, o)
		return err
	}
	enterSkipLeave := func(r *ber.Reader) error {
		if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
			return err
		}
		if err := r.Skip(); err != nil {
			return err
		}
		return r.Leave()
	}
	for name, tt := range map[string]struct {
		hex  string
		read func(*ber.Reader) error
		want error
	}{
		"end alone":               {"00 00", element, ber.ErrSyntax},
		"end in a definite":       {"30 02 00 00", enterSkipLeave, ber.ErrSyntax},
		"member too long":         {"30 02 04 01 00", enterSkipLeave, ber.ErrSyntax},
		"header too long":         {"30 02 04 81 01", enterSkipLeave, ber.ErrSyntax},
		"member too long, nested": {"30 04 30 80 04 05 00 00", enterSkipLeave, ber.ErrSyntax},
		"surplus member":          {"30 04 05 00 05 00", enterSkipLeave, ber.ErrSyntax},
		"another tag":             {"31 00", enterSkipLeave, ber.ErrTag},
		"primitive sequence":      {"10 00", enterSkipLeave, ber.ErrSyntax},
		"segment of another type": {"24 80 0c 01 61 00 00", octets, ber.ErrTag},
		"no octet string":         {"0c 00", octets, ber.ErrTag},
		"empty":                   {"", element, io.ErrUnexpectedEOF},
		"Leave outside":           {"30 00", (*ber.Reader).Leave, ber.ErrSyntax},
		"too large":               {"04 82 01 00", func(r *ber.Reader) error { _, err := r.Element(255); return err }, ber.ErrTooLarge},
	} {
		if err := tt.read(ber.NewReader(bytes.NewReader(unhex(t, tt.hex)), ber.Limits{})); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReaderUnreadString(t *testing.T) {
	r := ber.NewReader(bytes.NewReader(unhex(t, "04 02 61 62 05 00")), ber.Limits{})
	o, err := r.OctetString(ber.Universal, ber.TagOctetString)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Skip(); !errors.Is(err, ber.ErrSyntax) {
		t.Errorf("Skip inside a string: %v", err)
	}
	if content, err := io.ReadAll(o); err != nil || string(content) != "ab" {
		t.Errorf("%q, %v", content, err)
	}
	if raw, err := r.Element(0); err != nil || !bytes.Equal(raw, []byte{5, 0}) {
		t.Errorf("%x, %v", raw, err)
	}
}

func TestReaderRest(t *testing.T) {
	r := ber.NewReader(strings.NewReader("\x05\x00and more"), ber.Limits{})
	if err := r.Skip(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r.Rest()); err != nil || string(rest) != "and more" {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestDepth nests a million indefinite lengths: the stack must not grow, and neither must memory.
func TestDepth(t *testing.T) {
	nested := bytes.Repeat([]byte{0x30, 0x80}, 1_000_000)
	for name, read := range map[string]func() error{
		"Element": func() error { _, err := ber.NewReader(bytes.NewReader(nested), ber.Limits{}).Element(0); return err },
		"Skip":    func() error { return ber.NewReader(bytes.NewReader(nested), ber.Limits{}).Skip() },
		"ToDER":   func() error { _, err := ber.ToDER(nested, ber.Limits{}); return err },
		"Enter": func() (err error) {
			r := ber.NewReader(bytes.NewReader(nested), ber.Limits{})
			for err == nil {
				err = r.Enter(ber.Universal, ber.TagSequence)
			}
			return err
		},
		"OctetString": func() error {
			segments := bytes.Repeat([]byte{0x24, 0x80}, 1_000_000)
			o, err := ber.NewReader(bytes.NewReader(segments), ber.Limits{}).OctetString(ber.Universal, ber.TagOctetString)
			if err == nil {
				_, err = io.Copy(io.Discard, o)
			}
			return err
		},
	} {
		if err := read(); !errors.Is(err, ber.ErrTooDeep) {
			t.Errorf("%s: %v", name, err)
		}
	}
	five := unhex(t, "30 80 30 80 30 80 30 80 30 80 00 00 00 00 00 00 00 00 00 00")
	for depth, want := range map[int]error{4: ber.ErrTooDeep, 5: nil} {
		if _, err := ber.ToDER(five, ber.Limits{Depth: depth}); !errors.Is(err, want) {
			t.Errorf("ToDER to depth %d: %v", depth, err)
		}
		if err := ber.NewReader(bytes.NewReader(five), ber.Limits{Depth: depth}).Skip(); !errors.Is(err, want) {
			t.Errorf("Skip to depth %d: %v", depth, err)
		}
	}
}
