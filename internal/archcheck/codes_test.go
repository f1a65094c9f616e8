package archcheck

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var reportedCode = regexp.MustCompile(`"code": "([^"]+)"`)

// TestCodesAreDocumented: each code in what is wanted of the messages in testdata is in docs/verdict.md.
func TestCodesAreDocumented(t *testing.T) {
	const page = "docs/verdict.md"
	tr := load(t)
	text := tr.read(t, page)
	documented := map[string]bool{}
	for _, m := range markdownCode.FindAllStringSubmatch(text, -1) {
		documented[m[1]] = true
	}
	files, err := filepath.Glob(filepath.Join(tr.root, "testdata", "*", "*.want.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no reports: %v", err)
	}
	missing := map[string]string{}
	for _, file := range files {
		report, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reportedCode.FindAllSubmatch(report, -1) {
			if code := string(m[1]); !documented[code] && !strings.HasPrefix(code, "time-") {
				missing[code] = filepath.Base(file)
			}
		}
	}
	for code, file := range missing {
		t.Errorf("%s does not say what %s is, which %s has", page, code, file)
	}
}
