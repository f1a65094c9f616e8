package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

// entry is what there is to tell and to index of a message that arrived.
type entry struct {
	skip     bool // there is nothing to keep of it: it is gone
	fleeting bool // its line is told, and it is tried again the next time
	line     ListLine
	message  index.Message // without evidence
}

// enter judges a message that arrived. What is wrong with the message alone is in its line. use is called with what was opened, if
// that could be, as long as it is open.
func enter[T any](ctx context.Context, j *judge, account, folder string, a *arrival[T], use func(*judged, ListLine) error) (e entry, err error) {
	e.line = ListLine{Account: account, Folder: folder, UID: uint32(a.info.UID), Size: a.info.Size, Flags: orNone(a.info.Flags)}
	var header MessageReport
	var text index.Text
	attachments := false
	var tooLarge *mailbox.TooLargeError
	switch {
	case errors.Is(a.err, mailbox.ErrNotFound):
		e.skip = true // deleted by another client meanwhile
		return e, nil
	case a.err != nil:
		e.line.Error = orNull(a.err.Error())
		e.fleeting = !errors.As(a.err, &tooLarge)
	default:
		e.line.Size = a.octets.Size()
		r, err := j.judge(ctx, fmt.Sprintf("message %d", a.info.UID), a.octets)
		switch {
		case isMessageFault(err):
			e.line.Error = orNull(err.Error())
		case err != nil:
			return e, err // the vault, the disk, an interruption: it concerns every message
		default:
			header = r.header()
			r.fill(&e.line, header, j.parsed)
			if err := use(r, e.line); err != nil {
				return e, errors.Join(err, r.Close())
			}
			for i := range r.message.Parts {
				attachments = attachments || r.message.Parts[i].Attachment
			}
			text, err = r.searchable()
			if err := errors.Join(err, r.Close()); err != nil {
				return e, err
			}
		}
	}
	if e.message, err = indexed(a.info, e.line, header); err != nil {
		return e, err
	}
	e.message.Text, e.message.Attachments = text, attachments
	if a.err == nil {
		e.message.Octets, e.message.Size = a.octets.Section(), a.octets.Size()
	}
	return e, nil
}
