package archive

import (
	"context"
	"encoding/json"
)

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
		return w.sealStatement(ctx, h, h.Statements+1, signed)
	})
}

// SaySealed makes an object of a statement out of what is in it.
func (w *Writer) SaySealed(ctx context.Context, signed []byte) error {
	return w.change(ctx, func(h *Head) error { return w.sealStatement(ctx, h, h.Statements+1, signed) })
}

// KeysText returns the keys of a message as they are kept: a JSON value.
func (a *Archive) KeysText(ctx context.Context, n Number) (string, error) {
	s, err := a.SegmentOf(ctx, n)
	if err != nil {
		return "", err
	}
	k, err := a.keys(ctx, a.head, s.Number)
	if err != nil {
		return "", err
	}
	m, _ := k.of(n)
	text, err := json.Marshal(m)
	return string(text), err
}
