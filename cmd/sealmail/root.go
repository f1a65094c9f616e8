package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/term"
)

// app is one run of the program: what it finds around it, and the flags that every command takes.
type app struct {
	environment
	typed       *bufio.Reader   // what a person types, when the first line was asked for
	interrupted <-chan struct{} // closed when the person interrupts the program
	errColor    bool            // what is said on stderr is coloured
	flags       struct {
		home, account                     string
		json, quiet, yes                  bool
		verbose                           bool
		timeout                           time.Duration
		passphraseFile, passphraseCommand string
		color                             string
		unprotected                       bool
	}
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, e environment, args []string) int {
	e.err = &sharedWriter{w: e.err}
	e.in = &interruptible{r: e.in, interrupted: ctx.Done()}
	a := &app{environment: e, interrupted: ctx.Done()}
	root := newRootCommand(a)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		a.completeAll(root)
	}
	root.SetArgs(args)
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	err := root.ExecuteContext(ctx)
	printError(e.err, err, a.errColor)
	return exitCode(err)
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "sealmail",
		Short: "S/MIME mail for the terminal and for scripts",
		Long: `sealmail sends mail that is signed, timestamped and encrypted, and fetches mail, decrypts and verifies it, and
shows the identity in the sender's certificate.

` + exitCodesHelp,
		Example: `  sealmail demo                                   the whole life of a message, on this machine, in seconds
  sealmail init alice@example.org --help          set up an account
  echo Hello | sealmail send --to bob@example.org --subject Hi --body -
  sealmail fetch && sealmail read last`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("`sealmail --help` lists the commands", "unknown command %q", args[0])
			}
			return nil
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("timeout") && a.flags.timeout <= 0 {
				return usagef("write it like 30s", "--timeout must be more than nothing")
			}
			return a.setScreen()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("`"+cmd.CommandPath()+" --help` shows the flags", "%v", err)
	})

	flags := root.PersistentFlags()
	flags.StringVar(&a.flags.home, "home", a.getenv("SEALMAIL_HOME"), "one `folder` for everything (default: $SEALMAIL_HOME, else the XDG folders)")
	flags.Lookup("home").DefValue = "" // is in the text
	flags.StringVarP(&a.flags.account, "account", "a", "", "the account `name` (default: the one marked default, or the only one)")
	flags.BoolVar(&a.flags.json, "json", false, "machine output on stdout: one JSON object, or one a line")
	flags.BoolVarP(&a.flags.quiet, "quiet", "q", false, "less on stderr")
	flags.BoolVarP(&a.flags.verbose, "verbose", "v", false, "more on stderr")
	flags.BoolVar(&a.flags.yes, "yes", false, "answer yes to confirmations")
	flags.DurationVar(&a.flags.timeout, "timeout", 0, "bound on each network step (default 30s; 10m for a server's answer to a whole message)")
	flags.StringVar(&a.flags.color, "color", string(term.ColorAuto), "colour output: auto (on a terminal, unless $NO_COLOR is set), always, or never; the `word`")
	flags.StringVar(&a.flags.passphraseFile, "passphrase-file", "", "read the vault's passphrase from this `file` (default: $SEALMAIL_PASSPHRASE_FILE, else the keyring, or a prompt)")
	flags.StringVar(&a.flags.passphraseCommand, "passphrase-command", "", "read the vault's passphrase from what this `command` prints")

	root.AddCommand(
		newInitCommand(a), newDoctorCommand(a),
		newSendCommand(a), newSendmailCommand(a), newReplyCommand(a), newForwardCommand(a), newDraftCommand(a), newOutboxCommand(a),
		newFetchCommand(a), newListCommand(a), newSearchCommand(a), newReadCommand(a), newSaveCommand(a), newWatchCommand(a),
		newFoldersCommand(a), newMoveCommand(a), newDeleteCommand(a), newFlagCommand(a),
		newVerifyCommand(a), newDecryptCommand(a), newSignCommand(a), newEncryptCommand(a),
		newCertCommand(a), newCACommand(a), newTSACommand(a),
		newArchiveCommand(a),
		newVaultCommand(a), newUnlockCommand(a), newLockCommand(a), newAgentCommand(a),
		newBackupCommand(a), newRestoreCommand(a),
		newDemoCommand(a), newCompletionCommand(a), newManCommand(a), newVersionCommand(a),
	)
	root.SetHelpCommand(newHelpCommand())
	for _, cmd := range allCommands(root) {
		requireSubcommand(cmd)
	}
	return root
}

// newHelpCommand is `help COMMAND`, which is `COMMAND --help`.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND…]",
		Short:   "Show what a command does, its flags and examples",
		Long:    "Shows what a command does, its flags, exit codes and examples.\n\n" + exitCodesHelp,
		Example: "  sealmail help cert import",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || target.HasSubCommands() && len(rest) > 0 {
				return usagef("`sealmail --help` lists the commands", "unknown command %q", strings.Join(args, " "))
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}

// allCommands lists the command and everything below it.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for i := 0; i < len(all); i++ {
		all = append(all, all[i].Commands()...)
	}
	return all
}

// requireSubcommand makes a group such as `cert` refuse words it does not know, instead of printing its help with exit 0.
func requireSubcommand(cmd *cobra.Command) {
	if !cmd.HasSubCommands() || cmd.Runnable() {
		return
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		hint := "`" + cmd.CommandPath() + " --help` lists what there is"
		if len(args) > 0 {
			return usagef(hint, "unknown command %q", words(cmd)+" "+args[0])
		}
		return usagef(hint, "%s: which one is not said", words(cmd))
	}
}

// words are those of the command line that name a command.
func words(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// argCount bounds the number of arguments; what says in words which they are.
func argCount(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || (most >= 0 && len(args) > most) {
			return usagef("`"+cmd.CommandPath()+" --help` shows how", "%s: takes %s", words(cmd), what)
		}
		return nil
	}
}

// setScreen has all that is printed know the terminal, or that there is none.
func (a *app) setScreen() error {
	color, err := term.ParseColor(a.flags.color)
	if err != nil {
		return usagef("say auto, always or never", "--color: %v", err)
	}
	a.errColor = color.On(a.errIsTerminal, a.getenv)
	screen := &term.Screen{Writer: a.out, Color: color.On(a.outIsTerminal, a.getenv)}
	if a.outIsTerminal && a.screen != nil {
		screen.Columns, _ = a.screen()
	}
	if screen.Color || screen.Columns > 0 {
		a.out = screen
	}
	return nil
}

// printJSON writes one object on one line.
func (a *app) printJSON(v any) error {
	b, err := term.JSON(v)
	if err != nil {
		return err
	}
	_, err = a.out.Write(append(b, '\n'))
	return err
}

// say writes a line to stderr, unless the person asked for quiet. Names out of certificates and the like are among args.
func (a *app) say(format string, args ...any) {
	if !a.flags.quiet {
		line := oneLine(fmt.Sprintf(format, args...))
		if a.errColor {
			line = term.PaintNotice(line)
		}
		fmt.Fprintln(a.err, line)
	}
}
