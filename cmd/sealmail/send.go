package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newSendCommand(a *app) *cobra.Command {
	var (
		p     client.SendParams
		flags letterFlags
	)
	cmd := &cobra.Command{
		Use:   "send --to ADDRESS… --subject TEXT --body FILE",
		Short: "Sign, timestamp, encrypt and send a message",
		Long: `Writes a message, signs it with your certificate, puts a trusted timestamp on the signature, encrypts it to every
recipient and to you, and submits it over TLS. A copy goes to the Sent folder.

If one recipient has no usable certificate, nothing is sent, and each certificate that was considered is named with
the reason. A message that was accepted but could not be handed over waits in the outbox.

A template has header fields (To, Cc, Bcc, From, Reply-To, Subject, Attach and others), an empty line and the text. On a
terminal, without --body, an editor opens on one; leaving it without a change does nothing. If sending fails after that,
the text is kept as a draft. --draft goes on with a draft, and removes it once it was accepted.

The subject of an encrypted message is hidden from everybody on the way (RFC 9788). --header-confidentiality hides
more or less: baseline, which is the default, hides subject, comments and keywords; shy also the names of people and
your time zone; none hides nothing. The account says with header_confidentiality what is usual. --dry-run shows what
stays readable.

` + exitCodesHelp,
		Example: `  echo "See you at ten." | sealmail send --to bob@example.org --subject Tomorrow --body -
  sealmail send --to bob@example.org --cc carol@example.org --subject Report --body note.txt --attach q3.pdf
  sealmail send --to bob@example.org --subject Test --body - --dry-run --json < note.txt
  sealmail send --template letter.txt --attach plan.pdf
  sealmail send --draft last
  sealmail send --to bob@example.org --subject Offer --body offer.txt --header-confidentiality shy --dry-run`,
		Args: argCount(0, 0, "no arguments; recipients are given with --to, --cc and --bcc"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := flags.read(cmd, a, &p); err != nil {
			return err
		}
		return a.tellSend(c.Send(ctx, p))
	})
	flags.add(cmd, &p)
	flags.addDraft(cmd, &p)
	addDryRun(cmd, &p.SendOptions)
	return cmd
}

// addHeaderConfidentiality adds the flag of what encrypts messages.
func addHeaderConfidentiality(cmd *cobra.Command, word *string) {
	cmd.Flags().StringVar(word, "header-confidentiality", "", "which header fields to hide on the way, as a `word`: baseline, shy or none (default: the account's, or baseline)")
}

func (a *app) printSend(r *client.SendResult) error {
	if a.flags.json {
		return a.printJSON(r)
	}
	return term.PrintSend(a.out, r)
}

func newOutboxCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "outbox",
		Short: "Show and deliver what was accepted and is not yet sent",
		Long: `What was accepted for sending lies in the outbox until a server has taken it: it survives a crash, and is never sent
twice unasked.

What could not be handed over is queued, and tried again: by flush at once, and beside any command that reaches the mail
servers when its turn comes, after waits that grow from a minute to four hours. What the server refuses for good is kept
and not tried again.

` + exitCodesHelp,
		Example: "  sealmail outbox list\n  sealmail outbox flush",
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List what is waiting",
		Long: `Lists messages that were accepted and are not yet sent. "uncertain" means that the line died after the message was
handed over and before the server answered: it may or may not be under way, and only a person can decide. "refused"
means that the server said no for good. The JSON names each recipient with its state and the server's words.

` + exitCodesHelp,
		Example: "  sealmail outbox list --json",
		Args:    argCount(0, 0, "no arguments"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
			entries, err := c.OutboxList(ctx)
			if err != nil {
				return err
			}
			return a.printOutbox(entries)
		}),
	}
	var p client.FlushParams
	flush := &cobra.Command{
		Use:   "flush",
		Short: "Try again to send what is waiting",
		Long: `Submits each message that is queued, whenever its turn were, and makes the Sent copies that are missing. Messages whose
fate is uncertain are left alone, unless --resend-uncertain says to send the same bytes once more; so are those that the
server refused for good, unless --retry-refused says to try again.

` + exitCodesHelp,
		Example: "  sealmail outbox flush\n  sealmail outbox flush --resend-uncertain",
		Args:    argCount(0, 0, "no arguments"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
			entries, err := c.OutboxFlush(ctx, p)
			if printErr := a.printOutbox(entries); printErr != nil {
				return printErr
			}
			return err
		}),
	}
	flush.Flags().BoolVar(&p.ResendUncertain, "resend-uncertain", false, "also send, once more and at the risk of a double, what is uncertain")
	flush.Flags().BoolVar(&p.RetryRefused, "retry-refused", false, "also try again what was refused for good")
	drop := &cobra.Command{
		Use:     "drop ID",
		Short:   "Give up a message that is waiting",
		Long:    "Removes a message from the outbox. What was not sent is never sent.\n\n" + exitCodesHelp,
		Example: "  sealmail outbox drop 3f9c2a --yes",
		Args:    argCount(1, 1, "one ID, as `sealmail outbox list` shows it"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			if err := a.confirm(fmt.Sprintf("Give up message %s for good?", args[0])); err != nil {
				return err
			}
			return c.OutboxDrop(ctx, args[0])
		}),
	}
	cmd.AddCommand(list, flush, drop)
	return cmd
}

func (a *app) printOutbox(entries []client.OutboxLine) error {
	if !a.flags.json {
		return term.PrintOutbox(a.out, entries)
	}
	for _, e := range entries {
		if err := a.printJSON(e); err != nil {
			return err
		}
	}
	return nil
}
