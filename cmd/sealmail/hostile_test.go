package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/hostiletest"
	"github.com/sealmail/sealmail/internal/term"
)

// TestHostile reads each message in testdata/hostile as Bob, who trusts one authority, on the first of December 2026 and
// without a network. What `read` prints, as JSON and on the screen, is compared with the files beside the message, which
// -update writes anew, and with expectations that were written by hand, which it does not.
func TestHostile(t *testing.T) {
	t.Parallel()
	bob := newHostileReader(t)
	for _, c := range hostiletest.Cases() {
		t.Run(c.Name, func(t *testing.T) { bob.check(t, c) })
	}
}

// TestHostileFiles: each message has its case, and each case its files.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	want := map[string]bool{}
	for _, c := range hostiletest.Cases() {
		for _, ending := range []string{".eml", ".readme", ".want.json", ".screen.txt"} {
			want[c.Name+ending] = true
		}
	}
	files, err := os.ReadDir(hostileDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[f.Name()] {
			t.Errorf("%s belongs to no case", f.Name())
		}
		delete(want, f.Name())
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func hostileDir() string { return filepath.Join("..", "..", "testdata", "hostile") }

// hostileReader is Bob.
type hostileReader struct{ home string }

func newHostileReader(t testing.TB) *hostileReader {
	t.Helper()
	r := &hostileReader{home: t.TempDir()}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pki := func(name string) string { return filepath.Join("..", "..", "testdata", "pki", name) }
	for _, args := range [][]string{
		{"init", "bob@example.test", "--imap", "imaps://127.0.0.1:1", "--smtp", "submissions://127.0.0.1:1", "--no-check", "--unprotected",
			"--password-file", password, "--p12", pki("bob-p256.p12"), "--p12-password-file", password, "--trust", pki("hostile-root.pem")},
		{"cert", "import", pki("bob-rsa2048.p12"), "--p12-password-file", password},
	} {
		if out := r.run(t, args...); out.code != exitGood {
			t.Fatalf("%s: %s", args[0], out.stderr)
		}
	}
	return r
}

// ran is what came of a command.
type ran struct {
	stdout, stderr string
	code           int
}

// run runs a command in this process, without environment, terminal and network.
func (r *hostileReader) run(t testing.TB, args ...string) ran {
	t.Helper()
	return r.runWith(t, strings.NewReader(""), args...)
}

func (r *hostileReader) runWith(t testing.TB, stdin io.Reader, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	e := r.environment(t, stdin, &out, &errs)
	code := run(t.Context(), e, append(args, "--home", r.home))
	return ran{out.String(), errs.String(), code}
}

// environment is one without variables, terminal and network.
func (r *hostileReader) environment(t testing.TB, stdin io.Reader, out, errs io.Writer) environment {
	e := systemEnvironment()
	e.in, e.out, e.err = stdin, out, errs
	e.getenv = func(string) string { return "" }
	e.now = func() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }
	e.dial = func(_ context.Context, _, address string) (net.Conn, error) {
		t.Errorf("%s was dialed", address)
		return nil, errors.New("there is no network")
	}
	e.prompt, e.outIsTerminal, e.errIsTerminal = nil, false, false
	return e
}

