package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// shownLines is how many lines a person gets who did not say how many.
const shownLines = 100

func newListCommand(a *app) *cobra.Command {
	var (
		p     client.ListParams
		since string
	)
	cmd := &cobra.Command{
		Use:   "list [FOLDER]",
		Short: "List the messages that were fetched",
		Long: `Lists messages with their verdicts from the local index, newest last, without the network. --refresh fetches first.

Without --limit and --since the newest 100 are shown, and it is said when there are more; --json shows all.

` + folderWordsHelp + `

` + exitCodesHelp,
		Example: "  sealmail list --limit 20\n  sealmail list INBOX --since 2026-11-01T00:00:00Z --json",
		Args:    argCount(0, 1, "at most one folder"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
		if len(args) == 1 {
			p.Folder = args[0]
		}
		if err := a.selectLines(cmd, &p, since); err != nil {
			return err
		}
		return c.List(ctx, p, a.printListLine)
	})
	addSelection(cmd, &p, &since)
	cmd.Flags().BoolVar(&p.Strict, "strict", false, "let the exit code tell about the verdicts")
	return cmd
}

func newSearchCommand(a *app) *cobra.Command {
	var (
		p     client.SearchParams
		since string
	)
	cmd := &cobra.Command{
		Use:   "search QUERY",
		Short: "Find messages that were fetched",
		Long: `Finds messages in the local index, newest last, without the network: by their headers, by the text that ` + "`sealmail read`" + `
shows, and by what is known of them. --refresh fetches first. What failed its check is found by its headers alone.

  words "a phrase"        all are to be found, in text, subject, or addresses; case and accents do not matter
  beg*                    a word that begins so
  a OR b   -a   (a b)     either; not; together. OR binds closer than what stands side by side
  from: to: cc: subject: body:                     where it is to be found: from:alice subject:"site plan"
  since:2026-11-01 before:2026-12 on:2026-11-21    days are UTC's, as in lists; a month, a year or a time will do
  larger:5M smaller:10K   has:attachment
  verdict:passed          or failed, indeterminate, unsigned
  is:unread               or read, flagged, answered, draft, encrypted, signed
  folder:Archive account:work mid:<Message-ID>

A query that begins with "-" stands behind "--". Words of one command line are one query. Where a query names accounts,
all of them are searched. The exit code is 0 also where nothing is found. --folder takes words such as sent and archive
for the folder that is for that; folder: takes its name.

` + exitCodesHelp,
		Example: "  sealmail search from:alice offer\n  sealmail search 'subject:\"site plan\" has:attachment since:2026-01' --limit 10\n  sealmail search -- -is:read verdict:failed",
		Args:    argCount(1, -1, "what to look for"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
		p.Query = strings.Join(args, " ")
		if err := a.selectLines(cmd, &p.ListParams, since); err != nil {
			return err
		}
		return c.Search(ctx, p, a.printListLine)
	})
	f := cmd.Flags()
	addSelection(cmd, &p.ListParams, &since)
	f.StringVar(&p.Folder, "folder", "", "only in this `folder`")
	f.BoolVar(&p.Strict, "strict", false, "let the exit code tell about the verdicts")
	return cmd
}

// addSelection adds the flags that list and search have in common.
func addSelection(cmd *cobra.Command, p *client.ListParams, since *string) {
	cmd.Flags().BoolVar(&p.Refresh, "refresh", false, "contact the server first")
	addLineSelection(cmd, p, since)
}

// addLineSelection adds the flags that say how many lines there are to be.
func addLineSelection(cmd *cobra.Command, p *client.ListParams, since *string) {
	f := cmd.Flags()
	f.StringVar(since, "since", "", "only messages dated at or after this `time` (RFC 3339)")
	f.IntVar(&p.Limit, "limit", 0, "only the last `N`; 0 means all")
}

// selectLines turns those flags into parameters, and says later what is left out.
func (a *app) selectLines(cmd *cobra.Command, p *client.ListParams, since string) (err error) {
	if since != "" {
		if p.Since, err = parseTime("since", since); err != nil {
			return err
		}
	}
	if p.Limit < 0 {
		return usagef("0 means all", "--limit: %d is no number of messages", p.Limit)
	}
	if !cmd.Flags().Changed("limit") && since == "" && !a.flags.json {
		p.Limit = shownLines
		p.More = func() {
			a.say("note: these are the newest %d; --limit and --since show others, --limit 0 all", shownLines)
		}
	}
	return nil
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
