package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const anAccount = "[account.a]\naddress = 'a@b.example'\nimap = 'imaps://h'\nsmtp = 'submissions://h'\nuser = 'u'\ntimestamp = 'off'\n"

func TestWithVault(t *testing.T) {
	for _, test := range []struct {
		name, text string
		vault      Vault
		want       string
	}{
		{"a new file", "", Vault{Device: "keyring"}, "[vault]\ndevice = 'keyring'\n"},
		{"nothing to say", anAccount, Vault{}, anAccount},
		{"behind an account", anAccount, Vault{Keyring: true}, anAccount + "\n[vault]\nkeyring = true\n"},
		{"another device", "# mine\n[vault] # this\n# why\ndevice = 'beside'\n\n" + anAccount, Vault{Device: "/x y"},
			"# mine\n[vault] # this\ndevice = '/x y'\n# why\n\n" + anAccount},
		{"taken back", "[vault]\ndevice = 'beside'\nkeyring = true\n", Vault{}, "[vault]\n"},
		{"no line end", "[vault]", Vault{Keyring: true}, "[vault]\nkeyring = true\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := WithVault("x", []byte(test.text), test.vault)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWithVaultElsewhere: what cannot be changed by lines is not changed.
func TestWithVaultElsewhere(t *testing.T) {
	for _, text := range []string{
		"vault = {device = 'beside'}\n", "vault.device = 'beside'\n", "[vault]\ndevice = '''beside'''\n'x' = 1\n", "[vault]\n\"device\" = 'beside'\n",
	} {
		_, err := WithVault("x", []byte(text), Vault{Device: "keyring"})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestVaultMistakesAreNamed(t *testing.T) {
	for _, test := range []struct{ text, why, hint string }{
		{anAccount + "[vault]\ndevice = 'keys'\n", `device is "keys"`, "vault passwd"},
		{anAccount + "[vault]\ndevice = 'keys/mine'\n", `not beside, keyring, or the absolute path`, ""},
		{anAccount + "[vault]\ndevise = 'beside'\n", `unknown key "vault.devise"`, "did you mean `device`?"},
		{anAccount + "[vault]\npassphrase = 'x'\n", `unknown key "vault.passphrase"`, "known keys of the vault are device, keyring"},
		{anAccount + "[vault]\nkeyring = 'yes'\n", "", "TOML"},
	} {
		_, err := Parse("config.toml", []byte(test.text))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Why, test.why) || !strings.Contains(e.Hint, test.hint) || e.Line == 0 {
			t.Errorf("%q: %+v", test.text, err)
		}
	}
}

// FuzzWithVault: whatever the file looks like, either it says of the vault what it was told to and everything else as
// before, or it is left alone.
func FuzzWithVault(f *testing.F) {
	f.Add("", "keyring", true)
	f.Add(anAccount+"[vault]\ndevice = 'beside'\n", "/folder", false)
	f.Add("[vault]\ndevice = '''\n[vault]\n'''\n", "", true)
	f.Add("[account.a]\ntsa = [\n[vault]\n]\n", "beside", true)
	f.Fuzz(func(t *testing.T, text, device string, keyring bool) {
		before, err := Parse("x", []byte(text))
		if err != nil {
			return
		}
		want := Vault{Device: device, Keyring: keyring}
		out, err := WithVault("x", []byte(text), want)
		if err != nil {
			return
		}
		after, err := Parse("x", out)
		if err != nil || after.Vault != want || cmp.Diff(before.Accounts, after.Accounts) != "" {
			t.Fatalf("%q with %+v is %q: %+v, %v", text, want, out, after, err)
		}
	})
}
