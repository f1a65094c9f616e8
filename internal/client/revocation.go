package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/certpath"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime/verdict"
)

// revocations finds out about revocation for one command: its messages and recipients share what was fetched, and which
// servers did not answer.
type revocations struct {
	checker *revocation.Checker
	given   revocation.Evidence // from files
	now     time.Time
	say     func(string)

	unkept sync.Once

	mu    sync.Mutex
	found map[string][]revocation.Answer // about the paths of certificates that could be chosen
	asked map[question][]revocation.Answer
}

// question is what was asked about revocation, beside nothing that a message brought along: in one command the answer stays.
type question struct {
	path string
	at   time.Time // UTC
}

// maxAsked bounds the answers that are remembered. Signatures whose time a timestamp shows are questions of their own.
const maxAsked = 1024

// maxRevocationTimeout bounds all questions about one path, where --timeout allows more: mail can be read without an answer,
// and who reads is waiting.
const maxRevocationTimeout = 10 * time.Second

// newRevocations looks at what is given and at what was fetched before; only where the command may use the network are
// responders and distribution points asked.
func (c *Client) newRevocations(online bool) (*revocations, error) {
	r := &revocations{now: c.o.Now(), say: c.o.Say, checker: &revocation.Checker{
		Cache: &revocation.Cache{Dir: filepath.Join(c.o.Home.Cache, "revocation"), Disk: c.o.Disk}, Timeout: min(c.o.Timeout, maxRevocationTimeout),
	}}
	if online {
		client, err := c.httpClient()
		if err != nil {
			return nil, err
		}
		r.checker.Fetcher, r.checker.AskAnyway = revocation.HTTP{Client: client}, true
	}
	return r, nil
}

// check finds out about a validated path, leaf first, at the time that counts. The answers are those of the whole path
// but the anchor.
func (r *revocations) check(ctx context.Context, path []*x509.Certificate, given revocation.Evidence, at time.Time) ([]revocation.Answer, error) {
	if len(given.CRLs)+len(given.OCSPResponses)+len(given.Certificates) > 0 {
		return r.ask(ctx, path, given, at)
	}
	q := question{pathName(path), at.UTC().Round(0)}
	r.mu.Lock()
	answers, ok := r.asked[q]
	r.mu.Unlock()
	if ok {
		return answers, nil
	}
	answers, err := r.ask(ctx, path, given, at)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil || len(r.asked) >= maxAsked {
		r.asked = map[question][]revocation.Answer{}
	}
	r.asked[q] = answers
	return answers, nil
}

// ask is check that remembers nothing.
func (r *revocations) ask(ctx context.Context, path []*x509.Certificate, given revocation.Evidence, at time.Time) ([]revocation.Answer, error) {
	parsed := make([]*certpath.Certificate, len(path))
	for i, c := range path {
		var err error
		if parsed[i], err = certpath.FromX509(c); err != nil {
			return nil, err
		}
	}
	// What the person gave comes before what lay in the message: of what there is the first are looked at, within bounds.
	var all revocation.Evidence
	all.Add(r.given)
	all.Add(given)
	now := r.now
	if at.After(now) { // somebody asks how it will be
		now = at
	}
	answers, err := r.checker.Check(ctx, parsed, all, at, now)
	if errors.Is(err, revocation.ErrCache) {
		r.unkept.Do(func() { r.say("warning: " + err.Error()) })
		err = nil
	}
	return answers, err
}

// revocationEvidence is the worst of what was said about the certificates of a path, for a signature of which this is known
// of the time: a revocation that took effect later must not hide one that did not, nor that nothing is known of another
// certificate.
func revocationEvidence(path []*x509.Certificate, answers []revocation.Answer, t verdict.TimeEvidence, now time.Time) verdict.RevocationEvidence {
	if len(answers) == 0 { // the signer's certificate is an anchor itself
		return verdict.RevocationEvidence{Code: verdict.RevocationGood, Reason: "the certificate is a trust anchor: nobody else could revoke it"}
	}
	rank := func(e verdict.RevocationEvidence) int {
		switch {
		case e.Code == verdict.RevocationGood:
			return 0
		case e.RevokedLater(t, now):
			return 1
		case e.Code != verdict.RevocationRevoked:
			return 2
		case !e.KeyCompromise:
			return 3
		}
		return 4
	}
	list := make([]verdict.RevocationEvidence, len(answers))
	for i, a := range answers {
		list[i] = ofAnswer(path, a)
	}
	// Of revocations that are equal, the one that took effect first; of other things that are, what is said of the leaf.
	worst := slices.MaxFunc(list, func(a, b verdict.RevocationEvidence) int {
		if order := cmp.Compare(rank(a), rank(b)); order != 0 || a.Code != verdict.RevocationRevoked {
			return order
		}
		return b.At.Compare(a.At)
	})
	if worst.Code == verdict.RevocationUnknown {
		for _, e := range list {
			if e.Code == verdict.RevocationRevoked {
				worst.Reason += "; " + e.Reason
			}
		}
	}
	return worst
}

