package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// letterFlags are those of all commands that write a message.
type letterFlags struct {
	body, template string
	edit           bool
}

func (l *letterFlags) add(cmd *cobra.Command, p *client.SendParams) {
	f := cmd.Flags()
	f.StringArrayVar(&p.To, "to", nil, "an `address` to send to; repeat for more")
	f.StringArrayVar(&p.Cc, "cc", nil, "an `address` for a copy; repeat for more")
	f.StringArrayVar(&p.Bcc, "bcc", nil, "an `address` for a copy that the others do not see; repeat for more")
	f.StringVar(&p.From, "from", "", "the own `address` to send from, with a name or without (default: the account's first)")
	f.StringArrayVar(&p.ReplyTo, "reply-to", nil, "an `address` for answers; repeat for more")
	f.StringVar(&p.Subject, "subject", "", "the subject")
	f.StringArrayVar(&p.Fields, "header", nil, "one more header `field`, as \"X-Name: text\"; repeat for more")
	f.StringVar(&l.body, "body", "", "the text, from this `file`, or - for stdin")
	f.StringArrayVar(&p.Attach, "attach", nil, "a `file` to attach; repeat for more")
	f.StringVar(&l.template, "template", "", "header fields, an empty line and the text, from this `file`, or - for stdin; flags add to it, or count in its place")
	f.BoolVar(&l.edit, "edit", false, "open $VISUAL or $EDITOR on the message (on a terminal this is done where there is no --body)")
	addProtection(cmd, &p.SendOptions)
}

// addProtection adds the flags that say how a message is protected on its way.
func addProtection(cmd *cobra.Command, o *client.SendOptions) {
	f := cmd.Flags()
	f.BoolVar(&o.NoEncrypt, "no-encrypt", false, "sign only: every server on the way can read it")
	f.BoolVar(&o.NoSign, "no-sign", false, "encrypt only: nobody can tell who sent it")
	f.BoolVar(&o.NoTimestamp, "no-timestamp", false, "send without a trusted timestamp")
	addHeaderConfidentiality(cmd, &o.HeaderConfidentiality)
}

// addDraft adds the flags that name a draft to go on with.
func (l *letterFlags) addDraft(cmd *cobra.Command, p *client.SendParams) {
	cmd.Flags().StringVar(&p.Draft.ID, "draft", "", "go on with this draft: an `ID` as `sealmail list Drafts` shows it, or a file")
	cmd.Flags().StringVar(&p.Draft.Folder, "folder", "", "the `folder` that the draft is in (default: the one for drafts)")
}

func addDryRun(cmd *cobra.Command, o *client.SendOptions) {
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the message, recipients, certificates, algorithms and why, and what stays readable, and send nothing")
}

// read takes texts from where the flags say, and decides whether a person edits them.
func (l *letterFlags) read(cmd *cobra.Command, a *app, p *client.SendParams) (err error) {
	if l.body == "-" && l.template == "-" {
		return usagef("give one of them as a file", "--body and --template cannot both be stdin")
	}
	if p.Body, err = a.inputText(l.body); err != nil {
		return err
	}
	if p.Template, err = a.inputText(l.template); err != nil {
		return err
	}
	if cmd.Flags().Changed("template") && p.Template == nil {
		p.Template = []byte{}
	}
	asked := cmd.Flags().Changed("edit")
	terminal := a.prompt != nil && a.outIsTerminal && l.body == "" && l.template == "" && !p.DryRun
	if asked && l.edit || !asked && terminal {
		p.Edit = a.editor()
	}
	p.Anyway = a.agreed
	return nil
}

// answerFlags are those of reply and forward.
type answerFlags struct {
	letter letterFlags
	keys   keyFlags
}

func (f *answerFlags) add(cmd *cobra.Command, p *client.SendParams, m *client.ReadParams) {
	f.letter.add(cmd, p)
	addDryRun(cmd, &p.SendOptions)
	cmd.Flags().StringVar(&m.Folder, "folder", "INBOX", "the `folder` that the UID is of")
	addAllowWeak(cmd, &m.AllowWeak)
	f.keys.add(cmd)
}

func (f *answerFlags) read(ctx context.Context, cmd *cobra.Command, a *app, p *client.SendParams, m *client.ReadParams) (err error) {
	if m.Keys, err = f.keys.read(ctx, a); err != nil {
		return err
	}
	return f.letter.read(cmd, a, p)
}

