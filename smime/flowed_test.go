package smime

import (
	"strings"
	"testing"
)

func TestFlowText(t *testing.T) {
	long := strings.Repeat("word ", 30) + "end"
	for name, c := range map[string]struct{ in, want string }{
		"short lines stay":          {"Dear Bob,\n\nyes.\n", "Dear Bob,\n\nyes.\n"},
		"blanks at the end go":      {"yes.  \nno", "yes.\nno"},
		"CRLF":                      {"a\r\nb\r\n", "a\nb\n"},
		"stuffed":                   {" indented\nFrom here\n", "  indented\n From here\n"},
		"quoted":                    {"> yes\n>> no\n>really\n>\n", "> yes\n>> no\n> really\n>\n"},
		"a quote in other marks":    {"> > yes\n", "> > yes\n"},
		"signature":                 {"Bob\n-- \nBob Brown\n", "Bob\n-- \nBob Brown\n"},
		"long":                      {long, strings.Repeat("word ", 14) + "\n" + strings.Repeat("word ", 14) + "\nword word end"},
		"long and quoted":           {"> " + long, "> " + strings.Repeat("word ", 14) + "\n> " + strings.Repeat("word ", 14) + "\n> word word end"},
		"a word that is too long":   {strings.Repeat("x", 100) + " y", strings.Repeat("x", 100) + " \ny"},
		"no blank at all":           {strings.Repeat("x", 100), strings.Repeat("x", 100)},
		"a mark where it is broken": {strings.Repeat("x", 71) + " > y", strings.Repeat("x", 71) + " \n > y"},
		"From where it is broken":   {strings.Repeat("x", 71) + " From y", strings.Repeat("x", 71) + " \n From y"},
		"no separator is made":      {"-- " + strings.Repeat("x", 80), "-- " + strings.Repeat("x", 80)},
		"too deep to be broken":     {strings.Repeat(">", 40) + " " + long, strings.Repeat(">", 40) + " " + long},
		"empty":                     {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := FlowText(c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestUnflow(t *testing.T) {
	for name, c := range map[string]struct {
		in    string
		delsp bool
		want  string
	}{
		"a paragraph":              {"one \ntwo \nthree\nfour\n", false, "one two three\nfour\n"},
		"DelSp":                    {"don \nau\n", true, "donau\n"},
		"stuffed":                  {"  indented\n From here\n >no quote\n", false, " indented\nFrom here\n>no quote\n"},
		"quoted":                   {"> one \n> two\n>>three\n", false, "> one two\n>> three\n"},
		"depths are kept apart":    {"> quoted \nmine \n>> deeper \n> quoted\n", false, "> quoted \nmine \n>> deeper \n> quoted\n"},
		"a stuffed mark is text":   {"mine \n > still mine\n", false, "mine > still mine\n"},
		"a separator ends it":      {"text \n-- \nBob\n", false, "text \n-- \nBob\n"},
		"a quoted separator":       {"> text \n> -- \n> Bob\n", false, "> text \n> -- \n> Bob\n"},
		"flowed at the end":        {"one ", false, "one "},
		"flowed at the end, ended": {"one \n", false, "one \n"},
		"a mark of our own":        {"x \n▌ PASSED\n", false, "x ▌ PASSED\n"},
		"empty lines":              {"one \n\ntwo\n>\n", false, "one \ntwo\n>\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unflow(c.in, c.delsp); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// FuzzFlow has text that is flowed and put together again read the same, and nothing change its depth of quotation.
func FuzzFlow(f *testing.F) {
	for _, seed := range []string{"", "Dear Bob,\n\n yes\n", strings.Repeat("word ", 40), "> " + strings.Repeat(">word ", 40), "-- \nBob\n", strings.Repeat("x", 71) + " > y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var plain strings.Builder // as it is written where nobody flows it
		for line := range strings.Lines(text) {
			body, ended := strings.CutSuffix(line, "\n")
			if ended {
				body, line = strings.TrimSuffix(body, "\r"), "\n"
			} else {
				line = ""
			}
			marks, rest := cutQuote(body)
			if marks != "" {
				rest = strings.TrimPrefix(rest, " ")
			}
			if rest != signatureSeparator {
				rest = strings.TrimRight(rest, " ")
			}
			if marks != "" && rest != "" {
				marks += " "
			}
			plain.WriteString(marks + rest + line)
		}
		flowed := FlowText(text)
		if got := unflow(flowed, false); got != plain.String() {
			t.Errorf("%q is flowed as %q, which reads %q, want %q", text, flowed, got, plain.String())
		}
	})
}
