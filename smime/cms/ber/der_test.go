package ber_test

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"io"
	"testing"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

func TestToDER(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"DER already":               {"30 06 02 01 05 01 01 ff", "30 06 02 01 05 01 01 ff"},
		"indefinite":                {"30 80 02 01 05 00 00", "30 03 02 01 05"},
		"nested":                    {"30 80 a0 80 31 80 00 00 00 00 02 01 01 00 00", "30 07 a0 02 31 00 02 01 01"},
		"indefinite in a definite":  {"30 06 30 80 05 00 00 00", "30 04 30 02 05 00"},
		"long length":               {"04 83 00 00 01 61", "04 01 61"},
		"true":                      {"01 01 01", "01 01 ff"},
		"false":                     {"01 01 00", "01 01 00"},
		"octets in segments":        {"24 80 04 01 61 04 02 62 63 00 00", "04 03 61 62 63"},
		"octets in one segment":     {"24 03 04 01 61", "04 01 61"},
		"octets in nested segments": {"24 80 24 80 04 01 61 00 00 24 03 04 01 62 00 00", "04 02 61 62"},
		"octets in no segment":      {"24 80 00 00", "04 00"},
		"text in segments":          {"2c 80 04 01 61 04 01 62 00 00", "0c 02 61 62"}, // X.690 section 8.23.1
		"implicit, constructed":     {"a0 80 04 01 61 00 00", "a0 03 04 01 61"},
		"segments in a sequence":    {"30 80 24 80 04 01 61 00 00 02 01 01 00 00", "30 06 04 01 61 02 01 01"},
	} {
		t.Run(name, func(t *testing.T) {
			in, want := unhex(t, tt.in), unhex(t, tt.want)
			got, err := ber.ToDER(in, ber.Limits{})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("ToDER: %x, %v", got, err)
			}
			read, err := ber.NewReader(bytes.NewReader(in), ber.Limits{}).DER(0)
			if err != nil || !bytes.Equal(read, want) {
				t.Errorf("Reader.DER: %x, %v", read, err)
			}
			for n := range in {
				if _, err := ber.ToDER(in[:n], ber.Limits{}); !errors.Is(err, ber.ErrSyntax) {
					t.Errorf("cut at %d: %v", n, err)
				}
			}
		})
	}
}

