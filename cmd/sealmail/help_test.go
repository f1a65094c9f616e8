package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// testCommands is the tree of commands, as a person without any environment finds it.
func testCommands(t *testing.T) *cobra.Command {
	t.Helper()
	return newRootCommand(&app{environment: environment{
		in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}, getenv: func(string) string { return "" },
	}})
}

// TestHelp holds the help of every command to what a person looks for in it: what it is for, its exit codes, an example
// that begins with the command itself, and a word for each flag.
func TestHelp(t *testing.T) {
	for _, cmd := range allCommands(testCommands(t)) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			var help bytes.Buffer
			cmd.SetOut(&help)
			if err := cmd.Help(); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"Exit codes:", "Examples:", "Usage:"} {
				if !strings.Contains(help.String(), want) {
					t.Errorf("no %q", want)
				}
			}
			if cmd.HasParent() && !strings.Contains(cmd.Example, cmd.CommandPath()) {
				t.Errorf("no example has %q in it", cmd.CommandPath())
			}
			for line := range strings.Lines(cmd.Long) {
				if len([]rune(line)) > 121 {
					t.Errorf("longer than a line: %q", line)
				}
			}
			for _, line := range flagLines(cmd) {
				if len(strings.Fields(line)) < 3 {
					t.Errorf("a flag without a word on what it does: %q", line)
				}
			}
		})
	}
}

// TestHelpOfHome: the folder that a person has in the environment stands in no help, and in no manual page that is made there.
func TestHelpOfHome(t *testing.T) {
	a := &app{environment: environment{getenv: func(string) string { return "/home/alice/mine" }}}
	if help := newRootCommand(a).PersistentFlags().FlagUsages(); strings.Contains(help, "mine") || a.flags.home != "/home/alice/mine" {
		t.Errorf("the home is %q, and the help says\n%s", a.flags.home, help)
	}
}

func flagLines(cmd *cobra.Command) []string {
	usages := strings.TrimSpace(cmd.LocalFlags().FlagUsages())
	if usages == "" {
		return nil
	}
	return strings.Split(usages, "\n")
}

// TestHelpByWord has `help COMMAND` print what `COMMAND --help` prints.
func TestHelpByWord(t *testing.T) {
	byWord, byFlag := helpOutput(t, "help", "cert", "import"), helpOutput(t, "cert", "import", "--help")
	if byWord == "" || byWord != byFlag {
		t.Errorf("help cert import prints\n%s\nand cert import --help\n%s", byWord, byFlag)
	}
}

func helpOutput(t *testing.T, args ...string) string {
	t.Helper()
	var out, errors bytes.Buffer
	code := run(t.Context(), environment{in: strings.NewReader(""), out: &out, err: &errors, getenv: func(string) string { return "" }}, args)
	if code != exitGood || errors.Len() > 0 {
		t.Errorf("%v: exit code %d, %s", args, code, &errors)
	}
	return out.String()
}

// TestFlags looks for the commands and flags that scripts rely on.
func TestFlags(t *testing.T) {
	root := testCommands(t)
	for command, flags := range map[string]string{
		"":             "home account json quiet verbose yes timeout color passphrase-file passphrase-command",
		"demo":         "keep",
		"demo serve":   "",
		"init":         "imap store smtp user password-file password-command server-ca p12 p12-password-file p12-password-command trust tsa tsa-trust timestamp no-check unprotected insecure-loopback tsa-user tsa-password-file tsa-password-command tsa-p12 tsa-p12-password-file tsa-p12-password-command ispdb password-reference oauth-token-command default",
		"doctor":       "",
		"send":         "to cc bcc subject body attach no-encrypt no-sign no-timestamp dry-run",
		"outbox list":  "",
		"outbox flush": "resend-uncertain",
		"outbox drop":  "",
		"fetch":        "strict",
		"list":         "refresh since limit strict",
		"read":         "folder raw headers no-pager peek allow-weak p12 p12-password-file key cert",
		"save":         "attachments part overwrite folder allow-weak p12 p12-password-file key cert",
		"folders":      "create",
		"move":         "folder create",
		"delete":       "folder permanently",
		"flag":         "folder add remove",
		"verify":       "trust cert tsa-trust content at revocation allow-weak p12 p12-password-file key output",
		"decrypt":      "output allow-weak p12 p12-password-file key cert",
		"sign":         "output p12 p12-password-file key cert tsa tsa-user tsa-password-file tsa-p12 tsa-p12-password-file",
		"encrypt":      "output to cipher sign opaque no-timestamp tsa p12 p12-password-file key cert",
		"cert import":  "p12-password-file fetch-issuers insecure-loopback",
		"cert list":    "",
		"cert show":    "tree p12-password-file",
		"cert export":  "output key legacy p12-password-file",
		"cert trust":   "for",
		"ca init":      "dir name organization key days base-url ca-passphrase-file ca-passphrase-command unprotected",
		"ca issue":     "dir ca-passphrase-file csr key purpose email dns name organization not-before not-after days output p12-password-file",
		"ca revoke":    "dir ca-passphrase-file ca-passphrase-command cert serial reason at",
		"ca crl":       "dir ca-passphrase-file root services days output",
		"ca ocsp":      "dir ca-passphrase-file request output",
		"ca serve":     "dir ca-passphrase-file listen",
		"tsa stamp":    "tsa tsa-trust hash policy output tsa-user tsa-password-file tsa-p12 tsa-p12-password-file insecure-loopback",
		"tsa verify":   "token tsa-trust",
		"tsa serve":    "listen p12 p12-password-file policy state accuracy ordering hash",
		"vault status": "",
		"vault passwd": "new-passphrase-file new-passphrase-command unprotected device",
		"unlock":       "for keyring",
		"lock":         "keyring",
		"backup":       "output to caches backup-passphrase-file backup-passphrase-command",
		"restore":      "backup-passphrase-file backup-passphrase-command p12 p12-password-file key cert",
		"man":          "output",
		"version":      "",
	} {
		cmd, rest, err := root.Find(strings.Fields(command))
		if err != nil || len(rest) > 0 {
			t.Errorf("no command %q", command)
			continue
		}
		for _, name := range strings.Fields(flags) {
			if cmd.Flag(name) == nil {
				t.Errorf("%s has no --%s", command, name)
			}
		}
	}
	for shorthand, name := range map[string]string{"a": "account", "q": "quiet", "v": "verbose"} {
		if f := root.PersistentFlags().ShorthandLookup(shorthand); f == nil || f.Name != name {
			t.Errorf("-%s is not --%s", shorthand, name)
		}
	}
	for _, command := range []string{"sign", "encrypt", "decrypt", "verify", "cert export", "ca issue", "tsa stamp"} {
		cmd, _, err := root.Find(strings.Fields(command))
		if err != nil || cmd.Flags().ShorthandLookup("o") == nil {
			t.Errorf("%s has no -o", command)
		}
	}
}

// TestSecretsAreNotFlags: a secret is given by file or by command, and never as a word of the command line, where
// other users of the machine could read it.
func TestSecretsAreNotFlags(t *testing.T) {
	for _, cmd := range allCommands(testCommands(t)) {
		for _, name := range []string{"password", "passphrase", "p12-password", "ca-passphrase", "tsa-password", "tsa-p12-password", "secret"} {
			if cmd.Flag(name) != nil {
				t.Errorf("%s has --%s", cmd.CommandPath(), name)
			}
		}
	}
}
