package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// numbered is the i-th of many data objects.
func numbered(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

// largeTree is a tree over so many objects, of which every tenth is a group of two.
func largeTree(t testing.TB, hash crypto.Hash, n int) *evidence.Tree {
	t.Helper()
	tree, err := evidence.NewTree(hash)
	if err != nil {
		t.Fatal(err)
	}
	h := hash.New()
	sum := func(object []byte) []byte {
		h.Reset()
		h.Write(object)
		return h.Sum(nil)
	}
	for i := range n {
		digests := [][]byte{sum(numbered(i))}
		if i%10 == 9 {
			digests = append(digests, sum(append(numbered(i), "signature"...)))
		}
		if _, err := tree.Add(digests...); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// largeDigests are the digests that largeTree has for the i-th leaf.
func largeDigests(i int) evidence.DigestFunc {
	if i%10 == 9 {
		return digestsOf(numbered(i), append(numbered(i), "signature"...))
	}
	return digestsOf(numbered(i))
}

// TestLarge has 100,000 data objects under one token, each proven alone by its own record, written and read; one that was
// changed, or belongs to another record, is found, and so is one that the tree was not told of. Under the race detector it
// looks at every 50th.
func TestLarge(t *testing.T) {
	const n = 100_000
	s := newStamper(t)
	stamped := s.stamp(largeTree(t, crypto.SHA256, n), tsatest.Now())
	token := stamped.ArchiveTimeStamp(0).TimeStamp
	o := s.options()
	o.Whole, o.Verified = true, new(evidence.VerifiedTokens)
	step := 1
	if raceEnabled {
		step = 50
	}
	one := func(i int) error {
		der, err := evidence.NewRecord(stamped.ArchiveTimeStamp(i)).Marshal()
		if err != nil {
			return err
		}
		r, err := evidence.Parse(der)
		if err != nil {
			return err
		}
		if _, err := r.Verify(largeDigests(i), o); err != nil {
			return err
		}
		if !bytes.Equal(r.Chains[0][0].TimeStamp, token) {
			return errors.New("it has another time-stamp")
		}
		for name, other := range map[string]evidence.DigestFunc{
			"its brother": largeDigests(i ^ 1), "one far away": largeDigests((i + n/2) % n), "one that was left out": largeDigests(n + i),
			"itself, changed": digestsOf(append(numbered(i), '!')),
		} {
			if _, err := r.Verify(other, o); !errors.Is(err, evidence.ErrObject) {
				return fmt.Errorf("%s is proven: %w", name, err)
			}
		}
		return nil
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := int(next.Add(1)-1) * step; i < n; i = int(next.Add(1)-1) * step {
				if err := one(i); err != nil {
					t.Errorf("record %d: %v", i, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// remembered asks for the path to the one authority of a test but once.
func remembered(path tsa.PathFunc) tsa.PathFunc {
	var once sync.Once
	var chain []*x509.Certificate
	var err error
	return func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		once.Do(func() { chain, err = path(cert, bag, at) })
		return chain, err
	}
}

// TestMemory makes a tree over 100,000 objects, has it stamped, and makes each record, one after the other: the heap never
// holds more than 100 octets for each object, and 32 MiB.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const n = 100_000
	s := newStamper(t)
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		var most uint64
		look := func() {
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
		}
		tree, err := evidence.NewTree(hash)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, err := tree.Add(digest(hash, numbered(i))); err != nil {
				t.Fatal(err)
			}
			if i%1000 == 0 {
				look()
			}
		}
		stamped := s.stamp(tree, tsatest.Now())
		look()
		octets := 0
		for i := range n {
			octets += len(mustMarshal(t, evidence.NewRecord(stamped.ArchiveTimeStamp(i))))
			if i%100 == 0 {
				look()
			}
		}
		t.Logf("%v: %d KiB at most, %d octets a record", hash, most>>10, octets/n)
		if bound := uint64(32<<20 + 100*n); most > bound {
			t.Errorf("%v: %d octets, more than %d", hash, most, bound)
		}
	}
}

// BenchmarkTree makes trees, and their roots.
func BenchmarkTree(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			digests := make([][]byte, n)
			for i := range digests {
				digests[i] = digest(crypto.SHA256, numbered(i))
			}
			b.ReportAllocs()
			for b.Loop() {
				tree, err := evidence.NewTree(crypto.SHA256)
				if err != nil {
					b.Fatal(err)
				}
				for _, d := range digests {
					if _, err := tree.Add(d); err != nil {
						b.Fatal(err)
					}
				}
				tree.Root()
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "objects/s")
		})
	}
}

// BenchmarkRecord makes the records of a tree over 100,000 objects, and writes them.
func BenchmarkRecord(b *testing.B) {
	const n = 100_000
	stamped := newStamper(b).stamp(largeTree(b, crypto.SHA256, n), tsatest.Now())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		der, err := evidence.NewRecord(stamped.ArchiveTimeStamp(i % n)).Marshal()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(der)))
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkVerifyRecord reads a record out of a tree over 100,000 objects and verifies it, with a path to the authority that
// is found each time, with one that is remembered, and with a token that is; renewed, it has three time-stamps in two chains.
func BenchmarkVerifyRecord(b *testing.B) {
	const n = 100_000
	s := newStamper(b)
	r := evidence.NewRecord(s.stamp(largeTree(b, crypto.SHA256, n), tsatest.Now()).ArchiveTimeStamp(n / 2))
	made := mustMarshal(b, r)
	hash, leaf := r.TimeStampDigest()
	if err := r.RenewTimeStamp(s.plain(hash, leaf, tsatest.Now())); err != nil {
		b.Fatal(err)
	}
	object := digest(crypto.SHA512, numbered(n/2))
	leaves, err := r.HashTreeDigests(crypto.SHA512, object)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.RenewHashTree(s.plain(crypto.SHA512, leaves[0], tsatest.Now()), object); err != nil {
		b.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		der      []byte
		path     tsa.PathFunc
		verified *evidence.VerifiedTokens
	}{
		{"made", made, s.options().Path, nil},
		{"made, path remembered", made, remembered(s.options().Path), nil},
		{"made, token remembered", made, s.options().Path, new(evidence.VerifiedTokens)},
		{"renewed, path remembered", mustMarshal(b, r), remembered(s.options().Path), nil},
	} {
		b.Run(tt.name, func(b *testing.B) {
			o := s.options()
			o.Path, o.Verified = tt.path, tt.verified
			b.ReportAllocs()
			for b.Loop() {
				r, err := evidence.Parse(tt.der)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Verify(largeDigests(n/2), o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkCollection builds the trees of a collection of 4096 objects again, as it was made and renewed by hash tree once and
// twice, and derives a record.
func BenchmarkCollection(b *testing.B) {
	s := newStamper(b)
	c := s.collected(crypto.SHA512, "all", 4096)
	for renewals := range 3 {
		b.Run(fmt.Sprint(renewals, " renewals"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, opened := c.open(b)
				if _, err := opened.Record(opened.Len() / 2); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(c.objects))/b.Elapsed().Seconds(), "objects/s")
		})
		s.with(b).renewHashTrees([]*collection{c}, crypto.SHA512, tsatest.Now())
	}
}
