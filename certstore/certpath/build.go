package certpath

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"fmt"
	"slices"
)

// Bounds on the search for one path. Whoever sends a message can put any number of certificates into it that certify one
// another in all directions: what is not found within them is as if it were not there.
const (
	maxSignatures = 100  // signatures that are checked
	maxSteps      = 2000 // issuers that are considered
	maxPaths      = 32   // paths to an anchor that are validated
	maxDepth      = 20   // certificates of a path, without the anchor
	maxCandidates = 200  // issuers of one certificate
)

// Set holds certificates by subject. It may be used by several goroutines.
type Set struct {
	bySubject map[string][]*Certificate
}

// NewSet returns the set of these certificates; nil among them is left out.
func NewSet(lists ...[]*Certificate) *Set {
	s := &Set{bySubject: map[string][]*Certificate{}}
	for _, list := range lists {
		for _, c := range list {
			if c != nil {
				key := c.Subject.Key()
				s.bySubject[key] = append(s.bySubject[key], c)
			}
		}
	}
	return s
}

func (s *Set) named(n Name) []*Certificate {
	if s == nil {
		return nil
	}
	return s.bySubject[n.Key()]
}

func (s *Set) contains(c *Certificate) bool { return slices.ContainsFunc(s.named(c.Subject), c.Equal) }

// Builder finds paths. It is data, and may be used by several goroutines.
type Builder struct {
	Anchors *Set   // trusted, each with its own constraints
	Issuers []*Set // known, and trusted for nothing
}

// Path is a valid path.
type Path struct {
	Certificates []*Certificate // as [Validate] takes them: that which the anchor issued first; none for an anchor itself
	Anchor       *Certificate
	Result       *Result
}

// Build finds a path from leaf to an anchor that is valid by these parameters, whose Anchor is not looked at. Issuers are
// found by name, those first that the leaf names by key identifier too and that are what they should be.
//
// Where there is none the error is an *[Error]. Of several paths it tells of the one that is nearest to being valid: one
// that is outside its validity alone before one that breaks a rule. Where no anchor is reached it tells of a
// signature that does not hold, if one was in the way, or of the last certificate whose issuer is not known.
func (b Builder) Build(leaf *Certificate, p Parameters) (*Path, error) {
	return b.newSearch(p).run(leaf)
}

func (b Builder) newSearch(p Parameters) *search {
	return &search{Builder: b, p: p, verified: map[edge]error{}, issuers: map[*Certificate][]candidate{}}
}

// search is the work on one leaf.
type search struct {
	Builder
	p Parameters

	verified map[edge]error // signatures that were checked
	issuers  map[*Certificate][]candidate
	steps    int
	paths    int
	limited  bool

	best     *Error       // of the paths that were tried
	obstacle *Error       // the first signature that did not hold
	top      *Certificate // the first that nothing led on from
}

type edge struct{ child, issuer *Certificate }

// candidate is a certificate that may be the issuer of another.
type candidate struct {
	c      *Certificate
	anchor bool
	rank   int // the lower, the likelier
}

// branch is a certificate of the path that is being tried, and which of its issuers is next.
type branch struct {
	c    *Certificate
	next int
}

// anchorItself judges a certificate that is trusted as it is: there is no path, and its own words count.
func (s *search) anchorItself(leaf *Certificate) (*Path, error) {
	own := newState(nil, s.p, nil)
	own.c = leaf
	if err := own.checkItself(); err != nil {
		return nil, err
	}
	if own.untimely != nil {
		return nil, own.untimely
	}
	return &Path{Anchor: leaf, Result: new(Result)}, nil
}

// run tries paths depth first.
func (s *search) run(leaf *Certificate) (*Path, error) {
	if s.p.Time.IsZero() {
		return nil, errNoTime()
	}
	if s.Anchors.contains(leaf) {
		return s.anchorItself(leaf)
	}
	for stack := []branch{{c: leaf}}; len(stack) > 0; {
		current := &stack[len(stack)-1]
		candidates := s.candidates(current.c)
		if current.next >= len(candidates) {
			if s.top == nil {
				s.top = current.c
			}
			stack = stack[:len(stack)-1]
			continue
		}
		issuer := candidates[current.next]
		current.next++
		if s.steps++; s.steps > maxSteps || s.paths > maxPaths {
			s.limited = true
			break
		}
		if onPath(issuer.c, stack) || !s.holds(current.c, issuer.c) {
			continue
		}
		if issuer.anchor {
			if path, ok := s.try(stack, issuer.c); ok {
				return path, nil
			}
		} else if len(stack) < maxDepth {
			stack = append(stack, branch{c: issuer.c})
		}
	}
	switch {
	case s.best != nil:
		return nil, s.best
	case s.obstacle != nil:
		return nil, s.obstacle
	}
	return nil, s.noAnchor(leaf)
}

// onPath reports whether an issuer is part of the path already: the same name with the same key, however often it was
// certified.
func onPath(issuer *Certificate, stack []branch) bool {
	return slices.ContainsFunc(stack, func(b branch) bool {
		return bytes.Equal(b.c.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) && b.c.Subject.Equal(issuer.Subject)
	})
}

