package term

import (
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// Table writes rows in columns, each as wide as its widest cell. Cells are cleaned to one line; widths are those of the
// glyphs, so that East Asian text and emoji stay aligned.
func Table(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			row[i] = Line(cell)
			widths[i] = max(widths[i], uniseg.StringWidth(row[i]))
		}
	}
	p := &linePrinter{w: w}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell)+2))
			}
		}
		p.line(strings.TrimRight(b.String(), " "))
	}
	return p.err
}
