package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// Add accepts a mail: when it returns nil, the mail is in the outbox and will stay there until it is sent or dropped.
// There is one function of write for each message; it writes the message's octets, and its error refuses the mail. ID,
// states and sizes of e are set here and returned; what e said of them does not count.
//
// After an error the mail is not in the outbox. Only where the disk failed at the last step, and refused to undo it,
// the mail may be there all the same; the error tells.
func (o *Outbox) Add(ctx context.Context, e Entry, write []func(w io.Writer) error) (Entry, error) {
	added, err := o.add(ctx, e, write)
	if err != nil {
		return Entry{}, fmt.Errorf("outbox: %w", err)
	}
	return added, nil
}

func (o *Outbox) add(ctx context.Context, e Entry, write []func(w io.Writer) error) (_ Entry, err error) {
	if len(write) != len(e.Messages) {
		return Entry{}, fmt.Errorf("%w: %d messages, %d writers", ErrInvalid, len(e.Messages), len(write))
	}
	leave, err := o.enter(ctx)
	if err != nil {
		return Entry{}, err
	}
	defer leave()
	e.ID = newID(e.Created)
	e.Messages = slices.Clone(e.Messages)
	e.Failures, e.NextAttempt = 0, time.Time{}
	if e.Copy != nil {
		e.Copy = &Copy{Folder: e.Copy.Folder, Use: e.Copy.Use, Message: e.Copy.Message}
	}
	fresh := filepath.Join(o.dir, newPrefix+e.ID)
	if err := o.disk.MkdirAll(fresh, 0o700); err != nil {
		return Entry{}, err
	}
	accepted := false
	defer func() {
		if !accepted {
			// What remains was never accepted, and the next Open removes it.
			_ = o.disk.RemoveAll(fresh)
		}
	}()
	for i, w := range write {
		m := &e.Messages[i]
		*m = Message{Envelope: m.Envelope, State: Queued}
		if len(m.Envelope.To) == 0 {
			m.State = Sent
		}
		if m.Size, err = o.writeMessage(ctx, filepath.Join(fresh, messageFile(i)), w); err != nil {
			return Entry{}, err
		}
	}
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	data, err := encode(e)
	if err != nil {
		return Entry{}, err
	}
	if err := o.disk.WriteFile(filepath.Join(fresh, entryFile), data, 0o600); err != nil {
		return Entry{}, err
	}
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	if err := o.disk.Rename(fresh, o.path(e.ID)); err != nil {
		return Entry{}, errors.Join(err, o.retract(e.ID))
	}
	accepted = true
	return e, nil
}

// retract undoes an acceptance that failed half-way: the folder may have its name already, without being certain to
// keep it.
func (o *Outbox) retract(id string) error {
	err := o.remove(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s may have been accepted all the same: %w", id, err)
	}
	return nil
}

// writeMessage makes one message durable and returns its size.
func (o *Outbox) writeMessage(ctx context.Context, path string, write func(w io.Writer) error) (int64, error) {
	f, err := o.disk.Create(path, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close() // aborts, unless committed
	w := &countingWriter{ctx: ctx, w: f}
	if err := write(w); err != nil {
		return 0, err
	}
	return w.n, f.Commit()
}

// countingWriter counts octets, and ends when its context does.
type countingWriter struct {
	ctx context.Context
	w   io.Writer
	n   int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
