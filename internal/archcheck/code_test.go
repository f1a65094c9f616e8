package archcheck

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// libraries are the folders that other programs may import, and their like within the project.
var libraries = []string{"smime", "certstore", "tsa", "mailbox", "internal/client", "internal/config", "internal/safeio"}

func isLibrary(f *file) bool {
	return slices.ContainsFunc(libraries, func(l string) bool { return below(f.dir, l) })
}

// public are the libraries that keep no time of their own.
var public = []string{"smime", "certstore", "tsa", "mailbox"}

// selectors are names of other packages that are not used in some files.
var selectors = []struct {
	pkg   string
	names []string
	in    func(*file) bool
	why   string
}{
	{"os", []string{"Exit"}, func(f *file) bool { return f.path != "cmd/sealmail/main.go" },
		"main alone ends the program; anything else returns an error"},
	{"time", []string{"Now", "Since", "Until"},
		func(f *file) bool { return slices.ContainsFunc(public, func(p string) bool { return below(f.dir, p) }) },
		"the clock is a parameter: what holds today is tested for any day"},
	{"os", []string{"Stdin", "Stdout", "Stderr"}, isLibrary, "only commands know the terminal"},
	{"os", []string{"Getenv", "LookupEnv", "Environ"},
		func(f *file) bool { return isLibrary(f) && !below(f.dir, "internal/config") },
		"what a library does depends on its arguments"},
	{"fmt", []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"}, isLibrary, "only commands know the terminal"},
	{"http", []string{"DefaultClient", "Get", "Post", "PostForm", "Head"}, isLibrary,
		"the global client has neither a time limit nor a bound on what it reads"},
	{"slog", []string{"Debug", "Info", "Warn", "Error", "Default", "SetDefault"}, func(*file) bool { return true },
		"the logger is a parameter where one is wanted"},
	{"context", []string{"TODO"}, func(*file) bool { return true }, "a context comes from the caller"},
	{"pkcs7", []string{"Parse"}, func(*file) bool { return true }, "that parser panics and overflows on hostile input"},
}

// codeViolations returns a line for each place in f, which is no test, that does what its package never does.
func codeViolations(f *file) []string {
	var found []string
	note := func(n ast.Node, what, why string) {
		found = append(found, fmt.Sprintf("%s: %s: %s", f.at(n), what, why))
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			for _, s := range selectors {
				if pkg.Name == s.pkg && slices.Contains(s.names, n.Sel.Name) && s.in(f) {
					note(n, s.pkg+"."+n.Sel.Name, s.why)
				}
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "panic" {
				note(n, "panic", "no input and no misuse ends the program that imports us")
			}
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				note(n, "func init", "importing a package does nothing")
			}
		}
		return true
	})
	return found
}

func TestCode(t *testing.T) {
	for _, f := range load(t).goes {
		if f.test {
			continue
		}
		for _, v := range codeViolations(f) {
			t.Error(v)
		}
	}
}

func TestCodeRules(t *testing.T) {
	tests := []struct {
		path, code string
		refused    bool
	}{
		{"smime/a.go", "func f() { _ = time.Now() }", true},
		{"smime/a.go", "var clock func() time.Time = time.Now", true},
		{"internal/client/a.go", "func f() { _ = time.Now() }", false},
		{"internal/client/a.go", "func f() { os.Exit(1) }", true},
		{"cmd/sealmail/main.go", "func f() { os.Exit(1) }", false},
		{"cmd/sealmail/send.go", "func f() { os.Exit(1) }", true},
		{"tsa/a.go", "func f() { http.Get(u) }", true},
		{"tsa/a.go", "func f(c *http.Client) { c.Get(u) }", false},
		{"mailbox/a.go", `func f() { panic("x") }`, true},
		{"mailbox/a.go", "func init() {}", true},
		{"mailbox/a.go", "func (t) init() {}", false},
		{"certstore/a.go", `func f() { fmt.Println("x") }`, true},
		{"certstore/a.go", `func f() { fmt.Fprintln(w, "x") }`, false},
	}
	for _, test := range tests {
		f, err := parse(token.NewFileSet(), test.path, "package p\n"+test.code)
		if err != nil {
			t.Fatal(err)
		}
		if got := codeViolations(f); (len(got) > 0) != test.refused {
			t.Errorf("%s with %s: refused: %v, want %v", test.path, test.code, len(got) > 0, test.refused)
		}
	}
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

func TestNothingUnfinished(t *testing.T) {
	for _, f := range load(t).goes {
		if below(f.dir, "internal/archcheck") {
			continue // it names the words
		}
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if unfinished.MatchString(c.Text) {
					t.Errorf("%s: %s", f.at(c), strings.TrimSpace(c.Text))
				}
			}
		}
	}
}
