package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newArchiveCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Put mail under a signed, timestamped archive that cannot be altered unseen",
		Long: `An archive is a folder: each message encrypted, all of them signed with an archiving certificate and timestamped, and
only ever added to. Whoever changes, removes or exchanges anything in it is found out by ` + "`sealmail archive verify`" + `, and
each message can be proven alone, to others who have no sealmail.

docs/archive.md describes the format, and how to check it by hand.

` + exitCodesHelp,
		Example: "  sealmail archive pull --to ~/mail-archive\n  sealmail archive verify ~/mail-archive\n  sealmail archive search from:alice offer",
	}
	cmd.AddCommand(
		newArchivePullCommand(a), newArchiveVerifyCommand(a),
		newArchiveListCommand(a), newArchiveSearchCommand(a), newArchiveReadCommand(a),
		newArchiveProveCommand(a), newArchiveExportCommand(a), newArchiveRestoreCommand(a),
		newArchiveHoldCommand(a), newArchiveRetainCommand(a), newArchiveRenewCommand(a),
	)
	return cmd
}

func newArchivePullCommand(a *app) *cobra.Command {
	var (
		p    client.ArchivePullParams
		tsa  tsaFlags
		keys keyFlags
	)
	cmd := &cobra.Command{
		Use:   "pull [FOLDER…]",
		Short: "Archive what is new in folders of the account",
		Long: `Takes the messages that are not in the archive yet, as they are, from the account's store, verifies each, and puts them
into the archive in the folder of --to, which is made at the first time. With what is found, all it rests on is kept:
certificates, revocation lists, timestamps, and the keys that open encrypted messages, so that they can be read and
judged when all of that is gone elsewhere. Nothing is changed at the server, unless --expunge-verified is given.

` + folderWordsHelp + ` Without a folder it is INBOX, with --all every folder.

The archive is signed with an archiving certificate: ` + "`sealmail ca issue --purpose archive`" + ` makes one. It is timestamped
by the authorities of the account, or of --tsa; what has no timestamp because none could be had gets it at the next run.
The keys are in this home's vault. Whoever has the key of a --recovery certificate can open the archive as well: it is
named when the archive is made.

What was archived stays, whatever ends the command, and the next run goes on from there. --expunge-verified removes
messages at the server that were read back from the archive and have a timestamp there, also those that an earlier run
archived, if they are still the same.

--witness keeps a copy of the archive's head elsewhere, which shows later if the whole folder was put back to what it
was before. This home remembers it too.

` + exitCodesHelp,
		Example: "  sealmail archive pull --to ~/mail-archive --recovery recovery.pem\n  sealmail archive pull --all --witness /mnt/other/head --json\n" +
			"  sealmail archive pull sent --expunge-verified",
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.Folders = args
			if p.NoTimestamp && (len(p.Stamp.TSA) > 0 || tsa.given()) {
				return usagef("leave out one of them", "--no-timestamp, and an authority to ask for one")
			}
			if p.Stamp.Access, err = tsa.read(ctx, a, p.Stamp.TSA); err != nil {
				return err
			}
			if p.Keys, err = keys.read(ctx, a); err != nil {
				return err
			}
			if p.Expunge && !a.flags.yes {
				if err := a.confirm("Messages are removed at the server once they were read back from the archive. Go on?"); err != nil {
					return err
				}
			}
			result, err := c.ArchivePull(ctx, p, func(line client.ArchiveLine) error {
				switch {
				case a.flags.json:
					return a.printJSON(line)
				case a.flags.verbose:
					return term.PrintArchiveLine(a.out, line)
				}
				return nil
			})
			if result != nil && !a.flags.json {
				if err := term.PrintArchivePull(a.out, result); err != nil {
					return err
				}
			}
			return err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&p.To, "to", "", "the `folder` of the archive (default: the one that this home knows)")
	f.BoolVar(&p.All, "all", false, "every folder of the account")
	f.StringVar(&p.Signer, "signer", "", "sign with the archiving certificate of this `fingerprint`, or its beginning")
	f.StringArrayVar(&p.Recovery, "recovery", nil, "let the owner of the certificate in this `file` open the archive; repeat for more")
	f.StringVar(&p.Witness, "witness", "", "keep a copy of the archive's head in this `file`")
	f.BoolVar(&p.Expunge, "expunge-verified", false, "remove at the server what was read back from the archive and is as it came")
	f.BoolVar(&p.NoTimestamp, "no-timestamp", false, "archive without timestamps; they can be got later")
	f.StringArrayVar(&p.Stamp.TSA, "tsa", nil, "ask the timestamp authority at this `URL`; repeat for more, asked in this order")
	f.StringArrayVar(&p.Stamp.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	tsa.add(cmd)
	keys.add(cmd)
	return cmd
}

// archiveFlags name an archive, and keys that may open it.
type archiveFlags struct {
	place client.ArchivePlace
	keys  keyFlags
}

func (f *archiveFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.place.Dir, "archive", "", "the `folder` of the archive (default: the one that this home knows)")
	f.keys.add(cmd)
}

func (f *archiveFlags) read(ctx context.Context, a *app) (client.ArchivePlace, error) {
	var err error
	f.place.Keys, err = f.keys.read(ctx, a)
	return f.place, err
}

