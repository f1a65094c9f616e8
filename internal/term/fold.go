package term

import (
	"strings"

	"github.com/rivo/uniseg"
)

// DefaultWidth is how many columns a line of ours takes where the width of the terminal is not known.
const DefaultWidth = 80

// maxFolded bounds the lines of one header field: what is longer pushes the message off the screen.
const maxFolded = 12

// fold cuts a line at blanks, where there are any, into lines of so many columns at most.
func fold(text string, width int) []string {
	var lines []string
	for text != "" {
		end, blank, columns, state := 0, -1, 0, -1
		for rest := text; rest != ""; {
			var cluster string
			var cells int
			cluster, rest, cells, state = uniseg.FirstGraphemeClusterInString(rest, state)
			if columns+cells > width && end > 0 {
				break
			}
			if cluster == " " {
				blank = end
			}
			end, columns = end+len(cluster), columns+cells
		}
		next := end
		if end < len(text) && text[end] == ' ' {
			blank = end
		}
		if end < len(text) && blank > 0 {
			end, next = blank, blank+1
		}
		lines = append(lines, text[:end])
		text = text[next:]
	}
	return lines
}

// wrap folds the lines of a text that do not fit into so many columns. What is quoted stays marked as that on each line: a terminal
// that breaks a line would show its rest as if it were not quoted. A line with a word that does not fit, such as an address to be
// copied, is left to the terminal, unless it is quoted.
func wrap(text string, width int) string {
	var b strings.Builder
	b.Grow(len(text))
	for line := range strings.Lines(text) {
		body, ended := strings.CutSuffix(line, "\n")
		for i, piece := range wrapLine(body, width) {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(piece)
		}
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func wrapLine(line string, width int) []string {
	if len(line) <= width || uniseg.StringWidth(line) <= width {
		return []string{line}
	}
	rest := strings.TrimLeft(line, "> ")
	marks := line[:len(line)-len(rest)]
	if !strings.HasPrefix(marks, ">") {
		for word := range strings.SplitSeq(line, " ") {
			if len(word) > width && uniseg.StringWidth(word) > width {
				return []string{line}
			}
		}
		return fold(line, width)
	}
	if len(marks) > width/2 { // no room is left
		return []string{line}
	}
	pieces := fold(rest, width-len(marks))
	for i := range pieces {
		pieces[i] = marks + pieces[i]
	}
	return pieces
}

// folded cuts a text that begins behind so many columns into the lines that it takes on the screen; elsewhere it stays one.
func (s style) folded(text string, indent int) []string {
	if s.columns <= 0 || text == "" {
		return []string{text}
	}
	return fold(text, max(s.columns-indent, 20))
}

// field prints a header field: its name, its value, and what there is to remark, folded, each line with the mark. Of many blanks
// one is shown, so that nothing is pushed out of sight.
func (p *linePrinter) field(name, value, remark string, width int) {
	const indent = 9
	lines := fold(strings.Join(strings.Fields(Line(value)), " ")+remark, max(width-indent-2, 20))
	if len(lines) > maxFolded {
		lines = append(lines[:maxFolded], "…"+remark)
	}
	for _, line := range lines {
		p.line(strings.TrimRight(p.mark()+" "+pad(name, indent-1)+" "+line, " "))
		name = ""
	}
}

func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-Width(text), 0))
}
