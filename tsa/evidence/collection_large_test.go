package evidence_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"runtime"
	"testing"

	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// TestCollectionMemory has a collection of 100,000 objects renewed by hash tree, its trees built again, and records derived: wherever
// it is looked at, the heap holds no more than 600 octets for each object, and 32 MiB.
func TestCollectionMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const n = 100_000
	s := newStamper(t)
	digests := func(hash crypto.Hash) (list [][]byte, err error) {
		for i := range n {
			list = append(list, digest(hash, numbered(i)))
		}
		return list, nil
	}
	tree, err := evidence.NewTree(crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := tree.Add(digest(crypto.SHA512, numbered(i))); err != nil {
			t.Fatal(err)
		}
	}
	record := again(t, evidence.NewRecord(s.stamp(tree, tsatest.Now()).ArchiveTimeStamp(0)))
	tree = nil

	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	most := uint64(0)
	measure := func() {
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
	}
	look := func(hash crypto.Hash) ([][]byte, error) {
		list, err := digests(hash)
		measure()
		return list, err
	}
	c, err := record.Collection(look)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := c.HashTreeDigests(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	measure()
	forest, err := evidence.NewForest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forest.Add(leaves...); err != nil {
		t.Fatal(err)
	}
	measure()
	stamped, err := forest.Stamp(s.token(crypto.SHA256, forest.Root(), tsatest.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if err := record.RenewHashTree(stamped.ArchiveTimeStamp(0), digest(crypto.SHA256, numbered(0))); err != nil {
		t.Fatal(err)
	}
	if c, err = again(t, record).Collection(look); err != nil {
		t.Fatal(err)
	}
	measure()
	for i := 0; i < n; i += n / 50 {
		derived, err := c.Record(i)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again(t, derived).Verify(digestsOf(numbered(i)), s.options()); err != nil {
			t.Fatalf("object %d: %v", i, err)
		}
	}
	t.Logf("%d KiB at most", most>>10)
	if bound := uint64(32<<20 + 600*n); most > bound {
		t.Errorf("%d octets, more than %d", most, bound)
	}
}

// TestForestMemory adds the trees of 32 collections, of 4096 objects each, to a forest: of each it keeps a few hashes.
func TestForestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	forest, err := evidence.NewForest(crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 32 {
		var leaves [][]byte
		for n := range 4096 {
			leaves = append(leaves, digest(crypto.SHA512, numbered(i*4096+n)))
		}
		if _, err := forest.Add(leaves...); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 1<<20 {
		t.Errorf("%d octets are kept", kept)
	}
	if forest.Len() != 32 || len(forest.Root()) != crypto.SHA512.Size() {
		t.Errorf("%d trees, root %x", forest.Len(), forest.Root())
	}
}

// TestCollectionTooLarge has a collection of so many objects with so long tokens that nobody would want to wait.
func TestCollectionTooLarge(t *testing.T) {
	const n = 100_000
	s := newStamper(t).successor(func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: tsatest.Policy(), Value: make([]byte, 60_000)})
	})
	list := make([][]byte, n)
	for i := range list {
		list[i] = digest(crypto.SHA256, nil)
	}
	tree, err := evidence.NewTree(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if _, err := tree.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	r := again(t, evidence.NewRecord(s.stamp(tree, tsatest.Now()).ArchiveTimeStamp(0)))
	for range 2 {
		hash, over := r.TimeStampDigest()
		if err := r.RenewTimeStamp(s.plain(hash, over, tsatest.Now())); err != nil {
			t.Fatal(err)
		}
	}
	c, err := r.Collection(func(crypto.Hash) ([][]byte, error) { return list, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.HashTreeDigests(crypto.SHA256); !errors.Is(err, evidence.ErrTooLarge) {
		t.Error(err)
	}
}
