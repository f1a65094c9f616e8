package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox/outbox"
	"github.com/sealmail/sealmail/smime"
)

// SendParams are the words of `send`.
type SendParams struct {
	Letter
	SendOptions
	Template []byte // nil: none; what the letter says is added to it, or counts in its place
	Edit     Editor // nil: nobody is asked
	// Draft is a draft to go on with, where ID is not "". Folder is that of drafts, where it is "".
	Draft ReadParams
	// Anyway is asked where something may be unwise; nil is no.
	Anyway func(question string) (bool, error)
}

// letter is the one that flags and template make together, beginning with another.
func (p SendParams) letter(begun Letter) (Letter, error) {
	if p.Template == nil {
		return begun.and(p.Letter), nil
	}
	t, err := parseTemplate(p.Template, begun.kept)
	if err != nil {
		return t, err
	}
	if len(t.Body) == 0 {
		t.Body = nil // a header alone
	}
	return begun.and(t).and(p.Letter), nil
}

// SendOptions say how a message is protected on its way.
type SendOptions struct {
	NoEncrypt, NoSign, NoTimestamp bool
	DryRun                         bool
	HeaderConfidentiality          string // baseline, shy or none; empty: the account's
}

// check refuses options that exclude each other.
func (o SendOptions) check() error {
	switch {
	case o.NoEncrypt && o.NoSign:
		return usage("send", errors.New("--no-encrypt and --no-sign together leave nothing that protects the message"), "leave out one of them")
	case o.NoEncrypt && o.HeaderConfidentiality != "":
		return usage("send", errors.New("--header-confidentiality is for what is encrypted, and --no-encrypt leaves nothing hidden"), "leave out one of them")
	}
	return nil
}

// Send signs, timestamps, encrypts and sends a message. What was accepted is in the outbox before anything goes out, so
// that it is neither lost nor doubled. The result is there whenever there is something to tell, also with an error.
func (c *Client) Send(ctx context.Context, p SendParams) (*SendResult, error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	w := &writing{client: c, account: a, options: p.SendOptions, edit: p.Edit}
	defer w.close()
	if p.Draft.ID != "" {
		return c.sendDraft(ctx, w, p)
	}
	if w.letter, err = p.letter(Letter{}); err != nil {
		return nil, err
	}
	return w.send(ctx)
}

// deliverDraft is the one way from a draft that was checked to the outbox and out: see Send.
func (c *Client) deliverDraft(ctx context.Context, a config.Account, d *draft, o SendOptions) (*SendResult, error) {
	seal, result, err := c.prepare(ctx, a, d, o)
	if err != nil || o.DryRun {
		return result, err
	}
	if err := c.warnOfExpiry(a); err != nil {
		return result, err
	}
	seal.plan.brief()
	for _, r := range result.Recipients {
		if r.Notice != nil {
			c.o.Say("note: " + *r.Notice)
		}
	}
	timestamp := a.Timestamp
	if o.NoTimestamp || o.NoSign {
		timestamp = config.TimestampOff
	}
	if seal.stamp, err = c.sendStamp(a.TSA, timestamp); err != nil {
		return result, err
	}
	entry, box, err := seal.accept(ctx)
	if err != nil {
		return result, err
	}
	result.Timestamp, result.Revocation = seal.timestamp, seal.known.signer
	if err := c.certificates().MarkUsed(c.o.Now(), seal.plan.used()...); err != nil {
		c.o.Say("warning: " + err.Error()) // the message is accepted all the same
	}
	outcome, err := c.deliver(ctx, box, entry.ID, a, outbox.DeliverOptions{Now: c.o.Now()})
	if len(outcome.Entry.Messages) > 0 {
		entry = outcome.Entry
	}
	result.State = orNull(string(entry.State()))
	if err != nil {
		result.noteDelivery(entry)
		return result, explainDelivery(entry, err)
	}
	return result, nil
}

