package term_test

import (
	"encoding/json"
	"testing"

	"github.com/sealmail/sealmail/internal/term"
)

// TestJSON writes what a terminal would act upon, and reads back the same.
func TestJSON(t *testing.T) {
	for _, text := range []string{
		"plain, Grüße, 日本, 🙂", "a\x1b[2J\x07", "\u009b31m", "\x7f", "\u202eevil\u2069", "zero\u200bwidth", "\U000e0041tag", term.Mark, "a\nb\tc", "bad\xff", "pile\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", "👩\u200d👧",
	} {
		data, err := term.JSON(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		if clean := term.Line(string(data)); clean != string(data) {
			t.Errorf("%q becomes %q, which is not safe for a terminal", text, data)
		}
		var got, want map[string]string
		plain, err := json.Marshal(map[string]string{"text": text})
		if err == nil {
			err = json.Unmarshal(plain, &want)
		}
		if err == nil {
			err = json.Unmarshal(data, &got)
		}
		if err != nil || got["text"] != want["text"] {
			t.Errorf("%q becomes %q, which means %q (%v)", text, data, got["text"], err)
		}
	}
}
