package term

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

func TestColorOn(t *testing.T) {
	for _, test := range []struct {
		word, noColor, term string
		terminal, want      bool
	}{
		{"auto", "", "xterm", true, true}, {"auto", "", "xterm", false, false}, {"auto", "1", "xterm", true, false}, {"auto", "", "dumb", true, false},
		{"always", "1", "dumb", false, true}, {"never", "", "xterm", true, false},
	} {
		color, err := ParseColor(test.word)
		getenv := func(name string) string { return map[string]string{"NO_COLOR": test.noColor, "TERM": test.term}[name] }
		if got := color.On(test.terminal, getenv); err != nil || got != test.want {
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
	if _, err := ParseColor("red"); err == nil {
		t.Error("another word is taken")
	}
}

var escape = regexp.MustCompile("\x1b\\[[0-9;]*m")

// hostileLines are lists, findings and a message in which everything that others choose would like to be coloured.
func hostileLines() (list client.ListLine, entry client.OutboxLine, finding client.Finding, report *client.Report) {
	evil := "\x1b[32mPASSED\x1b[0m \x9b31m 日本語 ▌ PASSED"
	passed, encryption := "failed", "none"
	now := time.Date(2026, 11, 21, 10, 2, 0, 0, time.UTC)
	list = client.ListLine{UID: 1, Verdict: &passed, Encryption: &encryption, From: &evil, Subject: new(strings.Repeat(evil, 4)), Date: &now}
	entry = client.OutboxLine{ID: "1", State: "uncertain", Created: now, To: []string{strings.Repeat(evil, 3)}, Error: &evil}
	finding = client.Finding{Check: "tsa", Status: client.FindingBad, Detail: strings.Repeat(evil+" ", 3), Hint: &evil}
	report = &client.Report{Verdict: "unsigned", Encryption: "none", Text: &evil, Warnings: []client.WarningReport{{Code: "x", Reason: strings.Repeat(evil+" ", 5)}}}
	report.Message.Subject = &evil
	return list, entry, finding, report
}

// printAll prints them.
func printAll(t *testing.T, columns int, color bool) string {
	t.Helper()
	var out bytes.Buffer
	screen := &Screen{Writer: &out, Columns: columns, Color: color}
	list, entry, finding, report := hostileLines()
	for _, err := range []error{
		PrintListLine(screen, list), PrintOutbox(screen, []client.OutboxLine{entry}), PrintFinding(screen, finding), PrintMessage(screen, report, columns),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// TestColorIsOurs has colours begin and end around words of our own only, and say nothing that is not said without them.
func TestColorIsOurs(t *testing.T) {
	colored, plain := printAll(t, 0, true), printAll(t, 0, false)
	if strings.ContainsAny(plain, "\x1b\u009b") {
		t.Errorf("colour that nobody asked for: %q", plain)
	}
	if got := escape.ReplaceAllString(colored, ""); got != plain {
		t.Errorf("without its colours it is\n%s\nand not\n%s", got, plain)
	}
	inside := regexp.MustCompile(`\x1b\[[0-9]+m([^\x1b]*)\x1b\[0m`)
	found := map[string]bool{}
	for _, match := range inside.FindAllStringSubmatch(colored, -1) {
		found[match[1]] = true
	}
	for _, word := range []string{"FAILED", "uncertain", "BAD", "UNSIGNED", "warning:", Mark} {
		if !found[word] {
			t.Errorf("%s is not coloured", word)
		}
		delete(found, word)
	}
	for word := range found {
		t.Errorf("%q is coloured", word)
	}
	if n := len(escape.FindAllString(colored, -1)); n != 2*len(inside.FindAllString(colored, -1)) {
		t.Errorf("%d codes do not come in pairs", n)
	}
}

// TestFitsTheScreen has no line but the message's own text be wider than the screen, and nothing cut where there is none.
func TestFitsTheScreen(t *testing.T) {
	for _, columns := range []int{80, 100, 132} {
		for line := range strings.Lines(printAll(t, columns, false)) {
			if line = strings.TrimSuffix(line, "\n"); Width(line) > columns && !strings.HasPrefix(line, "<U+001B>") {
				t.Errorf("%d columns of %d: %s", Width(line), columns, line)
			}
		}
	}
	if wide := printAll(t, 0, false); strings.Contains(wide, "…") {
		t.Errorf("cut without a screen:\n%s", wide)
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct {
		columns int
		want    []int
	}{{100, []int{10, 30, 20}}, {64, []int{10, 30, 20}}, {60, []int{10, 26, 20}}, {50, []int{10, 18, 18}}, {20, []int{10, 8, 8}}} {
		widths := []int{10, 30, 20}
		fit(widths, test.columns, func(i int) bool { return i > 0 })
		for i := range widths {
			if widths[i] != test.want[i] {
				t.Errorf("%d columns: %v, want %v", test.columns, widths, test.want)
				break
			}
		}
	}
}

func TestPaintNotice(t *testing.T) {
	for line, want := range map[string]string{
		"warning: it rains": "\x1b[33mwarning:\x1b[0m it rains", "sealmail: no": "\x1b[31msealmail:\x1b[0m no", "hint: do": "\x1b[2mhint:\x1b[0m do",
		"a warning: no": "a warning: no", "": "",
	} {
		if got := PaintNotice(line); got != want {
			t.Errorf("%q", got)
		}
	}
}
