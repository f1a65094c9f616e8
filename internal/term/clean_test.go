package term

import (
	"strings"
	"testing"
	"unicode"
)

func TestClean(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"plain", "Grüße, 世界 👍", "Grüße, 世界 👍"},
		{"lines", "a\r\nb\nc", "a\nb\nc"},
		{"tab", "a\tb", "a    b"},
		{"carriage return alone", "PASSED\rFAILED", "PASSED<U+000D>FAILED"},
		{"colour", "\x1b[31mred", "<U+001B>[31mred"},
		{"C1 CSI", "\u009b31m", "<U+009B>31m"},
		{"title", "\x1b]0;x\x07", "<U+001B>]0;x<U+0007>"},
		{"bidi override", "gpj\u202eexe", "gpj<U+202E>exe"},
		{"isolate", "\u2066x\u2069", "<U+2066>x<U+2069>"},
		{"zero width", "pay\u200bpal", "pay<U+200B>pal"},
		{"byte order mark", "\ufeffx", "<U+FEFF>x"},
		{"line separator", "a\u2028b", "a<U+2028>b"},
		{"invalid UTF-8", "a\xffb", "a<0xFF>b"},
		{"replacement character", "a\uFFFDb", "a\uFFFDb"},
		{"our mark", "▌ PASSED", "<U+258C> PASSED"},
		{"tag characters", "\U000E0041", "<U+E0041>"},
		{"hangul filler", "\u3164", "<U+3164>"},
		{"delete", "\x7f", "<U+007F>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Clean(test.in); got != test.want {
				t.Errorf("Clean(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b[2J", "▌ PASSED", "\u202e", "\xff\xfe", "a\r\nb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := Clean(in)
		for _, r := range out {
			if r != '\n' && !unicode.IsPrint(r) && !unicode.In(r, unicode.Zs) {
				t.Fatalf("Clean(%q) lets %U through", in, r)
			}
		}
		if strings.Contains(out, Mark) {
			t.Fatalf("Clean(%q) lets the mark through", in)
		}
		if Clean(out) != out {
			t.Fatalf("Clean is not idempotent on %q", in)
		}
		if strings.ContainsAny(Line(in), "\n\r") {
			t.Fatalf("Line(%q) has more than one line", in)
		}
	})
}

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"Alice Adams":            "Alice Adams",
		"Jürgen O’Neill-Groß 2.": "Jürgen O’Neill-Groß 2.",
		"Müller & Söhne":         "Müller & Söhne",
		"":                       `""`,
		"Alice <a@b.org>":        `"Alice <a@b.org>"`,
		"CA, not revoked":        `"CA, not revoked"`,
		"Bank (checked)":         `"Bank (checked)"`,
		`a" b`:                   `"a\" b"`,
		"a\x1b[2Jb":              `"a<U+001B>[2Jb"`,
		strings.Repeat("ä", 100): strings.Repeat("ä", 100),
		strings.Repeat("ä", 101): `"` + strings.Repeat("ä", 100) + `…"`,
	} {
		if got := Name(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
