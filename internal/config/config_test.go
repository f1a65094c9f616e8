package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox"
)

func parseURL(t *testing.T, s string) mailbox.Endpoint {
	t.Helper()
	e, err := mailbox.ParseEndpoint(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func work(t *testing.T) Account {
	return Account{
		Name: "work", Address: "alice@example.org", DisplayName: "Alice \"A.\" Adams", Default: true,
		IMAP: parseURL(t, "imaps://imap.example.org"), SMTP: parseURL(t, "submission://smtp.example.org"),
		User: "alice", TSA: []string{"https://tsa.example.org/ts"}, Timestamp: TimestampRequired, Revocation: RevocationHard,
		HeaderConfidentiality: HeaderConfidentialityShy,
	}
}

func TestAccountsAreAddedAndKeepWhatStandsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	first, err := WithAccount(path, []byte("# mine\n"), work(t))
	if err != nil {
		t.Fatal(err)
	}
	home := work(t)
	home.Name, home.Default, home.Timestamp, home.TSA, home.User = "a@b.example", false, TimestampOff, nil, "a"
	home.HeaderConfidentiality = HeaderConfidentialityBaseline
	second, err := WithAccount(path, first, home)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(second), "# mine\n") {
		t.Errorf("the comment is gone:\n%s", second)
	}
	if err := os.WriteFile(path, second, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Account{home, work(t)}, c.Accounts); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	got, err := c.Account("")
	if err != nil || got.Name != "work" {
		t.Errorf("Account(\"\") = %v, %v; want the default", got.Name, err)
	}
	if _, err := c.Account("nobody"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("Account(nobody) = %v, want ErrNoAccount", err)
	}
	if _, err := WithAccount(path, second, home); err == nil {
		t.Error("the same account was added twice")
	}
}

func TestMissingFileIsEmpty(t *testing.T) {
	c, err := Load(filepath.Join(t.TempDir(), "none.toml"))
	if err != nil || len(c.Accounts) != 0 {
		t.Errorf("Load = %v, %v", c, err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	const good = "[account.a]\naddress = 'a@b.example'\nimap = 'imaps://h'\nsmtp = 'submissions://h'\nuser = 'u'\ntimestamp = 'off'\n"
	for _, test := range []struct {
		name, text, why, hint string
		line                  int
	}{
		{"misspelt key", good + "tmestamp = 'off'\n", `unknown key "account.a.tmestamp"`, "did you mean `timestamp`?", 7},
		{"unknown key", good + "colour = 'red'\n", `unknown key "account.a.colour"`, "known keys of an account are", 7},
		{"syntax", "[account.a\n", "", "TOML", 1},
		{"not an address", strings.Replace(good, "a@b.example", "Alice <a@b.example>", 1), "not an e-mail address", "init --help", 1},
		{"clear text scheme", strings.Replace(good, "submissions:", "smtp:", 1), "submissions://", "", 1},
		{"schemes exchanged", strings.Replace(good, "imaps:", "submissions:", 1), "not an imaps://", "", 1},
		{"timestamp without authority", strings.Replace(good, "'off'", "'required'", 1), "no tsa is named", "", 1},
		{"unknown policy", good + "header_confidentiality = 'no'\n", `header_confidentiality is "no", not baseline, shy or none`, "", 1},
		{"authority with password", good + "tsa = ['https://u:secret@h/']\n", "not an http(s) address", "", 1},
		{"two passwords", good + "password_file = 'x'\npassword_command = 'y'\n", "exclude", "", 1},
		{"name with slash", strings.Replace(good, "account.a", "account.'../a'", 1), "cannot be a folder's", "", 1},
		{"two defaults", good + "default = true\n" + strings.Replace(good, "account.a", "account.b", 1) + "default = true\n", "more than one", "", 0},
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
			if strings.ContainsAny(e.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", e.Error())
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[account.a]\naddress = 'a@b.example'\nimap = 'imaps://h'\nsmtp = 'submissions://h'\nuser = 'u'\n")
	f.Add("[tsa.'https://h/']\nuser = 'u'\np12 = '/x'\n[tsa.'http://[::1]:80']\nuser = 'u'\npassword_file = 'p'\ninsecure_loopback = true\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("x", []byte(text))
		if err != nil {
			return
		}
		for _, a := range c.TSAs {
			out, err := WithTSA("x", nil, a)
			if err != nil {
				t.Fatalf("%+v is accepted and cannot be written: %v", a, err)
			}
			again, err := Parse("x", out)
			if err != nil || cmp.Diff([]TSA{a}, again.TSAs) != "" {
				t.Fatalf("%+v comes back as %+v, %v", a, again, err)
			}
			if found, ok := again.TSA(a.URL); !ok || found != a {
				t.Fatalf("%+v is found as %+v", a, found)
			}
		}
		for _, a := range c.Accounts {
			out, err := WithAccount("x", nil, a)
			if err != nil {
				t.Fatalf("%+v is accepted and cannot be written: %v", a, err)
			}
			again, err := Parse("x", out)
			if err != nil || cmp.Diff([]Account{a}, again.Accounts) != "" {
				t.Fatalf("%+v comes back as %+v, %v", a, again, err)
			}
		}
	})
}
