package main

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// completionTime is how long a person waits for words to go on with; what is not found by then is not offered.
const completionTime = 300 * time.Millisecond

// maxAbout bounds what is said of a word, in columns.
const maxAbout = 60

func newCompletionCommand(a *app) *cobra.Command {
	group := &cobra.Command{
		Use:   "completion",
		Short: "Print a script by which a shell completes commands, flags and names",
		Long: `Prints a script for a shell. With it the tab key completes commands and flags, and what is on this machine: folders,
messages, addresses, certificates, accounts. It asks nobody for anything, no server and no person: messages and folders
are offered while the vault is open (` + "`sealmail unlock`" + `).

` + exitCodesHelp,
		Example: `  sealmail completion bash > ~/.local/share/bash-completion/completions/sealmail
  sealmail completion zsh > ~/.zsh/completions/_sealmail`,
	}
	for _, shell := range []struct {
		name, install, example string
		script                 func(root *cobra.Command) error
	}{
		{"bash", "It needs the package bash-completion. For every new shell, write it to a file:",
			"  sealmail completion bash > ~/.local/share/bash-completion/completions/sealmail\n  source <(sealmail completion bash)",
			func(root *cobra.Command) error { return root.GenBashCompletionV2(a.out, true) }},
		{"zsh", "For every new shell, write it to a folder that is in $fpath before compinit is run:",
			"  sealmail completion zsh > ~/.zsh/completions/_sealmail\n  source <(sealmail completion zsh)",
			func(root *cobra.Command) error { return root.GenZshCompletion(a.out) }},
		{"fish", "For every new shell, write it to the folder of completions:",
			"  sealmail completion fish > ~/.config/fish/completions/sealmail.fish\n  sealmail completion fish | source",
			func(root *cobra.Command) error { return root.GenFishCompletion(a.out, true) }},
		{"powershell", "For every new shell, add the output to your profile:",
			"  sealmail completion powershell >> $PROFILE\n  sealmail completion powershell | Out-String | Invoke-Expression",
			func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(a.out) }},
	} {
		group.AddCommand(&cobra.Command{
			Use:               shell.name,
			Short:             "Print the script for " + shell.name,
			Long:              "Prints the script for " + shell.name + ". " + shell.install + "\n\n" + shell.example + "\n\n" + exitCodesHelp,
			Example:           shell.example,
			Args:              argCount(0, 0, "no arguments"),
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE:              func(cmd *cobra.Command, _ []string) error { return shell.script(cmd.Root()) },
		})
	}
	return group
}

// completer tells what a flag or an argument may be, and what the shell is to make of it.
type completer func(a *app, cmd *cobra.Command) ([]client.Completion, cobra.ShellCompDirective)

