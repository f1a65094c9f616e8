package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/verdict"
)

// ReplyParams are the words of `reply`.
type ReplyParams struct {
	SendParams
	Message ReadParams // what is answered
	All     bool       // the reply goes to everybody whom the message went to
	NoQuote bool
}

// ForwardParams are the words of `forward`.
type ForwardParams struct {
	SendParams
	Message ReadParams // what is forwarded
	Inline  bool       // its text is quoted, and its attachments are taken along; otherwise it is attached whole
}

// maxQuoted bounds what is quoted of a text, in octets.
const maxQuoted = 1 << 20

// Reply answers a message. Whom to, and what of the header is hidden, comes from its protected fields (RFC 9788 section 6); its
// text is quoted as [smime.Message.Quotation] lets it. The message is marked as answered once the answer was sent. The result is
// that of Send.
func (c *Client) Reply(ctx context.Context, p ReplyParams) (*SendResult, error) {
	return c.answer(ctx, p.SendParams, p.Message, `\Answered`, func(ctx context.Context, w *writing, r *judged, m located) (Letter, error) {
		c.sayUnproven(r)
		own := w.account.Addresses
		start := r.message.Reply(own, p.All, nil)
		w.policy = func(chosen smime.HCP) smime.HCP { return r.message.Reply(own, p.All, chosen).Policy }
		l := Letter{From: ownRecipient(r.message, own), Subject: visibleWords(fieldText(start, "Subject"))}
		to, _ := smime.ParseAddresses(start.Fields.Value("To"))
		cc, _ := smime.ParseAddresses(start.Fields.Value("Cc"))
		l.To, l.Cc = typedAddresses(to), typedAddresses(cc)
		if len(to)+len(cc)+len(p.To) == 0 && p.Edit == nil {
			return l, usage("reply", errors.New("the message names nobody to answer to"), "name somebody with --to")
		}
		redirected := redirectedOutside(r.message, to)
		if redirected != "" && r.verdict.Bound() {
			c.o.Say("note: the answer goes to " + redirected + ", as Reply-To says, which no signature covers")
		}
		l.InReplyTo, l.References = start.Fields.Value("In-Reply-To"), start.Fields.Value("References")
		if p.NoQuote || p.Body == nil && p.Template == nil && p.Edit == nil { // what is quoted alone says nothing
			return l, nil
		}
		if redirected != "" && r.message.Encryption() != smime.StatusNone {
			// As with smime.Message.Quotation: whoever got hold of somebody else's mail could have it sent to them with the answer.
			c.o.Say("note: nothing is quoted: the message was encrypted, and somebody on the way may have added its Reply-To")
			return l, nil
		}
		text, err := r.message.Quotation(r.verdict.Bound(), maxQuoted)
		switch {
		case errors.Is(err, smime.ErrNotQuotable):
			c.o.Say("note: nothing is quoted: " + err.Error())
		case err != nil:
			return l, failed(m.name(), err, "")
		case strings.TrimSpace(text) != "":
			l.Body = []byte("\n" + attribution(r) + "\n" + quote(visibleText(text)))
		}
		return l, nil
	})
}

// Forward sends a message on: attached as it was signed, or quoted with its attachments. It is marked as forwarded once that was
// sent. The result is that of Send.
func (c *Client) Forward(ctx context.Context, p ForwardParams) (*SendResult, error) {
	return c.answer(ctx, p.SendParams, p.Message, "$Forwarded", func(ctx context.Context, w *writing, r *judged, m located) (Letter, error) {
		c.sayUnproven(r)
		start := r.message.Forward(nil)
		w.policy = func(chosen smime.HCP) smime.HCP { return r.message.Forward(chosen).Policy }
		l := Letter{From: ownRecipient(r.message, w.account.Addresses), Subject: visibleWords(fieldText(start, "Subject"))}
		if p.Inline {
			return l, w.forwardInline(ctx, &l, r, m)
		}
		if r.message.Encryption() == smime.StatusDecrypted && !r.verdict.Bound() {
			// As with what is quoted: see smime.Message.Quotation.
			question := "Nothing shows that the sender knew what is in this encrypted message: it may have been taken from somebody else's mail. Send it on, decrypted?"
			if err := p.agreed(question); err != nil {
				return l, err
			}
		}
		return l, w.forwardAttached(ctx, &l, r, m)
	})
}

// agreed asks a person; where there is nobody to ask, the answer is no.
func (p SendParams) agreed(question string) error {
	yes := false
	var err error
	if p.Anyway != nil {
		yes, err = p.Anyway(question)
	}
	if err == nil && !yes {
		err = &Error{Kind: No, Err: errors.New(strings.TrimSuffix(question, "?") + ": not agreed to; nothing was done"), Hint: "--yes agrees to it"}
	}
	return err
}

