package evidence

import (
	"bytes"
	"crypto"
	"slices"
)

// Forest is the hash trees of several collections under one root, so that one token renews them all. Each tree stays whole
// below its own root: to derive a record of a collection takes nothing of the others. Of each it keeps a few hashes.
type Forest struct {
	top    *Tree               // over the roots of the trees
	firsts [][]PartialHashtree // of each tree: what leads from its first leaf to its root
}

// NewForest makes an empty forest. hash is SHA-256, SHA-384 or SHA-512; the error wraps [ErrHash] for others.
func NewForest(hash crypto.Hash) (*Forest, error) {
	top, err := NewTree(hash)
	if err != nil {
		return nil, err
	}
	return &Forest{top: top}, nil
}

// Hash returns the hash algorithm of the forest.
func (f *Forest) Hash() crypto.Hash { return f.top.Hash() }

// Len returns how many trees were added.
func (f *Forest) Len() int { return f.top.Len() }

// Add adds the tree over these leaves, which are those of one collection, in its order. It returns the index by which the
// time-stamp is asked for. The error is as that of [Tree.Add].
func (f *Forest) Add(leaves ...[]byte) (index int, err error) {
	tree, err := newTree(f.Hash(), leaves)
	if err != nil {
		return 0, err
	}
	if index, err = f.top.Add(tree.Root()); err != nil {
		return 0, err
	}
	first := tree.path(0)
	for _, list := range first {
		list[0] = bytes.Clone(list[0]) // or all of the tree would be kept
	}
	f.firsts = append(f.firsts, first)
	return index, nil
}

// Root returns what the token must be over, or nil where nothing was added. It ends adding.
func (f *Forest) Root() []byte { return f.top.Root() }

// StampedForest is a forest with a token over its root.
type StampedForest struct {
	forest *Forest
	top    *Stamped
}

// Stamp puts a token on the forest. The error is as that of [Tree.Stamp].
func (f *Forest) Stamp(token []byte) (*StampedForest, error) {
	top, err := f.top.Stamp(token)
	if err != nil {
		return nil, err
	}
	return &StampedForest{f, top}, nil
}

// ArchiveTimeStamp returns the evidence for the first object of a collection, from which that for the others is derived. The
// index is that of Add; for another one it is as [Stamped.ArchiveTimeStamp].
func (s *StampedForest) ArchiveTimeStamp(index int) ArchiveTimeStamp {
	a := s.top.ArchiveTimeStamp(index)
	if len(a.ReducedHashtree) > 0 {
		a.ReducedHashtree = slices.Concat(s.forest.firsts[index], a.ReducedHashtree[1:])
	} else if a.Hash != 0 && len(s.forest.firsts[index]) > 1 {
		a.ReducedHashtree = s.forest.firsts[index]
	}
	return a
}

// newTree makes the tree over single objects.
func newTree(hash crypto.Hash, leaves [][]byte) (*Tree, error) {
	tree, err := NewTree(hash)
	if err != nil {
		return nil, err
	}
	if len(leaves) == 0 {
		return nil, ErrEmpty
	}
	for _, leaf := range leaves {
		if _, err := tree.Add(leaf); err != nil {
			return nil, err
		}
	}
	tree.Root()
	return tree, nil
}

// path is the reduced hash tree of a leaf, with its own list where it is the root as well.
func (t *Tree) path(index int) []PartialHashtree {
	if lists := t.reduced(index); lists != nil {
		return lists
	}
	return []PartialHashtree{{t.node(t.hash.New(), 0, index)}}
}
