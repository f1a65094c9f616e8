package interop

import (
	"bytes"
	"crypto"
	"fmt"
	"testing"
	"time"

	"github.com/sealmail/sealmail/tsa/evidence"
)

// collected is the record of the first of some leaves, all single objects, and the leaves.
type collected struct {
	leaves []leaf
	record *evidence.Record
}

func (c collected) digests(hash crypto.Hash) (list [][]byte, err error) {
	for _, l := range c.leaves {
		digests, _ := l.digests(hash)
		list = append(list, digests...)
	}
	return list, nil
}

// open builds the trees again, from the record as it is written.
func (c collected) open(t *testing.T) *evidence.Collection {
	t.Helper()
	r, err := evidence.Parse(marshal(t, c.record))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := r.Collection(c.digests)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// testEvidenceCollections has collections made, renewed together by time-stamp, by hash tree, and by time-stamp and by hash tree once
// more. After each step the derived records of their objects are read by both, each for its object and for no other, and Bouncy
// Castle renews one.
func testEvidenceCollections(t *testing.T, ours sealmailKeeper, bc bouncyKeeper) {
	years := func(n int) time.Time { return firstYear.AddDate(n, 0, 0) }
	var list []collected
	for _, n := range []int{1, 2, 9} {
		c := collected{}
		for i := range n {
			c.leaves = append(c.leaves, single(fmt.Sprintf("object %d of %d", i, n)))
		}
		first, err := evidence.Parse(ours.write(t, crypto.SHA512, c.leaves, firstYear)[0])
		if err != nil {
			t.Fatal(err)
		}
		c.record = first
		list = append(list, c)
	}
	check := func(step int) {
		t.Helper()
		for _, c := range list {
			opened := c.open(t)
			for i, l := range c.leaves {
				r, err := opened.Record(i)
				if err != nil {
					t.Fatal(err)
				}
				var others []leaf
				if other := (i + 1) % len(c.leaves); other != i {
					others = append(others, c.leaves[other])
				}
				record := marshal(t, r)
				agree(t, []keeper{ours, bc}, record, l, others...)
				if i != len(c.leaves)-1 || len(r.Chains) > 1 { // not even its own records does it renew by hash tree for a second time
					continue
				}
				again, err := bc.renewHashTree(t, record, crypto.SHA256, l, years(step+1))
				if err != nil {
					t.Fatal(err)
				}
				agree(t, []keeper{ours, bc}, again, l)
				if !bytes.Contains(again, r.Chains[0][0].TimeStamp) {
					t.Error("the renewed record is another one")
				}
			}
		}
	}
	timeStamps := func(at time.Time) {
		hash, _ := list[0].record.TimeStampDigest()
		tree := newTree(t, hash)
		for _, c := range list {
			_, digest := c.record.TimeStampDigest()
			if _, err := tree.Add(digest); err != nil {
				t.Fatal(err)
			}
		}
		stamped := ours.stamp(t, tree, at)
		for i, c := range list {
			if err := c.record.RenewTimeStamp(stamped.ArchiveTimeStamp(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	hashTrees := func(hash crypto.Hash, at time.Time) {
		forest, err := evidence.NewForest(hash)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			leaves, err := c.open(t).HashTreeDigests(hash)
			if err == nil {
				_, err = forest.Add(leaves...)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		stamped, err := forest.Stamp(ours.token(t, hash, forest.Root(), at))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range list {
			first, _ := c.leaves[0].digests(hash)
			if err := c.record.RenewHashTree(stamped.ArchiveTimeStamp(i), first...); err != nil {
				t.Fatal(err)
			}
		}
	}
	check(0)
	timeStamps(years(1))
	check(1)
	hashTrees(crypto.SHA256, years(2))
	check(2)
	timeStamps(years(3))
	check(3)
	hashTrees(crypto.SHA512, years(4))
	check(4)
}
