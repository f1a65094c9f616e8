package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
)

func newDemoCommand(a *app) *cobra.Command {
	var keep string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole life of a message on this machine",
		Long: `Runs a mail server, a timestamp authority and a certificate authority on loopback, lets Alice and Bob write to each
other, and Alice archive her mail: each step is shown as the command that you would type, and what it prints. Nothing
leaves this machine, and nothing stays, unless --keep names a folder to go on with; ` + "`sealmail demo serve DIR`" + ` starts
its servers again.

` + exitCodesHelp,
		Example: "  sealmail demo\n  sealmail demo --keep /tmp/demo && sealmail demo serve /tmp/demo",
		Args:    argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.flags.json {
				return usagef("the demo is for people", "demo has no JSON output")
			}
			dir := keep
			if dir == "" {
				var err error
				if dir, err = os.MkdirTemp("", "sealmail-demo-"); err != nil {
					return err
				}
				defer os.RemoveAll(dir)
			}
			return a.demo(cmd.Context(), dir, keep != "")
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "make everything in this `folder`, and leave it there")
	cmd.AddCommand(newDemoServeCommand(a))
	return cmd
}

func newDemoServeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve DIR",
		Short: "Start the servers of a demo that was kept",
		Long: `Starts the servers of a demo that was made with --keep, at the addresses they had then. The first line on stdout is
{"imap":…,"smtp":…,"tsa":…} once they are ready; SIGTERM ends them with 0.

` + exitCodesHelp,
		Example: "  sealmail demo serve /tmp/demo",
		Args:    argCount(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return client.DemoServe(cmd.Context(), a.options(), args[0], func(s client.DemoServers) error { return a.printJSON(s) })
		},
	}
}

// demoStep is one command of the demo: what it is for, and its words.
type demoStep struct {
	why   string
	args  []string
	lines int // how many lines of a long output are shown; 0 means all
}

func demoSteps(dir string, s client.DemoServers) []demoStep {
	in := func(name string) string { return filepath.Join(dir, name) }
	home := func(who string, args ...string) []string { return append([]string{"--home", in(who)}, args...) }
	initialise := func(who, name string) []string {
		return home(who, "init", who+"@example.test", "--display-name", name, "--imap", s.IMAP, "--smtp", s.SMTP, "--server-ca", in("ca/root.pem"),
			"--password-file", in("password"), "--p12", in(who+".p12"), "--p12-password-file", in("password"),
			"--trust", in("ca/root.pem"), "--tsa", s.TSA, "--tsa-trust", in("ca/root.pem"))
	}
	return []demoStep{
		{"Alice sets up her account: servers, certificate and key, whom she trusts, who stamps the time.", initialise("alice", "Alice Adams"), 0},
		{"So does Bob.", initialise("bob", "Bob Brown"), 0},
		{"Alice gets Bob's certificate: without it nothing would be sent to him.", home("alice", "cert", "import", in("bob.pem")), 0},
		{"Alice writes to Bob: signed, timestamped, encrypted, over TLS.", home("alice", "send", "--to", "bob@example.test",
			"--subject", "Offer for the northern site", "--body", in("letter.txt"), "--attach", in("plan.csv")), 0},
		{"What lies on the server, as anyone there can read it.", home("bob", "read", "last", "--raw"), 16},
		{"Bob fetches: decrypted, verified, and Alice's certificate is kept for his answer.", home("bob", "fetch"), 0},
		{"Bob reads.", home("bob", "read", "last"), 0},
		{"Bob answers, with the certificate that came in her signature.", home("bob", "send", "--to", "alice@example.test",
			"--subject", "Re: Offer for the northern site", "--body", in("answer.txt")), 0},
		{"Alice fetches.", home("alice", "fetch"), 0},
		{"Alice keeps a certificate to sign an archive with.", home("alice", "cert", "import", in("archive.p12"), "--p12-password-file", in("password")), 0},
		{"Her mail goes into it: sealed, signed, timestamped. What comes later goes there by the same command.",
			home("alice", "archive", "pull", "--all", "--to", in("archive"), "--verbose"), 0},
		{"Nothing in it was changed since.", home("alice", "archive", "verify"), 0},
		{"What proves one message to others, with openssl and sha512sum alone: a README says how.", home("alice", "archive", "prove", "1", "--to", in("proof")), 0},
		{"And the file on the server, judged for itself, by Bob.", home("bob", "verify", in("mail/bob@example.test/INBOX/0000000001.eml")), 0},
	}
}

func (a *app) demo(ctx context.Context, dir string, keep bool) error {
	if err := client.DemoCreate(ctx, a.options(), dir); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan client.DemoServers, 1)
	served := make(chan error, 1)
	go func() {
		served <- client.DemoServe(ctx, a.options(), dir, func(s client.DemoServers) error { ready <- s; return nil })
	}()
	var servers client.DemoServers
	select {
	case servers = <-ready:
	case err := <-served:
		return err
	}
	err := a.demoTranscript(ctx, dir, servers, keep)
	stop()
	return errors.Join(err, <-served)
}

func (a *app) demoTranscript(ctx context.Context, dir string, s client.DemoServers, keep bool) error {
	passphrase := filepath.Join(dir, "passphrase")
	fmt.Fprintf(a.out, "# A mail server (%s, %s), a timestamp authority (%s)\n# and a certificate authority run on this machine, in %s.\n", s.IMAP, s.SMTP, s.TSA, dir)
	if keep {
		fmt.Fprintf(a.out, "# Later, `sealmail demo serve %s` starts them again; then each command below can be repeated; a proof\n# goes into a new folder.\n", shellQuote(dir))
	}
	fmt.Fprintf(a.out, "\n# Where the passphrase of both vaults is.\n$ export SEALMAIL_PASSPHRASE_FILE=%s\n", shellQuote(passphrase))
	getenv := a.getenv
	e := a.environment
	e.prompt = nil
	e.getenv = func(name string) string {
		if name == "SEALMAIL_PASSPHRASE_FILE" {
			return passphrase
		}
		return getenv(name)
	}
	for _, step := range demoSteps(dir, s) {
		fmt.Fprintf(a.out, "\n# %s\n$ sealmail", step.why)
		for _, arg := range step.args {
			fmt.Fprintf(a.out, " %s", shellQuote(arg))
		}
		if step.lines > 0 {
			fmt.Fprintf(a.out, " | head -n %d", step.lines)
		}
		fmt.Fprintln(a.out)
		var out bytes.Buffer
		e.out = &out
		code := run(ctx, e, step.args)
		if _, err := io.WriteString(a.out, firstLines(out.String(), step.lines)); err != nil {
			return err
		}
		if code != exitGood {
			return fmt.Errorf("a step of the demo ended with %d", code)
		}
	}
	return nil
}

// firstLines returns the first n lines of s, or all of it for 0.
func firstLines(s string, n int) string {
	if n == 0 {
		return s
	}
	lines := strings.SplitAfterN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}

// shellQuote writes a word so that a shell reads it as it is.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
