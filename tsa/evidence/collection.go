package evidence

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
)

var (
	// ErrForm: the record of a collection is written in the one way in which [Tree], [Forest] and this package write it.
	ErrForm = errors.New("evidence record is not written as that of the first object of a collection")
	// ErrIndex says that a collection has no object of this number.
	ErrIndex = errors.New("no such data object in the collection")
)

// maxRebuilt bounds the octets that are hashed to rebuild the later trees of a collection, each leaf of which is over all
// evidence for its object that is older.
const maxRebuilt = 16 << 30

// CollectionError says among which data objects of a collection there is one, at least, that is not what the evidence is for.
// They are all where it cannot be told. Where there are too few or too many, it may be any of them. It wraps [ErrObject].
type CollectionError struct {
	Chain    int // the chain of the record that shows it, counted from 1
	From, To int // the first one, and the one after the last, counted from 0
	Of       int // how many were given
}

func (e *CollectionError) Error() string {
	which := fmt.Sprintf("one at least from %d to %d", e.From+1, e.To)
	if e.To == e.From+1 {
		which = fmt.Sprint("number ", e.To)
	}
	return fmt.Sprintf("%v: %s, of %d, unless their count is wrong", ErrObject, which, e.Of)
}

func (e *CollectionError) Unwrap() error { return ErrObject }

// Collection is data objects that were stamped with one token, and are renewed together, for which one record is kept: that of
// the first of them. Those of the others are derived from it and from the digests of them all.
//
// It begins with a [Tree] over all objects and nothing else, whose record is made for index 0. Time-stamp renewal is that of the
// record, and needs no objects: the time-stamp that is added is over the last one, which the records of all objects have in
// common (RFC 4998 section 5.2). Hash-tree renewal is over each object and its own evidence so far; the values for all objects are
// the leaves of one tree in a [Forest], so that the tree can be built again from the objects, and what leads from its root to
// that of the forest is taken from the record.
type Collection struct {
	record  *Record
	digests DigestFunc
	first   map[crypto.Hash][]byte // digests of the first object
	trees   []*Tree                // of each chain
}

// Collection builds the trees of a collection again, and makes sure that they lead to all time-stamps of the record, which is
// that of the first object: so each object is proven by what proves the first one. It verifies no token, which is the business
// of [Collection.Verify]. digests returns those of all objects, in their order; it is called once for each chain. Its errors are
// returned as they are; others are a *[CollectionError], or wrap [ErrNothing], [ErrForm], [ErrRoot], or an error of HashTreeDigests.
func (r *Record) Collection(digests DigestFunc) (*Collection, error) {
	if r.empty() {
		return nil, ErrNothing
	}
	if err := r.inForm(); err != nil {
		return nil, err
	}
	c := &Collection{record: r, digests: digests, first: map[crypto.Hash][]byte{}}
	for i, chain := range r.Chains {
		leaves, err := c.HashTreeDigests(chain[0].Hash)
		if err != nil {
			return nil, err
		}
		tree, err := newTree(chain[0].Hash, leaves)
		if err != nil {
			return nil, err
		}
		if err := c.leads(i, tree); err != nil {
			return nil, err
		}
		c.trees = append(c.trees, tree)
	}
	return c, nil
}

// Len returns how many data objects there are.
func (c *Collection) Len() int { return c.trees[0].Len() }

// inForm makes sure that the record has nothing that this package would not have written.
func (r *Record) inForm() error {
	as, err := r.Marshal()
	if err != nil {
		return err
	}
	again := new(Record)
	for _, chain := range r.Chains {
		var list Chain
		for _, a := range chain {
			a.raw = nil
			list = append(list, a)
		}
		again.Chains = append(again.Chains, list)
	}
	want, err := again.Marshal()
	if err != nil {
		return err
	}
	if !bytes.Equal(as, want) {
		return ErrForm
	}
	return nil
}

