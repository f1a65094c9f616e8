package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
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
	entry = outbox.Entry{Account: s.account.Name, MessageID: s.draft.MessageID, Created: s.client.o.Now(), Note: note, Copy: sentCopy(s.account)}
	var write []func(io.Writer) error
	for i, a := range s.plan.audiences {
		m := outbox.Message{}
		if len(a.addresses) > 0 {
			m.Envelope = mailbox.Envelope{From: cmp.Or(s.draft.returnPath, s.draft.From.Address), To: a.addresses, UTF8: beyondASCII(outer)}
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
		w.CloseWithError(s.draft.content.writeEntity(ctx, w))
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
