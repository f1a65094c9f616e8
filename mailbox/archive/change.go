package archive

import (
	"context"
	"errors"
)

// change lets f make objects, and then moves the head, which f has changed to speak of them. When f fails, what it made is removed
// again. Where that fails, or the head cannot be moved, it is not known what stands, and nothing more is changed by this
// writer: the next one finds out.
func (w *Writer) change(ctx context.Context, f func(h *Head) error) error {
	if w.failed != nil {
		return w.failed
	}
	h := w.a.head.clone()
	if err := f(h); err != nil {
		return errors.Join(err, w.undo(ctx, h))
	}
	w.failed = ErrUnfinished
	if err := w.a.moveHead(ctx, h, w.o.Signer); err != nil {
		return err
	}
	w.failed = nil
	return nil
}

// make makes an object, and has the head speak of it. Where that fails, there is none: also where it came to be, and might not
// last.
func (w *Writer) make(ctx context.Context, h *Head, name string, data []byte) error {
	err := w.put(ctx, h, name, data)
	if err != nil && !w.a.head.has(name) {
		if left := w.a.storage.Remove(context.WithoutCancel(ctx), name); left != nil {
			w.failed = ErrUnfinished
			err = errors.Join(err, left)
		}
	}
	return err
}

// undo removes the objects that a head speaks of which came to nothing.
func (w *Writer) undo(ctx context.Context, h *Head) error {
	ctx = context.WithoutCancel(ctx)
	for _, o := range h.Objects {
		if w.a.head.has(o.Name) {
			continue
		}
		if err := w.a.storage.Remove(ctx, o.Name); err != nil {
			w.failed = ErrUnfinished
			return err
		}
	}
	return nil
}
