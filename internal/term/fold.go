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

// field prints a header field: its name, its value, and what there is to remark, folded, each line with the mark. Of many blanks
// one is shown, so that nothing is pushed out of sight.
func (p *linePrinter) field(name, value, remark string, width int) {
	const indent = 9
	lines := fold(strings.Join(strings.Fields(Line(value)), " ")+remark, max(width-indent-2, 20))
	if len(lines) > maxFolded {
		lines = append(lines[:maxFolded], "…"+remark)
	}
	for _, line := range lines {
		p.line(strings.TrimRight(Mark+" "+pad(name, indent-1)+" "+line, " "))
		name = ""
	}
}

func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-len(text), 0))
}
