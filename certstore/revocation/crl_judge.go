package revocation

import (
	"context"
	"slices"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// byLists finds the status of path[0] in lists (RFC 5280 section 6.3.3). path ends with an anchor. Where the certificate is
// good by a list without the delta that there should be, wanted are the points where that is.
func (r *run) byLists(ctx context.Context, path []*certpath.Certificate, lists []*CRL, notes *notes) (a Answer, wanted []certpath.DistributionPoint) {
	s := listSearch{run: r, ctx: ctx, path: path, c: path[0], notes: notes}
	for _, l := range lists {
		if l.BaseNumber == nil {
			s.complete = append(s.complete, l)
		} else {
			s.deltas = append(s.deltas, l)
		}
	}
	// The RFC takes lists as they come, until all reasons are covered: the newest knows most.
	slices.SortStableFunc(s.complete, func(a, b *CRL) int { return b.ThisUpdate.Compare(a.ThisUpdate) })
	for _, p := range pointsOf(s.c) {
		for _, l := range s.complete {
			if a, found := s.look(p, l); found {
				return a, nil
			}
		}
	}
	switch s.covered {
	case certpath.AllReasons:
		return s.good, s.wanted
	case 0:
	default:
		notes.add("the lists that there are do not cover all reasons for a revocation")
	}
	return Answer{}, nil
}

// listSearch is the state of section 6.3.2.
type listSearch struct {
	*run
	ctx              context.Context
	path             []*certpath.Certificate
	c                *certpath.Certificate
	complete, deltas []*CRL
	notes            *notes

	covered certpath.ReasonFlags // reasons_mask
	good    Answer               // while cert_status is UNREVOKED
	wanted  []certpath.DistributionPoint
}

// look is section 6.3.3 (b) to (l) for one complete list and point. It returns an answer where the certificate is revoked.
func (s *listSearch) look(p point, l *CRL) (a Answer, found bool) {
	skip := func(why string) (Answer, bool) {
		s.notes.add(l.title() + ": " + why)
		return Answer{}, false
	}
	if !l.issues(p, s.c) { // (b)(1): a list by somebody else
		return Answer{}, false
	}
	if l.Unusable != "" {
		return skip(l.Unusable)
	}
	if why := l.covers(p, s.c); why != "" { // (b)(2)
		return skip(why)
	}
	reasons := l.reasons(p)      // (d)
	if reasons&^s.covered == 0 { // (e)
		return Answer{}, false
	}
	if why := l.window().early(s.now); why != "" {
		return skip(why)
	}
	signer, evidence, err := s.listIssuer(s.ctx, l, s.path) // (f), (g)
	if err != nil {
		return skip(err.Error())
	}
	evidence.CRLs = append(evidence.CRLs, l.Raw)
	speaks := l.window()
	delta := s.deltaFor(l, signer) // (c), (h)
	if delta != nil {
		evidence.CRLs = append(evidence.CRLs, delta.Raw)
		if delta.window().stale(s.at) == "" {
			speaks = delta.window()
		}
		s.verified[delta] = true
	}
	s.verified[l] = true
	stale := speaks.stale(s.at)
	if entry, ok := s.entry(l, delta); ok { // (i) to (k)
		if stale == "" || !entry.revocation().lifts() {
			a = entry.revocation().answer(SourceCRL)
			a.Until, a.Evidence = speaks.until, evidence
			return a, true
		}
	}
	if stale != "" {
		return skip(stale)
	}
	if why := speaks.forgotten(s.c.NotAfter, l.ExpiredFrom); why != "" {
		return skip(why)
	}
	s.covered |= reasons // (l)
	s.unlisted(l, delta, speaks, evidence)
	return Answer{}, false
}

// unlisted notes that a list does not have the certificate. Of several lists the oldest says since when it is good.
func (s *listSearch) unlisted(l, delta *CRL, speaks window, evidence Evidence) {
	if s.good.Status == Unknown || speaks.from.Before(s.good.At) {
		s.good.At, s.good.Why = speaks.from, l.title()+" does not have it"
		if delta != nil {
			s.good.Why = l.title() + " with " + delta.title() + " does not have it"
		}
	}
	if s.good.Until.IsZero() || speaks.until.Before(s.good.Until) {
		s.good.Until = speaks.until
	}
	s.good.Status, s.good.Source = Good, SourceCRL
	s.good.Evidence.Add(evidence)
	if delta == nil || delta.window().stale(s.at) != "" {
		s.wanted = append(append(s.wanted, l.FreshestCRL...), s.c.FreshestCRL...)
	}
}

// entry is section 6.3.3 (i) to (k): what the delta says counts before the complete list.
func (s *listSearch) entry(l, delta *CRL) (Entry, bool) {
	entry, ok := Entry{}, false
	if delta != nil {
		entry, ok = delta.Find(s.c.SerialNumber, s.c.Issuer)
	}
	if !ok {
		entry, ok = l.Find(s.c.SerialNumber, s.c.Issuer)
	}
	return entry, ok && entry.Reason != ReasonRemoveFromCRL
}

// deltaFor returns the newest delta list that can be combined with a complete one, whose signer is known, or nil. Also one
// that is out of date knows more than the complete list.
func (s *listSearch) deltaFor(l *CRL, signer *certpath.Certificate) *CRL {
	var best *CRL
	for _, d := range s.deltas {
		if !d.Issuer.Equal(l.Issuer) { // (c)(1)
			continue
		}
		why := d.Unusable
		if why == "" {
			why = d.updates(l)
		}
		if why == "" {
			why = d.window().early(s.now)
		}
		if why == "" && s.verify(signer, d) != nil { // (h): with the key of the complete list
			why = "it was not signed by the key of the complete list"
		}
		if why != "" {
			s.notes.add(d.title() + ": " + why)
			continue
		}
		if best == nil || d.Number.Cmp(best.Number) > 0 {
			best = d
		}
	}
	return best
}

// uses reports whether a list of certificates has this one.
func uses(list []*certpath.Certificate, c *certpath.Certificate) bool {
	return slices.ContainsFunc(list, c.Equal)
}
