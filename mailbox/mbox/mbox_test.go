package mbox_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox/mbox"
)

const separator = "From alice@example.org Sat Nov 21 10:02:11 2026\n"

func messages(t testing.TB, file string) []string {
	t.Helper()
	var list []string
	for at, err := range mbox.Messages(iotest.OneByteReader(strings.NewReader(file))) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, file[at.Start:at.End])
	}
	return list
}

func TestMessages(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"nothing":               {"", nil},
		"no mbox":               {"From: a\n\nb\n", nil},
		"text before":           {"text\n\n" + separator + "A: b\n\nc\n", []string{"A: b\n\nc\n"}},
		"one":                   {separator + "A: b\n\nc\n\n", []string{"A: b\n\nc\n"}},
		"two":                   {separator + "A: b\n\nc\n\n" + separator + "D: e\n\nf\n", []string{"A: b\n\nc\n", "D: e\n\nf\n"}},
		"with CRLF":             {crlf(separator + "A: b\n\nc\n\n" + separator + "D: e\n\nf\n\n"), []string{crlf("A: b\n\nc\n"), crlf("D: e\n\nf\n")}},
		"without a last end":    {separator + "A: b\n\nc", []string{"A: b\n\nc"}},
		"separator in the text": {separator + "A: b\n\nc\n" + separator + "d\n", []string{"A: b\n\nc\n" + separator + "d\n"}},
		"From in the text":      {separator + "A: b\n\nFrom here on\n\nFrom there on, too\n", []string{"A: b\n\nFrom here on\n\nFrom there on, too\n"}},
		"long lines":            {separator + "A: b\n\n" + long + separator + long + "\n\n" + separator + "\n", []string{"A: b\n\n" + long + separator + long + "\n", ""}},
		"another order":         {"From - Sat, Nov\n\nFrom MAILER-DAEMON Fri Jul  8 12:08:34 2011 +0200\nA: b\n\n", []string{"A: b\n"}},
		"a long separator":      {"From a Sat Nov " + long + "\nA: b\n\n\n\n", []string{"A: b\n\n\n"}},
		"empty messages":        {separator + "\n" + separator + "\n", []string{"", ""}},
	} {
		if diff := cmp.Diff(test.want, messages(t, test.file)); diff != "" {
			t.Errorf("%s: %.2000s", name, diff)
		}
	}
	broken := errors.New("broken")
	last := error(nil)
	for _, err := range mbox.Messages(io.MultiReader(strings.NewReader(separator+"a\n"), iotest.ErrReader(broken))) {
		last = err
	}
	if !errors.Is(last, broken) {
		t.Error(last)
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestIs(t *testing.T) {
	for head, want := range map[string]bool{
		separator: true, "From a b Sat Nov": true, "From Sat Nov": false, "From a Sat": false, "": false, "From: a Sat Nov 21": false, ">" + separator: false,
	} {
		if mbox.Is([]byte(head)) != want {
			t.Errorf("%q", head)
		}
	}
}

func TestUnquote(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for in, want := range map[string]string{
		"":                               "",
		"a\n>From b\n>>From c\n":         "a\nFrom b\n>From c\n",
		">from\n> From\n>From:\n >From ": ">from\n> From\n>From:\n >From ",
		long + ">From \n>From ":          long + ">From \nFrom ",
	} {
		var b strings.Builder
		changed, err := mbox.Unquote(&b, strings.NewReader(in))
		if err != nil || b.String() != want || changed != (in != want) {
			t.Errorf("%.50q: %.50q, %v, %v", in, b.String(), changed, err)
		}
	}
}

// FuzzMessages checks that the messages lie in the file one behind the other, whatever it is.
func FuzzMessages(f *testing.F) {
	f.Add(separator + "A: b\n\nc\n\n" + separator)
	f.Add("\n\n" + crlf(separator) + "\r\n\r\n")
	f.Fuzz(func(t *testing.T, file string) {
		last := int64(0)
		for at, err := range mbox.Messages(strings.NewReader(file)) {
			if err != nil || at.Start < last || at.End < at.Start || at.End > int64(len(file)) {
				t.Fatalf("%v after %d: %v", at, last, err)
			}
			last = at.End
		}
	})
}
