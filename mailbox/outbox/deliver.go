package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// Ports lead to the servers. Each function is called when it is needed first, at most once in a Deliver; the caller
// closes what it returned, and may return the same to several calls.
type Ports struct {
	Submitter func(ctx context.Context) (mailbox.Submitter, error)
	Store     func(ctx context.Context) (mailbox.Store, error)
}

// DeliverOptions say how to deliver.
type DeliverOptions struct {
	// ResendUncertain sends messages again of which it is not known whether they were sent. Their recipients may get
	// them twice.
	ResendUncertain bool
	// Now is the time of the attempt.
	Now time.Time
}

// Result is what became of an entry.
type Result struct {
	// Entry is its last state; it may be out of the outbox already.
	Entry Entry
	// State of the entry as a whole.
	State State
}

// delivery is one run of Deliver.
type delivery struct {
	*Outbox
	entry     Entry
	ports     Ports
	options   DeliverOptions
	submitter mailbox.Submitter
}

// Deliver brings one entry as far as it can: it submits each message that is queued, puts the copy into its folder once
// a message is sent or may have been, and removes the entry when all is done.
//
// An error says what is still to be done, and Result what is done already: with State Sent and an error the mail is
// sent, and only its copy, or the end of the entry, is outstanding. Errors wrap ErrNotFound, ErrBusy, ErrDamaged, and
// those of the Submitter and the Store. An uncertain message that was left alone is no error.
func (o *Outbox) Deliver(ctx context.Context, id string, p Ports, options DeliverOptions) (Result, error) {
	release, err := o.lock(ctx, id)
	if err != nil {
		return Result{}, fmt.Errorf("outbox: %w", err)
	}
	defer release()
	e, err := load(o.path(id), id)
	if err != nil {
		return Result{}, fmt.Errorf("outbox: %w", err)
	}
	d := &delivery{Outbox: o, entry: e, ports: p, options: options}
	if err := d.run(ctx); err != nil {
		err = fmt.Errorf("outbox: %s: %w", id, err)
		return Result{d.entry, d.entry.State()}, err
	}
	return Result{d.entry, d.entry.State()}, nil
}

func (d *delivery) run(ctx context.Context) error {
	var errs []error
	for i := range d.entry.Messages {
		err := d.submit(ctx, i)
		errs = append(errs, err)
		if err != nil && !aboutMessage(err) {
			break // the next one would meet the same
		}
	}
	errs = append(errs, d.copy(ctx))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if d.entry.State() != Sent {
		return nil
	}
	return d.remove(d.entry.ID)
}

// aboutMessage tells errors that concern one message or its recipients from those that concern the way to the server.
func aboutMessage(err error) bool {
	var (
		refused     *mailbox.RefusedError
		tooLarge    *mailbox.TooLargeError
		unsupported *mailbox.UnsupportedError
	)
	return errors.As(err, &refused) || errors.As(err, &tooLarge) || errors.As(err, &unsupported) ||
		errors.Is(err, mailbox.ErrAddress) || errors.Is(err, mailbox.ErrNotCanonical)
}

// submit sends one message, unless that was done, or cannot be done without asking.
func (d *delivery) submit(ctx context.Context, i int) error {
	m := &d.entry.Messages[i]
	before := m.State
	if before == Sent || before == Uncertain && !d.options.ResendUncertain {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.send(ctx, i)
	var uncertain *mailbox.UncertainError
	switch {
	case err == nil:
		m.State, m.Error = Sent, ""
	case m.State == Uncertain && errors.As(err, &uncertain):
		m.Error = errorText(err)
	default:
		// Not sent by this attempt. What an earlier one did remains as unknown as it was.
		m.State, m.Error = before, errorText(err)
	}
	if saveErr := d.save(d.entry); saveErr != nil {
		// The disk says uncertain if the final dot was reached, and its former state if not: both are true as far as
		// it can be known from the disk.
		return errors.Join(err, fmt.Errorf("message %d is %s, which could not be recorded: %w", i, m.State, saveErr))
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", i, err)
	}
	return nil
}

// send submits a message once. When it returns, State is Uncertain if and only if the last moment was passed at which
// it was certain that nothing is sent.
func (d *delivery) send(ctx context.Context, i int) error {
	m := &d.entry.Messages[i]
	m.Attempts++
	m.LastAttempt = d.options.Now
	before := m.State
	file, err := d.open(d.entry, i)
	if err != nil {
		return err
	}
	defer file.Close()
	if d.submitter == nil {
		if d.submitter, err = d.ports.Submitter(ctx); err != nil {
			return err
		}
	}
	return d.submitter.Submit(ctx, m.Envelope, m.Size, file, func() error {
		m.State = Uncertain
		if err := d.save(d.entry); err != nil {
			m.State = before // the final dot is not sent
			return fmt.Errorf("not sent, as its state could not be recorded: %w", err)
		}
		return nil
	})
}

// copy puts the sender's copy into its folder, once: as soon as a message is sent, or may have been. So what went out is
// on record, also where a person decides later to drop what is uncertain.
func (d *delivery) copy(ctx context.Context) error {
	c := d.entry.Copy
	if c == nil || c.Done || !d.wentOut() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.append(ctx, c); err != nil {
		return fmt.Errorf("copy in %s: %w", c.Folder, err)
	}
	c.Done = true
	if err := d.save(d.entry); err != nil {
		return fmt.Errorf("copy in %s is made, which could not be recorded: %w", c.Folder, err)
	}
	return nil
}

// wentOut tells whether any message was sent, or may have been.
func (d *delivery) wentOut() bool {
	for _, m := range d.entry.Messages {
		if len(m.Envelope.To) > 0 && m.State != Queued {
			return true
		}
	}
	return false
}

func (d *delivery) append(ctx context.Context, c *Copy) error {
	store, err := d.ports.Store(ctx)
	if err != nil {
		return err
	}
	if c.Started {
		found, err := store.Find(ctx, c.Folder, d.entry.MessageID)
		if err != nil && !errors.Is(err, mailbox.ErrNoFolder) {
			return err
		}
		if len(found) > 0 {
			return nil
		}
	} else {
		// Before the first octet: whoever comes after a kill must look before he appends again.
		c.Started = true
		if err := d.save(d.entry); err != nil {
			c.Started = false
			return fmt.Errorf("not made, as its state could not be recorded: %w", err)
		}
	}
	file, err := d.open(d.entry, c.Message)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = store.Append(ctx, c.Folder, mailbox.NewMessage{
		Flags: []string{`\Seen`}, Date: d.entry.Created, Size: d.entry.Messages[c.Message].Size, Body: file,
	})
	return err
}