// answer is what Reply and Forward have in common; begin makes the letter out of the message.
func (c *Client) answer(ctx context.Context, p SendParams, id ReadParams, flag string, begin func(context.Context, *writing, *judged, located) (Letter, error)) (*SendResult, error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	w := &writing{client: c, account: a, options: p.SendOptions, edit: p.Edit}
	defer w.close()
	var begun Letter
	var original located
	var originalID string
	found := 0
	err = c.eachJudged(ctx, id, func(j *judge, m located, r *judged) error {
		if found++; found > 1 {
			return usage("", fmt.Errorf("%q means more than one message", id.ID), "name one")
		}
		if m.account != "" { // who is answered is often new, and their certificate came with the message
			if err := j.collect(ctx, r, "came with signed mail to "+m.account, true); err != nil {
				return err
			}
		}
		original, originalID, w.sealed = m, outsideID(r), r.message.Encryption() != smime.StatusNone
		begun, err = begin(ctx, w, r, m)
		if changed := m.source.unchanged(); changed != nil {
			return changed
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if w.letter, err = p.letter(Letter{}); err != nil {
		return nil, err
	}
	quoted, written := begun.Body, w.letter.Body
	if w.letter = begun.and(w.letter); quoted != nil && written != nil {
		w.letter.Body = slices.Concat(bytes.TrimRight(written, "\n"), []byte("\n"), quoted)
	}
	result, err := w.send(ctx)
	if err == nil && !w.options.DryRun && original.uid != 0 {
		mark := func(store mailbox.Store) error {
			return store.SetFlags(ctx, original.folder, []mailbox.UID{original.uid}, mailbox.FlagChange{Add: []string{flag}})
		}
		if err := c.atServer(ctx, original, originalID, mark); err != nil {
			c.o.Say(fmt.Sprintf("warning: %s was not marked with %s: %v", original.name(), flag, err))
		}
	}
	return result, err
}

// atServer does something to a message that was read before, if it is the same still: numbers may have changed meanwhile. id is its
// Message-ID; "": it has none.
func (c *Client) atServer(ctx context.Context, m located, id string, do func(mailbox.Store) error) error {
	a, err := c.config.Account(m.account)
	if err != nil {
		return err
	}
	store, err := c.dialStore(ctx, a)
	if err != nil {
		return err
	}
	defer store.Close()
	if id != "" {
		uids, err := store.Find(ctx, m.folder, id)
		if err == nil && !slices.Contains(uids, m.uid) {
			err = mailbox.ErrNotFound
		}
		if err != nil {
			return explainMessage(fmt.Sprint(m.uid), m.folder, err)
		}
	}
	return explainServer(do(store))
}

// outsideID is the Message-ID by which the server knows a message; "": it has none.
func outsideID(r *judged) string { return strings.Trim(r.message.Header.Value("Message-ID"), "<> ") }

// sayUnproven says that nothing shows who wrote a message.
func (c *Client) sayUnproven(r *judged) {
	from := "its sender"
	if sender := displaySenders(r.message.From(r.verdict.Bound())); sender != nil {
		from = *sender
	}
	switch r.verdict.Status {
	case verdict.Passed:
	case verdict.Unsigned:
		c.o.Say("note: the message is not signed: nothing shows that it is from " + from)
	default:
		c.o.Say(fmt.Sprintf("note: the verdict on the message is %s: nothing shows that it is from %s", r.verdict.Status, from))
	}
}

// ownRecipient is the own address that a message went to; "": none of those that it names.
func ownRecipient(m *smime.Message, own []string) string {
	for _, name := range []string{"To", "Cc"} {
		list, _ := m.Addresses(name)
		for _, a := range list {
			if i := slices.IndexFunc(own, func(o string) bool { return smime.SameAddress(o, a.Address) }); i >= 0 {
				return own[i]
			}
		}
	}
	return ""
}

// fieldText is the text of a field of an answer; "": it has none.
func fieldText(start smime.Response, name string) string {
	f, ok := start.Fields.Get(name)
	if !ok {
		return ""
	}
	return f.Text()
}

// attribution is the line above what is quoted.
func attribution(r *judged) string {
	who := "somebody"
	if list, _ := r.message.Addresses("From"); len(list) > 0 && !r.message.FromOutside(r.verdict.Bound()) {
		if who = visibleWords(list[0].Name); who == "" {
			who = visibleWords(list[0].Address)
		}
	}
	if date, err := parseDate(r.message.Field("Date")); err == nil && timeOrNull(date) != nil {
		return fmt.Sprintf("On %s, %s wrote:", date.UTC().Format("2006-01-02 15:04 UTC"), shortText(who))
	}
	return shortText(who) + " wrote:"
}

// redirectedOutside names who of those that an answer goes to is not the sender, but stands in a Reply-To that is not protected;
// "": nobody.
func redirectedOutside(m *smime.Message, to []*mail.Address) string {
	has := func(list []*mail.Address, a *mail.Address) bool {
		return slices.ContainsFunc(list, func(have *mail.Address) bool { return smime.SameAddress(have.Address, a.Address) })
	}
	from, _ := m.Addresses("From")
	replyTo, _ := m.Addresses("Reply-To")
	if _, protected := m.Fields("Reply-To"); protected {
		return ""
	}
	var others []string
	for _, a := range to {
		if has(replyTo, a) && !has(from, a) {
			others = append(others, typedAddress(a))
		}
	}
	return strings.Join(others, ", ")
}

// forwardInline quotes the message below its header, and takes its attachments along.
func (w *writing) forwardInline(ctx context.Context, l *Letter, r *judged, m located) error {
	text, err := r.message.Quotation(r.verdict.Bound(), maxQuoted)
	if err != nil {
		return &Error{Kind: No, What: m.name(), Err: err, Hint: "without --inline the message is attached as it is"}
	}
	var b strings.Builder
	b.WriteString("\n-------- Forwarded message --------\n")
	h := r.header()
	for _, field := range []struct {
		name   string
		values []string
	}{{"From", pointed(h.From)}, {"To", h.To}, {"Cc", h.Cc}, {"Subject", pointed(h.Subject)}} {
		if len(field.values) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", field.name, visibleWords(strings.Join(field.values, ", ")))
		}
	}
	if h.Date != nil {
		b.WriteString("Date: " + h.Date.Format("2006-01-02 15:04:05 UTC") + "\n")
	}
	b.WriteString("\n" + visibleText(strings.TrimRight(text, "\n")) + "\n")
	l.Body = []byte(b.String())
	l.kept, err = w.keepAttachments(ctx, r.message)
	if err != nil {
		return failed(m.name(), err, "")
	}
	return nil
}

func pointed(s *string) []string {
	if s == nil {
		return nil
	}
	return []string{*s}
}

// keepAttachments keeps what is attached to a message, each with a name that is one.
func (w *writing) keepAttachments(ctx context.Context, m *smime.Message) ([]attachment, error) {
	var kept []attachment
	for i := range m.Parts {
		p := &m.Parts[i]
		if !p.Attachment {
			continue
		}
		name, _ := attachmentName(p, i+1)
		if p.Encloses == smime.EnclosesMessage {
			a, err := w.keepMessage(ctx, name, p.Open())
			if err != nil {
				return nil, err
			}
			kept = append(kept, a)
			continue
		}
		s, err := w.keep(ctx, p.Open())
		if err != nil {
			return nil, err
		}
		mediaType := p.Type
		if p.Encloses != "" { // it is passed on as a file: the structure of this message is not changed by it
			mediaType = "application/octet-stream"
		}
		kept = append(kept, keptAttachment(name, mediaType, s))
	}
	return kept, nil
}

// forwardAttached attaches the message: with the signature that it has under its encryption, which others can verify then.
func (w *writing) forwardAttached(ctx context.Context, l *Letter, r *judged, m located) error {
	if isOwnDraft(r.message) {
		// What it says of blind recipients is signed, and would go along.
		return usage(m.name(), errors.New("it is a draft, with what only its author may see"), "`sealmail send --draft` goes on with it, and --inline sends its text on")
	}
	var message io.Reader
	var err error
	whole := io.NewSectionReader(m.source, 0, m.source.Size())
	switch r.message.Encryption() {
	case smime.StatusDecrypted:
		message, err = decryptedMessage(r.message)
	case smime.StatusNone:
		message, err = withoutBlind(whole)
	default:
		w.client.o.Say("note: the message was not opened, and is sent on as it is: only whom it was encrypted to can open it")
		message, err = withoutBlind(whole)
	}
	if err != nil {
		return failed(m.name(), err, "")
	}
	name := visibleWords(r.message.Field("Subject"))
	if name = plainName(name); name == "" {
		name = "message"
	}
	a, err := w.keepMessage(ctx, shorten(guardName(name)+".eml", ""), message)
	if err != nil {
		return failed(m.name(), err, "")
	}
	l.kept = []attachment{a}
	return nil
}
