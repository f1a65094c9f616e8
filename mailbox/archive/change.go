package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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

// notBehind looks whether the head is older than newer keys of a segment that are there. Who shreds lets go of the present ones, and
// of their segment key, after the head has moved: where they are gone, it had.
func (w *Writer) notBehind(ctx context.Context, names []string, name string) error {
	segment, generation, ok := keysOf(name)
	present, there := w.a.head.generation(segment)
	if !ok || !there || generation < present {
		return nil
	}
	if !slices.Contains(names, keysName(segment, present)) {
		return fmt.Errorf("%s: %w", name, ErrRolledBack)
	}
	if len(w.a.o.Recovery) > 0 {
		return nil // whoever lost the segment keys opens with these
	}
	k, err := w.a.o.Keeper.Key(ctx, keyName(w.a.description.ID, segment, present))
	clear(k)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, ErrRolledBack)
	}
	return err
}

// takeInStatement makes the statement behind the last one part of the archive, if it is among these objects, and is good, and
// returns those that are left. That something was shredded is said together with what shreds it, and is never taken in alone.
func (w *Writer) takeInStatement(ctx context.Context, left []string) ([]string, error) {
	number := w.a.head.Statements + 1
	name := statementName(number)
	if !slices.Contains(left, name) {
		return left, nil
	}
	sum, _, err := hashObject(ctx, w.a.storage, name, nil)
	if err != nil {
		return nil, err
	}
	h := w.a.head.clone()
	h.Statements = number
	h.put(ObjectSum{name, sum})
	beside := &Archive{storage: w.a.storage, o: w.a.o, description: w.a.description, head: h}
	s, err := beside.statement(ctx, number)
	for _, bad := range []error{ErrAltered, ErrTooLarge, ErrSealed, ErrSignature, ErrStatement} {
		if errors.Is(err, bad) {
			return left, nil
		}
	}
	if err != nil {
		return nil, err
	}
	switch s.Kind {
	case StatementHold, StatementRelease, StatementRetain:
	case StatementShredded, StatementContentKeysShredded:
		return left, nil
	default:
		return nil, fmt.Errorf("%s: %q: %w", name, s.Kind, ErrVersion)
	}
	if len(w.o.Signer.Chain) == 0 || !s.Signer.Equal(w.o.Signer.Chain[0]) {
		// It may have been part of the archive already, before the head was put back.
		return nil, fmt.Errorf("%s: signed with another certificate: %w", name, ErrRolledBack)
	}
	if err := w.a.moveHead(ctx, h, w.o.Signer); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(left, func(n string) bool { return n == name }), nil
}