const recoveryHelp = `The keys of an archive are in the vault of the home that made it. --p12 or --key opens it with the key of a recovery
certificate instead.`

func newArchiveListCommand(a *app) *cobra.Command {
	var (
		p     client.ArchiveListParams
		in    archiveFlags
		since string
	)
	cmd := &cobra.Command{
		Use:   "list [FOLDER]",
		Short: "List archived messages",
		Long: `Lists what is in the archive, with the verdicts as they were when it was archived, in the order of archiving: number,
account and folder, verdict, date, sender, subject. FOLDER is a folder of an account, or ACCOUNT/FOLDER; without it all
are listed. Without --limit and --since the last 100 are shown, and it is said when there are more; --json shows all.

` + recoveryHelp + `

` + exitCodesHelp,
		Example: "  sealmail archive list --limit 20\n  sealmail archive list work/INBOX --archive ~/mail-archive --json",
		Args:    argCount(0, 1, "at most one folder"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
		if len(args) == 1 {
			p.Folder = args[0]
		}
		return a.listArchive(ctx, cmd, c, &p, &in, since)
	})
	in.add(cmd)
	addLineSelection(cmd, &p.ListParams, &since)
	return cmd
}

func newArchiveSearchCommand(a *app) *cobra.Command {
	var (
		p     client.ArchiveListParams
		in    archiveFlags
		since string
	)
	cmd := &cobra.Command{
		Use:   "search QUERY",
		Short: "Find archived messages",
		Long: `Finds messages in the archive by the same words as ` + "`sealmail search`" + `, which explains them. The verdicts are those of
when a message was archived. A folder is written ACCOUNT/FOLDER in folder:, and as you like in --folder.

` + recoveryHelp + `

` + exitCodesHelp,
		Example: "  sealmail archive search from:alice offer\n  sealmail archive search 'subject:\"site plan\" has:attachment' --json",
		Args:    argCount(1, -1, "what to look for"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
		p.Query = strings.Join(args, " ")
		return a.listArchive(ctx, cmd, c, &p, &in, since)
	})
	in.add(cmd)
	cmd.Flags().StringVar(&p.Folder, "folder", "", "only in this `folder`")
	addLineSelection(cmd, &p.ListParams, &since)
	return cmd
}

// listArchive is what list and search have in common.
func (a *app) listArchive(ctx context.Context, cmd *cobra.Command, c *client.Client, p *client.ArchiveListParams, in *archiveFlags, since string) (err error) {
	if err := a.selectLines(cmd, &p.ListParams, since); err != nil {
		return err
	}
	if p.ArchivePlace, err = in.read(ctx, a); err != nil {
		return err
	}
	return c.ArchiveList(ctx, *p, func(line client.ArchiveLine) error {
		if a.flags.json {
			return a.printJSON(line)
		}
		return term.PrintArchiveLine(a.out, line)
	})
}

func newArchiveReadCommand(a *app) *cobra.Command {
	var (
		p       client.ArchiveReadParams
		in      archiveFlags
		raw     bool
		headers bool
		noPager bool
	)
	cmd := &cobra.Command{
		Use:   "read ID",
		Short: "Show an archived message with its verdicts, now and when it was archived",
		Long: `Shows a message of the archive as ` + "`sealmail read`" + ` shows one, judged by what is known and trusted now, and before it
the verdict of when it was archived, which rests on what was kept then. Encrypted messages are opened with the keys that
were kept. ID is the number that ` + "`sealmail archive list`" + ` shows, a range of them (40:50), "last", or "mid:<Message-ID>".
No server is asked.

` + recoveryHelp + `

The exit code is 0 for passed and for unsigned mail, 1 where a signature is not good now or no key opens the message, or
where the archive was altered.

` + exitCodesHelp,
		Example: "  sealmail archive read 42\n  sealmail archive read last --json\n  sealmail archive read 42 --raw >message.eml",
		Args:    argCount(1, 1, "one ID"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.ID = args[0]
			if p.ArchivePlace, err = in.read(ctx, a); err != nil {
				return err
			}
			if raw {
				if err := a.checkRaw("-"); err != nil {
					return err
				}
				return c.ArchiveReadRaw(ctx, p, a.out)
			}
			good := true
			page := a.newPager(!noPager && !a.flags.json)
			err = page.end(c.ArchiveRead(ctx, p, func(report *client.ArchiveReport) error {
				good = good && report.ReadIsGood()
				if a.flags.json {
					return a.printJSON(report)
				}
				if err := term.PrintArchived(page, report, page.columns); err != nil {
					return err
				}
				if headers {
					return term.PrintHeaders(page, report.Report, page.columns)
				}
				return term.PrintMessage(page, report.Report, page.columns)
			}))
			if err == nil && !good {
				return errAnswerIsNo
			}
			return err
		}),
	}
	in.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&raw, "raw", false, "print the octets as they came")
	f.BoolVar(&headers, "headers", false, "print the verdicts and the header only")
	f.BoolVar(&noPager, "no-pager", false, "print straight on where the text is longer than the screen")
	return cmd
}
