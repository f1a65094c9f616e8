package evidence

import (
	"crypto"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// ErrRenewal says that a time-stamp does not continue the record that it was to renew.
var ErrRenewal = errors.New("time-stamp does not renew this evidence record")

// last is the newest time-stamp of the record, or nil.
func (r *Record) last() *ArchiveTimeStamp {
	if r.empty() {
		return nil
	}
	chain := r.Chains[len(r.Chains)-1]
	return &chain[len(chain)-1]
}

// TimeStampDigest returns what time-stamp renewal has to stamp (RFC 4998 section 5.2): the hash over the newest time-stamp,
// by the hash algorithm of its chain, which must go on. It is the whole of a tree's leaf, or of what is stamped, and needs
// none of the data objects. Where the record has no time-stamp there is nothing to stamp, and both are zero.
func (r *Record) TimeStampDigest() (hash crypto.Hash, digest []byte) {
	last := r.last()
	if last == nil || !last.Hash.Available() {
		return 0, nil
	}
	return last.Hash, sum(last.Hash, last.TimeStamp)
}

// RenewTimeStamp appends a time-stamp over TimeStampDigest to the last chain. The error wraps [ErrRenewal] where it is not, or
// is older than the last one, or [ErrNothing], and the record is as it was.
func (r *Record) RenewTimeStamp(a ArchiveTimeStamp) error {
	hash, digest := r.TimeStampDigest()
	if digest == nil {
		return ErrNothing
	}
	if a.Hash != hash {
		return fmt.Errorf("%w: it is made with %v, and its chain with %v", ErrRenewal, a.Hash, hash)
	}
	if err := r.continues(&a, digest); err != nil {
		return err
	}
	chain := &r.Chains[len(r.Chains)-1]
	*chain = append(*chain, a)
	return nil
}

// HashTreeDigests returns what hash-tree renewal has to stamp (RFC 4998 section 5.2): for each data object the hash over its
// digest, by the new hash algorithm, and over all evidence so far. They belong into one tree, and those of a group into one
// leaf. The error wraps [ErrHash].
func (r *Record) HashTreeDigests(hash crypto.Hash, digests ...[]byte) ([][]byte, error) {
	if !hash.Available() {
		return nil, fmt.Errorf("%w: %v", ErrHash, hash)
	}
	all, err := sequence(r.Chains)
	if err != nil {
		return nil, err
	}
	before := sum(hash, all)
	list := make([][]byte, len(digests))
	for i, digest := range digests {
		list[i] = sum(hash, digest, before)
	}
	return list, nil
}

// RenewHashTree appends a new chain that begins with a time-stamp over HashTreeDigests for these digests of the data
// objects. The error wraps [ErrRenewal] where it is not, or is older than the last one, [ErrHash] or [ErrNothing], and the
// record is as it was.
func (r *Record) RenewHashTree(a ArchiveTimeStamp, digests ...[]byte) error {
	if r.empty() {
		return ErrNothing
	}
	want, err := r.HashTreeDigests(a.Hash, digests...)
	if err != nil {
		return err
	}
	if err := r.continues(&a, want...); err != nil {
		return err
	}
	r.Chains = append(r.Chains, Chain{a})
	return nil
}

// continues makes sure that a time-stamp covers what it has to, and is not older than the newest one: a record in which it
// were could never be verified again.
func (r *Record) continues(a *ArchiveTimeStamp, digests ...[]byte) error {
	last, err := r.last().readToken()
	if err != nil {
		return err
	}
	if err := a.prove(false, digests...); err != nil {
		return fmt.Errorf("%w: %w", ErrRenewal, err)
	}
	token, err := a.readToken()
	if err != nil {
		return err
	}
	if token.Info.GenTime.Before(last.Info.GenTime) {
		return fmt.Errorf("%w: %w", ErrRenewal, ErrOrder)
	}
	return nil
}

// sequence is the DER of an ArchiveTimeStampSequence.
func sequence(chains []Chain) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, size(chains)))
	addSequence(b, chains)
	return b.Bytes()
}

func sum(hash crypto.Hash, parts ...[]byte) []byte {
	h := hash.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}
