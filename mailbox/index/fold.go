package index

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxText is how many octets of a text can be searched.
const maxText = 1 << 20

// Text is a text in the form in which it is searched.
type Text struct{ folded string }

// NewText prepares what is shown of a message for searching. Of what is longer than a mebioctet the rest cannot be found.
func NewText(shown string) Text {
	folded := fold(shown[:min(len(shown), maxText)])
	if len(folded) > maxText { // there are characters that become eighteen
		folded = strings.Clone(strings.ToValidUTF8(folded[:maxText], ""))
	}
	return Text{folded}
}

// Size is how many octets the text takes in memory.
func (t Text) Size() int64 { return int64(len(t.folded)) }

// fold makes letters alike that are the same but for case, accents and width (compatibility characters), and any white
// space one space.
func fold(text string) string {
	folded, ascii := squeeze(text)
	if ascii {
		return folded
	}
	folded, _ = squeeze(strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(strings.ToValidUTF8(text, " "))))
	return folded
}

// squeeze folds what of a text is ASCII, and reports whether all of it is.
func squeeze(text string) (folded string, ascii bool) {
	out := make([]byte, len(text))
	n, every := 0, byte(0)
	for i := range len(text) {
		c := text[i]
		every |= c
		switch {
		case c > ' ':
			if c-'A' <= 'Z'-'A' {
				c += 'a' - 'A'
			}
			out[n] = c
			n++
		case n > 0 && out[n-1] != ' ':
			out[n] = ' '
			n++
		}
	}
	if n > 0 && out[n-1] == ' ' {
		n--
	}
	return string(out[:n]), every < utf8.RuneSelf
}

// isWord reports whether a word can be made of such characters.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Co, r)
}

// unspaced are scripts that are written without spaces between words, or, as Hangul, with particles that stick to them: there a
// word is found wherever it stands.
func unspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// joined reports whether two characters that stand side by side are of one word.
func joined(a, b rune) bool { return isWord(a) && isWord(b) && !unspaced(a) && !unspaced(b) }

// holds reports whether a folded text has a phrase in it that begins and, unless prefix, ends where words do.
func holds(text, phrase string, prefix bool) bool {
	first, _ := utf8.DecodeRuneInString(phrase)
	last, _ := utf8.DecodeLastRuneInString(phrase)
	for at := 0; ; {
		i := strings.Index(text[at:], phrase)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(phrase)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if (start == 0 || !joined(before, first)) && (prefix || end == len(text) || !joined(last, after)) {
			return true
		}
		_, n := utf8.DecodeRuneInString(text[start:])
		at = start + n
	}
}
