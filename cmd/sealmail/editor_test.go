//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEditorOpens: at a terminal an editor opens where no text is given, and elsewhere where that is asked for. What it leaves as
// it is goes nowhere.
func TestEditorOpens(t *testing.T) {
	t.Parallel()
	bob := newHostileReader(t)
	dir := t.TempDir()
	opened := filepath.Join(dir, "opened")
	letter := filepath.Join(dir, "letter")
	if err := os.WriteFile(letter, []byte("To: carol@example.test\n\ntext\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mail := filepath.Join(dir, "mail.eml")
	if err := os.WriteFile(mail, []byte("From: carol@example.test\nSubject: x\n\ntext\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words    []string
		terminal bool
		opens    bool
	}{
		{[]string{"send", "--to", "carol@example.test"}, true, true},
		{[]string{"send", "--to", "carol@example.test", "--attach", letter}, true, true},
		{[]string{"draft"}, true, true},
		{[]string{"reply", mail}, true, true},
		{[]string{"forward", mail}, true, true},
		{[]string{"send", "--to", "carol@example.test", "--body", "-"}, true, false},
		{[]string{"send", "--template", letter}, true, false},
		{[]string{"send", "--template", letter, "--edit"}, true, true},
		{[]string{"send", "--to", "carol@example.test", "--edit=false"}, true, false},
		{[]string{"reply", mail, "--dry-run"}, true, false},
		{[]string{"send", "--to", "carol@example.test"}, false, false},
		{[]string{"forward", mail, "--to", "carol@example.test"}, false, false},
		{[]string{"send", "--to", "carol@example.test", "--body", "-", "--edit"}, false, true},
	} {
		_ = os.Remove(opened) // it need not be there
		var out, errs bytes.Buffer
		e := bob.environment(t, strings.NewReader("text\n"), &out, &errs)
		e.getenv = func(name string) string {
			return map[string]string{"EDITOR": "touch '" + opened + "'; true", "XDG_RUNTIME_DIR": dir}[name]
		}
		if e.outIsTerminal = c.terminal; c.terminal {
			e.prompt = func(string, <-chan struct{}) ([]byte, error) { return nil, errInterrupted }
		}
		code := run(t.Context(), e, append(c.words, "--home", bob.home))
		_, err := os.Stat(opened)
		if (err == nil) != c.opens {
			t.Errorf("%q: opened: %v; %s", c.words, err == nil, &errs)
		}
		if c.opens && (code != exitUsage || !strings.Contains(errs.String(), "the text was not changed: nothing was done")) || out.Len() > 0 && !strings.HasPrefix(out.String(), "nothing was sent;") {
			t.Errorf("%q: exit code %d, %s%s", c.words, code, &out, &errs)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "sealmail-*")); len(left) > 0 {
			t.Errorf("%q leaves %v", c.words, left)
		}
	}
}
