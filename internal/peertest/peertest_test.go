package peertest_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// outcome is a testing.TB that notes how a test would have ended, and ends only the goroutine that ran it.
type outcome struct {
	testing.TB
	result, message string
}

func (o *outcome) Skip(args ...any) {
	o.result, o.message = "skip", strings.TrimSpace(args[0].(string))
	runtime.Goexit()
}

func (o *outcome) Fatalf(format string, args ...any) {
	o.result, o.message = "fail", strings.TrimSpace(format)
	runtime.Goexit()
}

func (o *outcome) Helper() {}

// try runs f as a test would be run.
func try(t *testing.T, f func(testing.TB)) *outcome {
	t.Helper()
	o := &outcome{TB: t, result: "pass"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(o)
	}()
	<-done
	return o
}

func TestAbsence(t *testing.T) {
	defer peertest.ForgetAbsent("no-such-peer", "corpora/no-such-corpus")
	tests := []struct {
		name, env, value, want string
		f                      func(testing.TB)
	}{
		{"peer", "SEALMAIL_REQUIRE_PEERS", "", "skip", func(t testing.TB) { peertest.Command(t, "no-such-peer") }},
		{"required peer", "SEALMAIL_REQUIRE_PEERS", "1", "fail", func(t testing.TB) { peertest.Command(t, "no-such-peer") }},
		{"run", "SEALMAIL_REQUIRE_PEERS", "", "skip", func(t testing.TB) { peertest.Run(t, "no-such-peer") }},
		{"library", "SEALMAIL_REQUIRE_PEERS", "", "skip", func(t testing.TB) { peertest.Files(t, "no-such-peer", "/dev/null", "/no/such.jar") }},
		{"required library", "SEALMAIL_REQUIRE_PEERS", "1", "fail", func(t testing.TB) { peertest.Files(t, "no-such-peer", "/no/such.jar") }},
		{"corpora", "SEALMAIL_REQUIRE_CORPORA", "", "skip", func(t testing.TB) { peertest.Corpora(t, "no-such-corpus") }},
		{"required corpora", "SEALMAIL_REQUIRE_CORPORA", "1", "fail", func(t testing.TB) { peertest.Corpora(t, "no-such-corpus") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.env, test.value)
			if o := try(t, test.f); o.result != test.want {
				t.Errorf("%s (%s), want %s", o.result, o.message, test.want)
			}
		})
	}
}

func TestCorpora(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SEALMAIL_CORPORA", dir)
	want := filepath.Join(dir, "one", "two.eml")
	if err := os.Mkdir(filepath.Dir(want), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := peertest.Corpora(t, "one", "two.eml"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRun(t *testing.T) {
	if got := peertest.Run(t, "openssl", "version"); !strings.HasPrefix(string(got), "OpenSSL") {
		t.Errorf("openssl version: %q", got)
	}
	out, _, err := peertest.RunErr(t, []byte("x"), "openssl", "dgst", "-sha256", "-r")
	const digestOfX = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	if err != nil || !strings.HasPrefix(string(out), digestOfX) {
		t.Errorf("standard input: %q, %v", out, err)
	}
	_, stderr, err := peertest.RunErr(t, nil, "openssl", "x509", "-in", "no-such-file")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || len(stderr) == 0 {
		t.Errorf("a failing peer: %v, %q", err, stderr)
	}
	o := try(t, func(t testing.TB) { peertest.Run(t, "openssl", "x509", "-in", "no-such-file") })
	if o.result != "fail" {
		t.Errorf("Run of a failing peer: %s", o.result)
	}
}
