package archive

import (
	"context"
	"crypto/sha512"
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

// Forge signs another head, as only who has the archiving key can.
func (a *Archive) Forge(ctx context.Context, signer Signer, change func(h *Head)) error {
	h := a.head.clone()
	change(h)
	return a.moveHead(ctx, h, signer)
}

// List has the head speak of an object with this content; nil: of none of this name.
func (h *Head) List(name string, content []byte) {
	if content != nil {
		h.put(ObjectSum{name, sha512.Sum512(content)})
		return
	}
	for i, o := range h.Objects {
		if o.Name == name {
			h.Objects = append(h.Objects[:i:i], h.Objects[i+1:]...)
			return
		}
	}
}

// SignSegment signs a segment's ZIP file.
func SignSegment(ctx context.Context, signer Signer, content []byte, segment int) ([]byte, error) {
	sum := sha512.Sum512(content)
	return signer.sign(ctx, sumLine(sum[:], segment), true, signer.Chain[0].NotBefore)
}
