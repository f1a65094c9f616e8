package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
)

// Doctor looks at everything an account needs, one thing after the other.
func (c *Client) Doctor(ctx context.Context) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		d := doctor{client: c, yield: yield, now: c.o.Now()}
		d.examine(ctx)
	}
}

type doctor struct {
	client  *Client
	yield   func(Finding) bool
	now     time.Time
	stopped bool
}

func (d *doctor) say(check string, status FindingStatus, detail, hint string) {
	if !d.stopped {
		d.stopped = !d.yield(Finding{Check: check, Status: status, Detail: detail, Hint: orNull(hint)})
	}
}

// bad reports an error, with the hint that it brings along.
func (d *doctor) bad(check string, err error, hint string) {
	var known *Error
	if errors.As(err, &known) && known.Hint != "" {
		hint = known.Hint
	}
	d.say(check, FindingBad, err.Error(), hint)
}

func (d *doctor) examine(ctx context.Context) {
	c := d.client
	a, err := c.account()
	if err != nil {
		d.bad("configuration", err, "set up an account with `sealmail init ADDRESS`")
		return
	}
	d.say("configuration", FindingGood, fmt.Sprintf("account %s in %s", a.Name, c.config.Path), "")
	v, err := c.openVault(ctx, false)
	switch {
	case err != nil:
		d.bad("vault", err, "")
	case !v.Protected():
		d.say("vault", FindingWarning, "it has no passphrase: who reads the disk reads the keys", "`sealmail vault passwd` gives it one")
	default:
		d.say("vault", FindingGood, "it opens with the passphrase", "")
	}
	d.anchors()
	d.identities(ctx, a)
	d.outbox()
	d.servers(ctx, a)
	d.authorities(ctx, a)
}

func (d *doctor) anchors() {
	for _, purpose := range []certstore.Purpose{certstore.Mail, certstore.TimeStamping} {
		check := "anchors " + string(purpose)
		anchors, err := d.client.anchors(purpose)
		switch {
		case err != nil:
			d.bad(check, err, "")
		case len(anchors) == 0:
			hint := "`sealmail cert trust ROOT.pem --for " + string(purpose) + "`"
			if purpose == certstore.Mail {
				hint += ", or `sealmail cert trust --system` for the roots that come with NSS"
			}
			d.say(check, FindingWarning, "none: nothing can be judged by them", hint)
		default:
			d.say(check, FindingGood, fmt.Sprintf("%d", len(anchors)), "")
		}
		for _, anchor := range anchors {
			if anchor.NotAfter.Before(d.now) {
				d.say(check, FindingWarning, fmt.Sprintf("%s expired on %s", certstore.Describe(anchor).Name, anchor.NotAfter.UTC().Format(time.DateOnly)), "get the new one from its owner")
			}
		}
	}
}

// identities checks that there is a certificate to sign with and one to be written to, with their keys.
func (d *doctor) identities(ctx context.Context, a config.Account) {
	by, err := d.client.selector(d.now, true)
	if err != nil {
		return // said already
	}
	store := d.client.certificates()
	for _, use := range []struct {
		check  string
		choose func(context.Context, string, certstore.Selector) (certstore.Selection, error)
	}{{"signing", store.SigningIdentity}, {"encryption", store.Recipient}} {
		s, err := use.choose(ctx, a.Address, by.Selector)
		switch {
		case err != nil:
			d.bad(use.check, err, "")
		case s.Chosen == nil || s.Chosen.Identity == nil:
			d.say(use.check, FindingBad, refusal(s), ownHint(s))
		default:
			d.identity(use.check, s.Chosen)
		}
	}
}

func (d *doctor) identity(check string, c *certstore.Candidate) {
	detail := fmt.Sprintf("certificate %.16s… from %s, valid to %s", certstore.Fingerprint(c.Certificate), certstore.IssuerName(c.Certificate), c.Certificate.NotAfter.UTC().Format(time.DateOnly))
	if _, err := c.Identity.PrivateKey(); err != nil {
		d.bad(check, err, "")
		return
	}
	switch {
	case expiresSoon(c.Certificate.NotAfter, d.now) != "":
		d.say(check, FindingWarning, detail+"; it "+expiresSoon(c.Certificate.NotAfter, d.now), fmt.Sprintf("`sealmail cert renew %.8s` asks for the next one", certstore.Fingerprint(c.Certificate)))
	case c.Unchecked != "":
		d.say(check, FindingWarning, detail+"; "+c.Unchecked, "others may not be able to find out either; tell the authority")
	case c.Reason != "":
		d.say(check, FindingWarning, detail+"; "+c.Reason, "others may not trust it either; `sealmail cert trust ROOT.pem --for mail` if you do")
	default:
		d.say(check, FindingGood, detail, "")
	}
}

func (d *doctor) outbox() {
	box, err := d.client.outbox()
	if err != nil {
		d.bad("outbox", err, "")
		return
	}
	entries, err := box.List()
	switch {
	case err != nil:
		d.bad("outbox", err, "`sealmail outbox drop ID` gives up what cannot be read")
	case len(entries) > 0:
		d.say("outbox", FindingWarning, fmt.Sprintf("%d message(s) wait", len(entries)), "`sealmail outbox list`, then `sealmail outbox flush`")
	default:
		d.say("outbox", FindingGood, "empty", "")
	}
}

func (d *doctor) servers(ctx context.Context, a config.Account) {
	if store, err := d.client.dialStore(ctx, a); err != nil {
		d.bad("imap", err, "")
	} else {
		d.say("imap", FindingGood, a.IMAP.String()+" answers and takes the password", "")
		if err := store.Close(); err != nil {
			d.bad("imap", err, "")
		}
	}
	if submitter, err := d.client.dialSubmitter(ctx, a); err != nil {
		d.bad("smtp", err, "")
	} else {
		d.say("smtp", FindingGood, a.SMTP.String()+" answers and takes the password", "")
		if err := submitter.Close(); err != nil {
			d.bad("smtp", err, "")
		}
	}
}

// authorities asks each timestamp authority for a token, and checks it.
func (d *doctor) authorities(ctx context.Context, a config.Account) {
	if a.Timestamp == config.TimestampOff {
		d.say("timestamp", FindingWarning, "mail is sent without a trusted timestamp", "name an authority in the account: tsa = [\"https://…\"], timestamp = \"required\"")
		return
	}
	trust, err := d.client.onlineStampTrust(nil)
	if err != nil {
		d.bad("timestamp", err, "")
		return
	}
	for _, u := range a.TSA {
		s, err := d.client.newStamper([]string{u}, trust)
		if err != nil {
			d.bad("timestamp", err, "")
			continue
		}
		s.say, s.required = func(string) {}, true // what it says is found here, and there is no going on without
		token, err := s.stampBytes(ctx, []byte("sealmail doctor"))
		if err != nil {
			d.bad("timestamp", err, "")
			continue
		}
		if token.clockOff != 0 {
			d.say("timestamp", FindingWarning, token.clockWords(), "set the clock")
			continue
		}
		d.say("timestamp", FindingGood, certstore.Describe(token.result.Authority).Name+" answers, and the clocks agree", "")
	}
}
