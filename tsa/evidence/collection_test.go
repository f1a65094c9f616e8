package evidence_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// collection is data objects, and the record of the first of them as it is kept.
type collection struct {
	objects [][]byte
	der     []byte
}

// collected makes a collection of so many objects.
func (s *stamper) collected(hash crypto.Hash, name string, n int) *collection {
	s.t.Helper()
	c := new(collection)
	for i := range n {
		c.objects = append(c.objects, fmt.Appendf(nil, "object %d of %s", i, name))
	}
	c.der = mustMarshal(s.t, evidence.NewRecord(s.stamp(treeOf(s.t, hash, c.objects), tsatest.Now()).ArchiveTimeStamp(0)))
	return c
}

// open reads the record, and builds the trees again.
func (c *collection) open(t testing.TB) (*evidence.Record, *evidence.Collection) {
	t.Helper()
	r, err := evidence.Parse(c.der)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := r.Collection(digestsOf(c.objects...))
	if err != nil {
		t.Fatal(err)
	}
	return r, opened
}

// renewTimeStamps renews the records with one token for those of one hash algorithm.
func (s *stamper) renewTimeStamps(list []*collection, at time.Time) {
	s.t.Helper()
	trees, index := map[crypto.Hash]*evidence.Tree{}, make([]int, len(list))
	records := make([]*evidence.Record, len(list))
	for i, c := range list {
		var err error
		if records[i], err = evidence.Parse(c.der); err != nil {
			s.t.Fatal(err)
		}
		hash, digest := records[i].TimeStampDigest()
		if trees[hash] == nil {
			trees[hash], _ = evidence.NewTree(hash)
		}
		if index[i], err = trees[hash].Add(digest); err != nil {
			s.t.Fatal(err)
		}
	}
	for hash, tree := range trees {
		stamped := s.stamp(tree, at)
		for i, r := range records {
			if of, _ := r.TimeStampDigest(); of != hash {
				continue
			}
			if err := r.RenewTimeStamp(stamped.ArchiveTimeStamp(index[i])); err != nil {
				s.t.Fatal(err)
			}
			list[i].der = mustMarshal(s.t, r)
		}
	}
}

// renewHashTrees renews the collections with one token.
func (s *stamper) renewHashTrees(list []*collection, hash crypto.Hash, at time.Time) {
	s.t.Helper()
	forest, err := evidence.NewForest(hash)
	if err != nil {
		s.t.Fatal(err)
	}
	for i, c := range list {
		_, opened := c.open(s.t)
		leaves, err := opened.HashTreeDigests(hash)
		if err != nil {
			s.t.Fatal(err)
		}
		if index, err := forest.Add(leaves...); index != i || err != nil {
			s.t.Fatal(index, err)
		}
	}
	stamped, err := forest.Stamp(s.token(hash, forest.Root(), at))
	if err != nil {
		s.t.Fatal(err)
	}
	for i, c := range list {
		r, _ := c.open(s.t)
		if err := r.RenewHashTree(stamped.ArchiveTimeStamp(i), digest(hash, c.objects[0])); err != nil {
			s.t.Fatal(err)
		}
		c.der = mustMarshal(s.t, r)
	}
}

