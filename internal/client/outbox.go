package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/outbox"
)

// sentFolder is where the sender's copies go where neither the account nor the server names a folder for them.
const sentFolder = "Sent"

// sentCopy is the sender's copy of a message: into the folder that the account names, else the one that the server marks
// for it (RFC 6154), else sentFolder.
func sentCopy(a config.Account) *outbox.Copy {
	if a.Folders.Sent != "" {
		return &outbox.Copy{Folder: a.Folders.Sent}
	}
	return &outbox.Copy{Folder: sentFolder, Use: `\Sent`}
}

func (c *Client) outbox() (*outbox.Outbox, error) {
	box, err := outbox.Open(c.o.Disk, c.o.Home.Outbox())
	if err != nil {
		return nil, failed("outbox", err, "make the folder "+c.o.Home.Outbox()+" writable")
	}
	return box, nil
}

// deliver brings one message of the outbox as far as it can, over connections of its own.
func (c *Client) deliver(ctx context.Context, box *outbox.Outbox, id string, a config.Account, o outbox.DeliverOptions) (outbox.Result, error) {
	co := c.newCourier(box)
	defer co.close()
	return co.deliver(ctx, id, a, o)
}

// courier delivers messages of the outbox, all of an account over one connection to each of its servers. A server that
// cannot be reached is not asked again.
type courier struct {
	client  *Client
	box     *outbox.Outbox
	servers map[string]*courierServers // by account
}

// courierServers are the connections of one account, and why there are none.
type courierServers struct {
	submitter            mailbox.Submitter
	store                mailbox.Store
	noSubmitter, noStore error
}

func (c *Client) newCourier(box *outbox.Outbox) *courier {
	return &courier{client: c, box: box, servers: map[string]*courierServers{}}
}

// deliver brings one message as far as it can.
func (co *courier) deliver(ctx context.Context, id string, a config.Account, o outbox.DeliverOptions) (outbox.Result, error) {
	s := co.servers[a.Name]
	if s == nil {
		s = &courierServers{}
		co.servers[a.Name] = s
	}
	result, err := co.box.Deliver(ctx, id, outbox.Ports{
		Submitter: func(ctx context.Context) (mailbox.Submitter, error) {
			if s.submitter == nil && s.noSubmitter == nil {
				if s.submitter, s.noSubmitter = co.client.dialSubmitter(ctx, a); s.noSubmitter == nil {
					s.submitter = tellingSubmitter{s.submitter, co.client}
				}
			}
			return s.submitter, s.noSubmitter
		},
		Store: func(ctx context.Context) (mailbox.Store, error) {
			if s.store == nil && s.noStore == nil {
				if s.store, s.noStore = co.client.dialStore(ctx, a); s.noStore == nil {
					s.store = tellingStore{s.store, co.client}
				}
			}
			return s.store, s.noStore
		},
	}, o)
	// The next message would meet the same. A line that was lost is made anew once.
	if lost, ok := errors.AsType[*mailbox.ConnectError](err); ok && lost.Reason != mailbox.ReasonLost {
		switch lost.Endpoint {
		case a.SMTP:
			s.noSubmitter = err
		case a.IMAP:
			s.noStore = err
		}
	}
	return result, err
}

// close ends the connections; what was told of messages does not depend on how they end.
func (co *courier) close() {
	for _, s := range co.servers {
		if s.submitter != nil {
			_ = s.submitter.Close()
		}
		if s.store != nil {
			_ = s.store.Close()
		}
	}
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
	line := OutboxLine{
		ID: e.ID, Account: e.Account, MessageID: e.MessageID, Created: e.Created.UTC(), State: string(e.State()), To: []string{},
		Recipients: []OutboxRecipient{},
	}
	for _, m := range e.Messages {
		if m.State != outbox.Sent {
			line.To = append(line.To, m.Envelope.To...)
		}
		line.Attempts = max(line.Attempts, m.Attempts)
		if m.Error != "" {
			line.Error = orNull(m.Error)
		}
		for _, to := range m.Envelope.To {
			line.Recipients = append(line.Recipients, OutboxRecipient{Address: to, State: string(m.State), Error: orNull(refusedRecipient(m, to))})
		}
	}
	if state := e.State(); !e.NextAttempt.IsZero() && (state == outbox.Queued || state == outbox.Sent) {
		line.NextAttempt = orNull(e.NextAttempt.UTC())
	}
	return line
}

// refusedRecipient says how a recipient of a message was refused at the last attempt, or why the message is not sent to
// anybody; empty: neither, what failed is the way to the server.
func refusedRecipient(m outbox.Message, address string) string {
	for _, r := range m.Refusals {
		if r.Recipient == address || r.Recipient == "" {
			e := mailbox.RefusedError{Recipient: r.Recipient, Code: r.Code, EnhancedCode: r.EnhancedCode, Text: r.Text, Permanent: r.Permanent}
			return e.Error()
		}
	}
	switch {
	case len(m.Refusals) > 0:
		return "not sent, as others were refused"
	case m.State == outbox.Refused:
		return m.Error
	}
	return ""
}

