package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var namedCommand = regexp.MustCompile("`sealmail ([^`]*)")

// TestHintsNameCommands: each command line that the program tells people of is one of its own, with flags that it has.
func TestHintsNameCommands(t *testing.T) {
	root := testCommands(t)
	count := 0
	for _, dir := range []string{".", "../../internal/client", "../../internal/term", "../../internal/config"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				literal, ok := n.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range namedCommand.FindAllStringSubmatch(text, -1) {
					count++
					if wrong := checkCommandLine(root, m[1]); wrong != "" {
						t.Errorf("%s: `sealmail %s`: %s", file, m[1], wrong)
					}
				}
				return true
			})
		}
	}
	if count < 50 {
		t.Errorf("%d command lines were found: they are looked for in the wrong way", count)
	}
	for _, line := range []string{"nonsense", "cert nonsense --for mail", "init ADDRESS --nonsense", "list -x"} {
		if checkCommandLine(root, line) == "" {
			t.Errorf("%q is taken for a command", line)
		}
	}
}

// checkCommandLine says what is wrong with a command line, or a part of one up to where a program fills it in.
func checkCommandLine(root *cobra.Command, line string) string {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "%") || fields[0] == "--help" || fields[0] == "…" {
		return ""
	}
	cmd, rest, err := root.Find(fields)
	if err != nil || cmd == root {
		return "no such command"
	}
	if cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !cmd.Runnable() {
		return "no such command"
	}
	for _, field := range rest {
		name, isFlag := strings.CutPrefix(field, "--")
		name, _, _ = strings.Cut(name, "=")
		name = strings.TrimRight(name, ",.;")
		switch {
		case isFlag && name != "help" && cmd.Flag(name) == nil && cmd.InheritedFlags().Lookup(name) == nil:
			return "no flag --" + name
		case !isFlag && len(field) == 2 && field[0] == '-' && cmd.Flags().ShorthandLookup(field[1:]) == nil && cmd.InheritedFlags().ShorthandLookup(field[1:]) == nil:
			return "no flag " + field
		}
	}
	return ""
}
