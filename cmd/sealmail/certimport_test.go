package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPromptForFilePasswords: at a terminal each file's password is asked for by the file's name, where it has one and once;
// that of a file to be made is typed twice.
func TestPromptForFilePasswords(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("password"), []byte("correct horse"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{
		{"ca", "init", "--dir", in("ca"), "--name", "N", "--unprotected"},
		{"ca", "issue", "--dir", in("ca"), "--key", "p256", "--purpose", "mail", "--email", "a@example.test", "-o", in("a.p12"), "--p12-password-file", in("password")},
		{"ca", "issue", "--dir", in("ca"), "--key", "p256", "--purpose", "mail", "--email", "b@example.test", "-o", in("b.p12"), "--p12-password-file", in("password")},
		{"ca", "issue", "--dir", in("ca"), "--key", "p256", "--purpose", "mail", "--email", "c@example.test", "-o", in("c.pem")},
	} {
		if code, output := (&terminal{}).run(t, words...); code != exitGood {
			t.Fatal(output)
		}
	}
	for _, test := range []struct {
		name    string
		words   []string
		secrets []string
		asked   []string
		code    int
		says    string
	}{
		{"two files", []string{"cert", "import", in("a.p12"), in("c.pem"), in("b.p12"), "--unprotected"}, []string{"correct horse", "correct horse"},
			[]string{"The password of a.p12: ", "The password of b.p12: "}, exitGood, ""},
		{"by file", []string{"cert", "import", in("a.p12"), in("b.p12"), "--unprotected", "--p12-password-file", in("password")}, nil, nil, exitGood, ""},
		{"wrong", []string{"cert", "import", in("a.p12"), "--unprotected"}, []string{"wrong"}, []string{"The password of a.p12: "}, exitFailed, "a.p12: PKCS#12: wrong password"},
		{"export", []string{"cert", "export", "a@example.test", "--key", "-o", in("out.p12")}, []string{"new password", "new password"},
			[]string{"The password for the PKCS#12 file: ", "Once more: "}, exitGood, ""},
		{"export, differing", []string{"cert", "export", "a@example.test", "--key", "-o", in("other.p12")}, []string{"new password", "new passwort"},
			[]string{"The password for the PKCS#12 file: ", "Once more: "}, exitFailed, "the two answers differ, or are empty"},
		{"issue, differing", []string{"ca", "issue", "--dir", in("ca"), "--key", "p256", "--purpose", "mail", "--email", "d@example.test", "-o", in("d.p12")}, []string{"new password", "new passwort"},
			[]string{"The password for the PKCS#12 file: ", "Once more: "}, exitFailed, "the two answers differ, or are empty"},
		{"export of nothing", []string{"cert", "export", "x@example.test", "--key", "-o", in("none.p12")}, nil, nil, exitFailed, "no certificate in the store"},
	} {
		p := &terminal{secrets: test.secrets}
		code, output := p.run(t, append([]string{"--home", in("home")}, test.words...)...)
		if code != test.code || !strings.Contains(output, test.says) || !slices.Equal(p.questions, test.asked) {
			t.Errorf("%s: exit code %d, asked %q: %s", test.name, code, p.questions, output)
		}
		for _, secret := range test.secrets {
			if len(secret) > 5 && strings.Contains(output, secret) {
				t.Errorf("%s: the password is in the output", test.name)
			}
		}
	}
	for name, there := range map[string]bool{"out.p12": true, "other.p12": false, "d.p12": false, "none.p12": false} {
		if _, err := os.Stat(in(name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}