// holds verifies a collection, and the record of each object by itself, for it and for no other.
func (c *collection) holds(t *testing.T, o evidence.VerifyOptions, stamps int) {
	t.Helper()
	r, opened := c.open(t)
	result, err := opened.Verify(o)
	if err != nil || len(result.TimeStamps) != stamps || opened.Len() != len(c.objects) {
		t.Fatalf("%d objects, %+v: %v", opened.Len(), result, err)
	}
	o.Whole = true
	for i, object := range c.objects {
		derived, err := opened.Record(i)
		if err != nil {
			t.Fatal(err)
		}
		alone := again(t, derived)
		if i == 0 && !bytes.Equal(mustMarshal(t, alone), c.der) {
			t.Error("the record of the first object is derived as another one")
		}
		result, err := alone.Verify(digestsOf(object), o)
		if err != nil || len(result.TimeStamps) != stamps || !result.Time().Equal(tsatest.Now()) {
			t.Fatalf("object %d of %d: %+v, %v", i, len(c.objects), result, err)
		}
		for k, chain := range alone.Chains {
			if !bytes.Equal(chain[0].TimeStamp, r.Chains[k][0].TimeStamp) || len(chain) != len(r.Chains[k]) {
				t.Errorf("object %d of %d, chain %d: other time-stamps", i, len(c.objects), k+1)
			}
		}
		if other := (i + 1) % len(c.objects); other != i {
			if _, err := alone.Verify(digestsOf(c.objects[other]), o); !errors.Is(err, evidence.ErrObject) {
				t.Errorf("object %d of %d proves %d: %v", i, len(c.objects), other, err)
			}
		}
	}
	for _, index := range []int{-1, len(c.objects)} {
		if _, err := opened.Record(index); !errors.Is(err, evidence.ErrIndex) {
			t.Errorf("%d of %d: %v", index, len(c.objects), err)
		}
	}
}

// TestCollections has collections of random sizes renewed together, by time-stamp and by hash tree in random order: each object has
// its own record after each step.
func TestCollections(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStamper(t)
	o := s.options()
	o.Verified = new(evidence.VerifiedTokens)
	hashes := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	for round, sizes := range [][]int{{1}, {1, 1}, {2, 1, 3}, {4, 5}, {1 + random.IntN(300), 1 + random.IntN(300), 1 + random.IntN(20)}, {1 + random.IntN(300)}} {
		var list []*collection
		for i, n := range sizes {
			list = append(list, s.collected(hashes[random.IntN(3)], fmt.Sprint(i), n))
		}
		for step := range 5 {
			for _, c := range list {
				c.holds(t, o, 1+step)
			}
			at := tsatest.Now().AddDate(step+1, 0, 0)
			if hash := hashes[random.IntN(3)]; step == 1 || random.IntN(2) == 0 {
				t.Logf("round %d, %v: hash trees, %v", round, sizes, hash)
				s.renewHashTrees(list, hash, at)
			} else {
				t.Logf("round %d, %v: time-stamps", round, sizes)
				s.renewTimeStamps(list, at)
			}
		}
		for _, c := range list {
			c.holds(t, o, 6)
		}
	}
}

// TestCollectionChanged has objects changed, swapped, taken out and put in: it is found, and where.
func TestCollectionChanged(t *testing.T) {
	s := newStamper(t)
	for _, n := range []int{1, 2, 3, 4, 7, 8, 16, 21} {
		made := s.collected(crypto.SHA256, "all", n)
		renewed := &collection{made.objects, made.der}
		s.renewHashTrees([]*collection{s.collected(crypto.SHA256, "others", 5), renewed}, crypto.SHA512, tsatest.Now())
		for kind, der := range map[string][]byte{"made": made.der, "renewed": renewed.der} {
			r, err := evidence.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			refused := func(what string, objects [][]byte) *evidence.CollectionError {
				t.Helper()
				_, err := r.Collection(digestsOf(objects...))
				found, ok := errors.AsType[*evidence.CollectionError](err)
				if !ok || !errors.Is(err, evidence.ErrObject) || found.Chain != 1 || found.Of != len(objects) || found.From < 0 || found.From >= found.To || found.To > len(objects) {
					t.Fatalf("%s, %d objects, %s: %#v", kind, n, what, err)
				}
				return found
			}
			for i := range n {
				changed := slices.Clone(made.objects)
				changed[i] = []byte("another")
				if found := refused("changed", changed); i < found.From || i >= found.To {
					t.Errorf("%s, %d objects: %d was changed, and it says %v", kind, n, i, found)
				}
				if n > 1 {
					refused("one taken out", slices.Delete(slices.Clone(made.objects), i, i+1))
				}
				if i == 1 || i > 0 && i%2 == 0 { // others are brothers, who have one father whichever comes first
					swapped := slices.Clone(made.objects)
					swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
					refused("swapped", swapped)
				}
			}
			refused("one put in", append(slices.Clone(made.objects), []byte("another")))
			for half := n / 2; half > 0; half /= 2 {
				refused("a half", made.objects[:half])
			}
			if _, err := r.Collection(digestsOf()); !errors.Is(err, evidence.ErrEmpty) {
				t.Error(err)
			}
		}
	}
}

