package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/outbox"
)

// sentFolder is where the sender's copies go.
const sentFolder = "Sent"

func (c *Client) outbox() (*outbox.Outbox, error) {
	box, err := outbox.Open(c.o.Disk, c.o.Home.Outbox())
	if err != nil {
		return nil, failed("outbox", err, "make the folder "+c.o.Home.Outbox()+" writable")
	}
	return box, nil
}

// deliver brings one message of the outbox as far as it can, over connections of its own.
func (c *Client) deliver(ctx context.Context, box *outbox.Outbox, id string, a config.Account, o outbox.DeliverOptions) (result outbox.Result, err error) {
	var submitter mailbox.Submitter
	var store mailbox.Store
	defer func() {
		if submitter != nil {
			err = errors.Join(err, submitter.Close())
		}
		if store != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	return box.Deliver(ctx, id, outbox.Ports{
		Submitter: func(ctx context.Context) (_ mailbox.Submitter, err error) {
			submitter, err = c.dialSubmitter(ctx, a)
			return submitter, err
		},
		Store: func(ctx context.Context) (_ mailbox.Store, err error) {
			store, err = c.dialStore(ctx, a)
			return store, err
		},
	}, o)
}

// OutboxList lists what is waiting, oldest first.
func (c *Client) OutboxList(context.Context) ([]OutboxLine, error) {
	box, err := c.outbox()
	if err != nil {
		return nil, err
	}
	entries, err := box.List()
	lines := []OutboxLine{}
	for _, e := range entries {
		lines = append(lines, outboxLine(e))
	}
	if err != nil {
		return lines, failed("outbox", err, "what cannot be read can only be dropped")
	}
	return lines, nil
}

func outboxLine(e outbox.Entry) OutboxLine {
	line := OutboxLine{ID: e.ID, Account: e.Account, MessageID: e.MessageID, Created: e.Created.UTC(), State: string(e.State()), To: []string{}}
	for _, m := range e.Messages {
		if m.State != outbox.Sent {
			line.To = append(line.To, m.Envelope.To...)
		}
		line.Attempts = max(line.Attempts, m.Attempts)
		if m.Error != "" {
			line.Error = orNull(m.Error)
		}
	}
	return line
}

// OutboxFlush tries again to send what is queued, and, where a person said so, what is uncertain. It returns what still
// waits, and an error where anything does.
func (c *Client) OutboxFlush(ctx context.Context, resendUncertain bool) ([]OutboxLine, error) {
	box, err := c.outbox()
	if err != nil {
		return nil, err
	}
	entries, listErr := box.List()
	var waiting []OutboxLine
	var firstErr error
	for _, e := range entries {
		if ctx.Err() != nil {
			return waiting, ctx.Err()
		}
		a, err := c.config.Account(e.Account)
		if err == nil {
			var result outbox.Result
			result, err = c.deliver(ctx, box, e.ID, a, outbox.DeliverOptions{ResendUncertain: resendUncertain, Now: c.o.Now()})
			if len(result.Entry.Messages) > 0 {
				e = result.Entry
			}
		}
		if err != nil && firstErr == nil {
			firstErr = explainDelivery(e.ID, e.State(), err)
		}
		if err != nil || e.State() != outbox.Sent {
			waiting = append(waiting, outboxLine(e))
		}
	}
	switch {
	case firstErr != nil:
		return waiting, firstErr
	case listErr != nil:
		return waiting, failed("outbox", listErr, "what cannot be read can only be dropped")
	case len(waiting) > 0:
		return waiting, failed("outbox", fmt.Errorf("the fate of %d message(s) is not known", len(waiting)),
			"ask the recipients; then `sealmail outbox drop ID`, or `sealmail outbox flush --resend-uncertain`")
	}
	return waiting, nil
}

// OutboxDrop gives up a message.
func (c *Client) OutboxDrop(ctx context.Context, id string) error {
	box, err := c.outbox()
	if err != nil {
		return err
	}
	err = box.Drop(ctx, id)
	if errors.Is(err, outbox.ErrNotFound) {
		return usage("outbox drop", err, "`sealmail outbox list` shows what there is")
	}
	if err != nil {
		return failed("outbox drop", err, "try again when nothing else is delivering it")
	}
	return nil
}