// candidates returns the certificates that c names as issuer: anchors first, and the likeliest of each first.
func (s *search) candidates(c *Certificate) []candidate {
	if list, ok := s.issuers[c]; ok {
		return list
	}
	var list []candidate
	for _, issuer := range s.Anchors.named(c.Issuer) {
		list = append(list, candidate{issuer, true, s.rank(c, issuer)})
	}
	for _, set := range s.Issuers {
		for _, issuer := range set.named(c.Issuer) {
			if !isCostly(issuer) {
				list = append(list, candidate{issuer, false, ranks + s.rank(c, issuer)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.rank, b.rank) })
	list = list[:min(len(list), maxCandidates)]
	// What is known and came along as well is tried once.
	for i := 0; i < len(list); i++ {
		if slices.ContainsFunc(list[:i], func(other candidate) bool { return other.c.Equal(list[i].c) }) {
			list = slices.Delete(list, i, i+1)
			i--
		}
	}
	s.issuers[c] = list
	return list
}

// ranks is above all that rank returns.
const ranks = 8

// rank tells how unlikely it is that a path leads over this issuer.
func (s *search) rank(c, issuer *Certificate) (rank int) {
	if namesAnotherKey(c, issuer) {
		rank += 4
	}
	if !issuer.isAuthority() || len(issuer.Problems) > 0 || len(issuer.UnknownCritical) > 0 || !issuer.allows(s.p.KeyPurpose) {
		rank += 2
	}
	if s.p.Time.Before(issuer.NotBefore) || s.p.Time.After(issuer.NotAfter) {
		rank++
	}
	return rank
}

// isCostly reports whether a signature of this issuer costs more to check than any honest one: it is as good as unknown.
func isCostly(issuer *Certificate) bool {
	key, ok := issuer.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() > MaxRSABits
}

// namesAnotherKey reports whether c says that its issuer has another key than this one (RFC 5280 section 4.2.1.1).
func namesAnotherKey(c, issuer *Certificate) bool {
	return c.AuthorityKeyID != nil && len(c.AuthorityKeyID.KeyID) > 0 && len(issuer.SubjectKeyID) > 0 &&
		!bytes.Equal(c.AuthorityKeyID.KeyID, issuer.SubjectKeyID)
}

// holds reports whether the signature on c is the issuer's, and remembers why not.
func (s *search) holds(c, issuer *Certificate) bool {
	if err := s.verify(c, issuer, s.p.Algorithms); err != nil {
		// An authority that changed its key has two certificates of one name: the other is no forgery.
		if s.obstacle == nil && !s.limited && !namesAnotherKey(c, issuer) {
			state := state{c: c, issuer: issuer}
			s.obstacle = state.signatureError(err)
			s.obstacle.Index = -1
		}
		return false
	}
	return true
}

var errLimited = fmt.Errorf("more than %d signatures would have to be checked", maxSignatures)

// verify is verifySignature, once for each pair.
func (s *search) verify(c, issuer *Certificate, policy AlgorithmPolicy) error {
	key := edge{c, issuer}
	err, known := s.verified[key]
	if !known {
		if len(s.verified) == maxSignatures {
			s.limited = true
			return errLimited
		}
		err = verifySignature(c, issuer, policy)
		s.verified[key] = err
	}
	return err
}

// try validates the path that the stack and an anchor make.
func (s *search) try(stack []branch, anchor *Certificate) (*Path, bool) {
	s.paths++
	path := &Path{Anchor: anchor}
	for _, b := range slices.Backward(stack) {
		path.Certificates = append(path.Certificates, b.c)
	}
	p := s.p
	p.Anchor = NewTrustAnchor(anchor)
	var err error
	if path.Result, err = validate(path.Certificates, p, s.verify); err == nil {
		return path, true
	}
	if failure, ok := err.(*Error); ok && (s.best == nil || failure.gravity() < s.best.gravity()) {
		s.best = failure
	}
	return nil, false
}

// gravity tells how far from valid a path is.
func (e *Error) gravity() int {
	switch {
	case e.isTime():
		return 0
	case e.Code == ExtendedKeyUsage:
		return 1
	}
	return 2
}

func (s *search) noAnchor(leaf *Certificate) *Error {
	top := s.top
	if top == nil {
		top = leaf
	}
	e := &Error{Code: NoAnchor, Index: -1, Certificate: top, Section: "6.1.1 (d)"}
	switch {
	case s.limited:
		e.Reason = fmt.Sprintf("%s leads to more certificates than are looked at, and to none that is trusted", leaf.display())
	case top.SelfIssued():
		e.Reason = fmt.Sprintf("the path ends at %s, which is not trusted", top.display())
	default:
		e.Reason = fmt.Sprintf("the certificate of %s is issued by %s, which is not known and not trusted", top.display(), quoteName(top.Issuer))
	}
	return e
}
