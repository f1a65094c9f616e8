package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newFetchCommand(a *app) *cobra.Command {
	var p client.FetchParams
	cmd := &cobra.Command{
		Use:   "fetch [FOLDER]",
		Short: "Download what is new, decrypt and verify it",
		Long: `Downloads the messages that are not here yet, decrypts and verifies each, collects the certificates of those that
passed, and prints one line a message. One broken message never stops the others: it has its error in its line.
Changed flags are taken over, and what is gone from the folder is forgotten here.

` + folderWordsHelp + `

Messages are kept in the local index, encrypted: ` + "`list`, `search` and `read`" + ` then need no server. Whatever stops
fetching, what was printed is kept, and the rest comes with the next fetch.

With --strict the exit code tells about the verdicts: 1 where one is not passed, 3 where a message could not be read.

` + exitCodesHelp,
		Example: "  sealmail fetch\n  sealmail fetch sent --json\n  sealmail fetch --all",
		Args:    argCount(0, 1, "at most one folder"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) == 1 {
				p.Folder = args[0]
			}
			if p.All && p.Folder != "" {
				return usagef("name a folder, or say --all", "fetch: all folders, or one of them")
			}
			return c.Fetch(ctx, p, a.printListLine)
		}),
	}
	cmd.Flags().BoolVar(&p.All, "all", false, "every folder of the account")
	cmd.Flags().BoolVar(&p.Strict, "strict", false, "let the exit code tell about the verdicts")
	return cmd
}

func newReadCommand(a *app) *cobra.Command {
	var (
		p            client.ReadParams
		keys         keyFlags
		raw, headers bool
		noPager      bool
		peek         bool
	)
	cmd := &cobra.Command{
		Use:   "read ID",
		Short: "Show a message with its verdict",
		Long: `Shows a message: the verdict and the identity in the sender's certificate, the header, the text, and what is attached.
ID is a UID, a range of them (40:50), "last", "mid:<Message-ID>", or a file: an argument that contains "/" or ends in
.eml, or is "-" for stdin; of an mbox file all messages are shown. What was fetched is read without the server; only for
"last" and for ranges it is asked what there is, and where it cannot be reached, what was fetched counts.

` + folderWordsHelp + `

Lines with ▌ in the margin are sealmail's; everything else is the message's text, in which control characters are made
visible. HTML is turned into text: nothing is loaded, and what others do not see is left out, with a warning. On a
terminal, what is longer than the screen is shown by $PAGER (less, where that is not set), and what was shown is marked
as seen, unless the server cannot be reached or --peek says no. Elsewhere, and with --json, nothing is marked: see
` + "`sealmail flag`" + `.

The exit code is 0 for passed and for unsigned mail, 1 where a signature is not good or no key opens the message.

` + exitCodesHelp,
		Example: "  sealmail read last\n  sealmail read 42 --folder Archive --json\n  sealmail read ./mail.eml --p12 bob.p12 --p12-password-file secret",
		Args:    argCount(1, 1, "one ID"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.ID = args[0]
			if raw {
				if err := a.checkRaw("-"); err != nil {
					return err
				}
				return c.ReadRaw(ctx, p, a.out)
			}
			if p.Keys, err = keys.read(ctx, a); err != nil {
				return err
			}
			p.MarkSeen = a.outIsTerminal && !a.flags.json && !headers && !peek
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
	f.BoolVar(&peek, "peek", false, "do not mark the message as seen")
	f.BoolVar(&noPager, "no-pager", false, "print straight on where the text is longer than the screen")
	addAllowWeak(cmd, &p.AllowWeak)
	keys.add(cmd)
	return cmd
}
