package evidence

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"math/bits"
	"slices"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"github.com/sealmail/sealmail/tsa"
)

// Errors of a [Tree].
var (
	// ErrHash says that a hash algorithm is unknown, or too weak to make evidence with.
	ErrHash = errors.New("hash algorithm cannot be used for evidence")
	// ErrDigest says that a digest is not as long as the hash algorithm makes it.
	ErrDigest = errors.New("digest has the wrong length")
	// ErrEmpty says that there is nothing to stamp.
	ErrEmpty = errors.New("there are no data objects")
	// ErrComplete says that something was to be added to a tree whose root is known already.
	ErrComplete = errors.New("hash tree is complete")
)

// Tree is a hash tree (RFC 4998 section 4.2) over the digests of data objects. It is filled with Add, then [Tree.Root] is
// stamped. It takes four thirds of a digest for each object, and, for groups, the digests of their objects.
//
// Each father has two sons. The RFC allows any number; with two the path of an object to the root has the fewest hashes, and
// readers agree on it that do not on lists of several hashes (Bouncy Castle hashes such a list before it adds what was
// computed, and section 4.3 has it the other way round).
type Tree struct {
	hash    crypto.Hash
	leaves  int
	levels  [][]byte // every second level, each the concatenation of its nodes: the leaves, the fathers of their fathers…
	root    []byte   // nil: nothing was asked for yet
	groups  []group  // those leaves that are groups, ascending
	grouped []byte   // the digests of the objects of all groups
}

// group is a leaf that several data objects have; their digests end so far into Tree.grouped, and begin where those of the
// group before it end.
type group struct{ leaf, end int }

// NewTree makes an empty tree. hash is SHA-256, SHA-384 or SHA-512; the error wraps [ErrHash] for others.
func NewTree(hash crypto.Hash) (*Tree, error) {
	if _, err := tsa.HashAlgorithm(hash); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHash, err)
	}
	return &Tree{hash: hash, levels: make([][]byte, 1)}, nil
}

// Hash returns the hash algorithm of the tree.
func (t *Tree) Hash() crypto.Hash { return t.hash }

// Len returns how many data objects and groups were added.
func (t *Tree) Len() int { return t.leaves }

// Add adds one data object by its digest under the tree's hash, or a group of objects that belong together (a document and its
// signatures, say), which one record proves together. It returns the index by which the record is asked for. The error wraps
// [ErrDigest], [ErrEmpty], or [ErrComplete] once the root was asked for.
func (t *Tree) Add(digests ...[]byte) (index int, err error) {
	if t.root != nil {
		return 0, ErrComplete
	}
	if len(digests) == 0 {
		return 0, ErrEmpty
	}
	for _, d := range digests {
		if len(d) != t.hash.Size() {
			return 0, fmt.Errorf("%w: %d octets for %v", ErrDigest, len(d), t.hash)
		}
	}
	index = t.leaves
	leaf := digests[0]
	if len(digests) > 1 {
		for _, d := range digests {
			t.grouped = append(t.grouped, d...)
		}
		t.groups = append(t.groups, group{index, len(t.grouped)})
		leaf = node(t.hash.New(), nil, slices.Clone(digests))
	}
	t.levels[0] = append(t.levels[0], leaf...)
	t.leaves++
	return index, nil
}

// Root returns the root of the tree, which is what the token must be over, or nil where nothing was added. It ends adding.
func (t *Tree) Root() []byte {
	if t.root != nil || t.leaves == 0 {
		return t.root
	}
	h := t.hash.New()
	height, width := 0, t.leaves
	for ; width > 2; height, width = height+2, (width+3)/4 {
		above := make([]byte, 0, (width+3)/4*t.hash.Size())
		for i := range (width + 3) / 4 {
			above = t.father(h, above, height+1, i, (width+1)/2)
		}
		t.levels = append(t.levels, above)
	}
	t.root = t.father(h, nil, height, 0, width)
	return t.root
}

// node returns a node, counted from the leaves and from the left. It is computed anew where its level is not kept.
func (t *Tree) node(h hash.Hash, height, i int) []byte {
	level, size := t.levels[height/2], t.hash.Size()
	if height%2 == 1 {
		return t.father(h, nil, height-1, i, len(level)/size)
	}
	return level[i*size : (i+1)*size : (i+1)*size]
}

