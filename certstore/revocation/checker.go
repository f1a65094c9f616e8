package revocation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// DefaultTimeout bounds what a Checker that names no other time spends on the network in one Check.
const DefaultTimeout = 15 * time.Second

// Bounds on evidence that is given: it may come with a message.
const (
	maxGiven        = 64
	maxGivenIssuers = 256
)

// ErrInput is a path or a time that nothing can be said about.
var ErrInput = errors.New("revocation cannot be checked")

// Checker finds out about revocation. It remembers what it fetched, and which servers did not answer, so that many
// messages share both. Its fields are set before it is first used; it is safe for concurrent use then. The zero value
// judges what it is given, and asks nobody.
type Checker struct {
	Fetcher Fetcher // nil: nothing is asked over the network
	Cache   *Cache  // nil: what is fetched is remembered for as long as the Checker is there

	// Timeout bounds the time that one Check spends on the network in all; 0 means DefaultTimeout. One server gets half of
	// it at most.
	Timeout time.Duration
	Policy  certpath.AlgorithmPolicy // of signatures on lists and responses

	// AskAnyway asks the network also where what is given says of a certificate that is still valid that it is good, or was at the
	// time that counts, if there is a Fetcher: what came with a message was chosen by its sender, and an answer that is not out
	// of date yet may be older than a revocation, or than that a key was stolen. Where nobody answers, what is given counts.
	AskAnyway bool

	memory memory
}

// Check finds out about each certificate of a path but the last, which is the anchor and is not asked about: one answer
// for each, in their order. path begins with the leaf, and must have been validated: addresses in its certificates are
// contacted. at is the time that counts, in the past or now; now is the present, after which no evidence can be dated.
//
// What is given is looked at first. If it says revoked or good, or what was fetched before does, nothing is asked, but with
// AskAnyway, and unless that was so at the time, is out of date by now, and the certificate is still valid: then a later
// revocation may reach back.
//
// That nothing could be found out is an answer, Unknown with the reason. The error is that of the context,
// [ErrInput], or, beside complete answers, that what was fetched could not be kept: [ErrCache].
func (c *Checker) Check(ctx context.Context, path []*certpath.Certificate, given Evidence, at, now time.Time) ([]Answer, error) {
	switch {
	case len(path) == 0:
		return nil, fmt.Errorf("%w: there is no path", ErrInput)
	case at.IsZero() || now.IsZero() || at.After(now.Add(skew)):
		return nil, fmt.Errorf("%w: the time that counts is not known, or in the future", ErrInput)
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := &run{
		Checker: c, path: path, at: at, now: now, step: timeout/2 + 1, // two that do not answer use up all of it
		verified: map[*CRL]bool{}, signatures: map[signature]error{}, asking: map[string]bool{},
	}
	r.read(given)
	answers := make([]Answer, 0, len(path)-1)
	for i := range len(path) - 1 {
		a := r.ask(limited, path[i:])
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if a.Status == Unknown {
			a.Why = "no answer about revocation could be had: " + a.Why
		}
		a.Index = i
		answers = append(answers, a)
	}
	return answers, r.unkept
}

// run is one Check.
type run struct {
	*Checker
	path    []*certpath.Certificate
	at, now time.Time
	step    time.Duration // for one server

	responses []*Response // that were given
	lists     []*CRL
	issuers   []*certpath.Certificate
	general   notes // about what was given

	verified   map[*CRL]bool // the lists whose signer is known and valid
	signatures map[signature]error
	asking     map[string]bool // certificates that signed a list and are being asked about
	built      int             // paths of such certificates
	checked    int             // signatures on responses that were given
	unkept     error
}

// read parses what was given, within bounds.
func (r *run) read(given Evidence) {
	bounded := func(list [][]byte, most int, what string) [][]byte {
		if len(list) > most {
			r.general.add(fmt.Sprintf("of %d %s that were given the first %d were looked at", len(list), what, most))
			list = list[:most]
		}
		return list
	}
	for _, der := range bounded(given.OCSPResponses, maxGiven, "OCSP responses") {
		response, err := ParseResponse(der)
		if err != nil {
			r.general.add("an OCSP response that was given: " + err.Error())
			continue
		}
		r.responses = append(r.responses, response)
	}
	for _, der := range bounded(given.CRLs, maxGiven, "revocation lists") {
		list, err := ParseCRL(der)
		if err != nil {
			r.general.add("a revocation list that was given: " + err.Error())
			continue
		}
		r.lists = append(r.lists, list)
	}
	for _, der := range bounded(given.Certificates, maxGivenIssuers, "certificates") {
		if c, err := certpath.Parse(der); err == nil { // what cannot be read has signed nothing
			r.issuers = append(r.issuers, c)
		}
	}
}

// ask finds out about path[0]: from what is at hand, from its responders, from its distribution points.
func (r *run) ask(ctx context.Context, path []*certpath.Certificate) Answer {
	notes := &notes{list: append([]string(nil), r.general.list...)}
	q := &question{run: r, path: path, notes: notes, lists: append([]*CRL(nil), r.lists...)}
	responses := append([]*Response(nil), r.responses...)
	var fetched Evidence // before
	if kept := r.keptResponse(q.key()); kept != nil {
		responses = append(responses, kept)
		fetched.OCSPResponses = append(fetched.OCSPResponses, kept.Raw)
	}
	for _, address := range q.listAddresses() {
		if kept := r.keptList(address); kept != nil {
			q.lists = append(q.lists, kept)
			fetched.CRLs = append(fetched.CRLs, kept.Raw)
		}
	}
	best := r.byResponses(path, responses, notes)
	if best.Status == Unknown {
		best = q.byLists(ctx)
	} else if a, _ := r.byLists(ctx, path, q.lists, notes); worse(a, best) {
		best = a
	}
	// What was good at the time, or revoked after it, may have been found out to be revoked from earlier on, as long as the
	// certificate is valid: of one that has ended nobody has to say so any more.
	held := best.Status == Good || best.Status == Revoked && best.effective().After(r.at)
	outdated := held && window{from: best.At, until: best.Until}.stale(r.now) != ""
	doubted := r.AskAnyway && held && !fetched.covers(best.Evidence)
	if best.Status == Unknown || (outdated || doubted) && !r.now.After(path[0].NotAfter) {
		if a := q.overNetwork(ctx); a.Status != Unknown && (best.Status != Revoked || outdated || worse(a, best)) {
			best = a
		}
	}
	if best.Status == Unknown {
		best.Why = notes.text()
	}
	return best
}
