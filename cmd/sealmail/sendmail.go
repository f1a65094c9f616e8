package main

import (
	"context"
	"errors"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/config"
)

// The exit codes of sysexits.h, which programs know that hand mail to sendmail(8).
const (
	exUsage       = 64 // wrong words
	exDataErr     = 65 // the message is not one that can be sent
	exNoUser      = 67 // a recipient is no address, or unknown to the server
	exNoHost      = 68 // a recipient's domain is unknown to the server
	exUnavailable = 69 // it cannot be sent, as where a recipient has no certificate
	exSoftware    = 70 // a fault of the program
	exCantCreat   = 73 // the outbox cannot be written
	exIOErr       = 74 // the message cannot be read
	exTempFail    = 75 // try again: the vault is locked, or a service that is needed does not answer
	exNoPerm      = 77 // it is from somebody else
	exConfig      = 78 // the configuration is wrong, or there is no account
)

// sysexit is an error with an exit code of sysexits.h.
type sysexit struct {
	code int
	err  error
}

func (e *sysexit) Error() string { return e.err.Error() }
func (e *sysexit) Unwrap() error { return e.err }

func newSendmailCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sendmail [-t] [-i] [-f ADDRESS] [-F NAME] [RECIPIENT…]",
		Short: "Take a message from another program, as sendmail(8) does, and send it protected",
		Long: `Reads a message from stdin and sends it as send does: signed, timestamped, encrypted to every recipient and to you. It
is made for programs that hand mail to sendmail(8): git send-email, mutt, cron, mail. A link to sealmail that is named
sendmail does the same.

  -t          send to whom To, Cc and Bcc name, beside the recipients on the command line
  -i, -oi     a line of one dot is text, and not the end of the message
  -f ADDRESS  the address that errors go to, and From where the message has none; it must be one of yours
  -F NAME     the name for a From that is made
  -bp         show what waits, as outbox list does;  -q sends it, as outbox flush does
  -a NAME     the account
  -v          say more

Other options of sendmail (-m, -o…, -B, -N, -R, -V, -O, -L, -G, -U and the like) are taken and change nothing. Flags of
sealmail that begin with two dashes are taken as well: --no-encrypt, --no-sign, --no-timestamp, --dry-run and more.

What the message says stays: its fields, its MIME structure, its attachments, in the order that they have. Bcc is left
out, and who was blind gets a message of their own. Octets beyond ASCII, and lines that are too long, are put into a
transfer encoding that travels. From must be one of your addresses, and picks the account; a name without a domain, as
cron has it, means you. A Date of more than five minutes ago, or to come, becomes that of the signature.

A recipient without a usable certificate ends it: nothing is sent to anybody.

Exit codes: those of sysexits.h. 0 accepted (sent, or kept in the outbox, which outbox list shows); 64 wrong usage;
65 the message is malformed; 67 a recipient is unknown; 68 a recipient's domain is; 69 it cannot be sent; 70 the program
failed; 73 the outbox cannot be written; 74 the message cannot be read; 75 not now, try again; 77 the sender is not you;
78 the configuration is wrong.`,
		Example: `  git send-email --sendmail-cmd="sealmail sendmail" --to=bob@example.org 0001-fix.patch
  printf 'Subject: done\n\nThe backup is done.\n' | sealmail sendmail alice@example.org
  set sendmail="sealmail sendmail"                        # in muttrc`,
		DisableFlagParsing: true, // its short options are other than elsewhere
	}
	var o client.SendOptions
	addProtection(cmd, &o)
	addDryRun(cmd, &o)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := parseSendmail(cmd, args)
		switch {
		case err != nil:
			return &sysexit{exUsage, err}
		case w.help:
			return cmd.Help()
		}
		a.flags.account = w.account(a.flags.account)
		a.flags.verbose = a.flags.verbose || w.verbose
		if err := cmd.Root().PersistentPreRunE(cmd, nil); err != nil {
			return &sysexit{exUsage, err}
		}
		w.params.SendOptions = o
		return a.sendmail(cmd, w)
	}
	return cmd
}

// sendmail does what the words of the command line say.
func (a *app) sendmail(cmd *cobra.Command, w *sendmailWords) error {
	var result *client.SendResult
	var used *client.Client
	run := a.withClient(func(ctx context.Context, c *client.Client, _ []string) (err error) {
		used = c
		switch w.mode {
		case "bp":
			lines, err := c.OutboxList(ctx)
			if err != nil {
				return err
			}
			return a.printOutbox(lines)
		case "q":
			_, err := c.OutboxFlush(ctx, client.FlushParams{})
			return err
		}
		w.params.Input, w.params.LocalUser = a.in, localUser()
		result, err = c.Sendmail(ctx, w.params)
		return err
	})
	err := run(cmd, nil)
	if result != nil && a.flags.json || w.params.DryRun && err == nil {
		if printErr := a.printSend(result); printErr != nil {
			return printErr
		}
	}
	if err == nil {
		return nil
	}
	if taken(result) {
		// The outbox has it, and who gave it must not give it again.
		a.say("note: %v", err)
		return nil
	}
	return &sysexit{sysexitCode(used, err), err}
}

