package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newArchiveVerifyCommand(a *app) *cobra.Command {
	var (
		p           client.ArchiveVerifyParams
		in          archiveFlags
		quick, full bool
	)
	cmd := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Find out whether anything in an archive was changed, and what",
		Long: `Verifies an archive without the network, and names whatever is not as it was archived, down to the message.

  --quick      every file against the signed list, and all signatures, timestamps and evidence records
  --sample N   that, and N messages taken by chance are opened and held against their commitments
  --full       that with every message, and every file inside against its lists; this is what is done without a word

The archiving certificate must lead to a trusted root, for mail in the store or of --trust, and each timestamp to an
authority that is trusted for timestamps, in the store or of --tsa-trust. Who has no key of the archive verifies all but
what is inside the messages, and it is said.

That the whole folder was put back to what it was some time ago cannot be seen in it. What this home remembers of the
archive shows it, and a copy of the file head that was kept elsewhere: --witness. Where there is neither, it is said.

` + recoveryHelp + `

The exit code is 1 where anything is damaged, or not provable.

` + exitCodesHelp,
		Example: "  sealmail archive verify\n  sealmail archive verify ~/mail-archive --quick --json\n" +
			"  sealmail archive verify /mnt/archive --trust root.pem --tsa-trust tsa-root.pem --witness head.copy",
		Args: argCount(0, 1, "at most one folder"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
		if p.ArchivePlace, err = in.read(ctx, a); err != nil {
			return err
		}
		if len(args) == 1 {
			if p.Dir != "" && p.Dir != args[0] {
				return usagef("name one archive", "verify: one archive, and two are named")
			}
			p.Dir = args[0]
		}
		sample := cmd.Flags().Changed("sample")
		switch {
		case quick && full, sample && (quick || full):
			return usagef("say one of them", "--quick, --sample and --full are different things")
		case sample && p.Sample < 1:
			return usagef("say how many messages are to be opened", "--sample: %d is no number of messages", p.Sample)
		}
		p.SetLevel(quick, sample)
		verdict, err := c.ArchiveVerify(ctx, p, func(f client.ArchiveFinding) error {
			if a.flags.json {
				return a.printJSON(f)
			}
			return term.PrintArchiveFinding(a.out, f)
		})
		if err != nil {
			return err
		}
		if a.flags.json {
			err = a.printJSON(verdict)
		} else {
			err = term.PrintArchiveVerdict(a.out, verdict)
		}
		if err == nil && verdict.Verdict != "passed" {
			return errAnswerIsNo
		}
		return err
	})
	in.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&quick, "quick", false, "open no message")
	f.IntVar(&p.Sample, "sample", 0, "open only `N` messages, taken by chance")
	f.BoolVar(&full, "full", false, "open every message")
	f.StringVar(&p.Witness, "witness", "", "hold it against the copy of its head in this `file`")
	f.StringArrayVar(&p.Trust, "trust", nil, "trust the anchors in this `file` for the archiving certificate, and no others")
	f.StringArrayVar(&p.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	return cmd
}
