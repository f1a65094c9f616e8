package index

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " \t\r\n": "", "A": "a", "@AZ[`az{": "@az[`az{", " Two\r\n\r\n\tWORDS ": "two words", "a\x00b\x7f": "a b\x7f",
		"Grüße\r\nAUS\u00a0Köln ": "gruße aus koln", "ＷＩＤＥ  A": "wide a", "a\xffB": "a b", "x\u0301Y": "xy",
	} {
		if got := fold(text); got != want {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
	}
}

// TestTextIsBounded has a text that grows when it is folded.
func TestTextIsBounded(t *testing.T) {
	text := NewText("found " + strings.Repeat("\uFDFA", maxText/3))
	if text.Size() > maxText || !utf8.ValidString(text.folded) || !holds(text.folded, "found", false) {
		t.Errorf("%d octets", text.Size())
	}
}
