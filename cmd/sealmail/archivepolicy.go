package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// addScope adds the flags that say what a hold or a retention is about.
func addScope(cmd *cobra.Command, s *client.ArchiveScope) {
	f := cmd.Flags()
	f.BoolVar(&s.All, "all", false, "all messages, those that come later too")
	f.StringArrayVar(&s.IDs, "id", nil, "the messages that `ID` names, as for `archive read`; repeat for more")
	f.StringArrayVar(&s.Folders, "folder", nil, "what was in this `folder`, and what comes from it later; repeat for more")
	f.StringVar(&s.Query, "query", "", "what this `query` finds now, by the words of `archive search`")
}

func addChange(cmd *cobra.Command, signer, witness *string) {
	f := cmd.Flags()
	f.StringVar(signer, "signer", "", "sign with the archiving certificate of this `fingerprint`, or its beginning")
	f.StringVar(witness, "witness", "", "keep a copy of the archive's head in this `file`")
}

func (a *app) printHold(line client.ArchiveHoldLine) error {
	if a.flags.json {
		return a.printJSON(line)
	}
	return term.PrintArchiveHold(a.out, line)
}

func newArchiveHoldCommand(a *app) *cobra.Command {
	var (
		p  client.ArchiveHoldParams
		in archiveFlags
	)
	cmd := &cobra.Command{
		Use:   "hold [NAME]",
		Short: "Forbid that archived messages are destroyed, until the hold is released",
		Long: `Says, signed and in the archive, that messages must not be destroyed until the hold of this NAME is released
(--release). It wins over every command that destroys. What it is about is named by --folder, --id, --query or --all.
Then, and without a NAME, all holds that are in force are listed.

` + exitCodesHelp,
		Example: "  sealmail archive hold case-7 --query from:alice --reason 'lawsuit 7/26'\n  sealmail archive hold case-7 --release\n  sealmail archive hold --json",
		Args:    argCount(0, 1, "at most one name"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if len(args) == 1 {
				p.Name = args[0]
			}
			if p.ArchivePlace, err = in.read(ctx, a); err != nil {
				return err
			}
			return c.ArchiveHold(ctx, p, a.printHold)
		}),
	}
	in.add(cmd)
	addScope(cmd, &p.Scope)
	addChange(cmd, &p.Signer, &p.Witness)
	f := cmd.Flags()
	f.BoolVar(&p.Release, "release", false, "release the hold of this name")
	f.StringVar(&p.Reason, "reason", "", "why, in one `line`")
	f.StringVar(&p.By, "by", "", "`who` says so (default: the account's address)")
	return cmd
}

func newArchiveRetainCommand(a *app) *cobra.Command {
	var (
		p  client.ArchiveRetainParams
		in archiveFlags
	)
	cmd := &cobra.Command{
		Use:   "retain [PERIOD]",
		Short: "Say for how long archived messages must be kept",
		Long: `Says, signed and in the archive, that messages must not be destroyed before a PERIOD is over: 10y, 18m, 90d, 1y6m. It
counts from the time that the timestamps of the archive prove, and never from a date in a message. It cannot be taken
back or made shorter; where several cover a message, the longest counts. Then, and without a PERIOD, all that were said
are listed.

--due lists the messages whose retention is over and that no hold covers: those that may be destroyed.

` + exitCodesHelp,
		Example: "  sealmail archive retain 10y --folder INBOX --reason 'tax law'\n  sealmail archive retain --due --json",
		Args:    argCount(0, 1, "at most one period"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if len(args) == 1 {
				p.Period = args[0]
			}
			if p.ArchivePlace, err = in.read(ctx, a); err != nil {
				return err
			}
			return c.ArchiveRetain(ctx, p, a.printHold, func(line client.ArchiveLine) error {
				if a.flags.json {
					return a.printJSON(line)
				}
				return term.PrintArchiveLine(a.out, line)
			})
		}),
	}
	in.add(cmd)
	addScope(cmd, &p.Scope)
	addChange(cmd, &p.Signer, &p.Witness)
	f := cmd.Flags()
	f.BoolVar(&p.Due, "due", false, "list the messages that may be destroyed")
	f.StringVar(&p.Name, "name", "", "what it is called, a `name`")
	f.StringVar(&p.Reason, "reason", "", "why, in one `line`")
	f.StringVar(&p.By, "by", "", "`who` says so (default: the account's address)")
	return cmd
}

func newArchiveRenewCommand(a *app) *cobra.Command {
	var (
		p   client.ArchiveRenewParams
		in  archiveFlags
		tsa tsaFlags
	)
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Renew the evidence of an archive before its timestamps age out",
		Long: `Gives all evidence records of an archive a new timestamp (RFC 4998 section 5), one for all, where that is due within 90
days: before the certificate of the last authority ends, or an algorithm gets weak. ` + "`sealmail doctor`" + ` says when that is.
--now does it at once. With --hash-tree everything is hashed anew, by the algorithm of --hash: to be done before the old
one gets weak. Each record is held against what it is of before; where one does not hold, nothing is renewed, and the
exit code is 1.

` + exitCodesHelp,
		Example: "  sealmail archive renew\n  sealmail archive renew --hash-tree --hash sha512 --json",
		Args:    argCount(0, 0, "no arguments"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, _ []string) (err error) {
		if cmd.Flags().Changed("hash") && !p.HashTree {
			return usagef("add --hash-tree; a new timestamp alone keeps the algorithm", "--hash is for --hash-tree")
		}
		if p.Stamp.Access, err = tsa.read(ctx, a, p.Stamp.TSA); err != nil {
			return err
		}
		if p.ArchivePlace, err = in.read(ctx, a); err != nil {
			return err
		}
		result, err := c.ArchiveRenew(ctx, p)
		if err != nil {
			return err
		}
		if a.flags.json {
			return a.printJSON(result)
		}
		return term.PrintArchiveRenew(a.out, result)
	})
	in.add(cmd)
	addChange(cmd, &p.Signer, &p.Witness)
	f := cmd.Flags()
	f.BoolVar(&p.Now, "now", false, "renew also where nothing is due")
	f.BoolVar(&p.HashTree, "hash-tree", false, "hash everything anew, by the algorithm of --hash")
	f.StringVar(&p.Stamp.Hash, "hash", "sha512", "with --hash-tree: the hash algorithm, sha256, sha384 or sha512; the `word`")
	f.StringArrayVar(&p.Stamp.TSA, "tsa", nil, "ask the timestamp authority at this `URL`; repeat for more, asked in this order")
	f.StringArrayVar(&p.Stamp.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	tsa.add(cmd)
	return cmd
}