// TestEachOctet changes each octet of a record that was renewed both ways: what is left is no record of the collection. What the
// last token has beside what is signed (versions, the names of the digest algorithms, certificates above that of the
// authority) nothing protects: RFC 5652 signs the content and the attributes.
func TestEachOctet(t *testing.T) {
	s := newStamper(t)
	c := s.collected(crypto.SHA256, "all", 5)
	list := []*collection{s.collected(crypto.SHA256, "others", 1), c}
	s.renewTimeStamps(list, tsatest.Now().AddDate(1, 0, 0))
	s.renewHashTrees(list, crypto.SHA512, tsatest.Now().AddDate(2, 0, 0))
	s.renewTimeStamps(list, tsatest.Now().AddDate(3, 0, 0))
	o := s.options()
	o.Verified = new(evidence.VerifiedTokens)
	digests := digestsOf(c.objects...)
	judge := func(der []byte) error {
		r, err := evidence.Parse(der)
		if err != nil {
			return err
		}
		opened, err := r.Collection(digests)
		if err != nil {
			return err
		}
		_, err = opened.Verify(o)
		return err
	}
	if err := judge(c.der); err != nil {
		t.Fatal(err)
	}
	r, _ := c.open(t)
	last := bytes.LastIndex(c.der, r.Chains[1][1].TimeStamp)
	root := bytes.LastIndex(c.der, s.pki.Root.Raw)
	unsigned := 0
	for at := range c.der {
		found := true
		for _, flip := range []byte{1, 0x80} {
			changed := bytes.Clone(c.der)
			changed[at] ^= flip
			found = found && judge(changed) != nil
		}
		switch {
		case found:
		case at < last || at >= last+len(r.Chains[1][1].TimeStamp):
			t.Errorf("octet %d of %d can be another one", at, len(c.der))
		case at < root || at >= root+len(s.pki.Root.Raw):
			unsigned++
		}
	}
	const versionsAndDigestAlgorithms = 2 + 9
	if unsigned > versionsAndDigestAlgorithms {
		t.Errorf("%d octets of the last token can be others", unsigned)
	}
}

