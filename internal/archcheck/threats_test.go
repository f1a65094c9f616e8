package archcheck

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shown is how the threat model names what shows a guarantee: a function, a story, or hostile messages.
var (
	shownFunction = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	shownStory    = regexp.MustCompile(`^\w+\.txtar$`)
	shownMessage  = regexp.MustCompile(`^(\d{3})-[a-z0-9-]+$`)
	shownRange    = regexp.MustCompile(`^(\d{3})–(\d{3})$`)
)

// TestThreatModel: each guarantee in docs/threat-model.md names tests, all of which exist, and every hostile message shows
// one of them.
func TestThreatModel(t *testing.T) {
	const page = "docs/threat-model.md"
	tr := load(t)
	functions := map[string]bool{}
	for _, f := range tr.goes {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && fn.Recv == nil {
				functions[fn.Name.Name] = true
			}
		}
	}
	baseNames := func(dir, ext string) []string {
		paths, err := filepath.Glob(filepath.Join(tr.root, filepath.FromSlash(dir), "*"+ext))
		if err != nil || len(paths) == 0 {
			t.Fatalf("nothing in %s: %v", dir, err)
		}
		for i, p := range paths {
			paths[i] = filepath.Base(p)
		}
		return paths
	}
	stories, messages := baseNames("cmd/sealmail/testdata/script", ".txtar"), baseNames("testdata/hostile", ".eml")
	number := func(text string) int {
		n, err := strconv.Atoi(text[:3])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	covered := map[int]bool{}
	rows := 0
	for _, line := range strings.Split(tr.read(t, page), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 4 || cells[3] == "shown by" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		rows++
		names := markdownCode.FindAllStringSubmatch(cells[3], -1)
		if len(names) == 0 {
			t.Errorf("%s: nothing shows what is said of %q", page, cells[0])
		}
		for _, m := range names {
			name, exists := m[1], false
			switch {
			case shownFunction.MatchString(name):
				exists = functions[name]
			case shownStory.MatchString(name):
				exists = slices.Contains(stories, name)
			case shownMessage.MatchString(name):
				covered[number(name)] = true
				exists = slices.Contains(messages, name+".eml")
			case shownRange.MatchString(name):
				ends := shownRange.FindStringSubmatch(name)
				for n := number(ends[1]); n <= number(ends[2]); n++ {
					covered[n] = true
				}
				exists = slices.ContainsFunc(messages, func(m string) bool { return strings.HasPrefix(m, ends[1]+"-") }) &&
					slices.ContainsFunc(messages, func(m string) bool { return strings.HasPrefix(m, ends[2]+"-") })
			}
			if !exists {
				t.Errorf("%s names %s, which does not exist", page, name)
			}
		}
	}
	if rows < 20 {
		t.Errorf("%s: %d rows are found", page, rows)
	}
	for _, m := range messages {
		if !covered[number(m)] {
			t.Errorf("%s: no row names %s", page, m)
		}
	}
}
