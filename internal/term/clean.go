package term

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealmail/sealmail/internal/glyph"
)

// Mark begins each line that sealmail itself says about a message. Clean replaces it wherever it stands in text that
// comes out of a message, so that no message can say such a line.
const Mark = string(markRune)

const markRune = '▌'

// maxMarks is how many combining marks one character may carry. Hebrew with its accents and Tibetan come close; more of
// them pile up over the lines around.
const maxMarks = 6

// Clean makes text from a message safe for a terminal, line by line: controls (C0, C1), escape sequences, bidirectional
// overrides and isolates, zero-width and other invisible characters, and invalid UTF-8 become visible as <U+XXXX>; line
// breaks stay, tabs become blanks. Of combining marks a character keeps six, and one that has no character to stand on becomes
// visible. The mark of sealmail's own lines is replaced, and what looks like it where a line begins, or nearly is it and stands
// before a blank, as the mark does: a terminal may begin a line anywhere.
func Clean(text string) string {
	c := cleaner{lineStart: true}
	c.b.Grow(len(text))
	for i := 0; i < len(text); {
		if text[i] > ' ' && text[i] < 0x7f {
			end := i + 1
			for end < len(text) && text[end] >= ' ' && text[end] < 0x7f {
				end++
			}
			c.plain(text[i:end])
			i = end
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\r' && strings.HasPrefix(text[i+1:], "\n"):
		case r == utf8.RuneError && size <= 1:
			c.replace(fmt.Sprintf("<0x%02X>", text[i]))
		default:
			c.rune(r, text[i+size:])
		}
		i += size
	}
	c.endMarks()
	return c.b.String()
}

// Line is Clean for what must stay in one line: a name, an address, a subject, a file name.
func Line(text string) string {
	return strings.ReplaceAll(Clean(text), "\n", "<U+000A>")
}

// maxName bounds a name in a line of sealmail's own, in characters, so that it pushes nothing out of sight.
const maxName = 100

// Name is Line for a name that somebody else chose, such as one in a certificate, within a line of sealmail's own. It is put in
// quotation marks where it holds more than names are made of: what looks like an address or a remark is then seen to be a part
// of it.
func Name(name string) string { return quoted(shortened(Line(name))) }

// FileName is Name for the name of a file: of a long one the end is seen as well, which says what the file is, and of blanks that
// follow each other one.
func FileName(name string) string {
	runes := []rune(strings.Join(strings.Fields(Line(name)), " "))
	if len(runes) > maxName {
		runes = slices.Concat(runes[:2*maxName/3], []rune("…"), runes[len(runes)-maxName/3:])
	}
	return quoted(string(runes))
}

func quoted(name string) string {
	plain := func(c rune) bool {
		return unicode.In(c, unicode.L, unicode.M, unicode.N) || strings.ContainsRune(" .-_'’&+/", c)
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

// cleaner writes clean text.
type cleaner struct {
	b         strings.Builder
	lineStart bool // nothing but blanks stands on the line yet
	base      rune // what a combining mark would stand on; 0: nothing
	marks     int  // how many it has
	left      int  // how many were left out
}

// plain writes printable ASCII.
func (c *cleaner) plain(text string) {
	c.endMarks()
	c.b.WriteString(text)
	c.lineStart, c.base, c.marks = false, rune(text[len(text)-1]), 0
	if c.base == ' ' {
		c.base = 0
	}
}

// replace writes something in place of what was there.
func (c *cleaner) replace(text string) {
	c.endMarks()
	c.b.WriteString(text)
	c.lineStart, c.base, c.marks = false, 0, 0
}

// endMarks says how many combining marks were left out.
func (c *cleaner) endMarks() {
	if c.left > 0 {
		fmt.Fprintf(&c.b, "<+%d marks>", c.left)
		c.left, c.base = 0, 0
	}
}

// rune writes one character; rest is what follows it.
func (c *cleaner) rune(r rune, rest string) {
	switch {
	case r == '\n':
		c.endMarks()
		c.b.WriteByte('\n')
		c.lineStart, c.base = true, 0
	case r == '\t':
		c.endMarks()
		c.b.WriteString("    ")
		c.base = 0
	case r == zeroWidthJoiner && c.left == 0 && isPicture(c.base):
		if next, _ := utf8.DecodeRuneInString(rest); isPicture(next) {
			return // the pictures stand side by side then
		}
		c.replace("<U+200D>")
	case r == markRune, !glyph.IsHarmless(r), c.lineStart && likeMark(r), isBlock(r) && beforeBlank(rest):
		c.replace(fmt.Sprintf("<U+%04X>", r))
	case isMark(r):
		c.mark(r)
	default:
		c.endMarks()
		c.b.WriteRune(r)
		c.lineStart = c.lineStart && unicode.Is(unicode.Zs, r)
		if c.base, c.marks = r, 0; unicode.Is(unicode.Zs, r) { // on a blank, a mark would be a character of its own
			c.base = 0
		}
	}
}

// mark writes a combining mark, if there is a character for it.
func (c *cleaner) mark(r rune) {
	switch {
	case c.left > 0 || c.base != 0 && c.marks == maxMarks:
		c.left++
	case c.base == 0:
		c.replace(fmt.Sprintf("<U+%04X>", r))
	default:
		c.b.WriteRune(r)
		c.marks++
	}
}

// isMark reports whether r stands on the character before it.
func isMark(r rune) bool { return r >= 0x300 && unicode.In(r, unicode.Mn, unicode.Me) }

const zeroWidthJoiner = 0x200D

// isPicture reports whether r is an emoji, or what may stand between one and a joiner.
func isPicture(r rune) bool {
	return r >= 0x2190 && (unicode.Is(unicode.So, r) || r >= 0x1F3FB && r <= 0x1F3FF) // with tones of skin
}

// beforeBlank reports whether a text begins with a blank, as what stands behind the mark does.
func beforeBlank(text string) bool {
	next, _ := utf8.DecodeRuneInString(text)
	return unicode.Is(unicode.Zs, next) || next == '\t'
}

// likeMark reports whether r could be taken for the mark at the beginning of a line.
func likeMark(r rune) bool {
	switch {
	case isBlock(r),
		r == 0x2502, r == 0x2503, r == 0x2551, r == 0x2758, r == 0x2759, r == 0x275A, // bars
		r == 0x2579, r == 0x257B, r == 0x257D, r == 0x257F, // heavy halves of them
		r == 0x239C, r == 0x239F, r == 0x23A2, r == 0x23A5, r == 0x23AA, r == 0x23AE, // pieces of tall brackets
		r == 0x2016, r == 0x2223, r == 0x2225, r == 0x01C0, r == 0xFF5C, r == 0xFFE8, // lines
		r == 0x25AE, r == 0x25AF, r == 0x23B8, r == 0x23B9, r == 0x23D0, r == 0x1D108:
		return true
	}
	return false
}

// isBlock reports whether r is nearly the mark. Behind a long line, a terminal that begins a new one where the old one is full
// would show it as the first thing there.
func isBlock(r rune) bool {
	return r >= 0x2588 && r <= 0x2590 || r >= 0x2595 && r <= 0x259F || // blocks that fill the left or the right, and quarters
		r >= 0x1FB00 && r <= 0x1FB3B || r >= 0x1FB70 && r <= 0x1FB75 || r >= 0x1FB87 && r <= 0x1FB8B // sixths and eighths
}
