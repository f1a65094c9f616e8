package certstore

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Bounds on what a PathCache keeps. Honest paths stay far below the second; what is larger is searched each time.
const (
	maxCachedPaths = 256
	maxCachedSize  = 16 << 10 // octets of the certificates that a search begins from, and of those above a leaf
)

// PathCache remembers the paths that a [Validator] has found: finding one costs several times what verifying a
// signature does, and mail comes from the same people again and again. The zero value is empty and ready for use, by
// several goroutines too.
//
// What a search answers depends on the leaf, the certificates that came with it, the use, the validator's anchors and
// intermediates, and the time. A path is used again only where all of these are the same, and the time is on the same
// side of each beginning and each end of validity of each certificate among them: there a new search would give the
// same answer. So a change of trust counts at once, and nothing outlives its validity. That there is no path is not
// remembered.
//
// Certificates are told apart by their DER: they are to be as x509.ParseCertificate returns them. What is kept is
// bounded in number and size, and does not hold on to the messages that it came from.
type PathCache struct {
	mu sync.Mutex
	// Whom the paths stand on. A validator that trusts others, or knows other issuers, finds the cache empty.
	trust *knownCertificates

	paths map[string]*cachedPath // by what a search begins from, beside trust and time: see appendPathKey
	uses  uint64
}

type cachedPath struct {
	issuers  []*x509.Certificate // above the leaf, the nearest first
	from, to time.Time           // when it holds, both included
	lastUse  uint64
}

// appendPathKey appends the use, the leaf and the bag: they are compared as they are, which takes less time than to hash
// them. ok is false where a certificate cannot be told from another, because it was not parsed, and where all is too large.
func appendPathKey(key []byte, leaf *x509.Certificate, bag []*x509.Certificate, use Use) (_ []byte, ok bool) {
	key = append(append(key, use...), 0)
	add := func(c *x509.Certificate) bool {
		if len(c.Raw) == 0 || len(c.Raw) > maxCachedSize-len(key) {
			return false
		}
		key = binary.AppendUvarint(key, uint64(len(c.Raw)))
		key = append(key, c.Raw...)
		return true
	}
	if !add(leaf) {
		return nil, false
	}
	for _, c := range bag {
		if c != nil && !add(c) { // a search leaves nil out
			return nil, false
		}
	}
	return key, true
}

// get returns the certificates above the leaf, where a path is known that a search at this time would find.
func (c *PathCache) get(v Validator, key []byte, at time.Time) (issuers []*x509.Certificate, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.trust.fits(v) {
		return nil, false
	}
	path := c.paths[string(key)]
	if path == nil || at.Before(path.from) || at.After(path.to) {
		return nil, false
	}
	c.uses++
	path.lastUse = c.uses
	return path.issuers, true
}

// put remembers a path that was found at this time.
func (c *PathCache) put(v Validator, key []byte, bag []*x509.Certificate, at time.Time, chain []*x509.Certificate) {
	issuers, ok := keepIssuers(v, chain[1:])
	if !ok {
		return
	}
	path := &cachedPath{issuers: issuers}
	path.from, path.to = unchanged(at, chain[0], bag, v.Anchors, v.Intermediates)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.trust.fits(v) { // another validator came in between
		return
	}
	if len(c.paths) >= maxCachedPaths && c.paths[string(key)] == nil {
		c.forgetOldest()
	}
	c.uses++
	path.lastUse = c.uses
	c.paths[string(key)] = path
}

// knownCertificates are the anchors and intermediates of a validator, and the same as package certpath has them.
type knownCertificates struct {
	anchors, intermediates parsedSet
	of                     Validator
}

func (k *knownCertificates) origin(c *certpath.Certificate) *x509.Certificate {
	if original := k.anchors.origin[c]; original != nil {
		return original
	}
	return k.intermediates.origin[c]
}

// fits reports whether these are the anchors and intermediates of v.
func (k *knownCertificates) fits(v Validator) bool {
	same := func(a, b *x509.Certificate) bool {
		return a == b || a != nil && b != nil && len(a.Raw) > 0 && bytes.Equal(a.Raw, b.Raw)
	}
	return k != nil && slices.EqualFunc(k.of.Anchors, v.Anchors, same) && slices.EqualFunc(k.of.Intermediates, v.Intermediates, same)
}

// known returns what v knows, parsed, out of the cache where it is there. c may be nil.
func (c *PathCache) known(v Validator) (*knownCertificates, error) {
	if c != nil {
		c.mu.Lock()
		kept := c.trust
		c.mu.Unlock()
		if kept.fits(v) {
			return kept, nil
		}
	}
	k := &knownCertificates{of: Validator{Anchors: slices.Clone(v.Anchors), Intermediates: slices.Clone(v.Intermediates)}}
	var err error
	if k.anchors, err = parseAll(v.Anchors); err != nil {
		return nil, err
	}
	if k.intermediates, err = parseAll(v.Intermediates); err != nil {
		return nil, err
	}
	if c != nil {
		c.mu.Lock()
		c.trust, c.paths = k, map[string]*cachedPath{}
		c.mu.Unlock()
	}
	return k, nil
}

func (c *PathCache) forgetOldest() {
	var oldest string
	first := true
	for key, path := range c.paths {
		if first || path.lastUse < c.paths[oldest].lastUse {
			oldest, first = key, false
		}
	}
	delete(c.paths, oldest)
}

// keepIssuers returns the certificates above a leaf as they can be kept: those that the validator has as they are, and
// copies of those that came with a message, which share their memory with it.
func keepIssuers(v Validator, issuers []*x509.Certificate) (kept []*x509.Certificate, ok bool) {
	size := 0
	for _, c := range issuers {
		if size += len(c.Raw); size > maxCachedSize {
			return nil, false
		}
		if !slices.Contains(v.Anchors, c) && !slices.Contains(v.Intermediates, c) {
			var err error
			if c, err = x509.ParseCertificate(bytes.Clone(c.Raw)); err != nil {
				return nil, false
			}
		}
		kept = append(kept, c)
	}
	return kept, true
}

// unchanged returns the times around at, both included, in which none of these certificates becomes valid or ceases to
// be.
func unchanged(at time.Time, leaf *x509.Certificate, lists ...[]*x509.Certificate) (from, to time.Time) {
	from, to = leaf.NotBefore, leaf.NotAfter
	for _, list := range lists {
		for _, c := range list {
			switch {
			case c == nil:
			case at.Before(c.NotBefore): // which is valid at that moment already (RFC 5280 section 4.1.2.5)
				to = earlier(to, c.NotBefore.Add(-1))
			case at.After(c.NotAfter): // which is valid at that moment still
				from = later(from, c.NotAfter.Add(1))
			default:
				from, to = later(from, c.NotBefore), earlier(to, c.NotAfter)
			}
		}
	}
	return from, to
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
