package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestDemo runs the demo, and then every command it printed once more by hand, against its servers started again.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a demo") // with a blank, so that quoting matters
	out, err := program(t, nil, "demo", "--keep", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	verdict := lines[len(lines)-4:]
	for i, want := range []string{
		`^▌ PASSED +signed by Alice Adams <alice@example\.test>, Example GmbH`,
		`^▌ +certificate from Example Issuing CA, valid to \d{4}-\d\d-\d\d`,
		`^▌ +sent \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, proven by Example TSA$`,
		`^▌ +encrypted with AES-256-GCM to you and 1 other$`,
	} {
		if !regexp.MustCompile(want).MatchString(verdict[i]) {
			t.Errorf("the demo ends with %q, want %s", verdict[i], want)
		}
	}

	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, ok := strings.Cut(string(readme), "read last\n")
	if shown, _, _ = strings.Cut(shown, "```"); !ok || !regexp.MustCompile(`(?m)^`+asPrinted(shown)).Match(out) {
		t.Errorf("the demo prints\n%s\nand the README says\n%s", out, shown)
	}

	serve := program(t, nil, "demo", "serve", dir)
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	var servers client.DemoServers
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&servers); err != nil {
		t.Fatalf("the first line of demo serve: %v", err)
	}
	var env []string
	commands := 0
	for _, line := range lines {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		words := shellWords(t, command)
		switch words[0] {
		case "export":
			env = append(env, words[1])
		case "sealmail":
			commands++
			if slices.Contains(words, "prove") { // whose folder is there by now
				words[len(words)-1] += "-again"
			}
			if out, err := program(t, env, words[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s\n%v\n%s", command, err, out)
			}
		default:
			t.Errorf("the demo prints %q", command)
		}
	}
	if commands < 8 {
		t.Errorf("the demo shows %d commands only", commands)
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("demo serve, ended by SIGTERM: %v", err)
	}
}

// shellWords takes a command line apart as a shell does, as far as the demo uses its rules; a pipe ends it.
func shellWords(t *testing.T, line string) []string {
	t.Helper()
	var words []string
	word, begun, quoted := "", false, false
	for _, r := range line + " " {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if word == "|" {
				return words
			}
			if begun {
				words = append(words, word)
			}
			word, begun = "", false
		case strings.ContainsRune(`"$&;<>()\`, r) && !quoted:
			t.Fatalf("%q needs a real shell", line)
		default:
			word, begun = word+string(r), true
		}
	}
	return words
}

// asPrinted is the pattern of an output: fingerprints, times and the width of columns may be others, and an ellipsis stands
// for anything in a line, and for any lines where it is alone in one.
func asPrinted(text string) string {
	pattern := regexp.QuoteMeta(text)
	for _, each := range [][2]string{{`[0-9a-f]{8,}`, `[0-9a-f]+`}, {`\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\dZ?)?)?`, `\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\dZ?)?)?`},
		{`[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d`, `[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d`}, {` +`, ` +`}, {`…`, `.*`}} {
		pattern = regexp.MustCompile(each[0]).ReplaceAllLiteralString(pattern, each[1])
	}
	return regexp.MustCompile(`(?m)^\.\*$`).ReplaceAllLiteralString(pattern, `(?s:.*)`)
}