// leads makes sure that the record goes, in this chain, from the first leaf of the tree to its root, and in the first chain no
// further: otherwise half of the objects could be left out, and what stood beside them be taken for the root of another tree.
func (c *Collection) leads(chain int, tree *Tree) error {
	a := &c.record.Chains[chain][0]
	want := tree.path(0)
	if got := a.ReducedHashtree; len(got) > 0 || len(want) > 1 {
		if len(got) < len(want) || chain == 0 && len(got) > len(want) {
			return &CollectionError{chain + 1, 0, tree.Len(), tree.Len()}
		}
		// The lists hold the first leaf, the second, the father of the next two, that of the next four…
		for i, list := range want {
			if len(got[i]) != 1 || !bytes.Equal(got[i][0], list[0]) {
				return &CollectionError{chain + 1, 1 << i >> 1, min(1<<i, tree.Len()), tree.Len()}
			}
		}
	}
	err := a.prove(true, want[0][0])
	if errors.Is(err, ErrObject) {
		return &CollectionError{chain + 1, 0, 1, tree.Len()}
	}
	return err
}

// HashTreeDigests returns what hash-tree renewal has to stamp for each object (see [Record.HashTreeDigests]): the leaves to be
// added to a [Forest]. The record is then renewed with [Record.RenewHashTree] and the digest of the first object. The error is
// that of the DigestFunc, a *[CollectionError], or wraps [ErrHash], [ErrDigest], [ErrEmpty] or [ErrTooLarge].
func (c *Collection) HashTreeDigests(hash crypto.Hash) ([][]byte, error) {
	values, err := c.values(hash)
	if err != nil || len(c.trees) == 0 {
		return values, err
	}
	if len(values) != c.Len() {
		return nil, &CollectionError{len(c.trees), 0, len(values), len(values)}
	}
	if int64(size(c.record.Chains[:len(c.trees)])) > maxRebuilt/int64(len(values)) {
		return nil, fmt.Errorf("%w: for %d objects more than %d octets would have to be hashed", ErrTooLarge, len(values), int64(maxRebuilt))
	}
	leaves := make([][]byte, len(values))
	for i, value := range values {
		list, err := c.derived(i).HashTreeDigests(hash, value)
		if err != nil {
			return nil, err
		}
		leaves[i] = list[0]
	}
	return leaves, nil
}

// values are the digests of all objects. That of the first one is kept.
func (c *Collection) values(hash crypto.Hash) ([][]byte, error) {
	if !hash.Available() {
		return nil, fmt.Errorf("%w: %v", ErrHash, hash)
	}
	values, err := c.digests(hash)
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, ErrEmpty
	}
	for _, value := range values {
		if len(value) != hash.Size() {
			return nil, fmt.Errorf("%w: %d octets for %v", ErrDigest, len(value), hash)
		}
	}
	c.first[hash] = bytes.Clone(values[0])
	return values, nil
}

// Record derives the record of one object, which proves it alone and needs nothing of the collection any more. The error wraps
// [ErrIndex].
func (c *Collection) Record(index int) (*Record, error) {
	if index < 0 || index >= c.Len() {
		return nil, fmt.Errorf("%w: %d of %d", ErrIndex, index, c.Len())
	}
	return c.derived(index), nil
}

// derived is the record of an object as far as there are trees.
func (c *Collection) derived(index int) *Record {
	r := &Record{Chains: make([]Chain, len(c.trees))}
	for i, tree := range c.trees {
		of := c.record.Chains[i]
		first := ArchiveTimeStamp{Hash: of[0].Hash, TimeStamp: of[0].TimeStamp, token: of[0].token}
		if len(of[0].ReducedHashtree) > 0 {
			own := tree.path(index)
			above := of[0].ReducedHashtree[len(tree.path(0)):]
			first.ReducedHashtree = append(own[:len(own):len(own)], above...)
		}
		r.Chains[i] = append(append(make(Chain, 0, len(of)), first), of[1:]...)
	}
	return r
}

// Verify is [Record.Verify] for the record of the first object. As the trees lead to the same time-stamps, what it proves is so
// for all objects.
func (c *Collection) Verify(o VerifyOptions) (*Result, error) {
	return c.record.Verify(func(hash crypto.Hash) ([][]byte, error) { return [][]byte{c.first[hash]}, nil }, o)
}
