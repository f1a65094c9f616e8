package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAuthoritiesAreAddedAndFound(t *testing.T) {
	text, err := WithAccount("c", []byte("# mine\n"), work(t))
	if err != nil {
		t.Fatal(err)
	}
	known := TSA{URL: "https://TSA.example.org:443", User: "alice", PasswordCommand: "pass tsa"}
	shown := TSA{URL: "https://b.example/ts?x=y", P12: "/home/alice/tsa.p12", P12PasswordFile: "/home/alice/pw"}
	for _, a := range []TSA{known, shown} {
		if text, err = WithTSA("c", text, a); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Parse("c", text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "# mine\n") || len(c.Accounts) != 1 {
		t.Errorf("what stood there is gone:\n%s", text)
	}
	if diff := cmp.Diff([]TSA{known, shown}, c.TSAs); diff != "" {
		t.Errorf("authorities (-want +got):\n%s", diff)
	}
	for address, want := range map[string]TSA{
		"https://tsa.example.org/":      known,
		"https://tsa.example.org":       known,
		"HTTPS://tsa.example.org:443/":  known,
		"https://b.example/ts?x=y":      shown,
		"https://b.example/ts":          {},
		"https://tsa.example.org:444/":  {},
		"http://tsa.example.org/":       {},
		"http://tsa.example.org:443/":   {},
		"https://tsa.example.org/ts":    {},
		"https://x@tsa.example.org/":    {},
		"https://tsa.example.org.evil/": {},
		"":                              {},
	} {
		if got, found := c.TSA(address); got != want || found != (want != TSA{}) {
			t.Errorf("%q is %+v", address, got)
		}
	}
	for _, again := range []string{known.URL, "https://tsa.example.org/"} {
		if _, err := WithTSA("c", text, TSA{URL: again, User: "bob"}); err == nil {
			t.Errorf("%s was added twice", again)
		}
	}
	vaulted, err := WithVault("c", text, Vault{Keyring: true})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Parse("c", vaulted); err != nil || len(c.TSAs) != 2 {
		t.Errorf("with the vault's words: %+v, %v", c, err)
	}
}

func TestMistakesOfAuthoritiesAreNamed(t *testing.T) {
	const tsa = "[tsa.\"https://h/\"]\n"
	for _, test := range []struct {
		name, text, why, hint string
		line                  int
	}{
		{"misspelt key", tsa + "usr = 'u'\n", `unknown key "tsa.https://h/.usr"`, "did you mean `user`?", 2},
		{"unknown key", tsa + "secret = 'u'\n", "unknown key", "known keys of a timestamp authority are user, ", 2},
		{"password in the file", tsa + "user = 'u'\npassword = 'u'\n", "unknown key", "known keys of a timestamp authority", 3},
		{"nothing", tsa, "neither user nor p12", "[tsa.", 1},
		{"two passwords", tsa + "user = 'u'\npassword_file = 'x'\npassword_command = 'y'\n", "exclude", "", 1},
		{"two passwords of a p12", tsa + "p12 = 'u'\np12_password_file = 'x'\np12_password_command = 'y'\n", "exclude", "", 1},
		{"password without user", tsa + "p12 = 'u'\npassword_file = 'x'\n", "no user", "", 1},
		{"password without p12", tsa + "user = 'u'\np12_password_file = 'x'\n", "no p12", "", 1},
		{"colon", tsa + "user = 'a:b'\n", "colon", "", 1},
		{"http", "[tsa.'http://h/']\nuser = 'u'\n", "https only", "", 1},
		{"http to a loopback address", "[tsa.'http://127.0.0.1/']\nuser = 'u'\n", "https only", "", 1},
		{"http to another address, loopback allowed", "[tsa.'http://192.0.2.1/']\nuser = 'u'\ninsecure_loopback = true\n", "https only", "", 1},
		{"certificate over http", "[tsa.'http://127.0.0.1/']\np12 = 'u'\ninsecure_loopback = true\n", "https only", "", 1},
		{"other scheme", "\n[tsa.'ftp://h/']\nuser = 'u'\n", "not an http(s) address", "", 2},
		{"password in the address", "[tsa.'https://u:secret@h/']\nuser = 'u'\n", "not an http(s) address", "", 1},
		{"password in an address without a scheme", "[tsa.'u:secret@h/']\nuser = 'u'\n", "not an http(s) address", "", 1},
		{"password in an address with half a scheme", "[tsa.'https:/u:secret@h/']\nuser = 'u'\n", "not an http(s) address", "", 1},
		{"password in an address, with slashes", "[tsa.'u:secret@://@h/']\nuser = 'u'\n", "not an http(s) address", "", 1},
		{"password in an address that is there twice", "[tsa.'https://u:secret@h/']\nuser = 'u'\n[tsa.'https://u:secret@h/']\nuser = 'u'\n", "", "", 3},
		{"password in an address of an account", "[account.a]\naddress = 'a@b.example'\nimap = 'imaps://h'\nsmtp = 'submissions://h'\ntsa = ['u:secret@h/']\n", "not an http(s) address", "", 1},
		{"unknown key below a password in the address", "[tsa.'https://u:secret@h/']\nusr = 'u'\n", "unknown key", "", 2},
		{"one authority twice", tsa + "user = 'u'\n[tsa.'https://H:443']\nuser = 'u'\n", "same authority", "", 1},
		{"no table", "tsa = ['https://h/']\n", "", "TOML", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("config.toml", []byte(test.text))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Parse = %v, want an *Error", err)
			}
			if !strings.Contains(e.Why, test.why) || !strings.Contains(e.Hint, test.hint) || e.Line != test.line {
				t.Errorf("error %q, hint %q, line %d; want %q, %q, %d", e.Why, e.Hint, e.Line, test.why, test.hint, test.line)
			}
			if strings.Contains(e.Error()+e.Hint, "secret@") {
				t.Errorf("the error tells a password: %v", e)
			}
		})
	}
	if _, err := Parse("c", []byte("[tsa.'http://[::1]:80']\nuser = 'u'\ninsecure_loopback = true\n")); err != nil {
		t.Errorf("http to a loopback address, allowed: %v", err)
	}
}
