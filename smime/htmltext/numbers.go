package htmltext

import (
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"
)

// numbers prepares a list to number its items.
func (c *converter) numbers(f *frame, a *attributes) {
	if f.tag != atom.Ol {
		return
	}
	f.number, f.step, f.numbering = 1, 1, '1'
	if a.reversed {
		f.step = -1 // how many items there will be is not known: they count down from what start says
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(a.start), 10, 32); err == nil {
		f.number = int(n)
	}
	if len(a.kind) == 1 && strings.Contains("1aAiI", a.kind) {
		f.numbering = a.kind[0]
	}
}

// nextMarker is what stands before the next item of a list.
func (f *frame) nextMarker(a *attributes) string {
	if f.numbering == 0 {
		return "- "
	}
	n := f.number
	if v, err := strconv.ParseInt(strings.TrimSpace(a.value), 10, 32); err == nil {
		n = int(v)
	}
	f.number = n + f.step
	return number(n, f.numbering) + ". "
}

// number writes a number as the type attribute of a list says; what has no such form is written in digits.
func number(n int, form byte) string {
	switch {
	case (form == 'a' || form == 'A') && n > 0:
		var letters []byte
		for ; n > 0; n = (n - 1) / 26 {
			letters = append([]byte{form + byte((n-1)%26)}, letters...)
		}
		return string(letters)
	case (form == 'i' || form == 'I') && n > 0 && n < 4000:
		var b strings.Builder
		for _, d := range [...]struct {
			value int
			text  string
		}{{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"}, {90, "xc"}, {50, "l"}, {40, "xl"}, {10, "x"}, {9, "ix"}, {5, "v"}, {4, "iv"}, {1, "i"}} {
			for ; n >= d.value; n -= d.value {
				b.WriteString(d.text)
			}
		}
		if form == 'I' {
			return strings.ToUpper(b.String())
		}
		return b.String()
	}
	return strconv.Itoa(n)
}