// files leaves it to the shell to offer the names of files.
func files(*app, *cobra.Command) ([]client.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func folders(*app, *cobra.Command) ([]client.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func nothing(*app, *cobra.Command) ([]client.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// oneOf offers words that are always the same.
func oneOf(words ...string) completer {
	return func(*app, *cobra.Command) (list []client.Completion, d cobra.ShellCompDirective) {
		for _, word := range words {
			list = append(list, client.Completion{Word: word})
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// known offers what is on this machine, and then what d says.
func known(d cobra.ShellCompDirective, find func(ctx context.Context, c *client.Completions, cmd *cobra.Command) []client.Completion) completer {
	return func(a *app, cmd *cobra.Command) ([]client.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		found := make(chan []client.Completion, 1)
		go func() {
			defer close(found)
			c, err := client.NewCompletions(a.options())
			if err != nil {
				return
			}
			defer c.Close()
			found <- find(ctx, c, cmd)
		}()
		select {
		case list := <-found:
			return list, d
		case <-ctx.Done(): // what hangs ends with the process
			return nil, d
		}
	}
}

func knownMessages(ctx context.Context, c *client.Completions, cmd *cobra.Command) []client.Completion {
	folder := ""
	if f := cmd.Flag("folder"); f != nil {
		folder = f.Value.String()
	}
	return c.Messages(ctx, folder)
}

func knownFolders(ctx context.Context, c *client.Completions, _ *cobra.Command) []client.Completion {
	return c.Folders(ctx)
}

// knownPlaces are what is moved and where to.
func knownPlaces(ctx context.Context, c *client.Completions, cmd *cobra.Command) []client.Completion {
	return append(knownFolders(ctx, c, cmd), knownMessages(ctx, c, cmd)...)
}

func knownAddresses(_ context.Context, c *client.Completions, _ *cobra.Command) []client.Completion {
	return c.Addresses()
}

func knownCertificates(_ context.Context, c *client.Completions, _ *cobra.Command) []client.Completion {
	return append(c.Certificates(), c.Addresses()...)
}

func knownWaiting(_ context.Context, c *client.Completions, _ *cobra.Command) []client.Completion {
	return c.Outbox()
}

func knownArchives(_ context.Context, c *client.Completions, _ *cobra.Command) []client.Completion {
	return c.Archives()
}

const (
	noFiles  = cobra.ShellCompDirectiveNoFileComp
	andFiles = cobra.ShellCompDirectiveDefault
)

// flagCompleter is what a flag of a command takes.
func flagCompleter(cmd *cobra.Command, f *pflag.Flag) completer {
	value, _ := pflag.UnquoteUsage(f)
	switch words(cmd) + " " + f.Name {
	case "unlock for":
		return oneOf("1h", "8h", "24h")
	case "encrypt to":
		return known(andFiles, knownAddresses)
	case "flag add", "flag remove":
		return oneOf("seen", "flagged", "answered", "forwarded", "draft")
	case "archive pull to":
		return known(andFiles, knownArchives)
	case "archive prove to":
		return folders
	case "backup to":
		return files
	case "cert request purpose":
		return oneOf("mail", "sign", "encrypt")
	}
	switch f.Name {
	case "account":
		return known(noFiles, func(_ context.Context, c *client.Completions, _ *cobra.Command) []client.Completion {
			return c.Accounts()
		})
	case "to", "cc", "bcc":
		return known(noFiles, knownAddresses)
	case "for":
		return oneOf("mail", "tsa", "server")
	case "purpose":
		return oneOf("mail", "sign", "encrypt", "tsa", "archive", "tls")
	case "revocation":
		return oneOf("soft", "hard", "off")
	case "timestamp":
		return oneOf("required", "preferred", "off")
	case "header-confidentiality":
		return oneOf("baseline", "shy", "none")
	case "cipher":
		return oneOf("aes-256-gcm", "aes-192-gcm", "aes-128-gcm", "aes-256-cbc", "aes-192-cbc", "aes-128-cbc")
	case "hash":
		return oneOf("sha256", "sha384", "sha512")
	case "color":
		return oneOf("auto", "always", "never")
	case "device":
		return func(a *app, cmd *cobra.Command) ([]client.Completion, cobra.ShellCompDirective) {
			list, _ := oneOf("beside", "keyring")(a, cmd)
			return list, andFiles
		}
	case "key":
		if value != "file" && f.Value.Type() != "bool" {
			return oneOf("p256", "p384", "rsa2048", "rsa3072", "ed25519")
		}
	case "folder":
		return known(noFiles, knownFolders)
	case "archive":
		return known(andFiles, knownArchives)
	}
	switch value {
	case "file":
		return files
	case "folder":
		return folders
	}
	return nothing
}

// argCompleter is what an argument of a command is, by the word that stands for it in the command's own line of usage.
func argCompleter(cmd *cobra.Command) completer {
	use := strings.Fields(cmd.Use)
	if len(use) < 2 {
		return nothing
	}
	switch kind := strings.Trim(use[1], "[]{}…."); {
	case words(cmd) == "outbox drop":
		return known(noFiles, knownWaiting)
	case words(cmd) == "move":
		return known(noFiles|cobra.ShellCompDirectiveKeepOrder, knownPlaces)
	case words(cmd) == "delete", words(cmd) == "flag":
		return known(noFiles|cobra.ShellCompDirectiveKeepOrder, knownMessages)
	case words(cmd) == "archive read", words(cmd) == "archive prove":
		return oneOf("last")
	case words(cmd) == "archive verify":
		return known(andFiles, knownArchives)
	case kind == "ID":
		return known(andFiles|cobra.ShellCompDirectiveKeepOrder, knownMessages)
	case strings.Contains(kind, "FINGERPRINT") && strings.Contains(kind, "FILE"):
		return known(andFiles, knownCertificates)
	case strings.Contains(kind, "FINGERPRINT"):
		return known(noFiles, knownCertificates)
	case kind == "ADDRESS", kind == "RCPT":
		return known(noFiles, knownAddresses)
	case strings.Contains(kind, "FILE"):
		return files
	case kind == "FOLDER":
		return known(noFiles, knownFolders)
	case kind == "DIR":
		return folders
	}
	return nothing
}

// completeAll has each command and flag complete what it takes.
func (a *app) completeAll(root *cobra.Command) {
	for _, cmd := range allCommands(root) {
		if cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() {
			args := argCompleter(cmd)
			several := strings.Contains(cmd.Use, "…")
			cmd.ValidArgsFunction = a.complete(args, several)
		}
		add := func(f *pflag.Flag) {
			if f.Value.Type() != "bool" && !f.Hidden {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, a.complete(flagCompleter(cmd, f), true)) // each once
			}
		}
		cmd.LocalNonPersistentFlags().VisitAll(add)
		cmd.PersistentFlags().VisitAll(add)
	}
}

// complete is what cobra asks. Words that a shell might take for more than a word are left out, and what is said of them is
// cleaned: both come from servers, and from the certificates of strangers.
func (a *app) complete(by completer, several bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if !several && len(args) > 0 {
			return nil, noFiles
		}
		found, directive := by(a, cmd)
		var list []cobra.Completion
		for _, c := range found {
			if !plainWord(c.Word) || !strings.HasPrefix(strings.ToLower(c.Word), strings.ToLower(typed)) {
				continue
			}
			about := term.Shorten(term.Line(strings.Join(strings.Fields(c.About), " ")), maxAbout)
			list = append(list, cobra.CompletionWithDesc(c.Word, about))
		}
		return list, directive
	}
}

// plainWord reports whether a word is one for every shell, whatever it does with it: letters, digits, blanks between them, and
// a few signs. It does not begin as a flag does.
func plainWord(word string) bool {
	if word == "" || len(word) > 320 || word[0] == '-' || strings.TrimSpace(word) != word || term.Line(word) != word {
		return false
	}
	for _, r := range word {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune(" ._-/@+=,%", r) {
			return false
		}
	}
	return true
}
