package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		Name: "work", Address: "alice@example.org", Addresses: []string{"alice@example.org", "sales@example.org"}, DisplayName: "Alice \"A.\" Adams", Default: true,
		IMAP: parseURL(t, "imaps://imap.example.org"), SMTP: parseURL(t, "submission://smtp.example.org"),
		User: "alice", TSA: []string{"https://tsa.example.org/ts"}, Timestamp: TimestampRequired, Revocation: RevocationHard,
		HeaderConfidentiality: HeaderConfidentialityShy, OAuthTokenCommand: "oauth2l fetch",
		Folders: Folders{Sent: "Gesendet", Drafts: "Entwürfe", Trash: "Papierkorb", Archive: "Gesendet"},
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
	home.HeaderConfidentiality, home.OAuthTokenCommand, home.Folders = HeaderConfidentialityBaseline, "", Folders{}
	home.Addresses, home.IMAP = home.Addresses[:1], mailbox.Endpoint{Scheme: mailbox.SchemeMaildir, Path: "/home/alice/Maildir"}
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
		{"server and files", good + "store = 'mbox:/home/a'\n", "imap and store exclude each other", "", 1},
		{"files without a path", strings.Replace(good, "imap = 'imaps://h'", "store = 'maildir:Maildir'", 1), "store: ", "", 1},
		{"schemes exchanged", strings.Replace(good, "imaps:", "submissions:", 1), "not an imaps://", "", 1},
		{"timestamp without authority", strings.Replace(good, "'off'", "'required'", 1), "no tsa is named", "", 1},
		{"unknown policy", good + "header_confidentiality = 'no'\n", `header_confidentiality is "no", not baseline, shy or none`, "", 1},
		{"authority with password", good + "tsa = ['https://u:secret@h/']\n", "not an http(s) address", "", 1},
		{"two passwords", good + "password_file = 'x'\npassword_command = 'y'\n", "exclude", "", 1},
		{"name with slash", strings.Replace(good, "account.a", "account.'../a'", 1), "cannot be a folder's", "", 1},
		{"address that needs quotation marks", strings.Replace(good, "'a@b.example'", `'"a b"@b.example'`, 1), "not an e-mail address", "", 1},
		{"further address", good + "addresses = ['c@d.example', 'e']\n", `address "e" is not an e-mail address`, "", 1},
		{"address twice", good + "addresses = ['c@d.example', 'C@d.example']\n", "C@d.example stands there twice", "", 1},
		{"first address again", good + "addresses = ['a@b.example']\n", "a@b.example stands there twice", "", 1},
		{"password and token", good + "password_file = 'x'\noauth_token_command = 'y'\n", "exclude", "", 1},
		{"folder with a line end", good + "sent = \"a\\nb\"\n", `sent: "a\nb" is no name of a folder`, "", 1},
		{"folder of blanks", good + "drafts = ' '\n", "drafts: ", "", 1},
		{"endless folder", good + "archive = '" + strings.Repeat("x", 1001) + "'\n", "archive: ", "", 1},
		{"trash that is the inbox", good + "trash = 'inbox'\n", "trash: the folder has another use", "", 1},
		{"trash that is the archive", good + "trash = 'A'\narchive = 'A'\n", "trash: the folder has another use", "", 1},
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

// TestAccountsByAddress: an account is found by each of its own addresses.
func TestAccountsByAddress(t *testing.T) {
	const form = "[account.%s]\naddress = '%s'\naddresses = [%s]\nimap = 'imaps://h'\nsmtp = 'submissions://h'\n%s"
	text := fmt.Sprintf(form, "a", "a@x.example", "'shared@x.example', 'b@x.example'", "") +
		fmt.Sprintf(form, "b", "b@x.example", "'shared@x.example'", "default = true\n") +
		fmt.Sprintf(form, "'a@x.example'", "c@x.example", "", "")
	c, err := Parse("c", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, byName, byAddress string }{
		{"a", "a", ""},
		{"a@x.example", "a@x.example", "a"}, // a name counts before an address
		{"A@X.example", "a", "a"},
		{"b@x.example", "b", "b"}, // the first address counts before a further one
		{"shared@x.example", "b", "b"},
		{"", "b", ""},
		{"d@x.example", "", ""},
	} {
		byName, err := c.Account(test.name)
		if byName.Name != test.byName || (err != nil) != (test.byName == "") || err != nil && !errors.Is(err, ErrNoAccount) {
			t.Errorf("Account(%q) = %q, %v; want %q", test.name, byName.Name, err, test.byName)
		}
		if byAddress, found := c.AccountFor(test.name); byAddress.Name != test.byAddress || found != (test.byAddress != "") {
			t.Errorf("AccountFor(%q) = %q, %v; want %q", test.name, byAddress.Name, found, test.byAddress)
		}
	}
	if _, err := c.Account("d"); err == nil || !strings.HasSuffix(err.Error(), `"d" is not in c, which has a, a@x.example, b`) {
		t.Errorf("Account(d) = %v, want the names", err)
	}
	c.Accounts = slices.Repeat(c.Accounts[:1], 12)
	if _, err := c.Account("d"); err == nil || !strings.HasSuffix(err.Error(), "a, a and 2 more") {
		t.Errorf("Account(d) of many = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[account.a]\naddress = 'a@b.example'\nimap = 'imaps://h'\nsmtp = 'submissions://h'\nuser = 'u'\n")
	f.Add("[account.a]\naddress = 'a@b.example'\naddresses = ['\"c d\"@e.example']\nimap = 'imaps://h'\nsmtp = 'submissions://h'\nsent = 'S'\noauth_token_command = 'x'\n")
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
