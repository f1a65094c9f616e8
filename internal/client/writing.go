package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/spool"
)

// Editor lets a person change a text, and returns what became of it, also with an error.
type Editor func(ctx context.Context, text []byte) ([]byte, error)

// writing is a letter that is being written, with what is known of its beginnings.
type writing struct {
	client  *Client
	account config.Account
	letter  Letter
	options SendOptions
	edit    Editor // nil: nobody is asked
	// policy, if set, is draft.policy: of a letter that answers another.
	policy func(chosen smime.HCP) smime.HCP
	// sealed says that the letter answers one that was encrypted: it must not go out in clear.
	sealed bool
	from   *begun         // the draft that it goes on with; nil: there is none
	spools []*spool.Spool // of letter.kept
}

func (w *writing) close() {
	for _, s := range w.spools {
		_ = s.Close() // nobody reads it any more
	}
}

// keep copies something into a spool that lives as long as the writing.
func (w *writing) keep(ctx context.Context, src io.Reader) (*spool.Spool, error) {
	s := spool.New(w.client.spoolOptions())
	w.spools = append(w.spools, s)
	if _, err := io.Copy(s, contextReader{ctx, src}); err != nil {
		return nil, err
	}
	return s, nil
}

// keptAttachment is an attachment out of a spool.
func keptAttachment(name, mediaType string, s *spool.Spool) attachment {
	return attachment{name: name, mediaType: mediaType, size: s.Size(), open: func() (io.ReadCloser, error) { return io.NopCloser(s.Section()), nil }}
}

// draft checks the letter.
func (w *writing) draft() (*draft, error) {
	d, err := w.client.newDraft(w.account, w.letter)
	if err != nil {
		return nil, err
	}
	d.policy = w.policy
	return d, nil
}

// send lets the author edit the letter, and sends it. What was edited and not accepted is kept as a draft of this machine.
func (w *writing) send(ctx context.Context) (*SendResult, error) {
	if w.sealed && w.options.NoEncrypt {
		return nil, usage("send", errors.New("it answers a message that was encrypted: in clear, it would tell others what was in there"), "leave out --no-encrypt")
	}
	if w.edit == nil {
		return w.deliver(ctx)
	}
	if w.options.DryRun {
		return nil, usage("send", errors.New("--edit and --dry-run exclude each other"), "leave out one of them")
	}
	changed, err := w.editLetter(ctx)
	if err != nil && !changed {
		return nil, err
	}
	var result *SendResult
	if err == nil {
		result, err = w.deliver(ctx)
	}
	if err == nil || result != nil && result.State != nil {
		return result, err
	}
	return result, w.keepAfter(ctx, err)
}

func (w *writing) deliver(ctx context.Context) (*SendResult, error) {
	d, err := w.draft()
	if err == nil {
		err = w.letter.complete(d)
	}
	if err != nil {
		return nil, err
	}
	if w.from != nil && w.from.sentAs != "" {
		d.MessageID = w.from.sentAs
	}
	return w.client.deliverDraft(ctx, w.account, d, w.options)
}

// editLetter lets the author change the letter. Where they change nothing, or leave no text, that is an error, and nothing is
// done. changed says that there is work of theirs, also with an error.
func (w *writing) editLetter(ctx context.Context) (changed bool, err error) {
	// Before anybody writes: whoever cannot seal the letter can neither send it nor keep it.
	if err := w.canKeep(ctx); err != nil {
		return false, err
	}
	before := w.letter.template()
	after, editErr := w.edit(ctx, before)
	if editErr != nil && (bytes.Equal(before, after) || len(after) > maxLetter || len(bytes.TrimSpace(after)) == 0) {
		return false, editErr
	}
	if bytes.Equal(before, after) || len(bytes.TrimSpace(after)) == 0 {
		return false, canceled("the text was not changed")
	}
	if len(after) > maxLetter {
		return false, usage("send", errors.New("the text has more than 64 MiB"), "send a large file with --attach")
	}
	l, err := parseTemplate(after, w.letter.kept)
	if err != nil {
		// What was written, as it is. It goes to nobody before its author has looked at it: its header, with who is blind, is text.
		w.letter = Letter{From: w.letter.From, Body: after, kept: w.letter.kept}
		return true, cmp.Or(editErr, err)
	}
	if editErr != nil {
		w.letter = l
		return true, editErr
	}
	if empty := len(bytes.TrimSpace(l.Body)) == 0; empty && (len(bytes.TrimSpace(w.letter.Body)) > 0 || len(l.Attach)+len(l.kept) == 0) {
		return false, canceled("there is no text")
	}
	w.letter = l
	return true, nil
}

// maxLetter bounds a text that comes from an editor.
const maxLetter = 64 << 20

func canceled(why string) error {
	return usage("", errors.New(why+": nothing was done"), "to leave a letter as it is, say --edit=false")
}

// keepAfter keeps a letter that could not be sent, and says where.
func (w *writing) keepAfter(ctx context.Context, why error) error {
	file, err := w.keepHere(context.WithoutCancel(ctx))
	if err != nil {
		return errors.Join(why, failed("", err, ""))
	}
	if w.from != nil && w.from.uid == 0 { // what was kept before is in what is kept now
		if err := w.client.removeKept(w.from.file); err != nil {
			w.client.o.Say("warning: " + err.Error())
		}
	}
	kept := &Error{Kind: KindOf(why), Err: why}
	if known, ok := errors.AsType[*Error](why); ok {
		*kept = *known
	}
	hint := "what you wrote is kept, encrypted to yourself: `sealmail send --draft " + file + "` goes on with it"
	kept.Hint = cmp.Or(kept.Hint, "") + map[bool]string{true: "; "}[kept.Hint != ""] + hint
	return kept
}