// father appends the father of the nodes 2i and 2i+1 of a level, which has so many.
func (t *Tree) father(h hash.Hash, dst []byte, height, i, width int) []byte {
	sons := [2][]byte{t.node(h, height, 2*i)}
	if 2*i+1 == width {
		return node(h, dst, sons[:1])
	}
	sons[1] = t.node(h, height, 2*i+1)
	return node(h, dst, sons[:])
}

// reduced returns the reduced hash tree of one leaf (RFC 4998 section 4.2): first the object, or all objects of the group, and
// nothing else, then what hangs beside the path to the root. The section's figure has the brothers of a single object in the
// first list as well, where nobody can tell it from them; section 5.2 (step 5) has it alone. A node without a brother is
// its own father, and needs no list. The tree is nil where the object is the root.
func (t *Tree) reduced(index int) []PartialHashtree {
	size := t.hash.Size()
	depth := bits.Len(uint(t.leaves - 1))
	lists := make([]PartialHashtree, 0, 1+depth)
	values := make([][]byte, 0, 1+depth) // of the lists of one
	alone := func(value []byte) PartialHashtree {
		values = append(values, value)
		return values[len(values)-1 : len(values) : len(values)]
	}
	h := t.hash.New()
	switch at, isGroup := slices.BinarySearchFunc(t.groups, index, func(g group, leaf int) int { return g.leaf - leaf }); {
	case isGroup:
		start := 0
		if at > 0 {
			start = t.groups[at-1].end
		}
		list := slices.Collect(slices.Chunk(t.grouped[start:t.groups[at].end], size))
		slices.SortFunc(list, bytes.Compare)
		lists = append(lists, list)
	case t.leaves == 1:
		return nil
	default:
		lists = append(lists, alone(t.node(h, 0, index)))
	}
	for height, width := 0, t.leaves; width > 1; height, width = height+1, (width+1)/2 {
		if brother := index ^ 1; brother < width {
			lists = append(lists, alone(t.node(h, height, brother)))
		}
		index /= 2
	}
	return lists
}

// Stamped is a tree with a token over its root.
type Stamped struct {
	tree  *Tree
	der   []byte
	token *tsa.Token
}

// tokenDepth is how deep a token may be nested.
const tokenDepth = 32

// Stamp puts a token on the tree; one in BER is brought into DER, as all of a record has to be. The error is [ErrEmpty], or a
// *[tsa.TokenError] where the token is none, or is not over this root; who made it is not asked: the record is verified in
// the end.
func (t *Tree) Stamp(token []byte) (*Stamped, error) {
	if t.Len() == 0 {
		return nil, ErrEmpty
	}
	der, err := ber.ToDER(token, ber.Limits{Depth: tokenDepth, Element: tsa.MaxSize})
	if err != nil {
		return nil, &tsa.TokenError{Code: tsa.CodeBroken, Rule: tsa.ErrMalformed, Err: err}
	}
	read, err := tsa.ParseToken(der)
	if err != nil {
		return nil, err
	}
	if err := over(read, t.hash, t.Root()); err != nil {
		return nil, err
	}
	return &Stamped{t, der, read}, nil
}

// ArchiveTimeStamp returns the evidence for one data object or group. The index is that of Add; for another one there is no
// evidence, and what is returned can neither be written nor verified.
func (s *Stamped) ArchiveTimeStamp(index int) ArchiveTimeStamp {
	if index < 0 || index >= s.tree.Len() {
		return ArchiveTimeStamp{}
	}
	return ArchiveTimeStamp{Hash: s.tree.hash, ReducedHashtree: s.tree.reduced(index), TimeStamp: s.der, token: s.token}
}

// node appends the father of some nodes, which it sorts: the hash over them in binary ascending order, one after the other.
// The father of one alone is itself: section 4.2 has nothing to hash where there is a single value.
func node(h hash.Hash, dst []byte, children [][]byte) []byte {
	if len(children) == 1 {
		return append(dst, children[0]...)
	}
	slices.SortFunc(children, bytes.Compare)
	h.Reset()
	for _, child := range children {
		h.Write(child)
	}
	return h.Sum(dst)
}
