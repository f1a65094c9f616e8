package htmltext_test

import (
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime/htmltext"
)

// newsletter is HTML as programs write it: tables in tables, a style on each cell, a sheet in front.
func newsletter() string {
	row := `<tr><td style="padding:4px 8px;font-family:Arial,sans-serif;font-size:14px;color:#333333" class="cell wide"><p>Line of text with a ` +
		`<a href="https://shop.example/item?id=12345&amp;utm_source=mail" style="color:#0066cc">link</a> and <b>bold</b>&nbsp;text.</p></td>` +
		`<td width="20">&nbsp;</td><td style="text-align:right"><img src="https://shop.example/p.png" alt="Picture"></td></tr>`
	return `<!DOCTYPE html><html><head><title>t</title><style>.cell{padding:0}.pre{display:none!important}@media (max-width:600px){.wide{width:100%!important}}` +
		`</style></head><body bgcolor="#ffffff"><div class="pre">Preview</div><table><tr><td><table>` + strings.Repeat(row, 200) +
		`</table></td></tr></table></body></html>`
}

func BenchmarkConvert(b *testing.B) {
	for _, bench := range []struct{ name, source string }{
		{"short", "<html><body><p>Dear Bob,</p><p>please find <b>our</b> offer attached.</p><p>Alice</p></body></html>"},
		{"newsletter", newsletter()},
		{"text", "<p>" + strings.Repeat("Some words of plain text without any markup in it. ", 4000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.source)))
			b.ReportAllocs()
			for b.Loop() {
				htmltext.Convert(bench.source, htmltext.Options{})
			}
		})
	}
}
