package evidence

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/tsa"
)

// The rules for a record, beside those of [ArchiveTimeStamp] and of a [tsa.Token].
var (
	// ErrPredecessor: in a chain each time-stamp is over the one before it (RFC 4998 section 5.3).
	ErrPredecessor = errors.New("time-stamp does not cover the one before it")
	// ErrOrder: no time-stamp is older than the one before it (RFC 4998 section 5.1).
	ErrOrder = errors.New("time-stamp is older than the one before it")
	// ErrChainHash: the time-stamps of a chain use one hash algorithm (RFC 4998 section 5.1).
	ErrChainHash = errors.New("time-stamps of one chain use several hash algorithms")
	// ErrNothing: a record has chains, and a chain has time-stamps. Parse sees to it in those that it reads.
	ErrNothing = errors.New("evidence record without a time-stamp")
	// ErrTime: there is no time at which the record is to be judged.
	ErrTime = errors.New("the time to judge the record at is missing")
)

// Error says which time-stamp of a record is to blame, and for what.
type Error struct {
	Chain, TimeStamp int   // counted from 1
	Err              error // one of the rules, or what is said of the token
}

func (e *Error) Error() string {
	return fmt.Sprintf("time-stamp %d of chain %d: %v", e.TimeStamp, e.Chain, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// DigestFunc returns the digest of each data object that a record is held against, under a hash algorithm: of one object,
// or of those of a group, in the same order each time. It is called once for each algorithm of the record.
type DigestFunc func(crypto.Hash) ([][]byte, error)

// VerifyOptions says what a record is held against.
type VerifyOptions struct {
	Path tsa.PathFunc // as of tsa.VerifyOptions; required
	// Revocation is as of tsa.VerifyOptions. A revocation after the next time-stamp was made changes nothing.
	Revocation tsa.RevocationFunc

	Extra []*x509.Certificate // where else certificates of authorities may be; untrusted
	At    time.Time           // until when the proof must reach: now, mostly; required

	// Whole asks that the record is for these data objects and no others: the whole group, or the one object. Not each record
	// of others for one object says so: the first list may hold its brothers as well, as in the figure of section 4.2.
	Whole bool
	// AllowWeak accepts SHA-1 and short keys, in all time-stamps.
	AllowWeak bool

	// Verified remembers tokens that held, so that one which many records have in common is verified once; nil: none is
	// remembered.
	Verified *VerifiedTokens
}

// Result is what a verified record proves: the data objects existed at the time of the first time-stamp, and were not
// changed since.
type Result struct {
	TimeStamps []TimeStamp // the oldest first
}

// Time is when the data objects existed, at the latest.
func (r *Result) Time() time.Time { return r.TimeStamps[0].Time }

// TimeStamp is one verified time-stamp of a record.
type TimeStamp struct {
	*tsa.Result
	Chain int // counted from 1
	Hash  crypto.Hash
}

// Verify checks that the record proves these data objects (RFC 4998 sections 4.3 and 5.3): the first time-stamp of each chain
// covers them, and all evidence that is older; every other one covers the one before it; and each token is by a trusted
// authority, whose certificate was still valid when the next one was made, the last one at o.At. Errors of digests are
// returned as they are. Others are an *[Error], which wraps an *[ObjectError] where it is the objects that are not right; but
// [ErrTime] and [ErrNothing].
func (r *Record) Verify(digests DigestFunc, o VerifyOptions) (*Result, error) {
	if o.At.IsZero() {
		return nil, ErrTime
	}
	if r.empty() {
		return nil, ErrNothing
	}
	result := new(Result)
	objects := map[crypto.Hash][][]byte{}
	for i, chain := range r.Chains {
		hash := chain[0].Hash
		if !hash.Available() {
			return nil, &Error{Chain: i + 1, TimeStamp: 1, Err: fmt.Errorf("%w: %v", ErrHash, hash)}
		}
		if objects[hash] == nil {
			list, err := digests(hash)
			if err != nil {
				return nil, err
			}
			objects[hash] = list
		}
		values := objects[hash]
		if i > 0 {
			older := Record{Chains: r.Chains[:i]}
			var err error
			if values, err = older.HashTreeDigests(hash, values...); err != nil {
				return nil, err
			}
		}
		for j := range chain {
			verified, err := r.verifyOne(i, j, values, o)
			if err == nil && len(result.TimeStamps) > 0 && verified.Time.Before(result.TimeStamps[len(result.TimeStamps)-1].Time) {
				err = ErrOrder
			}
			if err != nil {
				return nil, &Error{Chain: i + 1, TimeStamp: j + 1, Err: err}
			}
			result.TimeStamps = append(result.TimeStamps, TimeStamp{verified, i + 1, hash})
		}
	}
	return result, nil
}

// empty tells whether the record, or a chain of it, has no time-stamp.
func (r *Record) empty() bool {
	return len(r.Chains) == 0 || slices.ContainsFunc(r.Chains, func(chain Chain) bool { return len(chain) == 0 })
}

// verifyOne verifies one time-stamp; values are what the first one of its chain is to cover.
func (r *Record) verifyOne(i, j int, values [][]byte, o VerifyOptions) (*tsa.Result, error) {
	chain := r.Chains[i]
	a := &chain[j]
	var err error
	if j == 0 {
		err = a.prove(o.Whole, values...)
	} else {
		if a.Hash != chain[0].Hash {
			return nil, ErrChainHash
		}
		if err = a.prove(false, sum(a.Hash, chain[j-1].TimeStamp)); errors.Is(err, ErrObject) {
			err = ErrPredecessor
		}
	}
	if err != nil {
		return nil, err
	}
	token, err := a.readToken()
	if err != nil {
		return nil, err
	}
	// Section 5.3: it has to hold until the next one was made, and the last one until now.
	until := o.At
	if next := r.after(i, j); next != nil {
		later, err := next.readToken()
		if err != nil {
			return nil, err
		}
		until = later.Info.GenTime
	}
	// What the token is over was checked, tree and all; what is left are its signature, its authority and its algorithms.
	return o.Verified.once(token, a.Hash, until, func() (*tsa.Result, error) {
		return token.VerifyDigest(a.Hash, token.Info.Imprint.HashedMessage, tsa.VerifyOptions{
			Path: o.Path, Revocation: o.Revocation, Extra: o.Extra, AllowWeak: o.AllowWeak, Until: until,
		})
	})
}

// after is the time-stamp that was made next, or nil.
func (r *Record) after(i, j int) *ArchiveTimeStamp {
	switch {
	case j+1 < len(r.Chains[i]):
		return &r.Chains[i][j+1]
	case i+1 < len(r.Chains):
		return &r.Chains[i+1][0]
	}
	return nil
}