const answerHelp = `ID is a UID, "last", "mid:<Message-ID>", or a file: an argument that contains "/" or ends in .eml. What the message hid
of its header is hidden in the answer, and an answer to encrypted mail is encrypted. On a terminal, without --body, an
editor opens; leaving it without a change does nothing. If sending fails after that, the text is kept as a draft.

`

func newReplyCommand(a *app) *cobra.Command {
	var (
		p     client.ReplyParams
		flags answerFlags
	)
	cmd := &cobra.Command{
		Use:   "reply ID",
		Short: "Answer a message",
		Long: `Answers a message, to Reply-To or the sender, or with --all to everybody whom it went to. The text is quoted below the
answer, but not that of encrypted mail without a good signature that speaks for its sender: whoever got hold of
somebody else's mail could send it on, to get it back with the answer. The answer is sent as by send, from the own
address that the message went to, and the message is marked as answered.

` + answerHelp + exitCodesHelp,
		Example: "  sealmail reply last\n  echo Yes. | sealmail reply 42 --all --body -\n  sealmail reply ./mail.eml --body answer.txt --no-quote --dry-run",
		Args:    argCount(1, 1, "one ID"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
		p.Message.ID = args[0]
		if err := flags.read(ctx, cmd, a, &p.SendParams, &p.Message); err != nil {
			return err
		}
		return a.tellSend(c.Reply(ctx, p))
	})
	cmd.Flags().BoolVar(&p.All, "all", false, "answer everybody whom the message went to")
	cmd.Flags().BoolVar(&p.NoQuote, "no-quote", false, "quote nothing")
	flags.add(cmd, &p.SendParams, &p.Message)
	return cmd
}

func newForwardCommand(a *app) *cobra.Command {
	var (
		p        client.ForwardParams
		flags    answerFlags
		original bool
	)
	cmd := &cobra.Command{
		Use:   "forward ID --to ADDRESS…",
		Short: "Send a message on",
		Long: `Sends a message on, attached as a whole (--attach-original, the default): without its encryption, which the recipient
could not open, and with its signature, which they can verify. With --inline its text is quoted instead, and its
attachments are taken along. The message is marked as forwarded.

` + answerHelp + exitCodesHelp,
		Example: "  sealmail forward last --to carol@example.org\n  echo FYI | sealmail forward 42 --to carol@example.org --body -\n  sealmail forward ./mail.eml --to carol@example.org --inline --dry-run",
		Args:    argCount(1, 1, "one ID"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
		p.Message.ID = args[0]
		if p.Inline && original {
			return usagef("give one of them", "--inline and --attach-original exclude each other")
		}
		if err := flags.read(ctx, cmd, a, &p.SendParams, &p.Message); err != nil {
			return err
		}
		return a.tellSend(c.Forward(ctx, p))
	})
	cmd.Flags().BoolVar(&p.Inline, "inline", false, "quote the text, and take the attachments along")
	cmd.Flags().BoolVar(&original, "attach-original", false, "attach the whole message (the default)")
	flags.add(cmd, &p.SendParams, &p.Message)
	return cmd
}

func newDraftCommand(a *app) *cobra.Command {
	var (
		p     client.SendParams
		flags letterFlags
	)
	cmd := &cobra.Command{
		Use:   "draft",
		Short: "Put a message into Drafts, to be sent later",
		Long: `Puts a message into the account's folder of drafts, encrypted to you and signed by you, with its attachments, its blind
recipients and how it is to be sent. ` + "`sealmail list Drafts --refresh`" + ` shows what is there, and
` + "`sealmail send --draft ID`" + ` sends it. With --draft the new one
takes the place of another. On a terminal, without --body, an editor opens.

` + exitCodesHelp,
		Example: "  sealmail draft --to bob@example.org --subject Offer --body offer.txt\n  sealmail draft --draft last --edit\n  sealmail send --draft last",
		Args:    argCount(0, 0, "no arguments; --draft names one to go on with"),
	}
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := flags.read(cmd, a, &p); err != nil {
			return err
		}
		result, err := c.Draft(ctx, p)
		switch {
		case err != nil:
			return err
		case a.flags.json:
			return a.printJSON(result)
		}
		return term.PrintDraft(a.out, result)
	})
	flags.add(cmd, &p)
	flags.addDraft(cmd, &p)
	return cmd
}

// tellSend prints what became of a message. For a person, the error says all where nothing was sent.
func (a *app) tellSend(result *client.SendResult, err error) error {
	if result != nil && (result.State != nil || a.flags.json) {
		if printErr := a.printSend(result); printErr != nil {
			return printErr
		}
	}
	return err
}
