package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestConfirmRevocation: a person is asked, and told who it is about; who is not sure has revoked nothing.
func TestConfirmRevocation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	cert := filepath.Join(filepath.Dir(dir), "alice.pem")
	for _, words := range [][]string{
		{"ca", "init", "--dir", dir, "--name", "N", "--unprotected"},
		{"ca", "issue", "--dir", dir, "--key", "p256", "--purpose", "mail", "--email", "alice@example.test", "--name", "Alice\u202eAdams", "-o", cert},
	} {
		if code, output := (&terminal{}).run(t, words...); code != exitGood {
			t.Fatal(output)
		}
	}
	for _, test := range []struct {
		typed string
		flags []string
		code  int
		list  string // what the next list holds
	}{
		{"\n", nil, exitUsage, "with 0 revoked"},
		{"no\n", nil, exitUsage, "with 0 revoked"},
		{"yes\n", nil, exitGood, "with 1 revoked"},
		{"", []string{"--yes"}, exitGood, "with 1 revoked"},
	} {
		code, output := (&terminal{typed: test.typed}).run(t, append([]string{"ca", "revoke", "--dir", dir, "--cert", cert}, test.flags...)...)
		if code != test.code || strings.Contains(output, "Revoke the certificate of Alice") != (test.flags == nil) || strings.Contains(output, "\u202e") {
			t.Errorf("%q: exit code %d, %s", test.typed, code, output)
		}
		if _, output = (&terminal{}).run(t, "ca", "crl", "--dir", dir, "-o", cert+".crl"); !strings.Contains(output, test.list) {
			t.Errorf("%q: %s", test.typed, output)
		}
	}
}
