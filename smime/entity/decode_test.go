package entity_test

import (
	"encoding/base64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime/entity"
)

func TestDecode(t *testing.T) {
	tests := map[string]struct {
		encoding, in, want string
		notes              []entity.Note
	}{
		"identity":                 {"7bit", "a=3D\r\n", "a=3D\r\n", nil},
		"absent":                   {"", "abc", "abc", nil},
		"unknown":                  {"x-uue", "abc", "abc", []entity.Note{entity.NoteTransferEncoding}},
		"base64":                   {"base64", "aGVs\r\nbG8=\r\n", "hello", nil},
		"base64 in odd lines":      {"base64", "a\r\nGVsbG\n8=", "hello", nil},
		"base64 with spaces":       {"base64", " aG Vs bG8 =\r\n", "hello", []entity.Note{entity.NoteIllegalBase64}},
		"base64 without padding":   {"base64", "aGVsbG8", "hello", []entity.Note{entity.NoteTruncatedBase64}},
		"base64, one character":    {"base64", "aGVsb", "hel", []entity.Note{entity.NoteTruncatedBase64}},
		"base64 with list footer":  {"base64", "aGVsbG8=\r\n_____\r\nsome list\r\n", "hello", []entity.Note{entity.NoteTextAfterBase64}},
		"base64, footer unpadded":  {"base64", "aGVs\r\n\r\nVisit our list: here\r\n", "hel", []entity.Note{entity.NoteTextAfterBase64}},
		"base64, rule unpadded":    {"base64", "aGVs\r\n__________\r\nlist\r\n", "hel", []entity.Note{entity.NoteTextAfterBase64}},
		"base64, text in one line": {"base64", "aGVsbG8=trailer", "hello", []entity.Note{entity.NoteTextAfterBase64}},
		"base64, empty lines":      {"base64", "\r\naGVs\r\n\r\nbG8=", "hello", nil},
		"base64, illegal":          {"base64", "aG!Vs\x80bG8=", "hello", []entity.Note{entity.NoteIllegalBase64}},
		"base64, stray padding":    {"base64", "=aGVs=", "hel", []entity.Note{entity.NoteIllegalBase64}},
		"base64, nothing":          {"base64", "", "", nil},
		"quoted":                   {"quoted-printable", "J=C3=BCr=\r\ngen=20\r\n", "Jürgen \r\n", nil},
		"quoted, lower case":       {"quoted-printable", "=c3=bc", "ü", nil},
		"quoted, spaces at end":    {"quoted-printable", "a b \t\r\nc  \n", "a b\r\nc\n", nil},
		"quoted, soft with spaces": {"quoted-printable", "a= \t\r\nb=\nc=", "abc", nil},
		"quoted, malformed":        {"quoted-printable", "1=2 =XY =4", "1=2 =XY =4", []entity.Note{entity.NoteIllegalQuoted}},
		"quoted, raw octets":       {"quoted-printable", "\xe4\x00\r x", "\xe4\x00\r x", nil},
		"quoted, only spaces":      {"quoted-printable", "   ", "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
				d := entity.NewDecoder(src, test.encoding)
				got, err := io.ReadAll(d)
				if err != nil || string(got) != test.want {
					t.Errorf("%q, %v", got, err)
				}
				if diff := cmp.Diff(test.notes, d.Notes()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestDecodeLongInput(t *testing.T) {
	want := make([]byte, 200_001)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(want)
	encoded := base64.StdEncoding.EncodeToString(want)
	lines := func(n int) string {
		var b strings.Builder
		for s := encoded; s != ""; {
			k := min(n, len(s))
			b.WriteString(s[:k] + "\r\n")
			s = s[k:]
		}
		return b.String()
	}
	for _, n := range []int{60, 61, 76, 1000, len(encoded)} {
		d := entity.NewDecoder(strings.NewReader(lines(n)), "base64")
		got, err := io.ReadAll(d)
		if err != nil || string(got) != string(want) || len(d.Notes()) > 0 {
			t.Errorf("lines of %d: %d octets, %v, %v", n, len(got), d.Notes(), err)
		}
	}
	// White space without end must not be held.
	d := entity.NewDecoder(strings.NewReader(strings.Repeat(" ", 100_000)+"x="+strings.Repeat(" ", 100_000)+"y"), "quoted-printable")
	if got, err := io.ReadAll(d); err != nil || !strings.HasSuffix(string(got), " y") || len(got) != 200_003 {
		t.Errorf("%d octets, %v", len(got), err)
	}
}

func TestDecodeReportsSourceErrors(t *testing.T) {
	for _, encoding := range []string{"", "base64", "quoted-printable"} {
		src := io.MultiReader(strings.NewReader("aGVs\r\n"), iotest.ErrReader(io.ErrClosedPipe))
		if _, err := io.ReadAll(entity.NewDecoder(src, encoding)); err != io.ErrClosedPipe {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}

func TestText(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"utf-8":   {"Content-Type: text/plain; charset=utf-8\r\n\r\nü", "ü"},
		"latin-1": {"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FC", "ü"},
		"unknown": {"Content-Type: text/plain; charset=martian\r\n\r\nx\xff", "x\uFFFD"},
		"none":    {"\r\n\xe4", "\uFFFD"},
		"utf-16":  {"Content-Type: text/plain; charset=utf-16be\r\n\r\n\x00a", "a"},
	}
	for name, test := range tests {
		e, err := entity.Parse(strings.NewReader(test.in), entity.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, truncated, err := e.Text(100)
		if err != nil || truncated || got != test.want {
			t.Errorf("%s: %q, %v, %v", name, got, truncated, err)
		}
	}
	e, err := entity.Parse(strings.NewReader("\r\n"+strings.Repeat("x", 11)), entity.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got, truncated, err := e.Text(10); err != nil || !truncated || len(got) != 10 {
		t.Errorf("%q, %v, %v", got, truncated, err)
	}
}

func BenchmarkDecodeBase64(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	in := strings.Repeat(line, 100_000)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, entity.NewDecoder(strings.NewReader(in), "base64")); err != nil {
			b.Fatal(err)
		}
	}
}

// Lines that are all alike take a shorter way than others. What comes out must not depend on it: read octet by octet,
// no line takes it.
func TestDecodeUnusualLines(t *testing.T) {
	usual := strings.Repeat("QUJD", 19) + "\r\n"
	for name, unusual := range map[string]string{
		"illegal":                           "QU!JD\r\n",
		"odd":                               "QUJDR\r\nUJD\r\n",
		"shorter":                           "QUJD\r\n",
		"bare line feed":                    strings.Repeat("QUJD", 19) + "\n",
		"line feed in a line of the length": strings.Repeat("QUJD", 9) + "\n" + strings.Repeat("QUJD", 9) + "QUJ\r\n",
		"empty":                             "\r\n",
		"empty and text":                    "\r\nsee our list: here\r\n",
		"rule":                              "__________\r\n",
		"rule as long":                      strings.Repeat("-", 76) + "\r\n",
		"padding as long":                   strings.Repeat("QUJD", 18) + "QUI=\r\n",
		"spaces":                            " QUJD \r\n",
		"eight-bit":                         strings.Repeat("QUJD", 18) + "QU\xe4D\r\n",
		"carriage return":                   strings.Repeat("QUJD", 18) + "QU\rJD\r\n",
	} {
		for _, before := range []int{0, 1, 2, 1000} {
			in := strings.Repeat(usual, before) + unusual + strings.Repeat(usual, 1000) + unusual + "QUJD"
			fast, slow := entity.NewDecoder(strings.NewReader(in), "base64"), entity.NewDecoder(iotest.OneByteReader(strings.NewReader(in)), "base64")
			got, err := io.ReadAll(fast)
			want, wantErr := io.ReadAll(slow)
			if string(got) != string(want) || err != nil || wantErr != nil {
				t.Errorf("%s behind %d lines: %d octets instead of %d, %v, %v", name, before, len(got), len(want), err, wantErr)
			}
			if diff := cmp.Diff(slow.Notes(), fast.Notes()); diff != "" {
				t.Errorf("%s behind %d lines: %s", name, before, diff)
			}
		}
	}
}

func TestBase64Writer(t *testing.T) {
	octets := make([]byte, 150_000)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(octets)
	for _, size := range []int{0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 57 * 1024, 57*1024 + 1, 150_000} {
		for _, piece := range []int{1, 56, 57, 58, 1000, 150_000} {
			var out strings.Builder
			w := entity.NewBase64Writer(&out)
			for rest := octets[:size]; len(rest) > 0; {
				n := min(piece, len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			for text := base64.StdEncoding.EncodeToString(octets[:size]); text != ""; {
				n := min(76, len(text))
				want.WriteString(text[:n] + "\r\n")
				text = text[n:]
			}
			if out.String() != want.String() {
				t.Errorf("%d octets in pieces of %d: not as it should be", size, piece)
			}
		}
	}
}
