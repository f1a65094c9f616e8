package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newFetchCommand(a *app) *cobra.Command {
	var p client.FetchParams
	cmd := &cobra.Command{
		Use:   "fetch [FOLDER]",
		Short: "Download what is new, decrypt and verify it",
		Long: `Downloads the messages that came since the last time, decrypts and verifies each, collects the certificates of those
that passed, and prints one line a message. One broken message never stops the others: it has its error in its line.

With --strict the exit code tells about the verdicts: 1 where one is not passed, 3 where a message could not be read.

` + exitCodesHelp,
		Example: "  sealmail fetch\n  sealmail fetch Archive --json",
		Args:    argCount(0, 1, "at most one folder"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) == 1 {
				p.Folder = args[0]
			}
			return c.Fetch(ctx, p, a.printListLine)
		}),
	}
	cmd.Flags().BoolVar(&p.Strict, "strict", false, "let the exit code tell about the verdicts")
	return cmd
}

func newListCommand(a *app) *cobra.Command {
	var (
		p     client.ListParams
		since string
	)
	cmd := &cobra.Command{
		Use:   "list [FOLDER]",
		Short: "List the messages that were fetched",
		Long: `Lists messages with their verdicts from the local index, newest last, without the network. --refresh fetches first.

` + exitCodesHelp,
		Example: "  sealmail list --limit 20\n  sealmail list INBOX --since 2026-11-01T00:00:00Z --json",
		Args:    argCount(0, 1, "at most one folder"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if len(args) == 1 {
				p.Folder = args[0]
			}
			if since != "" {
				if p.Since, err = parseTime("since", since); err != nil {
					return err
				}
			}
			return c.List(ctx, p, a.printListLine)
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&p.Refresh, "refresh", false, "contact the server first")
	f.StringVar(&since, "since", "", "only messages dated at or after this `time` (RFC 3339)")
	f.IntVar(&p.Limit, "limit", 0, "only the last `N`; 0 means all")
	f.BoolVar(&p.Strict, "strict", false, "let the exit code tell about the verdicts")
	return cmd
}

func (a *app) printListLine(line client.ListLine) error {
	if a.flags.json {
		return a.printJSON(line)
	}
	return term.PrintListLine(a.out, line)
}

// parseTime reads a time given by a flag.
func parseTime(flag, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, usagef("write it like 2026-11-21T10:00:00Z", "--%s: %q is not a time in RFC 3339", flag, value)
	}
	return t, nil
}

func newReadCommand(a *app) *cobra.Command {
	var (
		p            client.ReadParams
		keys         keyFlags
		raw, headers bool
		noPager      bool
	)
	cmd := &cobra.Command{
		Use:   "read ID",
		Short: "Show a message with its verdict",
		Long: `Shows a message: the verdict and the identity in the sender's certificate, the header, the text, and what is attached.
ID is a UID, a range of them (40:50), "last", "mid:<Message-ID>", or a file: an argument that contains "/" or ends in
.eml, or is "-" for stdin; of an mbox file all messages are shown.

Lines with ▌ in the margin are sealmail's; everything else is the message's text, in which control characters are made
visible. HTML is turned into text: nothing is loaded, and what others do not see is left out, with a warning. On a
terminal, what is longer than the screen is shown by $PAGER (less, where that is not set).

The exit code is 0 for passed and for unsigned mail, 1 where a signature is not good or no key opens the message.

` + exitCodesHelp,
		Example: "  sealmail read last\n  sealmail read 42 --folder Archive --json\n  sealmail read ./mail.eml --p12 bob.p12 --p12-password-file secret",
		Args:    argCount(1, 1, "one ID"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.ID = args[0]
			if raw {
				return c.ReadRaw(ctx, p, a.out)
			}
			if p.Keys, err = keys.read(ctx, a); err != nil {
				return err
			}
			good := true
			page := a.newPager(!noPager && !a.flags.json)
			err = page.end(c.Read(ctx, p, func(report *client.Report) error {
				good = good && report.ReadIsGood()
				switch {
				case a.flags.json:
					return a.printJSON(report)
				case headers:
					return term.PrintHeaders(page, report, page.columns)
				}
				return term.PrintMessage(page, report, page.columns)
			}))
			if err == nil && !good {
				return errAnswerIsNo
			}
			return err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&p.Folder, "folder", "INBOX", "the `folder` that the UID is of")
	f.BoolVar(&raw, "raw", false, "print the octets as they lie on the server")
	f.BoolVar(&headers, "headers", false, "print the verdict and the header only")
	f.BoolVar(&noPager, "no-pager", false, "print straight on where the text is longer than the screen")
	addAllowWeak(cmd, &p.AllowWeak)
	keys.add(cmd)
	return cmd
}
