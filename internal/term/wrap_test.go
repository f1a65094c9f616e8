package term

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"what fits stays":          {"one two\n\n  three\n", "one two\n\n  three\n"},
		"at blanks":                {"one two three four\n", "one two\nthree four\n"},
		"wide characters":          {"一二三 四五六", "一二三\n四五六"},
		"quoted":                   {"> one two three four\n", "> one two\n> three\n> four\n"},
		"quoted by others":         {"> > one two three", "> > one two\n> > three"},
		"a long word":              {"see https://example.org/a\n", "see https://example.org/a\n"},
		"a long word, quoted":      {"> https://example.org/", "> https://e\n> xample.or\n> g/"},
		"quoted too deep":          {">>>>>> one two", ">>>>>> one two"},
		"a bar is no mark of ours": {"one two th │ PASSED", "one two th\n<U+2502> PASSED"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Clean(wrap(c.in, 11)); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	// Every line of a quotation has its mark, however long it is.
	for line := range strings.SplitSeq(wrap("> "+strings.Repeat("x y ", 1000), 40), "\n") {
		if !strings.HasPrefix(line, "> ") || len(line) > 40 {
			t.Errorf("%q", line)
		}
	}
}
