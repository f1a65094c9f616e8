package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newArchiveRestoreCommand(a *app) *cobra.Command {
	var (
		p  client.ArchiveRestoreParams
		in archiveFlags
	)
	cmd := &cobra.Command{
		Use:   "restore [ID…]",
		Short: "Put archived messages back into an account",
		Long: `Puts messages of the archive back into the store of the account, or of that of --account, which may be another than they
came from: as they came, with flags and dates of arrival, each into the folder that it was archived of, or all into that
of --into. Folders that are missing are made. Encrypted messages stay encrypted.

` + archiveChoiceHelp + `

Nothing is put into a folder twice: a message that is there with the same octets is left as it is, and said to be there
already. What is about to be put there is written down before, and what is there after, so that the same command goes on
after an interruption, a kill or a line that was lost, and puts back what the first run left out.

A message that the server refuses is named, and the others go on: the exit code is 3. So is one that was destroyed or is
damaged in the archive: the exit code is 1.

` + recoveryHelp + `

` + exitCodesHelp,
		Example: "  sealmail archive restore\n  sealmail archive restore --account new --folder old/INBOX --into Old --json\n" +
			"  sealmail archive restore 40:50 --into Restored",
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.IDs = args
			if p.ArchivePlace, err = in.read(ctx, a); err != nil {
				return err
			}
			result, err := c.ArchiveRestore(ctx, p, func(line client.ArchiveRestoreLine) error {
				switch {
				case a.flags.json:
					return a.printJSON(line)
				case a.flags.verbose && line.AlreadyThere:
					return term.PrintArchivedOne(a.out, line.ArchivedOne, "there already, in "+*line.To)
				case a.flags.verbose && line.Error == nil:
					return term.PrintArchivedOne(a.out, line.ArchivedOne, "restored to "+*line.To)
				}
				return nil
			})
			if result != nil && !a.flags.json {
				if err := term.PrintArchiveRestore(a.out, result); err != nil {
					return err
				}
			}
			return err
		}),
	}
	in.add(cmd)
	addArchiveChoice(cmd, &p.ArchiveChoice)
	cmd.Flags().StringVar(&p.Into, "into", "", "put all of them into this `folder`")
	return cmd
}