// FlushParams are the words of `outbox flush`: what to send again that is not sent again by itself.
type FlushParams struct {
	ResendUncertain, RetryRefused bool
}

// OutboxFlush tries now to send what is queued, whenever its turn were, and what a person said of the rest. It returns
// what still waits, and an error where anything does.
func (c *Client) OutboxFlush(ctx context.Context, p FlushParams) ([]OutboxLine, error) {
	box, err := c.outbox()
	if err != nil {
		return nil, err
	}
	entries, listErr := box.List()
	o := outbox.DeliverOptions{ResendUncertain: p.ResendUncertain, RetryRefused: p.RetryRefused, Now: c.o.Now()}
	run, err := c.deliverAll(ctx, box, entries, o, func() bool { return true })
	var waiting []OutboxLine
	states := map[outbox.State]int{}
	for _, e := range run.waiting {
		waiting = append(waiting, outboxLine(e))
		states[e.State()]++
	}
	switch {
	case err != nil:
		return waiting, err
	case run.err != nil:
		return waiting, run.err
	case listErr != nil:
		return waiting, failed("outbox", listErr, "what cannot be read can only be dropped")
	case states[outbox.Uncertain] > 0:
		return waiting, failed("outbox", fmt.Errorf("the fate of %d message(s) is not known", states[outbox.Uncertain]),
			"ask the recipients; then `sealmail outbox drop ID`, or `sealmail outbox flush --resend-uncertain`")
	case len(waiting) > 0:
		return waiting, failed("outbox", fmt.Errorf("%d message(s) were refused for good: %s", states[outbox.Refused], firstRefusal(run.waiting)), refusedHint("ID"))
	}
	return waiting, nil
}

// firstRefusal says why the first message that is refused is so.
func firstRefusal(entries []outbox.Entry) string {
	for _, e := range entries {
		for _, m := range e.Messages {
			if m.State == outbox.Refused {
				return m.Error
			}
		}
	}
	return ""
}

// refusedHint says what to do about a message that was refused for good.
func refusedHint(id string) string {
	return "`sealmail outbox drop " + id + "`, and send again without that address; or, where the server takes it by now, `sealmail outbox flush --retry-refused`"
}

// outboxRun is what became of several messages of the outbox.
type outboxRun struct {
	sent    int            // messages that are at their end
	waiting []outbox.Entry // those that are not
	err     error          // of the first that could not be delivered, for a person
}

// deliverAll delivers entries, one after the other, as long as more says so. The error is that of the context.
func (c *Client) deliverAll(ctx context.Context, box *outbox.Outbox, entries []outbox.Entry, o outbox.DeliverOptions, more func() bool) (run outboxRun, err error) {
	co := c.newCourier(box)
	defer co.close()
	for _, e := range entries {
		if ctx.Err() != nil || !more() {
			return run, ctx.Err()
		}
		a, err := c.config.Account(e.Account)
		if err == nil {
			var result outbox.Result
			result, err = co.deliver(ctx, e.ID, a, o)
			if errors.Is(err, outbox.ErrNotFound) {
				continue // another process has delivered it meanwhile, or dropped it
			}
			if len(result.Entry.Messages) > 0 {
				e = result.Entry
			}
		}
		if err != nil && run.err == nil {
			run.err = explainDelivery(e, err)
		}
		if err != nil || e.State() != outbox.Sent {
			run.waiting = append(run.waiting, e)
		} else {
			run.sent++
		}
	}
	return run, nil
}

// dueFor is for how long messages of the outbox whose time has come are begun beside another command. Each step of one is
// bounded by itself.
const dueFor = 30 * time.Second

// OutboxDue sends what is due in the outbox, if the servers were reached in what was done before: mail that had to wait goes
// out as soon as somebody is online again. It says in a line what came of it, and is never a reason to fail.
func (c *Client) OutboxDue(ctx context.Context) {
	if !c.online.Load() || ctx.Err() != nil {
		return
	}
	box, err := c.outbox()
	if err != nil {
		return // `outbox list` and doctor say it
	}
	now := c.o.Now()
	entries, _ := box.List()
	due := slices.DeleteFunc(entries, func(e outbox.Entry) bool { return !e.Due(now) })
	if len(due) == 0 {
		return
	}
	run, _ := c.deliverAll(ctx, box, due, outbox.DeliverOptions{Now: now}, func() bool { return c.o.Now().Sub(now) < dueFor })
	switch {
	case run.err != nil && !errors.Is(run.err, outbox.ErrBusy):
		c.o.Say(fmt.Sprintf("note: of the outbox %d message(s) were sent, and %d wait: %v; `sealmail outbox list` shows them", run.sent, len(run.waiting), run.err))
	case run.sent > 0:
		c.o.Say(fmt.Sprintf("note: %d message(s) that waited in the outbox were sent", run.sent))
	}
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
