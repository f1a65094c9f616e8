package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newArchiveProveCommand(a *app) *cobra.Command {
	var (
		p  client.ArchiveProveParams
		in archiveFlags
	)
	cmd := &cobra.Command{
		Use:   "prove ID",
		Short: "Write all that others need to check one archived message, without sealmail",
		Long: `Writes a folder with the message, its commitment, the segment that this is in with signature and timestamp, the
certificates to check them, an evidence record (RFC 4998), and what was found about the message when it was archived.
README.txt in it says how to check all of it with sha512sum, unzip and openssl alone. The other messages of the segment
are in the folder too, encrypted: they are not given away.

` + recoveryHelp + `

` + exitCodesHelp,
		Example: "  sealmail archive prove 42 --to proof-42\n  sealmail archive prove mid:4711@example.org --to proof --json",
		Args:    argCount(1, 1, "one ID"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.ID = args[0]
			if p.ArchivePlace, err = in.read(ctx, a); err != nil {
				return err
			}
			result, err := c.ArchiveProve(ctx, p)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.printJSON(result)
			}
			return term.PrintArchiveProve(a.out, result)
		}),
	}
	in.add(cmd)
	f := cmd.Flags()
	f.StringVar(&p.To, "to", "", "the `folder` to write; it must not be there yet")
	f.StringArrayVar(&p.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	return cmd
}
