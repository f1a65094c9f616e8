package client

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
)

// openDraft reads a draft. What only its author may say of a message, such as who gets a blind copy, counts only where the draft is
// signed by a key of one's own: others can put drafts into the folder too.
func (c *Client) openDraft(ctx context.Context, w *writing, p SendParams) (l Letter, from *begun, err error) {
	id := p.Draft
	if id.Folder == "" && !id.isFile() {
		store, err := c.dialStore(ctx, w.account)
		if err != nil {
			return l, nil, err
		}
		id.Folder, err = folderOfDrafts(ctx, store, w.account)
		if err := errors.Join(err, store.Close()); err != nil {
			return l, nil, err
		}
	}
	err = c.eachJudged(ctx, id, func(j *judge, m located, r *judged) error {
		if from != nil {
			return usage("", fmt.Errorf("%q means more than one draft", id.ID), "name one")
		}
		from = &begun{located: m, messageID: outsideID(r)}
		if r.message.Content == nil {
			return &Error{Kind: No, What: m.name(), Err: errors.New("it was not opened"), Hint: "`sealmail read` says why"}
		}
		own := r.signedWith(j.own)
		switch {
		case own && r.message.Protection.Scheme == smime.HPNone:
			c.o.Say("note: the signature on " + m.name() + " does not cover its header: others may have changed whom it goes to")
		case own:
		case r.message.Encryption() == smime.StatusNone:
			c.o.Say("note: " + m.name() + " is not signed by you, and not encrypted: others may have changed it")
		default:
			if err := p.agreed("Nothing shows that you wrote this encrypted draft: what is in it may have been taken from somebody else's mail. Go on with it?"); err != nil {
				return err
			}
			w.sealed = true // for all that is known, it answers a message that was
		}
		if id := strings.Trim(r.message.Field("Message-ID"), "<> "); own && (m.uid != 0 || c.isKept(m.file)) && messageID.MatchString(id) {
			from.sentAs = id
		}
		if l, err = w.letterOf(ctx, r, own); err != nil {
			return failed(m.name(), err, "")
		}
		return m.source.unchanged()
	})
	return l, from, err
}

// signedWith reports whether a key of one's own has signed all of the message under its encryption.
func (r *judged) signedWith(own ownership) bool {
	inside := false // all encryption
	for i := len(r.message.Layers) - 1; i >= 0; i-- {
		l := r.message.Layers[i]
		if l.Encrypted != nil {
			break
		}
		for _, s := range signaturesOf(l) {
			inside = inside || s.Err == nil && s.Signer != nil && own.keys[string(s.Signer.RawSubjectPublicKeyInfo)]
		}
	}
	return inside
}

func signaturesOf(l smime.Layer) []smime.Signature {
	if l.Signed == nil {
		return nil
	}
	return l.Signed.Signatures
}

// letterOf is the letter in a draft.
func (w *writing) letterOf(ctx context.Context, r *judged, own bool) (Letter, error) {
	m := r.message
	addresses := func(name string) []string { list, _ := m.Addresses(name); return typedAddresses(list) }
	l := Letter{To: addresses("To"), Cc: addresses("Cc"), ReplyTo: addresses("Reply-To"), Subject: visibleWords(m.Field("Subject"))}
	for _, from := range addresses("From") {
		if _, err := ownSender(w.account, from); err == nil {
			l.From = from
		}
	}
	l.InReplyTo, _ = identifiers("", m.Field("In-Reply-To")) // what is none is not taken along
	l.References, _ = identifiers("", m.Field("References"))
	for _, f := range ownFields(m, own) {
		if words := f.Name + ": " + visibleWords(f.Text()); isLetterField(f.Name) && !slices.Contains(l.Fields, words) {
			l.Fields = append(l.Fields, words)
		}
	}
	switch bcc, _ := smime.ParseAddresses(m.Protection.Fields.Value(draftBcc)); {
	case own:
		l.Bcc = typedAddresses(bcc)
		w.setOptions(m.Protection.Fields.Value(draftOptions), m)
	case m.Encryption() == smime.StatusNone: // of another program
		l.Bcc = addresses("Bcc")
	case len(bcc) > 0:
		w.client.o.Say("note: the draft names blind recipients, who count only where it is signed by you: they are left out, and --bcc names them again")
	}
	text, err := m.Text(maxLetter)
	if err != nil {
		return l, err
	}
	if text.Truncated {
		return l, errors.New("its text has more than 64 MiB")
	}
	if l.Body = []byte(text.Body); !own {
		l.Body = []byte(visibleText(text.Body))
	}
	if len(l.Body) == 0 {
		l.Body = nil
	}
	l.kept, err = w.keepAttachments(ctx, m)
	return l, err
}

