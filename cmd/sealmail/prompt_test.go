package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is a person at a terminal, who answers questions for secrets in this order, and others by what is typed.
type terminal struct {
	secrets   []string
	typed     string
	questions []string
}

// run runs a command at the terminal, and returns its exit code and all that was written.
func (p *terminal) run(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	e := environment{in: strings.NewReader(p.typed), out: &out, err: &out, getenv: func(string) string { return "" }, now: time.Now}
	e.prompt = func(question string, _ <-chan struct{}) ([]byte, error) {
		p.questions = append(p.questions, question)
		if len(p.secrets) == 0 {
			return nil, errors.New("nobody answers")
		}
		secret := p.secrets[0]
		p.secrets = p.secrets[1:]
		return []byte(secret), nil
	}
	code = run(t.Context(), e, args)
	return code, out.String()
}

// TestPromptForPassphrase: at a terminal, what no flag gives is asked for, and a new passphrase twice.
func TestPromptForPassphrase(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	words := []string{"--home", home, "init", "a@example.test", "--imap", "imaps://localhost", "--smtp", "submissions://localhost", "--no-check"}
	p := &terminal{secrets: []string{"server password", "one", "two"}}
	if code, output := p.run(t, words...); code != exitUsage || !strings.Contains(output, "sealmail: vault: the two answers differ") {
		t.Errorf("exit code %d, %s", code, output)
	}
	if len(p.questions) != 3 {
		t.Errorf("asked %q", p.questions)
	}
	if _, err := os.Stat(filepath.Join(home, "config.toml")); err == nil {
		t.Error("an account was set up")
	}
	p = &terminal{secrets: []string{"server password", "one", "one"}}
	if code, output := p.run(t, words...); code != exitGood || strings.Contains(output, "one") && strings.Contains(output, "server password") {
		t.Errorf("exit code %d, %s", code, output)
	}
}

// TestConfirm: a person is asked before something becomes an anchor, and only yes is yes.
func TestConfirm(t *testing.T) {
	dir := t.TempDir()
	ca, home := filepath.Join(dir, "ca"), filepath.Join(dir, "home")
	if code, output := (&terminal{}).run(t, "ca", "init", "--dir", ca, "--name", "N", "--unprotected"); code != exitGood {
		t.Fatal(output)
	}
	for _, test := range []struct {
		typed string
		flags []string
		code  int
	}{
		{"\n", nil, exitUsage}, {"", nil, exitUsage}, {"no\n", nil, exitUsage}, {"yesterday\n", nil, exitUsage},
		{"y\n", nil, exitGood}, {"YES\n", nil, exitGood}, {"", []string{"--yes"}, exitGood},
	} {
		p := &terminal{typed: test.typed}
		code, output := p.run(t, append([]string{"--home", home, "cert", "trust", filepath.Join(ca, "root.pem"), "--for", "mail"}, test.flags...)...)
		if code != test.code {
			t.Errorf("%q %v: exit code %d, want %d: %s", test.typed, test.flags, code, test.code, output)
		}
		if asked := strings.Contains(output, "Trust N Root CA") || strings.Contains(output, "[y/N]"); asked != (test.flags == nil) {
			t.Errorf("%q %v: %s", test.typed, test.flags, output)
		}
		_, list := p.run(t, "--home", home, "cert", "list", "--kind", "anchor")
		if trusted := strings.Contains(list, "anchor for mail"); trusted != (code == exitGood) {
			t.Errorf("%q %v: %s", test.typed, test.flags, list)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Fatal(err)
		}
	}
}
