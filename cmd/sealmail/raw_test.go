package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRawOutput: what a message holds goes to no terminal as it is; elsewhere it goes out untouched.
func TestRawOutput(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"password": "secret\n", "entity": "Content-Type: text/plain\r\n\r\nhello \x1b[31mred\r\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	sealmail := func(terminal bool, args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		e := environment{
			in: strings.NewReader(""), out: &stdout, err: &stderr, outIsTerminal: terminal, now: time.Now, dial: (&net.Dialer{}).DialContext,
			getenv: func(string) string { return "" },
		}
		code = run(t.Context(), e, append([]string{"--home", in("home")}, args...))
		return code, stdout.String(), stderr.String()
	}
	for _, args := range [][]string{
		{"ca", "init", "--dir", in("ca"), "--name", "Raw", "--unprotected"},
		{"ca", "issue", "--dir", in("ca"), "--key", "p256", "--purpose", "mail", "--email", "a@example.test", "-o", in("a.p12"), "--p12-password-file", in("password")},
		{"cert", "import", in("a.p12"), "--p12-password-file", in("password"), "--unprotected"},
		{"cert", "trust", in("ca/root.pem"), "--for", "mail"},
		{"encrypt", in("entity"), "--to", "a@example.test", "-o", in("sealed.eml")},
		{"sign", in("entity"), "--opaque", "--p12", in("a.p12"), "--p12-password-file", in("password"), "-o", in("signed.eml")},
	} {
		if code, out, errs := sealmail(false, args...); code != exitGood {
			t.Fatalf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
	for _, args := range [][]string{
		{"decrypt", in("sealed.eml")},
		{"verify", in("signed.eml"), "-o", "-"},
		{"sign", "--bare", "--opaque", "--p12", in("a.p12"), "--p12-password-file", in("password"), in("entity")},
		{"encrypt", "--bare", "--to", "a@example.test", in("entity")},
		{"read", "--raw", in("sealed.eml")},
		{"backup", "--backup-passphrase-file", in("password"), "-o", "-"},
	} {
		if code, out, errs := sealmail(true, args...); code != exitUsage || out != "" || !strings.Contains(errs, "not written to a terminal") {
			t.Errorf("%q at a terminal: exit %d, %q\n%s", args, code, out, errs)
		}
		if code, out, errs := sealmail(false, args...); code != exitGood || out == "" {
			t.Errorf("%q: exit %d, %q\n%s", args, code, out, errs)
		}
	}
}
