package evidence_test

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// FuzzParse: what is accepted is written as the same octets, and nothing but its own data object is proven.
func FuzzParse(f *testing.F) {
	s := newStamper(f)
	for _, der := range recordFiles(f) {
		f.Add(der)
	}
	_, records := renewed(f, s)
	for _, r := range append(records, evidence.NewRecord(s.stamp(treeOf(f, crypto.SHA256, objects(1)), tsatest.Now()).ArchiveTimeStamp(0))) {
		f.Add(mustMarshal(f, r))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := evidence.Parse(der)
		if err != nil {
			var token *tsa.TokenError
			if !errors.Is(err, evidence.ErrMalformed) && !errors.Is(err, evidence.ErrTooLarge) && !errors.Is(err, evidence.ErrVersion) &&
				!errors.Is(err, evidence.ErrHash) && !errors.As(err, &token) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := r.Marshal()
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x is written as %x, %v", der, again, err)
		}
		o := s.options()
		if _, err := r.Verify(digestsOf([]byte("something that was never stamped")), o); err == nil {
			t.Error("it proves anything")
		}
		if c, err := r.Collection(digestsOf([]byte("something that was never stamped"), nil)); err == nil {
			t.Errorf("it is the record of a collection: %+v", c)
		}
	})
}

// FuzzTree: the root of a tree is that of the RFC's words, whatever its shape, and each leaf is proven by its own reduced hash
// tree, whole, and by no other. An octet is a leaf: how many objects it has, and which is the first of them.
func FuzzTree(f *testing.F) {
	s := newStamper(f)
	for _, shape := range [][]byte{{0}, {1}, {0, 4}, {0, 4, 8}, {0, 0, 0, 0}, {3, 2, 1, 0, 7, 11, 15, 200}, bytes.Repeat([]byte{9, 40, 4}, 11)} {
		f.Add(shape)
	}
	f.Fuzz(func(t *testing.T, shape []byte) {
		if len(shape) == 0 || len(shape) > 64 {
			return
		}
		tree, err := evidence.NewTree(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		var leaves [][][]byte // the digests of each
		var level [][]byte
		for i, b := range shape {
			var leaf [][]byte
			for n := range int(b%4) + 1 {
				leaf = append(leaf, digest(crypto.SHA256, []byte{b/4 + byte(n)}))
			}
			if at, err := tree.Add(leaf...); at != i || err != nil {
				t.Fatal(at, err)
			}
			leaves = append(leaves, leaf)
			if node := leaf[0]; len(leaf) == 1 {
				level = append(level, node)
			} else {
				level = append(level, father(slices.Clone(leaf)...))
			}
		}
		for len(level) > 1 {
			var above [][]byte
			for sons := range slices.Chunk(level, 2) {
				if len(sons) == 2 {
					sons = [][]byte{father(slices.Clone(sons)...)}
				}
				above = append(above, sons[0])
			}
			level = above
		}
		if !bytes.Equal(tree.Root(), level[0]) {
			t.Fatalf("root %x, not %x", tree.Root(), level[0])
		}
		stamped := s.with(t).stamp(tree, tsatest.Now())
		for i, leaf := range leaves {
			a := stamped.ArchiveTimeStamp(i)
			if err := a.Prove(true, leaf...); err != nil {
				t.Errorf("leaf %d: %v", i, err)
			}
			other := leaves[(i+1)%len(leaves)]
			same := func(a, b [][]byte) bool {
				return !slices.ContainsFunc(a, func(d []byte) bool {
					return !slices.ContainsFunc(b, func(e []byte) bool { return bytes.Equal(d, e) })
				})
			}
			if err := a.Prove(true, other...); (err == nil) != (same(leaf, other) && same(other, leaf)) {
				t.Errorf("leaf %d proves the one beside it: %v", i, err)
			}
		}
	})
}

func mustMarshal(t testing.TB, r *evidence.Record) []byte {
	t.Helper()
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// recordFiles are the records in testdata.
func recordFiles(t testing.TB) (list [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.ers"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, der)
	}
	return list
}
