package term

import "testing"

func TestShorten(t *testing.T) {
	for _, test := range []struct {
		line    string
		columns int
		want    string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abcd", 1, "…"}, {"abcd", 0, ""}, {"abcd", -1, ""}, {"", 0, ""},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"日本語", 2, "…"},
		{"e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"}, {"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"👩‍👩‍👧 family", 4, "👩‍👩‍👧…"}, {"ab cd", 4, "ab…"},
	} {
		got := Shorten(test.line, test.columns)
		if got != test.want || Width(got) > max(test.columns, 0) {
			t.Errorf("%q in %d columns: %q, want %q", test.line, test.columns, got, test.want)
		}
	}
}
