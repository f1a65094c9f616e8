package htmltext

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// maxPrefix bounds what stands before each line: what is nested deeper is not indented further.
const maxPrefix = 40

// whiteSpace is what HTML takes for white space.
const whiteSpace = " \t\n\r\f"

// layout writes text in lines. What stands between two pieces of text is remembered until the second one comes.
type layout struct {
	out   []byte
	limit int
	full  bool // the limit is reached: nothing more is written

	breaks int    // line ends before the next text
	space  bool   // white space
	hard   int    // blanks that count
	seps   int    // borders of cells
	inCell bool   // nothing was in the cell yet
	open   []byte // marks such as ~~
	marker []byte // of list items, at the end of the prefix of the next line
	prefix []byte // of each line
	low    int    // the shortest prefix since the last text: that of empty lines
	line   int    // how many lines there are before this one
	begun  int    // counts the pieces of text
}

// breakLine asks for so many line ends before the next text. Before the first text of an item or cell there are none.
func (l *layout) breakLine(n int) {
	if l.inCell {
		n = min(n, 1)
	}
	if l.seps == 0 && len(l.marker) == 0 {
		l.breaks = max(l.breaks, n)
	}
	l.space, l.hard = false, 0
}

// tighten takes back empty lines at the end of an item or a row.
func (l *layout) tighten() { l.breaks = min(l.breaks, 1) }

// lineBreak is <br>: two of them leave an empty line, and more leave two.
func (l *layout) lineBreak() {
	if l.seps == 0 && len(l.marker) == 0 {
		l.breaks = min(l.breaks+1, 3)
	}
	l.space, l.hard = false, 0
}

// nextCell begins another cell of a row whose text began on the given line.
func (l *layout) nextCell(line int, grid bool) {
	switch {
	case line < 0:
		if grid {
			l.seps++
		}
	case line != l.line: // a cell of several lines
		l.breakLine(1)
	case grid:
		l.breaks, l.seps = 0, l.seps+1
	default:
		l.breaks, l.seps = 0, 1
	}
	l.space, l.hard = false, 0
}

// begin writes what was remembered. row is the place of the row that the text is in.
func (l *layout) begin(row int, stack []frame) {
	l.begun++
	if len(l.out) >= l.limit {
		l.full = true
		return
	}
	switch {
	case len(l.out) == 0:
		l.startLine()
	case l.breaks > 0:
		l.out = bytes.TrimRight(l.out, " \t")
		empty := bytes.TrimRight(l.prefix[:min(l.low, len(l.prefix))], " ")
		for ; l.breaks > 1 && len(l.out) < l.limit; l.breaks-- {
			l.out = append(append(l.out, '\n'), empty...)
			l.line++
		}
		l.out = append(l.out, '\n')
		l.line++
		l.startLine()
	case l.seps > 0:
		l.out = append(l.out, ' ')
	case l.space && l.hard == 0:
		l.out = append(l.out, ' ')
	}
	for ; l.seps > 0; l.seps-- {
		l.out = append(l.out, "| "...)
	}
	for ; l.hard > 0; l.hard-- {
		l.out = append(l.out, ' ')
	}
	l.out = append(l.out, l.open...)
	l.inCell = false
	l.breaks, l.space, l.open, l.low = 0, false, l.open[:0], len(l.prefix)
	if row > 0 && stack[row].line < 0 {
		stack[row].line = l.line
	}
}

// startLine writes the prefix, with markers of items that begin on this line in its place.
func (l *layout) startLine() {
	l.out = append(l.out, l.prefix[:max(len(l.prefix)-len(l.marker), 0)]...)
	l.out = append(l.out, l.marker...)
	l.marker = l.marker[:0]
}

// write writes text, white space folded.
func (l *layout) write(text []byte, row int, stack []frame) {
	for i := 0; i < len(text) && !l.full; {
		switch b := text[i]; {
		case b == ' ' || b == '\n' || b == '\t' || b == '\r' || b == '\f':
			l.space = true
			i++
		case b < utf8.RuneSelf:
			end := i + 1
			for end < len(text) && text[end] > ' ' && text[end] < utf8.RuneSelf {
				end++
			}
			l.put(text[i:end], row, stack)
			i = end
		default:
			i += l.rune(text[i:], row, stack)
		}
	}
}

// writePre writes text as it stands.
func (l *layout) writePre(text []byte, row int, stack []frame) {
	for i := 0; i < len(text) && !l.full; {
		switch b := text[i]; {
		case b == '\n':
			if l.seps > 0 || len(l.marker) > 0 || len(l.out) == 0 {
				l.space, l.hard = false, 0
			} else {
				l.breaks++
				l.hard = 0
			}
			i++
		case b == ' ' || b == '\r' || b == '\f':
			l.hard++
			i++
		case b < utf8.RuneSelf:
			l.put(text[i:i+1], row, stack)
			i++
		default:
			i += l.rune(text[i:], row, stack)
		}
	}
}

// put writes octets that are to be seen.
func (l *layout) put(text []byte, row int, stack []frame) {
	if l.breaks > 0 || l.space || l.hard > 0 || l.seps > 0 || len(l.open) > 0 || len(l.marker) > 0 || len(l.out) == 0 || len(l.out) >= l.limit {
		l.begin(row, stack)
		if l.full {
			return
		}
	} else {
		l.begun++
		l.low = len(l.prefix)
	}
	l.out = append(l.out, text...)
}

// literal writes a text of ours, or one whose white space is in order.
func (l *layout) literal(text string, row int, stack []frame) { l.put([]byte(text), row, stack) }

// rune writes one character outside of ASCII and returns its length.
func (l *layout) rune(text []byte, row int, stack []frame) int {
	r, size := utf8.DecodeRune(text)
	switch {
	case r == '\u00a0':
		l.hard++
	case ignorable(r):
	default:
		l.put(text[:size], row, stack)
	}
	return size
}

// ignorable reports whether no reader of HTML shows the character: where a word may be divided, and what fills up the
// previews of newsletters.
func ignorable(r rune) bool {
	return r == '\u00ad' || r == '\u200b' || r == '\ufeff' || r == '\u034f'
}

// visible counts the characters that would be seen.
func visible(text []byte) int {
	n := 0
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
		}
		if !unicode.IsSpace(r) && !ignorable(r) && !unicode.Is(unicode.Cf, r) && r > ' ' {
			n++
		}
		i += size
	}
	return n
}
