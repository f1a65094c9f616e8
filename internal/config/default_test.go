package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithDefault(t *testing.T) {
	const rest = "address = 'a@b.example'\nimap = 'imaps://h'\nsmtp = 'submissions://h'\n"
	for _, test := range []struct{ name, text, account, want string }{
		{"the only one", "# mine\n[account.a] # work\n" + rest, "a", "# mine\n[account.a] # work\ndefault = true\n" + rest},
		{"instead of another", "[account.a]\n" + rest + "default = true # mine\n[account.\"x@y\"]\n" + rest + "\n[vault]\nkeyring = true\n", "x@y",
			"[account.a]\n" + rest + "[account.\"x@y\"]\ndefault = true\n" + rest + "\n[vault]\nkeyring = true\n"},
		{"already", "[account.a]\ndefault = true\n" + rest, "a", "[account.a]\ndefault = true\n" + rest},
		{"said to be none", "[account.'a']\n" + rest + "default=false\n", "a", "[account.'a']\ndefault = true\n" + rest},
	} {
		got, err := WithDefault("c", []byte(test.text), test.account)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	for name, text := range map[string]string{
		"no such account": "[account.b]\n" + rest,
		"inline tables":   "[account]\na = {address = 'a@b.example', imap = 'imaps://h', smtp = 'submissions://h'}\n",
	} {
		var broken *Error
		if got, err := WithDefault("c", []byte(text), "a"); !errors.As(err, &broken) || !strings.Contains(broken.Hint, "default = true") {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
