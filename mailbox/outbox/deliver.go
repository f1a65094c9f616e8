package outbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
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
	// RetryRefused tries again what was refused for good: the server, or one's standing with it, may have changed.
	RetryRefused bool
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
	version   int // in which it lay on the disk
	ports     Ports
	options   DeliverOptions
	submitter mailbox.Submitter
	postponed bool // in this run
	begun     bool // the copy is marked as begun by this run, and nothing of it is appended
}

// Deliver brings one entry as far as it can, due or not: it submits each message that is queued, puts the copy into its
// folder once a message is sent or may have been, and removes the entry when all is done. What was taken is never sent
// again, whatever becomes of the entry's other messages.
//
// An error says what is still to be done, and Result what is done already: with State Sent and an error the mail is
// sent, and only its copy, or the end of the entry, is outstanding. Errors wrap ErrNotFound, ErrBusy, ErrDamaged, and
// those of the Submitter and the Store. A message that was left alone, being uncertain or refused, is no error.
func (o *Outbox) Deliver(ctx context.Context, id string, p Ports, options DeliverOptions) (Result, error) {
	release, err := o.lock(ctx, id)
	if err != nil {
		return Result{}, fmt.Errorf("outbox: %w", err)
	}
	defer release()
	e, version, err := loadVersion(o.path(id), id)
	if err != nil {
		return Result{}, fmt.Errorf("outbox: %w", err)
	}
	d := &delivery{Outbox: o, entry: e, version: version, ports: p, options: options}
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
	_, refused := errors.AsType[*mailbox.RefusedError](err)
	return refused || cannotBeSent(err)
}

// cannotBeSent tells errors that concern a message as it is, and that no other attempt will be without.
func cannotBeSent(err error) bool {
	_, tooLarge := errors.AsType[*mailbox.TooLargeError](err)
	_, unsupported := errors.AsType[*mailbox.UnsupportedError](err)
	return tooLarge || unsupported || errors.Is(err, mailbox.ErrAddress) || errors.Is(err, mailbox.ErrNotCanonical)
}

// submit sends one message, unless that was done, or cannot be done without asking.
func (d *delivery) submit(ctx context.Context, i int) error {
	m := &d.entry.Messages[i]
	before := m.State
	if before == Sent || before == Uncertain && !d.options.ResendUncertain || before == Refused && !d.options.RetryRefused {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.send(ctx, i)
	m.Refusals = refusalsOf(err)
	_, uncertain := errors.AsType[*mailbox.UncertainError](err)
	switch {
	case err == nil:
		m.State, m.Error = Sent, ""
	case m.State == Uncertain && uncertain:
		m.Error = errorText(err)
	default:
		// Not sent by this attempt. What an earlier one did remains as unknown as it was.
		m.State, m.Error = stateAfter(before, err), errorText(err)
		d.postpone(ctx)
	}
	if err == nil && d.entry.State() == Sent && !d.entry.copyOpen() {
		return nil // the end of the entry, which is next, says that; a kill before it is as one before a record of it
	}
	begun := d.beginCopy()
	if saveErr := d.save(d.entry); saveErr != nil {
		if begun {
			d.begun, d.entry.Copy.Started = false, false
		}
		// The disk says uncertain if the final dot was reached, and its former state if not: both are true as far as
		// it can be known from the disk.
		return errors.Join(err, fmt.Errorf("message %d is %s, which could not be recorded: %w", i, m.State, saveErr))
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", i, err)
	}
	return nil
}

// beginCopy marks the copy as begun, where it is open, for the next write of the entry to say so before the first octet:
// whoever comes after a kill must look before he appends again. In this run nothing is appended yet, and there is nothing
// to look for.
func (d *delivery) beginCopy() bool {
	if !d.entry.copyOpen() || d.entry.Copy.Started {
		return false
	}
	d.begun, d.entry.Copy.Started = true, true
	return true
}

// stateAfter is the state of a message that an attempt has certainly not sent.
func stateAfter(before State, err error) State {
	switch {
	case before == Uncertain || !aboutMessage(err):
		return before
	case cannotBeSent(err) || !mailbox.Temporary(err):
		return Refused
	}
	return Queued
}

// refusalsOf are the refusals in an error, at most one of each recipient.
func refusalsOf(err error) []Refusal {
	var list []*mailbox.RefusedError
	if all, ok := errors.AsType[*mailbox.RefusedRecipientsError](err); ok {
		list = all.Recipients
	} else if one, ok := errors.AsType[*mailbox.RefusedError](err); ok {
		list = append(list, one)
	}
	var out []Refusal
	for _, r := range list {
		out = append(out, Refusal{Recipient: r.Recipient, Code: r.Code, EnhancedCode: r.EnhancedCode, Text: errorText(errors.New(r.Text)), Permanent: r.Permanent})
	}
	return out
}

// postpone puts off the next attempt, once in a run. That somebody broke off the run says nothing against the next.
func (d *delivery) postpone(ctx context.Context) {
	if !d.postponed && ctx.Err() == nil {
		d.postponed = true
		d.entry.postpone(d.options.Now)
	}
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
		if err := d.mark(i); err != nil {
			m.State = before // the final dot is not sent
			return fmt.Errorf("not sent, as its state could not be recorded: %w", err)
		}
		return nil
	})
}