// taken reports whether a message is in the outbox, or out.
func taken(r *client.SendResult) bool {
	return r != nil && r.State != nil && slices.Contains([]string{"sent", "queued", "uncertain"}, *r.State)
}

// localUser is who runs the program, as other programs on the machine call them.
func localUser() string {
	u, err := user.Current()
	if err != nil {
		return "" // then nobody is called so
	}
	return u.Username
}

// sysexitCodes gives the code for why a message was not taken.
func sysexitCodes(cause client.SendmailCause) int {
	return map[client.SendmailCause]int{
		client.Unavailable: exUnavailable, client.BadMessage: exDataErr, client.BadSender: exNoPerm, client.BadRecipient: exNoUser,
		client.BadDomain: exNoHost, client.BadInput: exIOErr, client.NoOutbox: exCantCreat, client.NotNow: exTempFail,
	}[cause]
}

// sysexitCode finds the code for an error of a message that was not accepted.
func sysexitCode(c *client.Client, err error) int {
	_, broken := errors.AsType[*config.Error](err)
	switch {
	case broken, errors.Is(err, config.ErrNoAccount):
		return exConfig
	case exitCode(err) == exitUsage:
		return exUsage
	case c == nil:
		return exSoftware
	}
	return sysexitCodes(c.SendmailCauseOf(err))
}

// sendmailWords are the words of a command line of sendmail(8).
type sendmailWords struct {
	params  client.SendmailParams
	mode    string // bp or q; empty: a message is sent
	named   string // the account
	verbose bool
	help    bool
}

func (w *sendmailWords) account(other string) string {
	if w.named != "" {
		return w.named
	}
	return other
}

// Options of sendmail(8) by their letter: those that take a value in the next word, where it does not follow at once, and
// those that have none or carry it with them. What they ask for is done anyway, or means nothing where one server is handed
// everything.
const (
	sendmailWithValue = "fFrBNRVOLhpXCa"
	sendmailPlain     = "tivmnUGsxAe"
)

// parseSendmail reads the words. Long flags are those of sealmail.
func parseSendmail(cmd *cobra.Command, args []string) (*sendmailWords, error) {
	w := &sendmailWords{}
	cmd.InheritedFlags() // makes them known to Flags
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			w.params.Recipients = append(w.params.Recipients, args...)
			return w, nil
		case word == "--help":
			w.help = true
		case strings.HasPrefix(word, "--"):
			long := []string{word}
			name, _, joined := strings.Cut(word[2:], "=")
			if flag := cmd.Flags().Lookup(name); flag != nil && !joined && flag.NoOptDefVal == "" && len(args) > 0 {
				long, args = append(long, args[0]), args[1:]
			}
			if err := cmd.Flags().Parse(long); err != nil {
				return nil, err
			}
		case strings.HasPrefix(word, "-") && len(word) > 1:
			var err error
			if args, err = w.option(word[1], word[2:], args); err != nil {
				return nil, err
			}
		default:
			w.params.Recipients = append(w.params.Recipients, word)
		}
	}
	return w, nil
}

// option reads one option; the words behind it come back, less its value.
func (w *sendmailWords) option(letter byte, value string, args []string) ([]string, error) {
	if strings.IndexByte(sendmailWithValue, letter) >= 0 && value == "" {
		if len(args) == 0 {
			return nil, usagef("`sealmail sendmail --help` shows the options", "sendmail: -%c: its value is missing", letter)
		}
		value, args = args[0], args[1:]
	}
	switch letter {
	case 'f', 'r':
		w.params.Sender = value
	case 'F':
		w.params.DisplayName = value
	case 'a':
		w.named = value
	case 'o':
		w.params.DotIsText = w.params.DotIsText || value == "i" || value == "itrue"
	case 'b':
		switch value {
		case "m":
		case "p":
			w.mode = "bp"
		default:
			return nil, usagef("messages are read from stdin", "sendmail: -b%s is nothing that sealmail does", value)
		}
	case 'q':
		w.mode = "q"
	default:
		return args, w.letters(string(letter) + value)
	}
	return args, nil
}

// letters reads options without a value, which may stand in one word.
func (w *sendmailWords) letters(word string) error {
	for i := range len(word) {
		switch letter := word[i]; letter {
		case 't':
			w.params.FromHeader = true
		case 'i':
			w.params.DotIsText = true
		case 'v':
			w.verbose = true
		default:
			if i == 0 && strings.IndexByte(sendmailWithValue, letter) >= 0 {
				return nil // and its value, which changes nothing here
			}
			if strings.IndexByte(sendmailPlain, letter) < 0 {
				return usagef("`sealmail sendmail --help` shows the options", "sendmail: unknown option -%s", word)
			}
			if letter == 'e' { // and one letter for how errors are told
				return nil
			}
		}
	}
	return nil
}

// asSendmail returns the words of the command line with the name of the command in front, where the program was called by that
// name.
func asSendmail(program string, args []string) []string {
	if strings.TrimSuffix(filepath.Base(program), ".exe") != "sendmail" {
		return args
	}
	return append([]string{"sendmail"}, args...)
}
