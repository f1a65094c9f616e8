package term

import (
	"strings"

	"github.com/rivo/uniseg"
)

// Width is how many columns a line takes on a terminal: East Asian letters and emoji take two, combining characters none.
func Width(line string) int { return uniseg.StringWidth(line) }

// Shorten cuts a line that is wider than so many columns between two characters, and says so by an ellipsis.
func Shorten(line string, columns int) string {
	if columns < 1 {
		return ""
	}
	if len(line) <= columns || Width(line) <= columns { // no character is wider than its octets are many
		return line
	}
	var b strings.Builder
	width := 0
	for state, rest := -1, line; rest != ""; {
		var cluster string
		var boundaries int
		cluster, rest, boundaries, state = uniseg.StepString(rest, state)
		if width += boundaries >> uniseg.ShiftWidth; width > columns-1 {
			break
		}
		b.WriteString(cluster)
	}
	return strings.TrimRight(b.String(), " ") + "…"
}
