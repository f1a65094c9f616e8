package archive

import "context"

// SayForged makes a statement as State does, with what is altered in it just before it is signed, and as another object.
func (w *Writer) SayForged(ctx context.Context, s Statement, archive string, number int, previous []byte) error {
	return w.change(ctx, func(h *Head) error {
		t := statementText{Statement: s, archive: archive, previous: w.a.previousStatement(h, h.Statements+1)}
		t.Number = number
		copy(t.previous[:], previous)
		signed, err := w.o.Signer.sign(ctx, t.text(), false, w.a.o.Now())
		if err != nil {
			return err
		}
		return w.seal(ctx, h, h.Statements+1, signed)
	})
}

// SaySealed makes an object of a statement out of what is in it.
func (w *Writer) SaySealed(ctx context.Context, signed []byte) error {
	return w.change(ctx, func(h *Head) error { return w.seal(ctx, h, h.Statements+1, signed) })
}
