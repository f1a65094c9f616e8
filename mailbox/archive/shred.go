package archive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Why says why something is destroyed, and who does it. The archive keeps it, in a statement.
type Why struct {
	Reason, By string
}

// Shredded says what was destroyed.
type Shredded struct {
	Messages  NumberSet // whose keys were shredded; those that had been before are not among them
	Statement int       // the number of the one that says so; 0: nothing was destroyed
	// Forget are the names of what the Keeper still has to forget, so that no older copy of the archive opens with it. Who is
	// interrupted before that finds them again with Writer.Stale.
	Forget []string
}

// Shred destroys messages: their octets, their records, and the keys that were kept to open them. What stays is what proves that
// there was something, in a segment that is as good as before: which UIDs of which folders were archived, commitments that say
// nothing without their salt, and certificates that came with the segment's messages. All that was asked for is destroyed, or
// nothing: the error is a *RefusedError where a hold or a retention covers a message, or where others have the same octets
// and were not asked for, because they would be destroyed unasked, or what is said to be destroyed would still be there.
//
// It is destroyed when the head has moved, and for older copies of the archive when the Keeper has forgotten the names that are
// returned. Older copies open for ever to the owners of recovery certificates. Where there is an error and a result, it was destroyed,
// and its old keys could not be removed: the next Writer does that.
func (w *Writer) Shred(ctx context.Context, numbers NumberSet, why Why) (*Shredded, error) {
	d, err := w.newDestruction(ctx, numbers.first(), numbers.last())
	if err != nil {
		return nil, err
	}
	roots := map[Number]bool{} // messages whose octets are to go
	err = w.a.eachKeys(ctx, numbers.first(), numbers.last(), func(k *segmentKeys) error {
		for _, m := range k.Messages {
			if m.gone() || !numbers.Has(m.Number) {
				continue
			}
			roots[m.root()] = true
			if err := d.add(ctx, m.Number); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := d.sharing(ctx, roots); err != nil {
		return nil, err
	}
	return d.run(ctx, StatementShredded, why, func(m *messageKeys) bool {
		m.Octets, m.Record, m.Content = nil, nil, nil
		return true
	})
}

// ShredContentKeys destroys those of the kept content keys that match tells, by the message and by what a ContentKey names its
// recipient with: what goes with the key of a person. The messages stay, as they came, and can be proven; nobody opens them any
// more who has no other key to them. Holds, retentions and errors are as with Shred.
func (w *Writer) ShredContentKeys(ctx context.Context, why Why, match func(n Number, recipient [sha256.Size]byte) bool) (*Shredded, error) {
	d, err := w.newDestruction(ctx, 1, w.a.Messages())
	if err != nil {
		return nil, err
	}
	matches := func(n Number, k contentKey) bool {
		return len(k.Recipient) == sha256.Size && match(n, [sha256.Size]byte(k.Recipient))
	}
	err = w.a.eachKeys(ctx, 1, w.a.Messages(), func(k *segmentKeys) error {
		for _, m := range k.Messages {
			if !slices.ContainsFunc(m.Content, func(k contentKey) bool { return matches(m.Number, k) }) {
				continue
			}
			if err := d.add(ctx, m.Number); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d.run(ctx, StatementContentKeysShredded, why, func(m *messageKeys) bool {
		before := len(m.Content)
		m.Content = slices.DeleteFunc(m.Content, func(k contentKey) bool { return matches(m.Number, k) })
		return len(m.Content) < before
	})
}

// Stale returns which of these names of the Keeper are of keys that were replaced when something was shredded, and are still to
// be forgotten. A name that is not known is never among them, nor is one that a later head might speak of.
func (w *Writer) Stale(names []string) (stale []string) {
	for _, name := range names {
		rest, found := strings.CutPrefix(name, "archive:"+w.a.description.ID+":")
		if !found {
			continue
		}
		segment, generation, ok := keysOf(keyFolder + "/" + rest)
		if present, there := w.a.head.generation(segment); ok && there && generation < present {
			stale = append(stale, name)
		}
	}
	return stale
}

// shareable makes sure that a message that another one is to be a duplicate of was not shredded.
func (w *Writer) shareable(ctx context.Context, n Number) error {
	if n == 0 {
		return nil
	}
	if w.shredded == nil {
		w.shredded = []*Statement{}
		for s, err := range w.a.Statements(ctx) {
			if err != nil {
				w.shredded = nil
				return err
			}
			if s.Kind == StatementShredded {
				w.shredded = append(w.shredded, s)
			}
		}
	}
	for _, s := range w.shredded {
		if s.Scope.Messages.Has(n) {
			return &ShreddedError{Number: n, At: s.Time}
		}
	}
	return nil
}

// destruction is what is about to be destroyed, and what speaks against it.
type destruction struct {
	w        *Writer
	policy   *Policy
	now      time.Time
	messages NumberSet
	refusals []Refusal
}

// newDestruction begins one of messages between two.
func (w *Writer) newDestruction(ctx context.Context, first, last Number) (*destruction, error) {
	switch {
	case w.segment != nil:
		return nil, ErrUnsealed
	case last > w.a.Messages():
		return nil, fmt.Errorf("message %d: %w", last, ErrMissing)
	case first < 1 && last > 0:
		return nil, fmt.Errorf("message %d: %w", first, ErrMissing)
	}
	policy, err := w.a.Policy(ctx)
	if err != nil {
		return nil, err
	}
	return &destruction{w: w, policy: policy, now: w.a.o.Now().UTC().Truncate(time.Second)}, nil
}

// add takes in a message, and what was said about it.
func (d *destruction) add(ctx context.Context, n Number) error {
	d.messages.Add(n)
	holds, err := d.policy.HeldBy(ctx, n)
	if err != nil {
		return err
	}
	retained, ok, err := d.policy.Retained(ctx, n)
	if err != nil {
		return err
	}
	r := Refusal{Number: n, Holds: holds}
	if ok && !retained.Over(d.now) {
		r.Retained = &retained
	}
	if len(r.Holds) > 0 || r.Retained != nil {
		d.refusals = append(d.refusals, r)
	}
	return nil
}

// sharing looks for messages that would lose their octets as well, or would keep them. roots are those whose octets are to go.
func (d *destruction) sharing(ctx context.Context, roots map[Number]bool) error {
	first := Number(0)
	for root := range roots {
		if first == 0 || root < first {
			first = root
		}
	}
	stay := map[Number]NumberSet{} // by the message that has the octets
	err := d.w.a.eachKeys(ctx, first, maxNumber, func(k *segmentKeys) error {
		for _, m := range k.Messages {
			if root := m.root(); roots[root] && !m.gone() && !d.messages.Has(m.Number) {
				set := stay[root]
				set.Add(m.Number)
				stay[root] = set
			}
		}
		return nil
	})
	if err != nil || len(stay) == 0 {
		return err
	}
	return d.w.a.eachKeys(ctx, d.messages.first(), d.messages.last(), func(k *segmentKeys) error {
		for _, m := range k.Messages {
			if set, shares := stay[m.root()]; shares && d.messages.Has(m.Number) {
				d.shares(m.Number, set)
			}
		}
		return nil
	})
}

// shares notes that others have the octets of a message.
func (d *destruction) shares(n Number, others NumberSet) {
	i, found := slices.BinarySearchFunc(d.refusals, n, func(r Refusal, n Number) int { return cmp.Compare(r.Number, n) })
	if !found {
		d.refusals = slices.Insert(d.refusals, i, Refusal{Number: n})
	}
	d.refusals[i].Shares = others
}

// run destroys, unless something speaks against it: drop takes out of the keys of a message what is to go, and reports whether
// there was anything.
func (d *destruction) run(ctx context.Context, kind StatementKind, why Why, drop func(m *messageKeys) bool) (*Shredded, error) {
	if len(d.refusals) > 0 {
		return nil, &RefusedError{d.refusals}
	}
	if d.messages.Len() == 0 {
		return &Shredded{}, nil
	}
	w, result := d.w, &Shredded{Messages: d.messages}
	var old []string
	err := w.change(ctx, func(h *Head) error {
		err := w.a.eachKeys(ctx, d.messages.first(), d.messages.last(), func(k *segmentKeys) error {
			dropped := false
			for i := range k.Messages {
				if m := &k.Messages[i]; d.messages.Has(m.Number) && drop(m) {
					m.Shredded, dropped = &d.now, true
				}
			}
			if !dropped {
				return nil
			}
			old = append(old, keysName(k.Segment, k.Generation))
			result.Forget = append(result.Forget, keyName(k.Archive, k.Segment, k.Generation))
			return w.reseal(ctx, h, k)
		})
		if err != nil {
			return err
		}
		s := &Statement{Kind: kind, Reason: why.Reason, By: why.By, Scope: Scope{Messages: d.messages}}
		err = w.say(ctx, h, s)
		result.Statement = s.Number
		return err
	})
	if err != nil {
		return nil, err
	}
	w.shredded = nil // there is one more
	for _, name := range old {
		err = errors.Join(err, w.a.storage.Remove(context.WithoutCancel(ctx), name))
	}
	return result, err
}

// reseal seals the keys of a segment again, as their next generation under a key of its own, and has the head speak of that one
// alone.
func (w *Writer) reseal(ctx context.Context, h *Head, k *segmentKeys) error {
	h.drop(keysName(k.Segment, k.Generation))
	k.Generation++
	segmentKey := newKey()
	defer clear(segmentKey)
	if err := w.a.o.Keeper.Keep(ctx, keyName(k.Archive, k.Segment, k.Generation), segmentKey); err != nil {
		return err
	}
	sealed, err := k.seal(ctx, w.a, segmentKey)
	if err != nil {
		return err
	}
	return w.make(ctx, h, keysName(k.Segment, k.Generation), sealed)
}
