package smime

import (
	"strings"
	"testing"
)

func TestLineFeeds(t *testing.T) {
	const letters = "a\r\n"
	var try func(text string)
	try = func(text string) {
		if got, want := lineFeeds(text), strings.ReplaceAll(text, "\r\n", "\n"); got != want {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
		if len(text) < 6 {
			for _, c := range letters {
				try(text + string(c))
			}
		}
	}
	try("")
}
