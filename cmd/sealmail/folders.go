package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// folderWordsHelp says by which words folders are named.
const folderWordsHelp = `The words sent, drafts, trash, archive and junk name the folder that the account or the server has for that, where no
folder is called so.`

// messageIDsHelp says how messages are named where they are changed.
const messageIDsHelp = `ID is a UID, a range of them (40:50), "last", or "mid:<Message-ID>", in INBOX or in the folder of --folder.
` + folderWordsHelp + ` The server is asked what there is; where it cannot be reached, nothing is done.`

// changedHelp says what is told, and when it ends.
const changedHelp = `With --json or --verbose a line is printed for each message. A message that is not there has its error in its line and
stops no other. An interruption says how many were done, and the same command again does the rest.`

func newFoldersCommand(a *app) *cobra.Command {
	var create string
	cmd := &cobra.Command{
		Use:   "folders",
		Short: "List the folders at the server",
		Long: `Lists the folders at the server: what each is for (sent, drafts, trash, archive, junk), how many messages are in it, how
many of them were not seen, and the numbering that its UIDs belong to (UIDVALIDITY): another one voids them all.

--create makes a folder, subscribes to it, and lists that one alone.

` + exitCodesHelp,
		Example: "  sealmail folders\n  sealmail folders --create Projects --json",
		Args:    argCount(0, 0, "no arguments"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
		var all []client.FolderLine
		each := func(line client.FolderLine) error {
			if a.flags.json {
				return a.printJSON(line)
			}
			all = append(all, line)
			return nil
		}
		var err error
		switch {
		case !cmd.Flags().Changed("create"):
			err = c.Folders(ctx, each)
		case create == "":
			return usagef("", "--create: a folder needs a name")
		default:
			err = c.CreateFolder(ctx, create, each)
		}
		if len(all) > 0 {
			if printErr := term.PrintFolders(a.out, all); printErr != nil {
				return printErr
			}
		}
		return err
	})
	cmd.Flags().StringVar(&create, "create", "", "make the folder of this `name`")
	return cmd
}

// newChangeCommand makes a command that changes messages out of its words; done is the word for what it has done to them. p has the
// arguments when change is called.
func (a *app) newChangeCommand(cmd *cobra.Command, done string, p *client.ChangeParams,
	change func(context.Context, *client.Client) (*client.ChangeResult, error)) *cobra.Command {
	cmd.Long += "\n\n" + messageIDsHelp + "\n\n" + changedHelp + "\n\n" + exitCodesHelp
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
		p.IDs, p.Confirm = args, a.confirm
		result, err := change(ctx, c)
		return a.endChange(done, result, err)
	})
	cmd.Flags().StringVar(&p.Folder, "folder", "INBOX", "the `folder` that the messages are in")
	return cmd
}

func newMoveCommand(a *app) *cobra.Command {
	var p client.MoveParams
	cmd := a.newChangeCommand(&cobra.Command{
		Use:   "move ID… FOLDER",
		Short: "Move messages to another folder",
		Long: `Moves messages to another folder. No message is lost, whatever interrupts it: where the server cannot move, it copies,
and what is here is removed after the server has confirmed the copy. What was fetched goes along, and is not fetched
again. A folder that is not there is made after you agreed to it, or with --create.`,
		Example: "  sealmail move 42 archive\n  sealmail move 40:50 last Projects --create\n  sealmail move 7 INBOX --folder junk --json",
		Args:    argCount(2, -1, "IDs and the folder to move to"),
	}, "moved", &p.ChangeParams, func(ctx context.Context, c *client.Client) (*client.ChangeResult, error) {
		last := len(p.IDs) - 1
		p.IDs, p.To = p.IDs[:last], p.IDs[last]
		return c.Move(ctx, p, a.printChange)
	})
	cmd.Flags().BoolVar(&p.Create, "create", false, "make the folder to move to, if it is missing")
	return cmd
}

func newDeleteCommand(a *app) *cobra.Command {
	var p client.DeleteParams
	cmd := a.newChangeCommand(&cobra.Command{
		Use:   "delete ID…",
		Short: "Delete messages: into the trash, or for good",
		Long: `Moves messages to the folder for deleted ones. From there, and with --permanently from anywhere, they are removed for
good, after you agreed to it: these messages and no others, at the server, and with all that was kept of them in the
local index. Copies elsewhere stay: in backups, and with those who sent or received them.`,
		Example: "  sealmail delete 42\n  sealmail delete 1:100 --folder trash --yes\n  sealmail delete last --permanently",
		Args:    argCount(1, -1, "IDs"),
	}, "deleted", &p.ChangeParams, func(ctx context.Context, c *client.Client) (*client.ChangeResult, error) {
		return c.Delete(ctx, p, a.printChange)
	})
	cmd.Flags().BoolVar(&p.Permanently, "permanently", false, "for good, and not into the trash")
	return cmd
}

func newFlagCommand(a *app) *cobra.Command {
	var p client.FlagParams
	cmd := a.newChangeCommand(&cobra.Command{
		Use:   "flag ID…",
		Short: "Mark messages: seen, flagged, answered, and the like",
		Long: `Puts flags on messages and takes flags off, at the server and in the local index; all other flags stay. A flag is one of
seen, flagged, answered, forwarded, draft, or a keyword such as $Work; --remove takes deleted as well. Several have
commas between them, or are given one by one.`,
		Example: "  sealmail flag 42 --add seen\n  sealmail flag 40:50 --remove seen --add 'flagged,$Work' --folder Archive",
		Args:    argCount(1, -1, "IDs"),
	}, "marked", &p.ChangeParams, func(ctx context.Context, c *client.Client) (*client.ChangeResult, error) {
		return c.Flag(ctx, p, a.printChange)
	})
	f := cmd.Flags()
	f.StringSliceVar(&p.Add, "add", nil, "put on this `flag`; repeats")
	f.StringSliceVar(&p.Remove, "remove", nil, "take off this `flag`; repeats")
	return cmd
}

// printChange prints what became of one message; a person who did not ask for more is told of what failed, and how many there
// were in the end.
func (a *app) printChange(line client.ChangeLine) error {
	switch {
	case a.flags.json:
		return a.printJSON(line)
	case line.Error != nil || a.flags.verbose:
		return term.PrintChange(a.out, line)
	}
	return nil
}

// endChange prints how many messages were changed.
func (a *app) endChange(word string, r *client.ChangeResult, err error) error {
	if r != nil && r.Done > 0 && !a.flags.json {
		if printErr := term.PrintChanged(a.out, word, r); printErr != nil {
			return printErr
		}
	}
	return err
}