// mark makes durable that a message comes to its final dot now. A program that knows no marks must not take the entry for one
// that is queued: where it could, all of the entry is written.
func (d *delivery) mark(i int) error {
	if d.version < entryVersion {
		return d.save(d.entry)
	}
	return d.disk.WriteFiles([]safeio.NewFile{{Path: filepath.Join(d.path(d.entry.ID), markFile(i, d.entry.Messages[i].Attempts)), Perm: 0o600}})
}

// copy puts the sender's copy into its folder, once: as soon as a message is sent, or may have been.
func (d *delivery) copy(ctx context.Context) error {
	c := d.entry.Copy
	if !d.entry.copyOpen() {
		return nil
	}
	err := ctx.Err()
	if err == nil {
		err = d.append(ctx, c)
	}
	if err != nil {
		d.postpone(ctx)
		return errors.Join(fmt.Errorf("copy in %s: %w", c.Folder, err), d.save(d.entry))
	}
	c.Done = true
	if d.entry.State() == Sent {
		return nil // the end of the entry says that; a kill before it leaves a copy that is begun, and is found
	}
	if err := d.save(d.entry); err != nil {
		return fmt.Errorf("copy in %s is made, which could not be recorded: %w", c.Folder, err)
	}
	return nil
}

func (d *delivery) append(ctx context.Context, c *Copy) error {
	store, err := d.ports.Store(ctx)
	if err != nil {
		return err
	}
	moved, err := settle(ctx, store, c)
	if err != nil {
		return err
	}
	switch {
	case c.Started && !d.begun:
		found, err := store.Find(ctx, c.Folder, d.entry.MessageID)
		if err != nil && !errors.Is(err, mailbox.ErrNoFolder) {
			return err
		}
		if len(found) > 0 {
			return nil
		}
	case d.beginCopy() || moved:
		if err := d.save(d.entry); err != nil {
			d.begun, c.Started = false, false // on the disk it may be, which costs a look only
			return fmt.Errorf("not made, as its state could not be recorded: %w", err)
		}
	}
	file, err := d.open(d.entry, c.Message)
	if err != nil {
		return err
	}
	defer file.Close()
	d.begun = false
	_, err = store.Append(ctx, c.Folder, mailbox.NewMessage{
		Flags: []string{`\Seen`}, Date: d.entry.Created, Size: d.entry.Messages[c.Message].Size, Body: file,
	})
	return err
}

// settle finds the folder for the copy, where its use says which. It reports whether that is another than the entry says.
func settle(ctx context.Context, store mailbox.Store, c *Copy) (moved bool, err error) {
	if c.Use == "" {
		return false, nil
	}
	folders, err := store.Folders(ctx)
	if err != nil {
		return false, err
	}
	before := c.Folder
	if name, ok := mailbox.SpecialFolder(folders, c.Use); ok {
		c.Folder = name
	}
	c.Use = ""
	return c.Folder != before, nil
}