// TestToDERLarge has lengths that take several octets, and change their size by being re-encoded.
func TestToDERLarge(t *testing.T) {
	segment := append([]byte{4, 0x82, 1, 0}, make([]byte, 256)...)
	in := append([]byte{0x30, 0x80, 0x24, 0x80}, bytes.Repeat(segment, 300)...)
	in = append(in, 0, 0, 0, 0)
	got, err := ber.ToDER(in, ber.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var value struct{ Octets []byte }
	if rest, err := asn1.Unmarshal(got, &value); err != nil || len(rest) != 0 || len(value.Octets) != 300*256 {
		t.Errorf("%d octets of content, rest %x, %v", len(value.Octets), rest, err)
	}
}

func TestToDERRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		hex  string
		want error
	}{
		"empty":                    {"", ber.ErrSyntax},
		"trailing":                 {"05 00 00", ber.ErrSyntax},
		"two elements":             {"05 00 05 00", ber.ErrSyntax},
		"end alone":                {"00 00", ber.ErrSyntax},
		"end in a definite":        {"30 02 00 00", ber.ErrSyntax},
		"end too early":            {"30 80 30 02 00 00 00 00", ber.ErrSyntax},
		"member too long":          {"30 02 04 01 00", ber.ErrSyntax},
		"no end":                   {"30 80 05 00", ber.ErrSyntax},
		"bits in segments":         {"23 80 03 02 00 61 00 00", ber.ErrSyntax},
		"segment of another type":  {"24 80 02 01 05 00 00", ber.ErrTag},
		"text in segments of text": {"2c 80 0c 01 61 00 00", ber.ErrTag},
	} {
		if _, err := ber.ToDER(unhex(t, tt.hex), ber.Limits{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestToDERElements: many elements are no harm in DER, and are refused where each would take memory.
func TestToDERElements(t *testing.T) {
	members := bytes.Repeat([]byte{5, 0}, 1000)
	der := append([]byte{0x30, 0x82, byte(len(members) >> 8), byte(len(members))}, members...)
	if _, err := ber.ToDER(der, ber.Limits{Elements: 10}); err != nil {
		t.Error(err)
	}
	indefinite := append(append([]byte{0x30, 0x80}, members...), 0, 0)
	if _, err := ber.ToDER(indefinite, ber.Limits{Elements: 1000}); !errors.Is(err, ber.ErrTooLarge) {
		t.Errorf("one too many: %v", err)
	}
	if got, err := ber.ToDER(indefinite, ber.Limits{Elements: 1001}); err != nil || !bytes.Equal(got, der) {
		t.Errorf("just so many: %v", err)
	}
}

// TestReaderElements: the values that one Reader re-encodes share the bound.
func TestReaderElements(t *testing.T) {
	value := []byte{0x30, 0x80, 5, 0, 0, 0} // two elements
	var message []byte
	for range 4 {
		message = append(append(message, value...), 5, 0) // the other is in DER, and costs nothing
	}
	r := ber.NewReader(bytes.NewReader(message), ber.Limits{Elements: 6})
	for i := range 7 {
		want := []byte{0x30, 2, 5, 0}
		if i%2 == 1 {
			want = want[2:]
		}
		got, err := r.DER(0)
		switch {
		case i < 6 && (err != nil || !bytes.Equal(got, want)):
			t.Errorf("value %d: %x, %v", i, got, err)
		case i == 6 && !errors.Is(err, ber.ErrTooLarge):
			t.Errorf("value %d: %x, %v", i, got, err)
		}
	}
}

func TestSortSetOf(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"empty":          {"", ""},
		"sorted":         {"02 01 01 02 01 02", "02 01 01 02 01 02"},
		"unsorted":       {"04 01 61 02 01 02 02 01 01", "02 01 01 02 01 02 04 01 61"},
		"equal":          {"05 00 05 00", "05 00 05 00"},
		"by length":      {"04 02 00 00 04 01 ff", "04 01 ff 04 02 00 00"},
		"of constructed": {"31 00 30 02 05 00 30 00", "30 00 30 02 05 00 31 00"},
	} {
		if got, err := ber.SortSetOf(unhex(t, tt.in)); err != nil || !bytes.Equal(got, unhex(t, tt.want)) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	for name, in := range map[string]string{"truncated": "02 02 01", "indefinite": "30 80 00 00", "header": "30", "bad": "1f 80 01 00"} {
		if _, err := ber.SortSetOf(unhex(t, in)); !errors.Is(err, ber.ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriter(t *testing.T) {
	for _, size := range []int{0, 1, ber.SegmentSize - 1, ber.SegmentSize, ber.SegmentSize + 1, 3*ber.SegmentSize + 7} {
		for _, step := range []int{1000, ber.SegmentSize, 1 << 20} {
			content := bytes.Repeat([]byte("x"), size)
			var out bytes.Buffer
			w := ber.NewWriter(&out)
			_ = w.Open(ber.Universal, ber.TagSequence) // errors stick
			_ = w.Raw([]byte{5, 0})
			o := w.OctetString(ber.ContextSpecific, 0)
			for rest := content; len(rest) > 0; {
				n, err := o.Write(rest[:min(step, len(rest))])
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := o.Close(); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			r := ber.NewReader(&out, ber.Limits{})
			_ = r.Enter(ber.Universal, ber.TagSequence)
			_ = r.Skip()
			read, err := r.OctetString(ber.ContextSpecific, 0)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(read)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d octets by %d: got %d, %v", size, step, len(got), err)
			}
			if err := r.Leave(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriterError(t *testing.T) {
	broken := errors.New("broken")
	w := ber.NewWriter(brokenWriter{broken})
	o := w.OctetString(ber.Universal, ber.TagOctetString)
	if _, err := o.Write(make([]byte, 2*ber.SegmentSize)); !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
	if err := o.Close(); !errors.Is(err, broken) {
		t.Errorf("Close of the string: %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
}
