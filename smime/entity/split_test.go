package entity

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// splitByLine does what Split does, line by line.
func splitByLine(e *Entity, boundary string) (parts []Range, first string, final bool) {
	r := bufio.NewReader(e.BodySection())
	at, start, before := e.Body, int64(-1), int64(0)
	for {
		line, err := r.ReadString('\n')
		rest, is := strings.CutPrefix(line, "--"+boundary)
		rest, closes := strings.CutPrefix(rest, "--")
		if is && strings.Trim(rest, " \t\r\n") == "" && len(line) <= maxDelimiter {
			if start >= 0 {
				parts = append(parts, Range{start, max(start, at-before)})
			}
			start = at + int64(len(line))
			if closes {
				final = true
				break
			}
		}
		at += int64(len(line))
		before = int64(len(line) - len(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")))
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if start >= 0 && !final {
		parts = append(parts, Range{start, e.End})
	}
	if len(parts) > 0 {
		octets, _ := io.ReadAll(io.NewSectionReader(e.source, parts[0].Start, parts[0].End-parts[0].Start))
		first = string(octets)
	}
	return parts, first, final
}

// Split looks for the boundary in a window over the body; where the window ends must not matter.
func TestSplitAgreesWithLines(t *testing.T) {
	pieces := []string{"--b\r\n", "--b\n", "--b--\r\n", "\r\n", "\n", "x", "--", "--b", "-", "--bb\r\n", "--b \t\r\r\n", "--b x\r\n", "--b-\n", "text\r\n", "\r", " "}
	random := rand.New(rand.NewChaCha8([32]byte{4}))
	for range 20_000 {
		var body strings.Builder
		for range random.IntN(12) {
			body.WriteString(pieces[random.IntN(len(pieces))])
		}
		checkSplit(t, body.String())
	}
	// Around the edge of the window.
	for _, d := range []string{"\r\n--b\r\n", "\n--b\n", "\r\n--b--\r\n", "\r\n--b" + strings.Repeat(" ", 300) + "\r\n", "\r\n--bx\r\n"} {
		for _, rest := range []int{5000, longBody} {
			for shift := -len(d) - 3; shift <= 3; shift++ {
				text := strings.Repeat("y", windowSize(int64(rest))-5+shift)
				if rest == longBody {
					text = strings.Repeat("y", windowSize(longBody+1)-5+shift)
				}
				checkSplit(t, "--b\r\n"+text+d+strings.Repeat("z", rest)+"\r\n--b--")
			}
		}
	}
}

func checkSplit(t *testing.T, body string) {
	t.Helper()
	const head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	e, err := Parse(strings.NewReader(head+body), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want, wantFirst, final := splitByLine(e, "b")
	var first bytes.Buffer
	got, notes, err := e.SplitTo(&first, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%.80q: %s", body, diff)
	}
	if first.String() != wantFirst {
		t.Errorf("%.80q: first part is %.80q, and %.80q came", body, wantFirst, first.String())
	}
	if missing := has(notes, NoteMissingFinalBoundary); missing != (len(want) > 0 && !final) {
		t.Errorf("%.80q: final boundary missing: %v", body, missing)
	}
}

func has(notes []Note, n Note) bool {
	for _, have := range notes {
		if have == n {
			return true
		}
	}
	return false
}

// A line that begins as a delimiter and never ends is none, and costs no more than the window.
func TestSplitEndlessDelimiter(t *testing.T) {
	body := "--b\r\nfirst\r\n--b" + strings.Repeat(" ", 3*longBody) + "\r\n--b--\r\n"
	e, err := Parse(strings.NewReader("Content-Type: multipart/mixed; boundary=b\r\n\r\n"+body), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	parts, notes, err := e.Split(10)
	if err != nil || len(parts) != 1 || len(notes) != 0 || parts[0].End != e.End-int64(len("\r\n--b--\r\n")) {
		t.Errorf("%v, %v, %v", parts, notes, err)
	}
}

func BenchmarkSplit(b *testing.B) {
	body := "--b\r\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 100_000) + "\r\n--b--\r\n"
	e, err := Parse(strings.NewReader("Content-Type: multipart/mixed; boundary=b\r\n\r\n"+body), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, err := e.Split(10); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("--b\r\nfirst\r\n--b\r\nsecond\r\n--b--\r\n")
	f.Add("\n--b \t\r\n--b--")
	f.Add("--b" + strings.Repeat("\r", maxDelimiter-3))
	f.Add("--b" + strings.Repeat("\r", maxDelimiter-3) + "\n--b--")
	f.Fuzz(func(t *testing.T, body string) { checkSplit(t, body) })
}
