package main

import (
	"context"
	"iter"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newEvidenceCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "Proof that files existed and were not changed, for as long as is wanted (RFC 4998)",
		Long: `An evidence record proves that a file existed at a time and is unchanged since. One timestamp covers any number of
files; each has a record of its own, which proves it alone, beside it: FILE.ers. Before the certificate of the
timestamp authority expires, or an algorithm gets weak, the record is renewed.

` + exitCodesHelp,
		Example: "  sealmail tsa evidence create contracts\n  sealmail tsa evidence verify contracts\n  sealmail tsa evidence renew contracts",
	}
	cmd.AddCommand(newEvidenceCreateCommand(a), newEvidenceVerifyCommand(a), newEvidenceRenewCommand(a))
	return cmd
}

func newEvidenceCreateCommand(a *app) *cobra.Command {
	var (
		p   client.EvidenceParams
		tsa tsaFlags
	)
	cmd := &cobra.Command{
		Use:   "create {FILE|FOLDER}…",
		Short: "Make evidence records for files, with one timestamp for all",
		Long: `Hashes the files, and all files in the folders and below, gets one timestamp over them, and writes a record for each:
FILE.ers beside it, or in the folder that --records names. With --group the files belong together, and have the one
record that --records names. Only a hash leaves this machine. The authority must be trusted for timestamps.

Symbolic links in a folder are not followed: they, and what else is no regular file, are passed over, and said.

A record that is there is never replaced: of a folder, files that have one are passed over.

` + exitCodesHelp,
		Example: "  sealmail tsa evidence create report.pdf --tsa http://tsa.example.org --tsa-trust tsa-root.pem\n" +
			"  sealmail tsa evidence create contracts --records proof --json\n" +
			"  sealmail tsa evidence create --group mail.eml attachment.pdf --records case-7.ers",
		Args: argCount(1, -1, "at least one file or folder"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if p.Stamp.Access, err = tsa.read(ctx, a, p.Stamp.TSA); err != nil {
				return err
			}
			p.Paths = args
			return a.printEvidence(c.CreateEvidence(ctx, p))
		}),
	}
	addEvidenceFlags(cmd, &p)
	addStampFlags(cmd, &p.Stamp, &tsa)
	return cmd
}

func newEvidenceVerifyCommand(a *app) *cobra.Command {
	var (
		p  client.EvidenceParams
		at string
	)
	cmd := &cobra.Command{
		Use:   "verify {FILE|FOLDER}…",
		Short: "Hold files against their evidence records",
		Long: `Says of each file since when it is proven to exist unchanged, and by whom. In a folder, a record whose file is missing
is told too; with --records, how many there are is a note. Each timestamp of a record must be by an authority that is
trusted for timestamps, and whose certificate was valid until the next one was made; the last one's still is. With --at
it was then, and the file was proven by then. Touches no network.

The exit code is 0 only where every file is proven: a file without a record is 1.

` + exitCodesHelp,
		Example: "  sealmail tsa evidence verify report.pdf --tsa-trust tsa-root.pem\n  sealmail tsa evidence verify contracts --records proof --json",
		Args:    argCount(1, -1, "at least one file or folder"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if at != "" {
				if p.At, err = parseTime("at", at); err != nil {
					return err
				}
			}
			p.Paths = args
			return a.printEvidence(c.VerifyEvidence(ctx, p))
		}),
	}
	addEvidenceFlags(cmd, &p)
	f := cmd.Flags()
	f.StringArrayVar(&p.Stamp.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	f.StringArrayVar(&p.CRLs, "crl", nil, "a `file` with revocation lists, in DER or PEM; repeat for more")
	f.StringArrayVar(&p.OCSPResponses, "ocsp", nil, "a `file` with an OCSP response, in DER; repeat for more")
	f.StringVar(&at, "at", "", "judge as of this `time` (RFC 3339) instead of now")
	f.BoolVar(&p.AllowWeak, "allow-weak", false, "accept SHA-1 and short keys")
	return cmd
}

func newEvidenceRenewCommand(a *app) *cobra.Command {
	var (
		p   client.EvidenceParams
		tsa tsaFlags
	)
	cmd := &cobra.Command{
		Use:   "renew {FILE|FOLDER}…",
		Short: "Renew evidence records before they age out",
		Long: `Checks each record, and gives those that hold another timestamp: one for all of one hash algorithm. As it is, the new
timestamp is over the newest one of the record, and the files need not be hashed by another algorithm. With --hash-tree
it is over the files and all evidence so far, by the algorithm that --hash names: to be done before the old one gets
weak.

What does not hold is not renewed, and the exit code is 1. A record takes its new place whole, or stays as it was.

` + exitCodesHelp,
		Example: "  sealmail tsa evidence renew contracts\n  sealmail tsa evidence renew contracts --hash-tree --hash sha512",
		Args:    argCount(1, -1, "at least one file or folder"),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("hash") && !p.HashTree {
				return usagef("add --hash-tree, to hash the files by it; a new timestamp alone keeps the algorithm of the record", "--hash is for --hash-tree")
			}
			return nil
		},
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if p.Stamp.Access, err = tsa.read(ctx, a, p.Stamp.TSA); err != nil {
				return err
			}
			p.Paths = args
			return a.printEvidence(c.RenewEvidence(ctx, p))
		}),
	}
	addEvidenceFlags(cmd, &p)
	addStampFlags(cmd, &p.Stamp, &tsa)
	f := cmd.Flags()
	f.Lookup("hash").Usage = "with --hash-tree: " + f.Lookup("hash").Usage
	f.BoolVar(&p.HashTree, "hash-tree", false, "hash the files anew, by the algorithm of --hash")
	f.BoolVar(&p.AllowWeak, "allow-weak", false, "renew records with SHA-1 and short keys too")
	return cmd
}

func addEvidenceFlags(cmd *cobra.Command, p *client.EvidenceParams) {
	f := cmd.Flags()
	f.StringVar(&p.Records, "records", "", "the `folder` of the records (default: each beside its file), or the record of --group")
	f.BoolVar(&p.Group, "group", false, "the files belong together and have one record")
}

// printEvidence tells of each record.
func (a *app) printEvidence(records iter.Seq2[client.EvidenceLine, error]) error {
	return tellEach(a, records, func(line client.EvidenceLine) (good bool, err error) {
		if a.flags.json {
			err = a.printJSON(line)
		} else {
			err = term.PrintEvidence(a.out, line)
		}
		return line.Status == "passed", err
	})
}
