package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newSaveCommand(a *app) *cobra.Command {
	var (
		p    client.SaveParams
		keys keyFlags
	)
	cmd := &cobra.Command{
		Use:   "save ID --attachments DIR",
		Short: "Save the attachments of a message in a folder",
		Long: `Writes what is attached to a message into a folder, which is made where it is not there, and prints the files. ID is as
for read; the verdict is said on stderr. Attached messages are saved as .eml, encrypted parts in a message as they are
(.p7m), and are not opened.

A file is named as its sender says, as far as that is plain: without folders, without characters that are not seen or
that some system does not take, 200 octets at most. Files of one name are numbered. Nothing outside of the folder is
written, whatever names and links say, and what is there is replaced only with --overwrite. What looks like a program
is saved, and said to be one.

Where the verdict is failed, nothing is saved unless that is confirmed, at the terminal or by --yes. The exit code is
that of read: 1 where a signature is not good or no key opens the message, also where its attachments were saved.

` + exitCodesHelp,
		Example: "  sealmail save last --attachments ./in\n  sealmail save 42 --part 2 --part 3 --attachments . --overwrite\n  sealmail save ./mail.eml --attachments in --p12 bob.p12 --p12-password-file secret --json",
		Args:    argCount(1, 1, "one ID"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.ID = args[0]
			if p.Keys, err = keys.read(ctx, a); err != nil {
				return err
			}
			p.Anyway = a.saveAnyway
			good, saved := true, 0
			err = c.Save(ctx, p, func(report *client.Report) error {
				good = good && report.ReadIsGood()
				if a.flags.quiet || a.flags.json {
					return nil
				}
				return term.PrintVerdict(a.err, report)
			}, func(file client.SavedFile) error {
				saved++
				if a.flags.json {
					return a.printJSON(file)
				}
				return term.PrintSaved(a.out, file)
			})
			switch {
			case err != nil:
				return err
			case !good:
				return errAnswerIsNo
			case saved == 0:
				a.say("nothing is attached")
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVar(&p.Dir, "attachments", "", "the `folder` to write to")
	f.IntSliceVar(&p.Parts, "part", nil, "only the part with this `number`, which read shows; may be repeated")
	f.BoolVar(&p.Overwrite, "overwrite", false, "replace files that are there")
	f.StringVar(&p.Folder, "folder", "INBOX", "the `folder` that the UID is of")
	addAllowWeak(cmd, &p.AllowWeak)
	keys.add(cmd)
	return cmd
}

// saveAnyway asks a person whether to save what a message holds whose verdict is failed.
func (a *app) saveAnyway(*client.Report) (bool, error) {
	return a.agreed("The verdict is failed. Save what is attached all the same?")
}

// agreed asks a person; where there is none, the answer is no unless --yes says it.
func (a *app) agreed(question string) (bool, error) {
	if !a.flags.yes && a.prompt == nil {
		return false, nil
	}
	err := a.confirm(question)
	var refused *usageError
	if errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, err
}
