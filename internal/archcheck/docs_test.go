package archcheck

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// undocumented returns a line for each exported identifier of f, which is no test, that has no comment.
func undocumented(f *file) []string {
	var found []string
	note := func(n ast.Node, name string) {
		found = append(found, fmt.Sprintf("%s: %s has no comment", f.at(n), name))
	}
	for _, decl := range f.syntax.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			name, exported := d.Name.Name, d.Name.IsExported()
			if d.Recv != nil && len(d.Recv.List) == 1 {
				receiver := receiverName(d.Recv.List[0].Type)
				name, exported = receiver+"."+name, exported && ast.IsExported(receiver)
				// What these do is said by the interfaces that they are methods of.
				if slices.Contains([]string{"Error", "Unwrap", "Is", "String", "LogValue"}, d.Name.Name) {
					continue
				}
			}
			if exported && d.Doc == nil {
				note(d, name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || len(d.Specs) > 1) {
						note(s, s.Name.Name)
					}
				case *ast.ValueSpec:
					for _, name := range s.Names {
						// One comment may speak for a group of constants or errors.
						if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
							note(s, name.Name)
						}
					}
				}
			}
		}
	}
	return found
}

// receiverName returns the name of the type in a method's receiver.
func receiverName(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return receiverName(e.X)
	case *ast.IndexExpr:
		return receiverName(e.X)
	case *ast.IndexListExpr:
		return receiverName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func TestExportedIsDocumented(t *testing.T) {
	for _, f := range load(t).goes {
		if f.test || f.syntax.Name.Name == "main" {
			continue
		}
		for _, v := range undocumented(f) {
			t.Error(v)
		}
	}
}

func TestDocumentedRules(t *testing.T) {
	tests := []struct {
		code    string
		refused bool
	}{
		{"func F() {}", true},
		{"// F is f.\nfunc F() {}", false},
		{"func (t *T) M() {}", true},
		{"func (t *T[K]) M() {}", true},
		{"func (t *t) M() {}", false},
		{"func (t T) Error() string", false},
		{"type T struct{}", true},
		{"// Types.\ntype (\n\tT int\n\tU int\n)", true},
		{"const C = 1", true},
		{"// Constants.\nconst (\n\tC = 1\n)", false},
		{"var V = 1 // v", false},
		{"func f() {}", false},
	}
	for _, test := range tests {
		f, err := parse(token.NewFileSet(), "p/p.go", "package p\n"+test.code)
		if err != nil {
			t.Fatal(err)
		}
		if got := undocumented(f); (len(got) > 0) != test.refused {
			t.Errorf("%q: refused: %v, want %v", test.code, len(got) > 0, test.refused)
		}
	}
}

// TestPackagesAreDocumented: each package says in its comment what it is.
func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range load(t).goes {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.syntax.Doc != nil
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

var rfcNumber = regexp.MustCompile(`\bRFC ?([0-9]{3,5})\b`)

// TestLedger: an RFC that the code follows is in docs/rfcs.md, with what is done of it.
func TestLedger(t *testing.T) {
	tr := load(t)
	ledger := map[string]bool{}
	for _, m := range rfcNumber.FindAllStringSubmatch(tr.read(t, "docs/rfcs.md"), -1) {
		ledger[m[1]] = true
	}
	for _, f := range tr.goes {
		for _, group := range f.syntax.Comments {
			for _, m := range rfcNumber.FindAllStringSubmatch(group.Text(), -1) {
				if !ledger[m[1]] {
					t.Errorf("%s: RFC %s is not in docs/rfcs.md", f.at(group), m[1])
				}
			}
		}
	}
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownCode = regexp.MustCompile("`([^`\n]+)`")
	// sourcePath is a path in this tree, as pages write it: a known first folder, and no glob or placeholder.
	sourcePath = regexp.MustCompile(`^(cmd|smime|certstore|tsa|mailbox|internal|scripts|docs|\.ci)(/[A-Za-z0-9_.-]+)*/?$`)
)

// TestPagesPointSomewhere: links and paths in the pages name files that exist.
func TestPagesPointSomewhere(t *testing.T) {
	tr := load(t)
	exists := func(rel string) bool {
		_, err := os.Stat(filepath.Join(tr.root, filepath.FromSlash(rel)))
		return !errors.Is(err, fs.ErrNotExist)
	}
	for _, page := range tr.texts {
		if !strings.HasSuffix(page, ".md") {
			continue
		}
		text := tr.read(t, page)
		for _, m := range markdownLink.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue // within the page, or elsewhere
			}
			if !exists(path.Join(path.Dir(page), target)) {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
		for _, m := range markdownCode.FindAllStringSubmatch(text, -1) {
			if sourcePath.MatchString(m[1]) && !exists(m[1]) {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
	}
}
