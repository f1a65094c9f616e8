package evidence

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/sealmail/sealmail/tsa"
)

// fanOut is how many nodes have one father. Four keep the tree small, at a third of its leaves beside them, for a path with a
// few hashes more than that of a binary tree.
const fanOut = 4

// Errors of a [Tree].
var (
	// ErrHash says that a hash algorithm is unknown, or too weak to make evidence with.
	ErrHash = errors.New("hash algorithm cannot be used for evidence")
	// ErrDigest says that a digest is not as long as the hash algorithm makes it.
	ErrDigest = errors.New("digest has the wrong length")
	// ErrEmpty says that there is nothing to stamp.
	ErrEmpty = errors.New("there are no data objects")
)

// Tree is a hash tree (RFC 4998 section 4.2) over the digests of data objects. It is filled with Add, then [Tree.Root] is
// stamped. It takes four thirds of a digest for each object, and, for groups, the digests of their objects.
type Tree struct {
	hash   crypto.Hash
	levels [][]byte // the leaves first, the root last; each the concatenation of its nodes
	groups map[int][]byte
}

// NewTree makes an empty tree. hash is SHA-256, SHA-384 or SHA-512; the error wraps [ErrHash] for others.
func NewTree(hash crypto.Hash) (*Tree, error) {
	if _, err := tsa.HashAlgorithm(hash); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHash, err)
	}
	return &Tree{hash: hash, levels: make([][]byte, 1), groups: map[int][]byte{}}, nil
}

// Hash returns the hash algorithm of the tree.
func (t *Tree) Hash() crypto.Hash { return t.hash }

// Len returns how many data objects and groups were added.
func (t *Tree) Len() int { return len(t.levels[0]) / t.hash.Size() }

// Add adds one data object by its digest under the tree's hash, or a group of objects that belong together (a document and its
// signatures, say), which one record proves together. It returns the index by which the record is asked for. The error wraps
// [ErrDigest] or [ErrEmpty]. Nothing can be added any more once the root is known: then it panics.
func (t *Tree) Add(digests ...[]byte) (index int, err error) {
	if len(t.levels) > 1 {
		panic("evidence: Tree.Add after Tree.Root")
	}
	if len(digests) == 0 {
		return 0, ErrEmpty
	}
	for _, d := range digests {
		if len(d) != t.hash.Size() {
			return 0, fmt.Errorf("%w: %d octets for %v", ErrDigest, len(d), t.hash)
		}
	}
	index = t.Len()
	if len(digests) > 1 {
		t.groups[index] = slices.Concat(digests...)
	}
	t.levels[0] = node(t.hash, t.levels[0], digests)
	return index, nil
}

// Root returns the root of the tree, which is what the token must be over, or nil where nothing was added. It ends adding.
func (t *Tree) Root() []byte {
	if t.Len() == 0 {
		return nil
	}
	size := t.hash.Size()
	for top := t.levels[len(t.levels)-1]; len(top) > size; top = t.levels[len(t.levels)-1] {
		above := make([]byte, 0, (len(top)/size+fanOut-1)/fanOut*size)
		for family := range slices.Chunk(top, fanOut*size) {
			above = node(t.hash, above, split(family, size))
		}
		t.levels = append(t.levels, above)
	}
	return t.levels[len(t.levels)-1]
}

// reduced returns the reduced hash tree of one leaf (RFC 4998 section 4.2): first its group, or itself and its brothers, then
// what hangs beside the path to the root. A node without brothers is its own father, and needs no list. It is nil where
// the leaf is the root.
func (t *Tree) reduced(index int) (lists []PartialHashtree) {
	size := t.hash.Size()
	known := true // the node of the level can be computed from the lists so far
	if group, ok := t.groups[index]; ok {
		lists = append(lists, sorted(split(group, size)))
	} else {
		known = false
	}
	for _, level := range t.levels[:len(t.levels)-1] {
		family := index / fanOut
		first := family * fanOut
		var list PartialHashtree
		for i := first; i < first+fanOut && i*size < len(level); i++ {
			if i != index || !known {
				list = append(list, level[i*size:(i+1)*size:(i+1)*size])
			}
		}
		if len(list) > 1 || known && len(list) == 1 {
			lists = append(lists, sorted(list))
			known = true
		}
		index = family
	}
	return lists
}

// Stamped is a tree with a token over its root.
type Stamped struct {
	tree  *Tree
	der   []byte
	token *tsa.Token
}

// Stamp puts a token, in DER, on the tree. The error is a *[tsa.TokenError] where the token is none, or is not over this
// root; who made it is not asked: the record is verified in the end.
func (t *Tree) Stamp(token []byte) (*Stamped, error) {
	if t.Len() == 0 {
		return nil, ErrEmpty
	}
	read, err := tsa.ParseToken(token)
	if err != nil {
		return nil, err
	}
	if err := over(read, t.hash, t.Root()); err != nil {
		return nil, err
	}
	return &Stamped{t, token, read}, nil
}

// ArchiveTimeStamp returns the evidence for one data object or group. The index is that of Add.
func (s *Stamped) ArchiveTimeStamp(index int) ArchiveTimeStamp {
	return ArchiveTimeStamp{Hash: s.tree.hash, ReducedHashtree: s.tree.reduced(index), TimeStamp: s.der, token: s.token}
}

// node appends the father of some nodes: the hash over them in binary ascending order, one after the other. The father of
// one alone is itself: section 4.2 has nothing to hash where there is a single value.
func node(hash crypto.Hash, dst []byte, children [][]byte) []byte {
	if len(children) == 1 {
		return append(dst, children[0]...)
	}
	h := hash.New()
	for _, child := range sorted(children) {
		h.Write(child)
	}
	return h.Sum(dst)
}

// sorted returns values in binary ascending order.
func sorted(values [][]byte) PartialHashtree {
	list := slices.Clone(values)
	slices.SortFunc(list, bytes.Compare)
	return list
}

// split returns the values of size octets that are one after the other.
func split(values []byte, size int) [][]byte {
	return slices.Collect(slices.Chunk(values, size))
}
