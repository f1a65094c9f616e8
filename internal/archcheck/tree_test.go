package archcheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

const module = "github.com/sealmail/sealmail"

// file is one Go file of the tree.
type file struct {
	path   string // from the root, with slashes
	dir    string // its folder, likewise; "." for the root
	test   bool   // a test file, or in a package that serves tests only
	syntax *ast.File
	fset   *token.FileSet
}

// imports returns the import paths; those of the project begin with "./".
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser lets none through
		}
		if path == module {
			path = "./."
		} else if rest, ok := strings.CutPrefix(path, module+"/"); ok {
			path = "./" + rest
		}
		paths = append(paths, path)
	}
	return paths
}

// at says where n is, as the go command does.
func (f *file) at(n ast.Node) string {
	return f.path + ":" + strconv.Itoa(f.fset.Position(n.Pos()).Line)
}

// parse makes a file of source text.
func parse(fset *token.FileSet, path string, src any) (*file, error) {
	syntax, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	dir := filepath.ToSlash(filepath.Dir(path))
	return &file{
		path: path, dir: dir, test: strings.HasSuffix(path, "_test.go") || forTests(dir),
		syntax: syntax, fset: fset,
	}, nil
}

// forTests tells whether the package at dir serves tests only. Its name says so, as httptest's does.
func forTests(dir string) bool { return strings.HasSuffix(dir, "test") }

// tree is the source tree, whatever the build constraints of its files.
type tree struct {
	root  string
	goes  []*file
	texts []string // all files that people read or tools obey, from the root
	err   error
}

var loadTree = sync.OnceValue(func() *tree {
	t := &tree{}
	if t.root, t.err = peertest.Checkout(); t.err != nil {
		return t
	}
	fset := token.NewFileSet()
	t.err = filepath.WalkDir(t.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		rel, err := filepath.Rel(t.root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name == "testdata" || name == "bin" || strings.HasPrefix(name, ".") && name != ".ci" && rel != "." {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case strings.HasSuffix(name, ".go"):
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f, err := parse(fset, rel, src)
			if err != nil {
				return err
			}
			t.goes = append(t.goes, f)
			t.texts = append(t.texts, rel)
		case name == "Makefile", strings.HasPrefix(rel, ".ci/"), strings.HasSuffix(name, ".md"),
			strings.HasSuffix(name, ".sh"), strings.HasSuffix(name, ".yml"), name == "go.mod":
			t.texts = append(t.texts, rel)
		}
		return nil
	})
	return t
})

// load returns the tree, read once.
func load(t *testing.T) *tree {
	t.Helper()
	tr := loadTree()
	if tr.err != nil {
		t.Fatal(tr.err)
	}
	return tr
}

// read returns the text of a file given from the root.
func (t *tree) read(tb testing.TB, rel string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(t.root, rel))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// below tells whether dir is room or a folder in it.
func below(dir, room string) bool {
	return dir == room || strings.HasPrefix(dir, room+"/")
}
