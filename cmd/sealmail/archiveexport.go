package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// archiveChoiceHelp says which messages are meant.
const archiveChoiceHelp = `ID is the number that ` + "`sealmail archive list`" + ` shows, a range of them (40:50), "last", or "mid:<Message-ID>". Without
one it is every message, or those of the folder of --folder, which is one of an account or ACCOUNT/FOLDER, or those that
--query finds: ` + "`sealmail search`" + ` explains its words.`

// addArchiveChoice adds the flags that choose messages where no ID does.
func addArchiveChoice(cmd *cobra.Command, choice *client.ArchiveChoice) {
	cmd.Flags().StringVar(&choice.Folder, "folder", "", "only what was archived of this `folder`")
	cmd.Flags().StringVar(&choice.Query, "query", "", "only what this `query` finds")
}

func newArchiveExportCommand(a *app) *cobra.Command {
	var (
		p  client.ArchiveExportParams
		in archiveFlags
	)
	cmd := &cobra.Command{
		Use:   "export [ID…]",
		Short: "Put archived messages into files that other programs read",
		Long: `Writes messages of the archive, as they came, to --to, which must not be there yet: what is exported has that name
once all of it is whole. Encrypted messages stay encrypted. --format is one of
  eml      a directory with a file for each message, called by its number: the octets alone
  mbox     one file; lines end with LF, and "From " at the beginning of one has a ">" before it (mboxrd); dates of
           arrival, no flags, no folders
  maildir  a Maildir with its folders; lines end with LF; dates of arrival, flags
  bag      a BagIt bag (RFC 8493): a file for each message, checksums of all, and in data/records.jsonl flags, dates,
           where each message was, and what was found when it was archived

` + archiveChoiceHelp + `

A message that was destroyed or is damaged is named, and the others are exported: the exit code is 1. So is one that an
mbox or a Maildir cannot hold as it came (an empty one, or one whose first line ends with LF alone): the exit code is 3.

` + recoveryHelp + `

` + exitCodesHelp,
		Example: "  sealmail archive export --to ~/exported --format maildir\n  sealmail archive export 40:50 --to exported.mbox --format mbox --json\n" +
			"  sealmail archive export --query 'from:alice offer' --to offers --format bag",
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.IDs = args
			if p.ArchivePlace, err = in.read(ctx, a); err != nil {
				return err
			}
			result, err := c.ArchiveExport(ctx, p, func(line client.ArchiveExportLine) error {
				switch {
				case a.flags.json:
					return a.printJSON(line)
				case a.flags.verbose && line.Error == nil:
					return term.PrintArchivedOne(a.out, line.ArchivedOne, "exported")
				}
				return nil
			})
			if result != nil && !a.flags.json {
				if err := term.PrintArchiveExport(a.out, result); err != nil {
					return err
				}
			}
			return err
		}),
	}
	in.add(cmd)
	addArchiveChoice(cmd, &p.ArchiveChoice)
	f := cmd.Flags()
	f.StringVar(&p.To, "to", "", "make this `path`")
	f.StringVar(&p.Format, "format", "eml", "eml, mbox, maildir or bag")
	return cmd
}
