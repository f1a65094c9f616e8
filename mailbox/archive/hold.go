package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Hold is a hold that was not released: nothing in its scope may be destroyed.
type Hold struct {
	Name      string
	Reason    string
	By        string
	Scope     Scope
	Since     time.Time // as the archiver's clock had it
	Statement int       // its number
}

// Retention says for how long nothing in its scope may be destroyed, from the proven time of each message's segment. Nobody can
// take it back or make it shorter: of several that cover a message the longest counts.
type Retention struct {
	Name      string
	Reason    string
	By        string
	Scope     Scope
	Period    Period
	Since     time.Time // as the archiver's clock had it
	Statement int       // its number
}

// Retained says until when a message must be kept.
type Retained struct {
	Retention             // the one that lasts longest; the first, where it has not begun to run
	From, Until time.Time // From is the time that is proven of the message's segment; zero, both: nothing is proven yet
}

// Over reports whether the retention is over at a time.
func (r Retained) Over(at time.Time) bool { return !r.From.IsZero() && !at.Before(r.Until) }

// Policy is what the statements of an archive say about what may be destroyed.
type Policy struct {
	a          *Archive
	holds      []Hold
	retentions []Retention

	contents *Contents // of the segment that was last asked about
	segment  int       // whose proven time was last asked for
	proven   time.Time
}

// Policy reads all statements. It is good until the next one is made. The error is one of Statements, or wraps ErrVersion where
// there is a kind of statement that is not known: it may forbid what the known ones do not.
func (a *Archive) Policy(ctx context.Context) (*Policy, error) {
	p := &Policy{a: a}
	for s, err := range a.Statements(ctx) {
		if err != nil {
			return nil, err
		}
		switch s.Kind {
		case StatementHold:
			p.holds = append(p.holds, Hold{Name: s.Name, Reason: s.Reason, By: s.By, Scope: s.Scope, Since: s.Time, Statement: s.Number})
		case StatementRelease:
			p.holds = slices.DeleteFunc(p.holds, func(h Hold) bool { return h.Name == s.Name })
		case StatementRetain:
			p.retentions = append(p.retentions, Retention{Name: s.Name, Reason: s.Reason, By: s.By, Scope: s.Scope, Period: s.Period, Since: s.Time, Statement: s.Number})
		case StatementShredded, StatementContentKeysShredded:
		default:
			return nil, fmt.Errorf("%s: %q: %w", statementName(s.Number), s.Kind, ErrVersion)
		}
	}
	return p, nil
}

// Holds returns the holds, the oldest first.
func (p *Policy) Holds() []Hold { return slices.Clone(p.holds) }

// Retentions returns the retentions, the oldest first.
func (p *Policy) Retentions() []Retention { return slices.Clone(p.retentions) }

// HeldBy returns the holds that cover a message.
func (p *Policy) HeldBy(ctx context.Context, n Number) (holds []Hold, err error) {
	s, err := p.a.SegmentOf(ctx, n)
	if err != nil {
		return nil, err
	}
	for _, h := range p.holds {
		covered, err := p.covers(ctx, h.Scope, s, n)
		if err != nil {
			return nil, err
		}
		if covered {
			holds = append(holds, h)
		}
	}
	return holds, nil
}

// Retained returns until when a message must be kept; ok is false where no retention covers it. It counts from the time that the
// stamps of the segment prove, and not from any date in the message, or any clock of the archiver's. The error wraps ErrUnproven
// where nobody can tell that time.
func (p *Policy) Retained(ctx context.Context, n Number) (r Retained, ok bool, err error) {
	s, err := p.a.SegmentOf(ctx, n)
	if err != nil {
		return r, false, err
	}
	for _, retention := range p.retentions {
		covered, err := p.covers(ctx, retention.Scope, s, n)
		if err != nil {
			return r, false, err
		}
		if !covered {
			continue
		}
		from, err := p.from(ctx, s.Number)
		if err != nil {
			return r, false, err
		}
		if from.IsZero() {
			return Retained{Retention: retention}, true, nil
		}
		if until := retention.Period.After(from); !ok || until.After(r.Until) {
			r, ok = Retained{retention, from, until}, true
		}
	}
	return r, ok, nil
}

