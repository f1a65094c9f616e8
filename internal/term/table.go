package term

import (
	"io"
	"slices"
	"strings"
)

// minColumn is what a column that is cut keeps.
const minColumn = 8

// Table writes rows in columns, each as wide as its widest cell. Cells are cleaned to one line; widths are those of the
// glyphs, so that East Asian text and emoji stay aligned.
func Table(w io.Writer, rows [][]string) error { return fittedTable(w, rows) }

// fittedTable is Table with a row of titles first. On a terminal that is narrower than the table, cells are cut in those
// columns whose titles are named, the widest first; elsewhere nothing is cut. Words for states are coloured.
func fittedTable(w io.Writer, rows [][]string, cut ...string) error {
	s := styleOf(w)
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			row[i] = Line(cell)
			widths[i] = max(widths[i], Width(row[i]))
		}
	}
	if s.columns > 0 && len(rows) > 0 {
		fit(widths, s.columns, func(i int) bool { return i < len(rows[0]) && slices.Contains(cut, rows[0][i]) })
	}
	p := &linePrinter{w: w}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			shown := Shorten(cell, widths[i])
			painted := shown
			if n > 0 && i < len(rows[0]) && rows[0][i] == "STATE" {
				painted = s.paint(hueOf(shown), shown)
			}
			b.WriteString(painted)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-Width(shown)+2))
			}
		}
		p.line(strings.TrimRight(b.String(), " "))
	}
	return p.err
}

// fit narrows columns, of those that may be cut always the widest, until all of them have room.
func fit(widths []int, columns int, mayCut func(i int) bool) {
	over := 2*(len(widths)-1) - columns
	for _, width := range widths {
		over += width
	}
	for ; over > 0; over-- {
		widest := -1
		for i, width := range widths {
			if mayCut(i) && width > minColumn && (widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}
