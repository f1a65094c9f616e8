package revocation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Bounds on finding who signed a list: whoever sends a message can put any number of certificates of one name into it.
const (
	maxSigners = 4  // certificates that are tried for one list
	maxPaths   = 16 // paths that are built in one Check
	maxNested  = 3  // signers of lists about signers of lists
)

var (
	errNoSigner = errors.New("the certificate of whoever signed it is not known")
	errCircular = errors.New("it was signed by the certificate that is in question")
)

// listIssuer finds the certificate that signed a list, whose path must end at the anchor of the path in question (RFC 5280
// section 6.3.3 (f) and (g)). The evidence is what was needed beside that path.
func (r *run) listIssuer(ctx context.Context, l *CRL, path []*certpath.Certificate) (*certpath.Certificate, Evidence, error) {
	failure := errNoSigner
	for i, c := range r.signersOf(l, path) {
		err := r.verify(c, l)
		if err != nil {
			if i == 0 {
				failure = err
			}
			continue
		}
		evidence, err := r.mayIssue(ctx, c, l, path)
		if err == nil {
			return c, evidence, nil
		}
		failure = err
	}
	return nil, Evidence{}, failure
}

// signersOf returns the certificates with the name of the list's issuer, those of the path first, and first the one that
// the list names by key.
func (r *run) signersOf(l *CRL, path []*certpath.Certificate) []*certpath.Certificate {
	var found []*certpath.Certificate
	for _, list := range [][]*certpath.Certificate{path[1:], path[:1], r.path, r.issuers} {
		for _, c := range list {
			if c.Subject.Equal(l.Issuer) && !uses(found, c) {
				found = append(found, c)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *certpath.Certificate) int { return l.otherKey(a) - l.otherKey(b) })
	return found[:min(len(found), maxSigners)]
}

// otherKey is 1 where the list says that another key than that of c signed it.
func (l *CRL) otherKey(c *certpath.Certificate) int {
	if l.AuthorityKeyID != nil && len(l.AuthorityKeyID.KeyID) > 0 && len(c.SubjectKeyID) > 0 &&
		!bytes.Equal(l.AuthorityKeyID.KeyID, c.SubjectKeyID) {
		return 1
	}
	return 0
}

// signature is a signature that was checked.
type signature struct {
	signer *certpath.Certificate
	list   *CRL
}

// verify checks the signature on a list, and that the key may sign lists, once for each pair.
func (r *run) verify(c *certpath.Certificate, l *CRL) error {
	key := signature{c, l}
	err, known := r.signatures[key]
	if !known {
		if c.HasKeyUsage && c.KeyUsage&certpath.CRLSign == 0 { // RFC 5280 section 6.3.3 (f)
			err = errors.New("its issuer may not sign revocation lists")
		} else {
			err = l.check(c, r.Policy)
		}
		r.signatures[key] = err
	}
	return err
}

// check checks the signature on a list, or remembers that this key made it. A list stays with the Checker that parsed it,
// and so with one policy.
func (l *CRL) check(c *certpath.Certificate, policy certpath.AlgorithmPolicy) error {
	key := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	if known := l.signedBy.Load(); known != nil && *known == key {
		return nil
	}
	err := c.CheckSignature(l.SignatureAlgorithm, l.RawTBS, l.Signature, policy)
	if err == nil {
		l.signedBy.Store(&key)
	}
	return err
}

// mayIssue asks whether the certificate that signed a list is valid and not revoked itself.
func (r *run) mayIssue(ctx context.Context, c *certpath.Certificate, l *CRL, path []*certpath.Certificate) (Evidence, error) {
	at := r.at
	if l.ThisUpdate.After(at) {
		at = l.ThisUpdate
	}
	for i, member := range path {
		if !member.Equal(c) {
			continue
		}
		if i == 0 && !speaksForItself(c) {
			return Evidence{}, errCircular
		}
		return Evidence{}, r.holds(path[i:], at)
	}
	if r.asking[string(c.Raw)] {
		return Evidence{}, errCircular
	}
	if len(r.asking) >= maxNested || r.built >= maxPaths {
		return Evidence{}, errors.New("too many certificates would have to be looked at to know who signed it")
	}
	r.built++
	anchor := path[len(path)-1]
	builder := certpath.Builder{
		Anchors: certpath.NewSet([]*certpath.Certificate{anchor}),
		Issuers: []*certpath.Set{certpath.NewSet(r.path, r.issuers)},
	}
	built, err := builder.Build(c, certpath.Parameters{Time: at, Algorithms: r.Policy})
	if err != nil {
		return Evidence{}, fmt.Errorf("whoever signed it has no valid path to the same anchor: %w", err)
	}
	chain := slices.Clone(built.Certificates)
	slices.Reverse(chain)
	chain = append(chain, built.Anchor)
	return r.unrevoked(ctx, chain)
}

// unrevoked asks of each certificate of a path that is not part of the one in question whether it is good.
func (r *run) unrevoked(ctx context.Context, chain []*certpath.Certificate) (Evidence, error) {
	var evidence Evidence
	for i, c := range chain[:len(chain)-1] {
		if uses(r.path, c) {
			continue // it is asked about anyway
		}
		r.asking[string(c.Raw)] = true
		a := r.ask(ctx, chain[i:])
		delete(r.asking, string(c.Raw))
		if a.Status != Good {
			return Evidence{}, fmt.Errorf("whoever signed it may be revoked: %s", a.Why)
		}
		evidence.Add(a.Evidence)
		evidence.Certificates = append(evidence.Certificates, c.Raw)
	}
	return evidence, nil
}

// speaksForItself reports whether the issuer of c wrote into it that c is who says whether it is revoked.
func speaksForItself(c *certpath.Certificate) bool {
	own := certpath.GeneralName{Kind: certpath.DirectoryName, Directory: c.Subject}
	return slices.ContainsFunc(c.CRLDistributionPoints, func(p certpath.DistributionPoint) bool {
		return slices.ContainsFunc(p.CRLIssuer, func(n certpath.GeneralName) bool { return sameName(n, own) })
	})
}

// holds validates a part of a path, from some certificate to the anchor, at a time.
func (r *run) holds(chain []*certpath.Certificate, at time.Time) error {
	if !at.After(r.at) && isEnd(r.path, chain) {
		return nil // as the whole was
	}
	anchor := chain[len(chain)-1]
	p := certpath.Parameters{Time: at, Anchor: certpath.NewTrustAnchor(anchor), Algorithms: r.Policy}
	var err error
	if len(chain) == 1 {
		_, err = certpath.Builder{Anchors: certpath.NewSet(chain)}.Build(anchor, p)
	} else {
		down := slices.Clone(chain[:len(chain)-1])
		slices.Reverse(down)
		_, err = certpath.Validate(down, p)
	}
	return err
}

// isEnd reports whether a path ends with this part.
func isEnd(path, part []*certpath.Certificate) bool {
	return len(part) <= len(path) && slices.EqualFunc(path[len(path)-len(part):], part, (*certpath.Certificate).Equal)
}
