package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mark begins each line that sealmail itself says about a message. Clean replaces it wherever it stands in text that
// comes out of a message, so that no message can say such a line.
const Mark = "▌"

// Clean makes text from a message safe for a terminal, line by line: controls (C0, C1), escape sequences, bidirectional
// overrides and isolates, zero-width and other invisible characters, and invalid UTF-8 become visible as <U+XXXX>; line
// breaks stay, tabs become blanks, and the mark of sealmail's own lines is replaced.
func Clean(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var b strings.Builder
	b.Grow(len(text))
	for i, r := range text {
		switch {
		case r == '\n':
			b.WriteByte('\n')
		case r == '\t':
			b.WriteString("    ")
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, "<0x%02X>", text[i])
		case isHarmless(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

// Line is Clean for what must stay in one line: a name, an address, a subject, a file name.
func Line(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(Clean(text), "\n", "<U+000A>"), "\u2028", "<U+2028>")
}

// maxName bounds a name in a line of sealmail's own, in characters, so that it pushes nothing out of sight.
const maxName = 100

// Name is Line for a name that somebody else chose, such as one in a certificate, within a line of sealmail's own. It is put in
// quotation marks where it holds more than names are made of: what looks like an address or a remark is then seen to be a part
// of it.
func Name(name string) string {
	name = shortened(Line(name))
	plain := func(c rune) bool {
		return unicode.In(c, unicode.L, unicode.M, unicode.N) || strings.ContainsRune(" .-'’&+/", c)
	}
	if name != "" && !strings.ContainsFunc(name, func(c rune) bool { return !plain(c) }) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `\"`) + `"`
}

func shortened(text string) string {
	n := 0
	for i := range text {
		if n++; n > maxName {
			return text[:i] + "…"
		}
	}
	return text
}

// isHarmless reports whether a terminal shows r as a glyph of its own and does nothing else with it.
func isHarmless(r rune) bool {
	switch {
	case r == '▌', // the mark
		r >= 0xE0000 && r <= 0xE0FFF,                       // tags and variation selectors
		r >= 0xFE00 && r <= 0xFE0E,                         // variation selectors; FE0F, after an emoji, is harmless
		r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0, // fillers that show nothing
		r == 0x034F, // combining grapheme joiner
		r == 0x2800: // blank Braille pattern
		return false
	}
	// Not Cc (controls), Cf (formats: bidi, zero width, soft hyphen), Co, Cs, Zl, Zp.
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}
