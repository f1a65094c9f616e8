package entity_test

import (
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/smime/entity"
)

// TestQuotedPrintableWriter: what is decoded again is what was written, however it comes in pieces; only line feeds alone have
// become line ends.
func TestQuotedPrintableWriter(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"a\r\nb\r\n":           "a\r\nb\r\n",
		"a\nb\n":               "a\r\nb\r\n",
		"a\r\r\nb\r":           "a=0D\r\nb=0D",
		"\r\r\r\n\r":           "=0D=0D\r\n=0D",
		"a\rb":                 "a=0Db",
		"blank \r\nü\r\n=\r\n": "blank=20\r\n=C3=BC\r\n=3D\r\n",
	} {
		for name, src := range map[string]io.Reader{"whole": strings.NewReader(text), "octets": iotest.OneByteReader(strings.NewReader(text))} {
			var out strings.Builder
			w := entity.NewQuotedPrintableWriter(&out)
			if _, err := io.Copy(w, src); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("%q, %s: %q, want %q", text, name, out.String(), want)
			}
			decoded, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(out.String())))
			if lines := strings.ReplaceAll(text, "\n", "\r\n"); err != nil || string(decoded) != text && string(decoded) != lines {
				t.Errorf("%q, %s: decoded %q, %v", text, name, decoded, err)
			}
		}
	}
}