func (r *hostileReader) check(t *testing.T, c hostiletest.Case) {
	name := filepath.Join(hostileDir(), c.Name)
	screen, object, verified := r.run(t, "read", name+".eml"), r.run(t, "read", name+".eml", "--json"), r.run(t, "verify", name+".eml", "--json")
	found := hostiletest.Found{Screen: screen.stdout, Error: screen.stderr}
	var golden string
	if found.Error != "" {
		checkRefused(t, screen, object, verified)
		golden, screen.stdout = mustJSON(t, map[string]string{"error": object.stderr}), screen.stderr
	} else {
		report := reportOf(t, object.stdout)
		base := c.Name + ".eml"
		report.File = &base
		golden = mustJSON(t, report)
		found.Verdict, found.Encryption, found.Codes = report.Verdict, report.Encryption, codesOf(report)
		if report.Text != nil {
			found.Text = *report.Text
		}
		if report.Message.From != nil {
			found.From = *report.Message.From
		}
		checkCodes(t, report, screen, object, verified)
	}
	checkScreen(t, screen.stdout)
	switch violations := c.Want.Violations(found); {
	case c.Want.Open != "" && len(violations) == 0:
		t.Errorf("it is as it should be now, and was not: %s", c.Want.Open)
	case c.Want.Open != "":
		t.Logf("open: %s: %s", c.Want.Open, strings.Join(violations, "; "))
	default:
		for _, v := range violations {
			t.Error(v)
		}
	}
	compareGolden(t, name+".want.json", golden)
	compareGolden(t, name+".screen.txt", screen.stdout)
}

func reportOf(t testing.TB, stdout string) *client.Report {
	t.Helper()
	report := new(client.Report)
	if err := json.Unmarshal([]byte(stdout), report); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return report
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// codesOf are the codes of all checks and warnings.
func codesOf(r *client.Report) []string {
	var codes []string
	for _, s := range r.Signatures {
		for _, c := range []client.CheckReport{s.Checks.Integrity, s.Checks.Chain, s.Checks.Revocation, s.Checks.Address, s.Checks.Time} {
			if c.Code != nil {
				codes = append(codes, *c.Code)
			}
		}
	}
	for _, l := range r.Layers {
		if l.EncryptionReport != nil && l.Code != nil {
			codes = append(codes, *l.Code)
		}
	}
	for _, w := range r.Warnings {
		codes = append(codes, w.Code)
	}
	return codes
}

// checkRefused: what cannot be read is said in the same way by all commands, with exit code 3.
func checkRefused(t *testing.T, all ...ran) {
	t.Helper()
	for _, one := range all {
		if one.code != exitFailed || one.stdout != "" || one.stderr != all[0].stderr {
			t.Errorf("exit code %d, %q, %q", one.code, one.stdout, one.stderr)
		}
	}
}

// checkCodes: read and verify say the same, and end as they should.
func checkCodes(t *testing.T, report *client.Report, screen, object, verified ran) {
	t.Helper()
	if v := reportOf(t, verified.stdout); v.Verdict != report.Verdict || v.Encryption != report.Encryption || v.Text != nil {
		t.Errorf("verify says %s, %s", v.Verdict, v.Encryption)
	}
	opened := report.Encryption == "none" || report.Encryption == "decrypted"
	want := exitNo
	if (report.Verdict == "passed" || report.Verdict == "unsigned") && opened && !strings.Contains(strings.Join(codesOf(report), " "), "not-decompressed") {
		want = exitGood
	}
	if screen.code != want || object.code != want {
		t.Errorf("read ends with %d and %d, and should with %d", screen.code, object.code, want)
	}
	if want = exitNo; report.Verdict == "passed" {
		want = exitGood
	}
	if verified.code != want {
		t.Errorf("verify ends with %d", verified.code)
	}
	if !opened && (report.Text != nil || len(report.Parts) > 0) {
		t.Error("something is shown of what was not opened")
	}
	if upper := strings.ToUpper(report.Verdict); !strings.HasPrefix(screen.stdout, term.Mark+" "+upper) {
		t.Errorf("the screen does not begin with %s", upper)
	}
}

// checkScreen: nothing on the screen moves the cursor, hides or turns around anything, and nobody but sealmail begins a line
// with the mark.
func checkScreen(t testing.TB, screen string) {
	t.Helper()
	for line := range strings.Lines(screen) {
		rest := strings.TrimPrefix(strings.TrimSuffix(line, "\n"), term.Mark)
		for _, r := range rest {
			if !unicode.IsGraphic(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || string(r) == term.Mark {
				t.Errorf("%U is in %q", r, line)
				break
			}
		}
	}
}

// compareGolden compares with a file, or writes it.
func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", filepath.Base(file), diff)
	}
}
