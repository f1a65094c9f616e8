package term

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
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
		{"backspace", "a\b_", "a<U+0008>_"},
		{"form feed", "a\fb", "a<U+000C>b"},
		{"next line", "a\u0085b", "a<U+0085>b"},
		{"paragraph separator", "a\u2029b", "a<U+2029>b"},
		{"soft hyphen", "a\u00adb", "a<U+00AD>b"},
		{"accents", "e\u0301 שּׁ֑ ộ", "e\u0301 שּׁ֑ ộ"},
		{"a pile of marks", "a" + strings.Repeat("\u0301", 9) + "b", "a" + strings.Repeat("\u0301", 6) + "<+3 marks>b"},
		{"a pile of marks at the end", "a" + strings.Repeat("\u0489", 7), "a" + strings.Repeat("\u0489", 6) + "<+1 marks>"},
		{"a mark on nothing", "\u0336a\n\u0336b \u0336\t\u0336", "<U+0336>a\n<U+0336>b <U+0336>    <U+0336>"},
		{"a mark on a control", "\x1b\u0336", "<U+001B><U+0336>"},
		{"emoji style", "☂\ufe0f", "☂\ufe0f"},
		{"text style", "☂\ufe0e", "☂<U+FE0E>"},
		{"a family of emoji", "👩\u200d👧", "👩👧"},
		{"a joiner elsewhere", "a\u200db 👩\u200db a\u200d👩", "a<U+200D>b 👩<U+200D>b a<U+200D>👩"},
		{"private use", "\ue000\U000F0000", "<U+E000><U+F0000>"},
		{"noncharacters", "\ufdd0\uffff\U0001FFFE", "<U+FDD0><U+FFFF><U+1FFFE>"},
		{"variation selectors", "a\ufe00\U000E0100", "a<U+FE00><U+E0100>"},
		{"invisible operators", "a\u2062b\u2060c", "a<U+2062>b<U+2060>c"},
		{"fillers", "\u115f\u17b4\u180e\u2800\uffa0\U0001D159\U00013441", "<U+115F><U+17B4><U+180E><U+2800><U+FFA0><U+1D159><U+13441>"},
		{"like our mark", "▐ a ▐\n  ┃ b\n│c\nx│", "<U+2590> a ▐\n  <U+2503> b\n<U+2502>c\nx│"},
		{"like our mark, where a terminal begins a line", strings.Repeat("x", 80) + "▋ PASSED ▐\u00a0a ▋\tb 50% ███▌", strings.Repeat("x", 80) + "<U+258B> PASSED <U+2590>\u00a0a <U+258B>    b 50% ███<U+258C>"},
		{"a table", "│ a │ b │", "<U+2502> a │ b │"},
		{"a mark on a wide blank", "\u00a0\u20d2 a\u3000\u0336", "\u00a0<U+20D2> a\u3000<U+0336>"},
		{"quarters and sixths", "▛a\n\U0001FB0Fa\n╿a\n⎢a", "<U+259B>a\n<U+1FB0F>a\n<U+257F>a\n<U+23A2>a"},
		{"fillers on a letter", "a\u034f\u1160\u17b5\u3164\U00013442a\U00016FE4a\U0001BC9D", "a<U+034F><U+1160><U+17B5><U+3164><U+13442>a<U+16FE4>a<U+1BC9D>"},
		{"wide blanks", "a\u00a0\u3000b", "a\u00a0\u3000b"},
		{"a long line", strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Clean(test.in); got != test.want {
				t.Errorf("Clean(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b[2J", "▌ PASSED", "\u202e", "\xff\xfe", "a\r\nb", "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301b", "👩\u200d👧", "\n ▐", "\u0336", "a▋ b", "\u00a0\u0360"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := Clean(in)
		marks := 0
		for _, r := range out {
			if r != '\n' && !unicode.IsPrint(r) && !unicode.In(r, unicode.Zs) {
				t.Fatalf("Clean(%q) lets %U through", in, r)
			}
			if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
				marks = 0
			}
			if marks > maxMarks {
				t.Fatalf("Clean(%q) lets a pile of marks through", in)
			}
		}
		for line := range strings.Lines(out) {
			if first, _ := utf8.DecodeRuneInString(strings.TrimSpace(line)); likeMark(first) || unicode.Is(unicode.M, first) && !unicode.Is(unicode.Mc, first) {
				t.Fatalf("Clean(%q) has a line that begins with %U", in, first)
			}
		}
		for i, r := range out {
			if isBlock(r) && beforeBlank(out[i+utf8.RuneLen(r):]) {
				t.Fatalf("Clean(%q) has %U before a blank", in, r)
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

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"plan_2.csv":                      "plan_2.csv",
		"report (1).pdf":                  `"report (1).pdf"`,
		"a.pdf\t  \u00a0.exe":             "a.pdf .exe",
		"a.pdf, signed":                   `"a.pdf, signed"`,
		strings.Repeat("x", 200) + ".exe": `"` + strings.Repeat("x", 66) + "…" + strings.Repeat("x", 29) + `.exe"`,
	} {
		if got := FileName(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