// prepare finds who signs a draft and how it is encrypted to whom. Nothing goes out, and nothing is written. In a dry run the
// result is the whole answer.
func (c *Client) prepare(ctx context.Context, a config.Account, d *draft, o SendOptions) (*sealing, *SendResult, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	confidentiality, err := headerConfidentiality(o.HeaderConfidentiality, a)
	if err != nil {
		return nil, nil, err
	}
	by, err := c.selector(d.Date, true)
	if err != nil {
		return nil, nil, err
	}
	seal := &sealing{client: c, account: a, draft: d, protector: smime.HeaderProtector{Scheme: smime.HPClear}}
	if !o.NoSign {
		chosen, known, err := c.signingIdentity(ctx, d.From.Address, by)
		if err != nil {
			return nil, nil, err
		}
		c.sayUnchecked(*chosen)
		seal.identity, seal.known = chosen.Identity, known
	}
	self, err := c.chooseRecipient(ctx, d.From.Address, by.Selector)
	if err != nil {
		return nil, nil, err
	}
	if o.NoEncrypt {
		seal.plan = planClear(d)
	} else if seal.plan, err = c.planEncryption(ctx, d, self, by.Selector); err != nil {
		return nil, nil, err
	}
	if self.Chosen != nil && self.Chosen.Identity != nil {
		seal.encryptTo = self.Chosen.Identity.Chain
	}
	result := &SendResult{MessageID: d.MessageID, Recipients: seal.plan.results}
	if o.DryRun {
		result.Draft = d.report()
	}
	if !o.NoEncrypt {
		result.HeaderConfidentiality = orNull(string(confidentiality))
		if seal.protector, err = c.protectSealed(confidentiality, d.From.Address, d.addresses()); err != nil {
			return nil, nil, err
		}
		if d.policy != nil {
			seal.protector.Policy = d.policy(seal.protector.Policy)
		}
	}
	if err := c.refused("send", seal.plan.refusals, "nothing was sent"); err != nil {
		return seal, result, err
	}
	if o.DryRun {
		result.State = orNull("dry-run")
		fields, err := d.header()
		if err == nil {
			result.Readable, err = readableFields(seal.protector, fields)
		}
		return seal, result, err
	}
	return seal, result, nil
}

// explainDelivery says where a message is that could not be handed over, or not be copied.
func explainDelivery(e outbox.Entry, err error) error {
	why := err
	hint := ""
	if known, ok := errors.AsType[*Error](explainServer(err)); ok {
		why, hint = known.Err, known.Hint
	}
	if hint != "" {
		hint += "; "
	}
	drop := "`sealmail outbox drop " + e.ID + "`"
	switch e.State() {
	case outbox.Uncertain:
		return failed("send", fmt.Errorf("the line died before the server's answer: whether message %s is under way is not known: %w", e.ID, why),
			"ask the recipient; then "+drop+", or `sealmail outbox flush --resend-uncertain`")
	case outbox.Sent:
		return failed("send", fmt.Errorf("the message was sent, and there is no copy in %s: %w", e.Copy.Folder, why), hint+"`sealmail outbox flush` tries again to make the copy")
	case outbox.Refused:
		if sent := sentTo(e); len(sent) > 0 {
			why = fmt.Errorf("sent to %s alone: %w", strings.Join(sent, ", "), why)
		}
		return failed("send", why, hint+refusedHint(e.ID))
	}
	return failed("send", why, hint+"the message waits in the outbox: `sealmail outbox flush` tries again, "+drop+" gives it up")
}

// noteDelivery notes with each recipient why the message did not go out to them.
func (r *SendResult) noteDelivery(e outbox.Entry) {
	for _, m := range e.Messages {
		if m.State == outbox.Sent {
			continue
		}
		for i := range r.Recipients {
			if to := r.Recipients[i].Address; slices.Contains(m.Envelope.To, to) {
				r.Recipients[i].Error = orNull(refusedRecipient(m, to))
			}
		}
	}
}

// sentTo are the recipients for whom the server has taken a message.
func sentTo(e outbox.Entry) (list []string) {
	for _, m := range e.Messages {
		if m.State == outbox.Sent {
			list = append(list, m.Envelope.To...)
		}
	}
	return list
}
