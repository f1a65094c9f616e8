package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// ErrWitness says that an archive is not what has become of the one that a witness is the head of: it was put back, or is
// another one.
var ErrWitness = errors.New("the archive does not continue what the witness is of")

// CheckWitness holds the archive against an older head of it that was kept elsewhere: what [Archive.Head] returned then. All that the
// older head speaks of must be there still, and be the same; keys may be later ones. The error wraps ErrWitness, or ErrSignature or
// another one where the witness itself is no head.
func (a *Archive) CheckWitness(ctx context.Context, raw []byte) error {
	older, _, err := openHead(ctx, raw)
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	var first error
	a.head.continues(a.raw, older, raw, func(object, reason string) {
		if first == nil {
			first = fmt.Errorf("%s: %w: %s", object, ErrWitness, reason)
		}
	})
	return first
}

// continues tells differs in what a head is not what can have become of an older one.
func (h *Head) continues(raw []byte, older *Head, olderRaw []byte, differs func(object, reason string)) {
	switch {
	case h.Archive != older.Archive:
		differs(headName, fmt.Sprintf("the witness is of the archive %s", older.Archive))
		return
	case h.Sequence < older.Sequence:
		differs(headName, fmt.Sprintf("it is number %d, and the witness number %d: the archive was put back", h.Sequence, older.Sequence))
	case h.Sequence == older.Sequence && !bytes.Equal(raw, olderRaw):
		differs(headName, fmt.Sprintf("it is another one than the witness, and both are number %d", h.Sequence))
	}
	for _, count := range []struct {
		what     string
		now, was int64
	}{
		{"messages", h.Messages, older.Messages}, {"segments", int64(h.Segments), int64(older.Segments)},
		{"statements", int64(h.Statements), int64(older.Statements)}, {"renewals", int64(h.Renewals), int64(older.Renewals)},
	} {
		if count.now < count.was {
			differs(headName, fmt.Sprintf("it has %d %s, and the witness %d", count.now, count.what, count.was))
		}
	}
	for _, o := range older.Objects {
		segment, generation, isKeys := keysOf(o.Name)
		now, has := h.Sum(o.Name)
		switch {
		case has && now == o.SHA512:
		case has:
			differs(o.Name, "it is another one than that of the witness")
		case isKeys:
			if later, _ := h.generation(segment); later <= generation {
				differs(o.Name, "the witness has these keys, and no later ones are there")
			}
		default:
			differs(o.Name, "the witness has it, and it is there no more")
		}
	}
}

// witness holds the head that is there against the witness.
func (v *verification) witness(ctx context.Context) error {
	if v.v.Witness == nil || v.signed == nil {
		v.summary.WitnessChecked = false
		return nil
	}
	older, _, err := openHead(ctx, v.v.Witness)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	var failed error
	v.a.head.continues(v.a.raw, older, v.v.Witness, func(object, reason string) {
		if segment, _ := segmentOf(object); failed == nil {
			failed = v.found(Finding{Severity: Damage, Code: RolledBack, Object: object, Segment: segment, Reason: reason})
		}
	})
	return failed
}