// ownFields are those out of which a letter takes its further fields. Where some are protected, one that is only outside was put
// there by somebody else, as a server can (RFC 9788 section 4.4).
func ownFields(m *smime.Message, own bool) entity.Header {
	switch {
	case m.Protection.Scheme == smime.HPNone:
		return m.Header
	case own:
		return m.Protection.Fields
	}
	return nil
}

// begun is the draft that a letter goes on with.
type begun struct {
	located
	messageID string // "": it has none
	// sentAs is the Message-ID of what is sent: that of the draft, by which one that was sent and not removed is known; "": a new one.
	// It is so with drafts that are removed afterwards: others may be meant for more than one message.
	sentAs string
}

// notSentYet is an error where a draft was sent before, and could not be removed: where the program was ended in between, say.
// Where the server cannot be asked, that is no reason not to send.
func (c *Client) notSentYet(ctx context.Context, a config.Account, d *begun, p SendParams) error {
	if d.sentAs == "" {
		return nil
	}
	box, err := c.outbox()
	if err != nil {
		return err
	}
	entries, _ := box.List() // whatever else is wrong with it
	for _, e := range entries {
		if e.MessageID == d.sentAs {
			return failed(d.name(), fmt.Errorf("it is in the outbox already, as %s", e.ID), "`sealmail outbox flush` sends it, `sealmail outbox drop "+e.ID+"` gives it up")
		}
	}
	store, err := c.dialStore(ctx, a)
	if err != nil {
		return nil
	}
	defer store.Close()
	folders, _ := store.Folders(ctx) // without them it is that of the usual name
	folder, _ := folderFor(folders, a, "sent")
	if uids, err := store.Find(ctx, folder, d.sentAs); err != nil || len(uids) == 0 {
		return nil
	}
	if err := p.agreed("There is a copy of this draft in " + visibleWords(folder) + ": it was sent before. Send it again?"); err != nil {
		return err
	}
	d.sentAs = "" // another message
	return nil
}

// removeDraft removes a draft that is no longer needed: a message at the server, or what sealmail has kept itself. Other files are
// their owner's.
func (c *Client) removeDraft(ctx context.Context, d begun) error {
	if d.uid == 0 {
		return c.removeKept(d.file)
	}
	var was mailbox.Status
	err := c.atServer(ctx, d.located, d.messageID, func(store mailbox.Store) (err error) {
		if was, err = store.Status(ctx, d.folder); err != nil {
			return err
		}
		return store.Delete(ctx, d.folder, []mailbox.UID{d.uid})
	})
	if err != nil {
		return err
	}
	if err := c.forgetDraft(ctx, d, was.UIDValidity); err != nil {
		c.detail("the draft is in the index until the next fetch: " + err.Error())
	}
	return nil
}

// forgetDraft has the index forget a draft that was removed, if it knows it.
func (c *Client) forgetDraft(ctx context.Context, d begun, validity uint32) error {
	a, err := c.config.Account(d.account)
	if err != nil {
		return err
	}
	ch := &changer{finder: finder{client: c, account: a, looked: true}}
	defer ch.Close()
	if err := ch.openIndex(ctx); err != nil || ch.local == nil {
		return err
	}
	if ch.kept, err = ch.local.Folder(ctx, d.folder); err != nil || ch.kept.UIDValidity != validity {
		return explainIndex(err)
	}
	return ch.forget(ctx, []mailbox.UID{d.uid})
}

// removeKept removes a draft of this machine.
func (c *Client) removeKept(file string) error {
	if !c.isKept(file) {
		return nil
	}
	return c.o.Disk.Remove(file)
}

// isKept reports whether a file is a draft of this machine.
func (c *Client) isKept(file string) bool {
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return false
	}
	own, err := filepath.Abs(c.o.Home.Drafts())
	return err == nil && folder == own
}
