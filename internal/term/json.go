package term

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sealmail/sealmail/internal/glyph"
)

// JSON returns v as one line of JSON that is safe for a terminal as well: whatever Clean would make visible is written
// as \uXXXX, which means the same to every reader of JSON.
func JSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if isPlain(data) {
		return data, nil
	}
	var b strings.Builder
	b.Grow(len(data))
	marks := 0
	for _, r := range string(data) { // valid UTF-8: Marshal sees to that
		if marks++; !isMark(r) {
			marks = 0
		}
		switch {
		case r == utf8.RuneError || r != markRune && marks <= maxMarks && glyph.IsHarmless(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String()), nil
}

// isPlain reports whether text is nothing but printable ASCII, as most lines are: nothing of that is written otherwise.
func isPlain(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c < ' ' || c > '~' })
}
