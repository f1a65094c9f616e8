package client

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/outbox"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// SendParams are the words of `send`.
type SendParams struct {
	To, Cc, Bcc                    []string
	Subject                        string
	Body                           []byte   // nil: none was given
	Attach                         []string // files
	NoEncrypt, NoSign, NoTimestamp bool
	DryRun                         bool
	HeaderConfidentiality          string // baseline, shy or none; empty: the account's
}

// Send signs, timestamps, encrypts and sends a message. What was accepted is in the outbox before anything goes out, so
// that it is neither lost nor doubled. The result is there whenever there is something to tell, also with an error.
func (c *Client) Send(ctx context.Context, p SendParams) (*SendResult, error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	d, err := c.newDraft(a, p)
	if err != nil {
		return nil, err
	}
	if p.NoEncrypt && p.NoSign {
		return nil, usage("send", errors.New("--no-encrypt and --no-sign together leave nothing that protects the message"), "leave out one of them")
	}
	if p.NoEncrypt && p.HeaderConfidentiality != "" {
		return nil, usage("send", errors.New("--header-confidentiality is for what is encrypted, and --no-encrypt leaves nothing hidden"), "leave out one of them")
	}
	confidentiality, err := headerConfidentiality(p.HeaderConfidentiality, a)
	if err != nil {
		return nil, err
	}
	by, err := c.selector(d.Date, true)
	if err != nil {
		return nil, err
	}
	seal := sealing{client: c, account: a, draft: d, protector: smime.HeaderProtector{Scheme: smime.HPClear}}
	if !p.NoSign {
		chosen, known, err := c.signingIdentity(ctx, d.From.Address, by)
		if err != nil {
			return nil, err
		}
		c.sayUnchecked(*chosen)
		seal.identity, seal.known = chosen.Identity, known
	}
	self, err := c.chooseRecipient(ctx, d.From.Address, by.Selector)
	if err != nil {
		return nil, err
	}
	if p.NoEncrypt {
		seal.plan = planClear(d)
	} else if seal.plan, err = c.planEncryption(ctx, d, self, by.Selector); err != nil {
		return nil, err
	}
	if self.Chosen != nil && self.Chosen.Identity != nil {
		seal.encryptTo = self.Chosen.Identity.Chain
	}
	result := &SendResult{MessageID: d.MessageID, Recipients: seal.plan.results}
	if !p.NoEncrypt {
		result.HeaderConfidentiality = orNull(string(confidentiality))
		if seal.protector, err = c.protectSealed(confidentiality, d.From.Address, d.addresses()); err != nil {
			return nil, err
		}
	}
	if err := c.refused("send", seal.plan.refusals, "nothing was sent"); err != nil {
		return result, err
	}
	if p.DryRun {
		result.State = orNull("dry-run")
		fields, err := d.header()
		if err == nil {
			result.Readable, err = readableFields(seal.protector, fields)
		}
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
	if p.NoTimestamp || p.NoSign {
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
	result.State = orNull(string(outcome.State))
	if err != nil {
		return result, explainDelivery(entry.ID, outcome.State, err)
	}
	return result, nil
}

// newDraft checks the words of a message, before anything is signed or sent.
func (c *Client) newDraft(a config.Account, p SendParams) (*draft, error) {
	d := &draft{
		From: &mail.Address{Name: a.DisplayName, Address: a.Address}, Subject: p.Subject, Text: p.Body,
		Date: c.o.Now().Truncate(time.Second),
	}
	for _, group := range []struct {
		flag   string
		values []string
		list   *[]*mail.Address
	}{{"to", p.To, &d.To}, {"cc", p.Cc, &d.Cc}, {"bcc", p.Bcc, &d.Bcc}} {
		list, err := parseAddresses(group.flag, group.values)
		if err != nil {
			return nil, err
		}
		for _, address := range list {
			// Who is named twice gets one message, where it was named first.
			if !slices.ContainsFunc(slices.Concat(d.To, d.Cc, d.Bcc), func(have *mail.Address) bool { return smime.SameAddress(have.Address, address.Address) }) {
				*group.list = append(*group.list, address)
			}
		}
	}
	switch {
	case len(d.To)+len(d.Cc)+len(d.Bcc) == 0:
		return nil, usage("send", errors.New("nobody to send to"), "name somebody with --to, --cc or --bcc")
	case p.Body == nil && len(p.Attach) == 0:
		return nil, usage("send", errors.New("neither text nor attachment"), "--body FILE, or --body - for stdin")
	}
	for _, path := range p.Attach {
		file, err := openAttachment(path)
		if err != nil {
			return nil, err
		}
		d.Attachments = append(d.Attachments, file)
	}
	d.MessageID = newMessageID(d.From)
	if _, err := d.header(); err != nil {
		return nil, usage("send", err, "leave out line breaks and control characters")
	}
	return d, nil
}

// planClear is the plan of a message that is signed only: one for all, blind recipients being in the envelope alone.
func planClear(d *draft) *plan {
	a := audience{}
	p := &plan{}
	for _, to := range d.addresses() {
		a.addresses = append(a.addresses, to)
		p.results = append(p.results, SendRecipientResult{Address: to})
	}
	p.audiences = []audience{a}
	return p
}

// stampFunc gets a token over a signature value; no token means that it goes without.
type stampFunc func(ctx context.Context, signature []byte) (stamped, error)

// sendStamp is how the account's policy has signatures timestamped; nil: not at all.
func (c *Client) sendStamp(urls []string, policy config.TimestampPolicy) (stampFunc, error) {
	if policy == config.TimestampOff {
		return nil, nil
	}
	trust, err := c.onlineStampTrust(nil)
	if err != nil {
		return nil, err
	}
	if !trust.anchored {
		return nil, failed("timestamp", errors.New("no authority is trusted for timestamps"), "`sealmail cert trust ROOT.pem --for tsa`, or go on without: --no-timestamp")
	}
	s, err := c.newStamper(urls, trust)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, signature []byte) (stamped, error) {
		token, err := s.stampBytes(ctx, signature)
		if err != nil && policy == config.TimestampPreferred && ctx.Err() == nil {
			c.o.Say("warning: " + err.Error() + "; sent without a timestamp")
			return stamped{}, nil
		}
		return token, err
	}, nil
}

// sealing is a message on its way from draft to outbox.
type sealing struct {
	client    *Client
	account   config.Account
	draft     *draft
	identity  *certstore.Identity // nil: not signed
	known     revocationValues    // for the identity
	encryptTo []*x509.Certificate // the sender's certificate to be encrypted to, and its issuers; nil: there is none
	plan      *plan
	protector smime.HeaderProtector
	stamp     stampFunc  // nil: no timestamp
	timestamp *time.Time // of the token, once there is one
}

// outboxNote is what the outbox keeps of a message for people.
type outboxNote struct {
	Timestamp  *time.Time            `json:"timestamp"`
	Recipients []SendRecipientResult `json:"recipients"`
}

// accept seals the message for each audience and puts all into the outbox, as one.
func (s *sealing) accept(ctx context.Context) (entry outbox.Entry, box *outbox.Outbox, err error) {
	outer, payload, err := s.payload(ctx)
	if err != nil {
		return entry, nil, err
	}
	defer func() { err = errors.Join(err, payload.Close()) }()
	if box, err = s.client.outbox(); err != nil {
		return entry, nil, err
	}
	note, err := json.Marshal(outboxNote{Timestamp: s.timestamp, Recipients: s.plan.results})
	if err != nil {
		return entry, nil, err
	}
	entry = outbox.Entry{Account: s.account.Name, MessageID: s.draft.MessageID, Created: s.client.o.Now(), Note: note, Copy: &outbox.Copy{Folder: sentFolder}}
	var write []func(io.Writer) error
	for i, a := range s.plan.audiences {
		m := outbox.Message{}
		if len(a.addresses) > 0 {
			m.Envelope = mailbox.Envelope{From: s.draft.From.Address, To: a.addresses}
		} else {
			entry.Copy.Message = i
		}
		entry.Messages = append(entry.Messages, m)
		write = append(write, func(w io.Writer) error { return s.writeMessage(ctx, w, a, outer, payload) })
	}
	entry, err = box.Add(ctx, entry, write)
	if err != nil {
		return entry, nil, failed("outbox", err, "nothing was sent; mend the disk and send again")
	}
	return entry, box, nil
}

func (s *sealing) encrypted() bool { return len(s.plan.audiences[0].recipients) > 0 }

// clockAheadError is that a message was dated later than its timestamp.
type clockAheadError struct{ proven time.Time }

func (e *clockAheadError) Error() string {
	return "the message is dated later than its timestamp, " + e.proven.UTC().Format(time.RFC3339)
}

// clocksDiffer says that what was dated by one timestamp is later than the next one.
func clocksDiffer(err error) error {
	return failed("timestamp", err, "the authorities' clocks differ, or go backwards: name one authority in the account")
}

// payload is what is common to all audiences, in a spool. Where a timestamp shows that the clock is ahead, the message is
// dated by the timestamp, and signed and stamped again: mail is never older than it says.
func (s *sealing) payload(ctx context.Context) (entity.Header, *spool.Spool, error) {
	for again := false; ; again = true {
		payload := spool.New(s.client.spoolOptions())
		outer, err := s.writePayload(ctx, payload)
		if err == nil {
			return outer, payload, nil
		}
		err = errors.Join(err, payload.Close())
		ahead, ok := errors.AsType[*clockAheadError](err)
		switch {
		case !ok:
			return nil, nil, err
		case again && s.account.Timestamp == config.TimestampPreferred:
			s.client.o.Say("warning: " + clocksDiffer(ahead).Error() + "; sent without a timestamp")
			s.stamp = nil
			continue
		case again: // it was dated by this authority, or by the one before it
			return nil, nil, clocksDiffer(err)
		}
		s.draft.Date = ahead.proven.Truncate(time.Second)
	}
}

// writePayload writes what is common to all audiences: the entity with its protected header fields, signed.
func (s *sealing) writePayload(ctx context.Context, dst io.Writer) (outer entity.Header, err error) {
	fields, err := s.draft.header()
	if err != nil {
		return nil, err
	}
	body, w := io.Pipe()
	composed := make(chan struct{})
	go func() {
		defer close(composed)
		w.CloseWithError(s.draft.writeEntity(ctx, w))
	}()
	defer func() {
		body.Close()
		<-composed
	}()
	payload, outer, err := s.protector.Protect(body, fields)
	if err != nil {
		return nil, failed("send", err, "")
	}
	if s.identity == nil {
		if _, err := io.Copy(dst, payload); err != nil {
			return nil, storeError(err)
		}
		return outer, nil
	}
	key, err := s.identity.Signer()
	if err != nil {
		return nil, storeError(err)
	}
	o := smime.SignOptions{SigningTime: s.draft.Date, Capabilities: cms.OwnCapabilities(), EncryptTo: s.encryptTo, RevocationValues: s.known.values}
	if s.stamp != nil {
		o.Timestamp = s.stamped
	}
	if err := smime.Sign(ctx, dst, payload, smime.Signer{Key: key, Chain: s.identity.Chain}, o); err != nil {
		return nil, storeError(err)
	}
	return outer, nil
}

// stamped gets the token for a signature.
func (s *sealing) stamped(ctx context.Context, signature []byte) ([]byte, error) {
	token, err := s.stamp(ctx, signature)
	if err != nil || token.result == nil {
		return nil, err
	}
	if token.result.Time.Before(s.draft.Date) {
		return nil, &clockAheadError{token.result.Time}
	}
	s.timestamp = orNull(token.result.Time.UTC())
	return token.token, nil
}

// writeMessage writes the whole message for one audience.
func (s *sealing) writeMessage(ctx context.Context, w io.Writer, a audience, outer entity.Header, payload *spool.Spool) error {
	if err := smime.WriteOuterHeader(w, outer); err != nil {
		return err
	}
	if !s.encrypted() {
		_, err := io.Copy(w, contextReader{ctx, payload.Section()})
		return err
	}
	return smime.Encrypt(ctx, w, payload.Section(), a.recipients, smime.EncryptOptions{Cipher: a.cipher.Cipher})
}

// explainDelivery says where a message is that could not be handed over, or not be copied.
func explainDelivery(id string, state outbox.State, err error) error {
	why := err
	hint := ""
	if known, ok := errors.AsType[*Error](explainServer(err)); ok {
		why, hint = known.Err, known.Hint
	}
	if hint != "" {
		hint += "; "
	}
	switch state {
	case outbox.Uncertain:
		return failed("send", fmt.Errorf("the line died before the server's answer: whether message %s is under way is not known: %w", id, why),
			"ask the recipient; then `sealmail outbox drop "+id+"`, or `sealmail outbox flush --resend-uncertain`")
	case outbox.Sent:
		return failed("send", fmt.Errorf("the message was sent, and there is no copy in %s: %w", sentFolder, why), hint+"`sealmail outbox flush` tries again to make the copy")
	}
	return failed("send", why, hint+"the message waits in the outbox: `sealmail outbox flush` tries again, `sealmail outbox drop "+id+"` gives it up")
}
