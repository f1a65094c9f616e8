//go:build unix

package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the benchmarks of this process found, for the tables at its end. Archives take long, and have a table of their own, so that it
// can be taken alone.
var (
	measured         = table{name: "make bench"}
	measuredArchives = table{name: "archives"}
)

type table struct {
	name string
	rows []row
}

// row is one comparison, in words.
type row struct {
	work, ours, theirs, ratio, bar string
}

func (t *table) add(r row) { t.rows = append(t.rows, r) }

// String is the table in Markdown, under a line that says where and when it was taken.
func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Taken on %s: %d CPUs of %s; %s, %s, %s, Crypt::SMIME %s, go.mozilla.org/pkcs7 %s.\n\n", time.Now().UTC().Format(time.DateOnly),
		runtime.NumCPU(), processor(), runtime.Version(), said("openssl", "version"), said("mbsync", "--version"), said("perl", "-MCrypt::SMIME", "-e", "print $Crypt::SMIME::VERSION"), "v0.10.0")
	cells := [][]string{{"work", "sealmail", "beside it", "ratio", "bar"}}
	for _, r := range t.rows {
		cells = append(cells, []string{r.work, r.ours, r.theirs, r.ratio, r.bar})
	}
	for i, line := range cells {
		b.WriteString("| " + strings.Join(line, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(line)) + "|\n")
		}
	}
	return b.String()
}

// A table stands between two lines of docs/bench.md.
func (t *table) begin() string { return "<!-- the table of " + t.name + " begins -->\n" }
func (t *table) end() string   { return "<!-- the table of " + t.name + " ends -->\n" }

func (t *table) writeTo(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := t.replaceIn(string(page), t.String())
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// replaceIn puts a text into the place of the table in a page.
func (t *table) replaceIn(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, t.begin())
	_, after, ok2 := strings.Cut(rest, t.end())
	if !ok || !ok2 {
		return "", errors.New("the page has no place for the table of " + t.name)
	}
	return before + t.begin() + "\n" + text + "\n" + t.end() + after, nil
}

func TestReplaceTable(t *testing.T) {
	one, other := table{name: "one"}, table{name: "other"}
	page := "# Page\n" + one.begin() + "\nold\n\n" + one.end() + "end\n"
	once, err := one.replaceIn(page, "new\n")
	if err != nil || once != "# Page\n"+one.begin()+"\nnew\n\n"+one.end()+"end\n" {
		t.Errorf("%q, %v", once, err)
	}
	if twice, err := one.replaceIn(once, "new\n"); err != nil || twice != once {
		t.Errorf("%q, %v", twice, err)
	}
	if _, err := other.replaceIn(page, "new\n"); err == nil {
		t.Error("a page without a place for it takes the table")
	}
	data, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []*table{&measured, &measuredArchives} {
		if _, err := table.replaceIn(string(data), "new\n"); err != nil {
			t.Errorf("docs/bench.md: %v", err)
		}
	}
}

// processor is the machine's own name for its CPU.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// said is the first words of what a program prints, or that it is absent.
func said(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "no " + name
	}
	words := strings.Fields(string(out))
	return strings.Join(words[:min(len(words), 2)], " ")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	} else {
		return sorted[n/2]
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}} {
		if got := median(test.values); got != test.want {
			t.Errorf("of %v: %v, want %v", test.values, got, test.want)
		}
	}
}