// TestCollectionRefused has digests that do not belong together, records that are none of a collection, and errors of reading.
func TestCollectionRefused(t *testing.T) {
	s := newStamper(t)
	c := s.collected(crypto.SHA256, "all", 4)
	list := []*collection{c, s.collected(crypto.SHA256, "others", 3)}
	s.renewHashTrees(list, crypto.SHA512, tsatest.Now())
	r, _ := c.open(t)
	unreadable := errors.New("it cannot be read")
	later := func(of func(hash crypto.Hash) ([][]byte, error)) evidence.DigestFunc {
		return func(hash crypto.Hash) ([][]byte, error) {
			if hash == crypto.SHA256 {
				return digestsOf(c.objects...)(hash)
			}
			return of(hash)
		}
	}
	for name, tt := range map[string]struct {
		digests evidence.DigestFunc
		want    error
	}{
		"unreadable":       {func(crypto.Hash) ([][]byte, error) { return nil, unreadable }, unreadable},
		"unreadable later": {later(func(crypto.Hash) ([][]byte, error) { return nil, unreadable }), unreadable},
		"none later":       {later(digestsOf()), evidence.ErrEmpty},
		"fewer later":      {later(digestsOf(c.objects[:3]...)), evidence.ErrObject},
		"more later":       {later(digestsOf(append(slices.Clone(c.objects), nil)...)), evidence.ErrObject},
		"others later":     {later(digestsOf(list[1].objects[0], c.objects[1], c.objects[2], c.objects[3])), evidence.ErrObject},
		"too short":        {later(func(crypto.Hash) ([][]byte, error) { return digestsOf(c.objects...)(crypto.SHA256) }), evidence.ErrDigest},
	} {
		if _, err := r.Collection(tt.digests); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := new(evidence.Record).Collection(digestsOf(c.objects...)); !errors.Is(err, evidence.ErrNothing) {
		t.Error(err)
	}
	for _, der := range recordFiles(t) { // of others, or for groups
		other, err := evidence.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Collection(digestsOf(c.objects...)); err == nil {
			t.Errorf("it is a collection: %x", der)
		}
	}
	opened, err := r.Collection(digestsOf(c.objects...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.HashTreeDigests(crypto.MD4); !errors.Is(err, evidence.ErrHash) {
		t.Error(err)
	}
}

// TestCollectionError: it is said which objects are meant, as people count.
func TestCollectionError(t *testing.T) {
	for want, e := range map[string]evidence.CollectionError{
		"data object is not the one that the evidence is for: number 2, of 9, unless their count is wrong":                 {Chain: 1, From: 1, To: 2, Of: 9},
		"data object is not the one that the evidence is for: one at least from 5 to 8, of 9, unless their count is wrong": {Chain: 2, From: 4, To: 8, Of: 9},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%s", got)
		}
	}
}

// TestForest: a forest of one tree is that tree, and what was not added is not there.
func TestForest(t *testing.T) {
	s := newStamper(t)
	for n := 1; n < 9; n++ {
		list := objects(n)
		digests, _ := digestsOf(list...)(crypto.SHA256)
		forest, err := evidence.NewForest(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := forest.Add(digests...); err != nil {
			t.Fatal(err)
		}
		tree := treeOf(t, crypto.SHA256, list)
		if !bytes.Equal(forest.Root(), tree.Root()) || forest.Len() != 1 || forest.Hash() != crypto.SHA256 {
			t.Fatalf("%d objects: root %x", n, forest.Root())
		}
		token := s.token(crypto.SHA256, tree.Root(), tsatest.Now())
		one, err := tree.Stamp(token)
		if err != nil {
			t.Fatal(err)
		}
		all, err := forest.Stamp(token)
		if err != nil {
			t.Fatal(err)
		}
		a, b := one.ArchiveTimeStamp(0).ReducedHashtree, all.ArchiveTimeStamp(0).ReducedHashtree
		if !slices.EqualFunc(a, b, func(a, b evidence.PartialHashtree) bool { return slices.EqualFunc(a, b, bytes.Equal) }) {
			t.Errorf("%d objects: %x, %x", n, a, b)
		}
		for _, index := range []int{-1, 1, 2} {
			if der, err := evidence.NewRecord(all.ArchiveTimeStamp(index)).Marshal(); !errors.Is(err, evidence.ErrHash) {
				t.Errorf("tree %d: %x, %v", index, der, err)
			}
		}
		if _, err := forest.Add(digests...); !errors.Is(err, evidence.ErrComplete) || forest.Len() != 1 {
			t.Error(err)
		}
	}
	if _, err := evidence.NewForest(crypto.SHA1); !errors.Is(err, evidence.ErrHash) {
		t.Error(err)
	}
	empty, _ := evidence.NewForest(crypto.SHA256)
	if _, err := empty.Add(); !errors.Is(err, evidence.ErrEmpty) {
		t.Error(err)
	}
	if _, err := empty.Add(make([]byte, 20)); !errors.Is(err, evidence.ErrDigest) || empty.Root() != nil {
		t.Error(err)
	}
	if _, err := empty.Stamp(s.token(crypto.SHA256, make([]byte, 32), tsatest.Now())); !errors.Is(err, evidence.ErrEmpty) {
		t.Error(err)
	}
}