// from returns the time from which retention counts in a segment; zero: it has no stamps yet.
func (p *Policy) from(ctx context.Context, segment int) (time.Time, error) {
	if p.segment == segment {
		return p.proven, nil
	}
	stamps, err := p.a.Stamps(ctx, segment)
	var at time.Time
	switch {
	case errors.Is(err, ErrUnstamped):
	case err != nil:
		return at, err
	case p.a.o.Proven == nil:
		return at, fmt.Errorf("segment %d: %w", segment, ErrUnproven)
	default:
		if at, err = p.a.o.Proven(ctx, stamps); err == nil && at.IsZero() {
			err = errors.New("no time")
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("segment %d: %w: %w", segment, ErrUnproven, err)
		}
	}
	p.segment, p.proven = segment, at
	return at, nil
}

// covers reports whether a scope has a message of a segment in it. Of a message that was shredded nobody knows any more which
// folder it was in.
func (p *Policy) covers(ctx context.Context, scope Scope, s *Segment, n Number) (bool, error) {
	if scope.All || scope.Messages.Has(n) {
		return true, nil
	}
	if len(scope.Folders) == 0 {
		return false, nil
	}
	if p.contents == nil || p.contents.Segment != s.Number {
		c, err := s.Contents(ctx)
		if err != nil {
			return false, err
		}
		p.contents = c
	}
	// Mostly, what is in a segment is out of one folder, and no record needs to be opened.
	in := 0
	for _, f := range p.contents.Folders {
		if scope.has(FolderName{f.Account, f.Folder}) {
			in++
		}
	}
	keys, err := s.messageKeys(ctx, n)
	var shredded *ShreddedError
	switch {
	case errors.As(err, &shredded):
		return false, nil
	case err != nil:
		return false, err
	case in == 0, in == len(p.contents.Folders):
		return in > 0, nil
	}
	r, err := s.Record(ctx, keys.Number)
	if err != nil {
		return false, err
	}
	return scope.has(FolderName{r.Account, r.Folder}), nil
}

// Due returns the messages that a retention covered which is over at a time, and that are not held. Messages that share their
// octets are due together, or not at all; those that were shredded are not due any more.
func (p *Policy) Due(ctx context.Context, at time.Time) (due NumberSet, err error) {
	if len(p.retentions) == 0 {
		return due, nil
	}
	shared := map[Number]bool{} // messages with duplicates, by whether all of them are due
	for segment := 1; segment <= p.a.Segments(); segment++ {
		s, err := p.a.Segment(ctx, segment)
		if err != nil {
			return NumberSet{}, err
		}
		all, err := s.segmentKeys(ctx)
		if err != nil {
			return NumberSet{}, err
		}
		for _, keys := range all.Messages {
			if keys.gone() {
				continue
			}
			is, err := p.isDue(ctx, keys.Number, at)
			if err != nil {
				return NumberSet{}, err
			}
			if is {
				due.Add(keys.Number)
			}
			if keys.OctetsIn != 0 {
				before, found := shared[keys.OctetsIn]
				shared[keys.OctetsIn] = is && (before || !found && due.Has(keys.OctetsIn))
			}
		}
		if err := ctx.Err(); err != nil {
			return NumberSet{}, err
		}
	}
	return p.together(ctx, due, shared)
}

func (p *Policy) isDue(ctx context.Context, n Number, at time.Time) (bool, error) {
	r, retained, err := p.Retained(ctx, n)
	if err != nil || !retained || !r.Over(at) {
		return false, err
	}
	holds, err := p.HeldBy(ctx, n)
	return len(holds) == 0, err
}

// together leaves out what shares its octets with something that is not due.
func (p *Policy) together(ctx context.Context, due NumberSet, shared map[Number]bool) (NumberSet, error) {
	for root, all := range shared {
		if all {
			delete(shared, root)
		}
	}
	if len(shared) == 0 {
		return due, nil
	}
	var left NumberSet
	for segment := 1; segment <= p.a.Segments(); segment++ {
		all, err := p.a.keys(ctx, p.a.head, segment)
		if err != nil {
			return NumberSet{}, err
		}
		for _, keys := range all.Messages {
			if _, waits := shared[keys.root()]; due.Has(keys.Number) && !waits {
				left.Add(keys.Number)
			}
		}
	}
	return left, nil
}
