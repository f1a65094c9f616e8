package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/internal/keyring"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/maildir"
	"github.com/sealmail/sealmail/mailbox/mbox"
)

// Bounds on network steps where none are given. A server may take long to answer to a whole message, and giving up early
// makes its fate uncertain for nothing (RFC 5321 section 4.5.3.2.6).
const (
	defaultTimeout       = 30 * time.Second
	defaultAnswerTimeout = 10 * time.Minute
)

// options puts the concrete parts together: the one place where they meet.
func (a *app) options() client.Options {
	timeout, answer := a.flags.timeout, a.flags.timeout
	if timeout == 0 {
		timeout, answer = defaultTimeout, defaultAnswerTimeout
	}
	return client.Options{
		Home:        config.HomeAt(a.flags.home),
		Account:     a.flags.account,
		Timeout:     timeout,
		Disk:        a.disk,
		Now:         a.now,
		Stdin:       a.in,
		System:      os.DirFS("/"),
		Passphrase:  a.passphrase,
		Unprotected: a.flags.unprotected,

		PassphraseGiven: a.passphraseFlags().given(),
		Keyring:         keyring.System("sealmail", timeout),
		AgentCommand:    ownCommand(agentCommand),

		Resolver: a.resolver,

		Dial: a.dial,
		DialStore: func(ctx context.Context, o mailbox.Options) (mailbox.Store, error) {
			switch o.Endpoint.Scheme {
			case mailbox.SchemeMaildir:
				return maildir.Open(maildir.Options{Path: o.Endpoint.Path, Disk: a.disk, Clock: a.now})
			case mailbox.SchemeMbox:
				return mbox.Open(mbox.Options{Path: o.Endpoint.Path, Disk: a.disk, Clock: a.now})
			}
			s, err := mailbox.DialIMAP(ctx, o)
			if err != nil {
				return nil, err // and not a nil *IMAP inside a Store
			}
			return s, nil
		},
		DialSubmitter: func(ctx context.Context, o mailbox.Options) (mailbox.Submitter, error) {
			o.AnswerTimeout = answer
			s, err := mailbox.DialSMTP(ctx, o)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Say: func(message string) { a.say("%s", message) },
		Detail: func(message string) {
			if a.flags.verbose {
				a.say("%s", message)
			}
		},
	}
}

// ownCommand is the command line by which this program runs one of its own commands, or nothing where it does not know
// what it is called.
func ownCommand(words ...string) []string {
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	return append([]string{program}, words...)
}

// withClient is what a command runs that needs a home and, mostly, an account.
func (a *app) withClient(run func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		o := a.options()
		line := a.newProgress()
		o.Progress = line.update
		c, err := client.New(o)
		if err != nil {
			return err
		}
		defer c.Close()
		defer line.end()
		err = run(cmd.Context(), c, args)
		c.OutboxDue(cmd.Context())
		return err
	}
}
