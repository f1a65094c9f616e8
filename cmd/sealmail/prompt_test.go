package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
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
	return p.runIn(t, &neighbourhood{}, args...)
}

// runIn is run with another network around it.
func (p *terminal) runIn(t *testing.T, n *neighbourhood, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	e := environment{in: strings.NewReader(p.typed), out: &out, err: &out, getenv: func(string) string { return "" }, now: time.Now, dial: n.dial, resolver: n}
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

// TestInterruptStdin: who waits for input that does not come ends as soon as the person wants it.
func TestInterruptStdin(t *testing.T) {
	for _, args := range [][]string{{"verify", "-"}, {"decrypt", "-", "-o", filepath.Join(t.TempDir(), "out")}} {
		cmd := program(t, nil, args...)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// More than a pipe holds: when it is written, the program is reading.
		if _, err := io.WriteString(stdin, "Subject: x\r\n\r\n"+strings.Repeat("text\r\n", 1<<18)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Skip(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed || out.String() != "sealmail: interrupted\n" {
			t.Errorf("%v: %v\n%s", args, err, &out)
		}
		_ = stdin.Close()
	}
}

// TestExplainInterruption has an interruption say what it interrupted, and where mail is that waits.
func TestExplainInterruption(t *testing.T) {
	canceled := fmt.Errorf("dial: %w", context.Canceled)
	for want, err := range map[string]error{
		"sealmail: interrupted\n":        canceled,
		"sealmail: fetch: interrupted\n": &client.Error{What: "fetch", Err: canceled, Hint: "check the network"},
		"sealmail: send: interrupted\nhint: `sealmail outbox flush` tries again\n": &client.Error{What: "send", Err: canceled, Hint: "`sealmail outbox flush` tries again"},
	} {
		var text strings.Builder
		printError(&text, err, false)
		if text.String() != want || exitCode(err) != exitFailed {
			t.Errorf("%q, want %q", &text, want)
		}
	}
}