// ofAnswer is what was said about one certificate.
func ofAnswer(path []*x509.Certificate, a revocation.Answer) verdict.RevocationEvidence {
	e := verdict.RevocationEvidence{Code: verdict.RevocationUnknown, Source: a.Source, At: a.At, Reason: a.Why, KeyCompromise: a.KeyCompromise, Invalidity: a.Invalidity}
	if a.Index > 0 {
		e.Reason = fmt.Sprintf("the authority %q: %s", certstore.Name(path[a.Index]), a.Why)
	}
	switch a.Status {
	case revocation.Good:
		e.Code = verdict.RevocationGood
	case revocation.Revoked:
		e.Code = verdict.RevocationRevoked
	}
	return e
}

// revocationEvidence finds out whether the signer's certificate is revoked: from what the message brought along, from what
// was given, from what was fetched before, and over the network where that is allowed.
func (j *judge) revocationEvidence(ctx context.Context, r *judged, path []*x509.Certificate, brought revocation.Evidence, t verdict.TimeEvidence) (verdict.RevocationEvidence, error) {
	switch {
	case j.policy.Revocation == verdict.RevocationOff:
		return verdict.RevocationEvidence{}, nil
	case path == nil:
		return verdict.RevocationEvidence{Code: verdict.RevocationUnknown, Reason: "revocation is asked about where the certificate has a valid path to an anchor, and it has none"}, nil
	}
	answers, err := j.revocations.check(ctx, path, brought, verdict.TimeThatCounts(t, j.policy.Now))
	if err != nil {
		return verdict.RevocationEvidence{}, err
	}
	for _, a := range answers {
		r.proof.Add(a.Evidence)
	}
	e := revocationEvidence(path, answers, t, j.policy.Now)
	if w := (WarningReport{"revocation-unanswered", e.Reason}); e.Code == verdict.RevocationUnknown && j.revocations.checker.Fetcher != nil &&
		namesRevocation(path) && !slices.Contains(r.remarks, w) {
		r.remarks = append(r.remarks, w) // who would know was asked, in vain
	}
	return e, nil
}

// selectRevocation is certstore.Selector.Revocation: how it goes on where nothing can be found out is the account's to say.
func (r *revocations) selectRevocation(mode verdict.RevocationMode) func(context.Context, []*x509.Certificate) (certstore.PathCode, string, error) {
	if mode == verdict.RevocationOff {
		return nil
	}
	return func(ctx context.Context, path []*x509.Certificate) (certstore.PathCode, string, error) {
		answers, err := r.check(ctx, path, revocation.Evidence{}, r.now)
		if err != nil {
			return "", "", err
		}
		r.remember(path, answers)
		e := revocationEvidence(path, answers, verdict.TimeEvidence{}, r.now)
		switch {
		case e.Code == verdict.RevocationRevoked:
			return certstore.Revoked, e.Reason, nil
		case e.Code == verdict.RevocationGood:
			return certstore.Usable, "", nil
		case mode == verdict.RevocationHard:
			return certstore.RevocationUnknown, e.Reason, nil
		}
		if !namesRevocation(path) { // nothing can be found out, ever: it would be said each time, and helps nobody
			return certstore.Usable, "", nil
		}
		return certstore.Usable, e.Reason, nil
	}
}

// namesRevocation reports whether a certificate of a path says who knows about its revocation.
func namesRevocation(path []*x509.Certificate) bool {
	return slices.ContainsFunc(path, func(c *x509.Certificate) bool { return len(c.OCSPServer)+len(c.CRLDistributionPoints) > 0 })
}

// sayUnchecked tells the person that a certificate is used although it could not be found out whether it is revoked.
func (c *Client) sayUnchecked(chosen certstore.Candidate) {
	if chosen.Unchecked != "" {
		c.o.Say(fmt.Sprintf("warning: certificate %.16s… is used, and %s", certstore.Fingerprint(chosen.Certificate), chosen.Unchecked))
	}
}
