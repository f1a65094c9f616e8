package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

// TestMan has a page for each command that a person sees, with all that it is expected to say, and without anything that a
// formatter would stumble over.
func TestMan(t *testing.T) {
	dir := filepath.Join(memoryDir(t), "man1")
	if code, said := onDisk(t, safeio.Disk{}, "man", "-o", dir); code != exitGood {
		t.Fatalf("exit %d: %s", code, said)
	}
	var files []string
	root := testCommands(t)
	root.InitDefaultHelpCmd()
	for _, cmd := range allCommands(root) {
		if cmd.Hidden {
			continue
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		files = append(files, filepath.Join(dir, name))
		for _, want := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"} {
			if !strings.Contains(string(page), "\n.SH "+want+"\n") {
				t.Errorf("%s has no %s", name, want)
			}
		}
		for _, flag := range flagLines(cmd) {
			if _, flag, ok := strings.Cut(flag, "--"); ok && !strings.Contains(string(page), roff("--"+strings.Fields(flag)[0])) {
				t.Errorf("%s says nothing of --%s", name, flag)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(files) {
		t.Errorf("%d pages, %d commands, %v", len(entries), len(files), err)
	}
	for _, formatter := range [][]string{{"groff", "-man", "-Tutf8", "-ww", "-z"}, {"mandoc", "-T", "lint", "-W", "warning"}} {
		if _, err := exec.LookPath(formatter[0]); err != nil {
			t.Logf("%s is not there", formatter[0])
			continue
		}
		out, err := exec.Command(formatter[0], append(formatter[1:], files...)...).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", formatter[0], err, out)
		}
	}
}

// TestManPage looks at one page as a reader sees it.
func TestManPage(t *testing.T) {
	page := func(epoch string, args ...string) (code int, text string) {
		var out bytes.Buffer
		e := environment{in: strings.NewReader(""), out: &out, err: &out, getenv: func(name string) string {
			if name == "SOURCE_DATE_EPOCH" {
				return epoch
			}
			return ""
		}}
		code = run(t.Context(), e, append([]string{"man"}, args...))
		return code, out.String()
	}
	code, text := page("", "cert", "export")
	if code != exitGood || !strings.HasPrefix(text, `.TH SEALMAIL\-CERT\-EXPORT 1 "" "sealmail"`) {
		t.Errorf("exit %d: %s", code, text)
	}
	if _, again := page("", "cert", "export"); again != text {
		t.Error("another page the second time")
	}
	if _, text := page("1795255331", "send"); !strings.HasPrefix(text, `.TH SEALMAIL\-SEND 1 "2026-11-21"`) {
		t.Errorf("%.80s", text)
	}
	if code, text := page("today"); code != exitUsage {
		t.Errorf("exit %d: %s", code, text)
	}
	if code, text := page("", "no", "such"); code != exitUsage {
		t.Errorf("exit %d: %s", code, text)
	}
	if code, text := page("", "send", "-o", "x"); code != exitUsage {
		t.Errorf("exit %d: %s", code, text)
	}
	for text, want := range map[string]string{`a\b`: `a\eb`, ".SH x": `\&.SH x`, "x\n.SH y": "x\n\\&.SH y", "'b": `\&'b`, "…": `\[u2026]`, "a.b": "a.b"} {
		if got := roff(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
