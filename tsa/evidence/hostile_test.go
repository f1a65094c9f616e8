package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// sorted returns digests in ascending order.
func sorted(digests ...[]byte) evidence.PartialHashtree {
	return slices.SortedFunc(slices.Values(digests), bytes.Compare)
}

// TestLists has reduced hash trees that somebody else may write: what RFC 4998 section 4.3 makes of them is the same
// whatever their form.
func TestLists(t *testing.T) {
	s := newStamper(t)
	var h [][]byte
	for _, o := range objects(6) {
		h = append(h, digest(crypto.SHA256, o))
	}
	type lists = []evidence.PartialHashtree
	four := father(slices.Clone(h[:4])...)
	backwards := reversed(sorted(h[:4]...))
	for name, tt := range map[string]struct {
		lists lists
		root  []byte
		want  error
	}{
		"nothing but a token":   {nil, h[0], nil},
		"nothing, over another": {nil, h[1], evidence.ErrObject},
		// Section 4.2, step 4: a single value is not hashed.
		"a list of one":         {lists{{h[0]}}, h[0], nil},
		"a list of one, hashed": {lists{{h[0]}}, father(h[0]), evidence.ErrRoot},
		// Section 4.3, step 3: they are sorted.
		"brothers in the first list":      {lists{sorted(h[:4]...)}, four, nil},
		"brothers in descending order":    {lists{backwards}, four, nil},
		"over the order of the list":      {lists{backwards}, digest(crypto.SHA256, bytes.Join(backwards, nil)), evidence.ErrRoot},
		"the object alone, then brothers": {lists{{h[0]}, sorted(h[1:4]...)}, four, nil},
		"three in the second list":        {lists{sorted(h[:4]...), {h[4]}}, father(four, h[4]), nil},
		"a value twice":                   {lists{{h[0], h[0]}}, digest(crypto.SHA256, slices.Concat(h[0], h[0])), nil},
		"a value twice, hashed once":      {lists{{h[0], h[0]}}, h[0], evidence.ErrRoot},
		// Section 4.2: fathers are not stored.
		"the father once more":          {lists{sorted(h[:4]...), {four, h[4]}}, father(four, h[4]), evidence.ErrRoot},
		"the root as a list of its own": {lists{sorted(h[:4]...), {four}}, four, evidence.ErrRoot},
		// Section 4.3, step 2: the object is in the first list.
		"the object in the second list":     {lists{{h[1]}, {h[0]}}, father(h[0], h[1]), evidence.ErrObject},
		"another object in the first":       {lists{sorted(h[1:4]...), {h[4]}}, father(father(h[1:4]...), h[4]), evidence.ErrObject},
		"a list less":                       {lists{sorted(h[:4]...)}, father(four, h[4]), evidence.ErrRoot},
		"a list more":                       {lists{sorted(h[:4]...), {h[4]}, {h[5]}}, father(four, h[4]), evidence.ErrRoot},
		"lists in another order":            {lists{{h[0]}, {h[2]}, {h[1]}}, father(father(h[0], h[1]), h[2]), evidence.ErrRoot},
		"the object as what it leads to":    {lists{sorted(h[0], h[1])}, h[0], evidence.ErrRoot},
		"the concatenation for its digest":  {lists{sorted(h[0], h[1])}, sorted(h[0], h[1])[0], evidence.ErrRoot},
		"sixty-four lists, all that may be": {append(lists{{h[0]}}, slices.Repeat(lists{{h[1]}}, 63)...), many(h[0], h[1], 63), nil},
	} {
		a := s.plain(crypto.SHA256, tt.root, tsatest.Now())
		a.ReducedHashtree = tt.lists
		r := evidence.NewRecord(a)
		before := clone(tt.lists)
		for _, r := range []*evidence.Record{r, again(t, r)} {
			if _, err := r.Verify(digestsOf(objects(1)...), s.options()); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !slices.EqualFunc(before, tt.lists, func(a, b evidence.PartialHashtree) bool { return slices.EqualFunc(a, b, bytes.Equal) }) {
			t.Errorf("%s: verification has changed the lists", name)
		}
	}
}

func reversed(list evidence.PartialHashtree) evidence.PartialHashtree {
	slices.Reverse(list)
	return list
}

func clone(lists []evidence.PartialHashtree) (copied []evidence.PartialHashtree) {
	for _, list := range lists {
		copied = append(copied, slices.Clone(list))
	}
	return copied
}

// many is the root of a tree that is a path with the same brother each time.
func many(value, brother []byte, n int) []byte {
	for range n {
		value = father(value, brother)
	}
	return value
}

// TestInnerNode shows what the hash trees of RFC 4998 do not keep anybody from: the octets of an object that is claimed are
// the digests below a node, one after the other. What one has without doing anything to the record is refused.
func TestInnerNode(t *testing.T) {
	s := newStamper(t)
	list := objects(4)
	r := evidence.NewRecord(s.stamp(treeOf(t, crypto.SHA256, list), tsatest.Now()).ArchiveTimeStamp(0))
	first, second := r.Chains[0][0].ReducedHashtree[0], r.Chains[0][0].ReducedHashtree[1]
	object := bytes.Join(sorted(first[0], second[0]), nil)
	if _, err := r.Verify(digestsOf(object), s.options()); !errors.Is(err, evidence.ErrObject) {
		t.Errorf("the record of another object proves it: %v", err)
	}
	forged := evidence.NewRecord(evidence.ArchiveTimeStamp{
		Hash: crypto.SHA256, TimeStamp: r.Chains[0][0].TimeStamp,
		ReducedHashtree: append([]evidence.PartialHashtree{{digest(crypto.SHA256, object)}}, r.Chains[0][0].ReducedHashtree[2:]...),
	})
	if _, err := forged.Verify(digestsOf(object), s.options()); err != nil {
		t.Errorf("doc.go and docs/evidence.md say that it can be done: %v", err)
	}
}

// TestImprint has time-stamps over the right octets under another hash algorithm than that of the hash tree (section 4.3, step
// 4).
func TestImprint(t *testing.T) {
	s := newStamper(t)
	object := objects(1)
	for name, tt := range map[string]struct {
		tree, imprint crypto.Hash
		digest        []byte
	}{
		"the object under the hash of the token": {crypto.SHA256, crypto.SHA512, digest(crypto.SHA512, object[0])},
		"the object under the hash of the tree":  {crypto.SHA512, crypto.SHA256, digest(crypto.SHA256, object[0])},
		"the root, hashed once more":             {crypto.SHA256, crypto.SHA512, digest(crypto.SHA512, digest(crypto.SHA256, object[0]))},
	} {
		for _, lists := range [][]evidence.PartialHashtree{nil, {{digest(tt.tree, object[0])}}} {
			a := s.plain(tt.imprint, tt.digest, tsatest.Now())
			a.Hash, a.ReducedHashtree = tt.tree, lists
			_, err := again(t, evidence.NewRecord(a)).Verify(digestsOf(object...), s.options())
			if !errors.Is(err, evidence.ErrObject) && !errors.Is(err, evidence.ErrRoot) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestTimes has time-stamps of the same second, which prove each other all the same, and each authority judged at its own
// time and at the next.
func TestTimes(t *testing.T) {
	s := newStamper(t)
	object := objects(1)
	r := evidence.NewRecord(s.stamp(treeOf(t, crypto.SHA256, object), tsatest.Now()).ArchiveTimeStamp(0))
	for _, years := range []int{0, 4} {
		hash, digest := r.TimeStampDigest()
		a := s.plain(hash, digest, tsatest.Now().AddDate(years, 0, 0))
		if err := r.RenewTimeStamp(a); err != nil {
			t.Fatal(err)
		}
	}
	var asked []int
	o := s.options()
	path := o.Path
	o.Path = func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		asked = append(asked, at.Year()-tsatest.Now().Year())
		return path(cert, bag, at)
	}
	if _, err := again(t, r).Verify(digestsOf(object...), o); err != nil {
		t.Fatal(err)
	}
	// The first until the second, which is its own time; the second until the third; the third until the end.
	if want := []int{0, 0, 4, 4, 30}; !slices.Equal(asked, want) {
		t.Errorf("asked for paths in the years %v, not %v", asked, want)
	}
}

// TestWhich says which of several objects are wrong, in each chain.
func TestWhich(t *testing.T) {
	s := newStamper(t)
	list := objects(12)
	digests, _ := digestsOf(list...)(crypto.SHA256)
	tree, _ := evidence.NewTree(crypto.SHA256)
	if _, err := tree.Add(digests...); err != nil {
		t.Fatal(err)
	}
	r := evidence.NewRecord(s.stamp(tree, tsatest.Now()).ArchiveTimeStamp(0))
	bad := slices.Clone(list)
	var want []int
	for _, at := range []int{1, 3, 4, 7, 8, 11} {
		bad[at] = append(bytes.Clone(bad[at]), '!')
		want = append(want, at)
		_, err := r.Verify(digestsOf(bad...), s.options())
		var wrong *evidence.ObjectError
		if !errors.As(err, &wrong) || !slices.Equal(wrong.Wrong, want) || wrong.Of != 12 || !errors.Is(err, evidence.ErrObject) {
			t.Errorf("%v", err)
		}
		text := map[int]string{1: ": 2 of 12", 3: ": 2, 4, 5 of 12", 6: ": 2, 4, 5, 8, 9 and 1 more of 12"}[len(want)]
		if !strings.HasSuffix(err.Error(), text) {
			t.Errorf("%v", err)
		}
	}
	// Hash-tree renewal is refused for objects of which one is another, and says which.
	leaves, err := r.HashTreeDigests(crypto.SHA512, must(digestsOf(list...)(crypto.SHA512))...)
	if err != nil {
		t.Fatal(err)
	}
	renewal, _ := evidence.NewTree(crypto.SHA512)
	if _, err := renewal.Add(leaves...); err != nil {
		t.Fatal(err)
	}
	a := s.stamp(renewal, tsatest.Now()).ArchiveTimeStamp(0)
	bad = slices.Clone(list)
	bad[5] = nil
	var wrong *evidence.ObjectError
	err = r.RenewHashTree(a, must(digestsOf(bad...)(crypto.SHA512))...)
	if !errors.Is(err, evidence.ErrRenewal) || !errors.As(err, &wrong) || !slices.Equal(wrong.Wrong, []int{5}) {
		t.Errorf("%v", err)
	}
	if err := r.RenewHashTree(a, must(digestsOf(list...)(crypto.SHA512))...); err != nil {
		t.Fatal(err)
	}
	// The first chain tells of it, whatever the last one would say.
	var where *evidence.Error
	_, err = r.Verify(digestsOf(bad...), s.options())
	if !errors.As(err, &where) || where.Chain != 1 || !errors.As(err, &wrong) || !slices.Equal(wrong.Wrong, []int{5}) {
		t.Errorf("%v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestHashedOnce has many chains under few algorithms: the data objects may be large.
func TestHashedOnce(t *testing.T) {
	s := newStamper(t)
	object := objects(1)
	r := evidence.NewRecord(s.stamp(treeOf(t, crypto.SHA256, object), tsatest.Now()).ArchiveTimeStamp(0))
	for i := range 6 {
		hash := []crypto.Hash{crypto.SHA512, crypto.SHA256}[i%2]
		leaf, err := r.HashTreeDigests(hash, digest(hash, object[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.RenewHashTree(s.plain(hash, leaf[0], tsatest.Now()), digest(hash, object[0])); err != nil {
			t.Fatal(err)
		}
	}
	asked := map[crypto.Hash]int{}
	if _, err := again(t, r).Verify(func(hash crypto.Hash) ([][]byte, error) {
		asked[hash]++
		return digestsOf(object...)(hash)
	}, s.options()); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 2 || asked[crypto.SHA256] != 1 || asked[crypto.SHA512] != 1 {
		t.Errorf("asked for digests %v times", asked)
	}
	failed := errors.New("the disk is gone")
	if _, err := r.Verify(func(crypto.Hash) ([][]byte, error) { return nil, failed }, s.options()); err != failed {
		t.Errorf("%v", err)
	}
}

// TestNothing has records that only a program can make.
func TestNothing(t *testing.T) {
	s := newStamper(t)
	a := s.stamp(treeOf(t, crypto.SHA256, objects(2)), tsatest.Now()).ArchiveTimeStamp(0)
	for name, r := range map[string]*evidence.Record{
		"no chain":                   {},
		"a chain without time-stamp": {Chains: []evidence.Chain{{}}},
		"an empty chain at the end":  {Chains: []evidence.Chain{{a}, {}}},
	} {
		if result, err := r.Verify(digestsOf(objects(1)...), s.options()); !errors.Is(err, evidence.ErrNothing) {
			t.Errorf("%s: %v, %v", name, result, err)
		}
		if err := r.RenewTimeStamp(a); !errors.Is(err, evidence.ErrNothing) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.RenewHashTree(a, digest(crypto.SHA256, nil)); !errors.Is(err, evidence.ErrNothing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A hash algorithm that there is none of.
	r := evidence.NewRecord(evidence.ArchiveTimeStamp{Hash: 99, TimeStamp: a.TimeStamp})
	if hash, digest := r.TimeStampDigest(); hash != 0 || digest != nil {
		t.Errorf("%v %x", hash, digest)
	}
	if err := r.RenewTimeStamp(evidence.ArchiveTimeStamp{}); !errors.Is(err, evidence.ErrNothing) {
		t.Errorf("%v", err)
	}
	if err := evidence.NewRecord(a).RenewHashTree(evidence.ArchiveTimeStamp{}, digest(crypto.SHA256, nil)); !errors.Is(err, evidence.ErrHash) {
		t.Errorf("%v", err)
	}
}

// stampDER is an ArchiveTimeStamp in DER; attributes are as many octets.
func stampDER(attributes int, lists [][][]byte, token []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if attributes > 0 {
			b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, attributes)) })
		}
		if lists != nil {
			b.AddASN1(cbasn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				for _, list := range lists {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						for _, value := range list {
							b.AddASN1OctetString(value)
						}
					})
				}
			})
		}
		b.AddBytes(token)
	})
	return b.BytesOrPanic()
}

// recordDER is an EvidenceRecord in DER.
func recordDER(version int64, algorithms int, extra []byte, chains ...[][]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for range algorithms {
				algorithm, err := tsa.HashAlgorithm(crypto.SHA256)
				if err != nil {
					b.SetError(err)
				}
				algorithm.AddTo(b, cbasn1.SEQUENCE)
			}
		})
		b.AddBytes(extra)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, chain := range chains {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, stamp := range chain {
						b.AddBytes(stamp)
					}
				})
			}
		})
	})
	return b.BytesOrPanic()
}

// behind adds NULL to what is in a SEQUENCE.
func behind(der []byte) []byte {
	in := cryptobyte.String(der)
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) {
		panic("no SEQUENCE")
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(append(slices.Clone(content), 5, 0)) })
	return b.BytesOrPanic()
}

// TestBounds has records at each bound, and one beyond.
func TestBounds(t *testing.T) {
	s := newStamper(t)
	token := s.token(crypto.SHA256, digest(crypto.SHA256, nil), tsatest.Now())
	stamp := stampDER(0, nil, token)
	one := [][]byte{stamp}
	value := make([]byte, 32)
	hashes := func(n int) []byte { return stampDER(0, [][][]byte{slices.Repeat([][]byte{value}, n)}, token) }
	lists := func(n int) []byte { return stampDER(0, slices.Repeat([][][]byte{{value}}, n), token) }
	// 16 MiB that each chain after it is over: 63 of them are just under 1 GiB.
	large := stampDER(16<<20+1<<10, nil, token)
	chains := func(first []byte, n int) [][][]byte {
		return append([][][]byte{{first}}, slices.Repeat([][][]byte{one}, n-1)...)
	}
	for name, tt := range map[string]struct {
		der  []byte
		want error
	}{
		"as it should be":         {recordDER(1, 1, nil, one), nil},
		"version 2":               {recordDER(2, 1, nil, one), evidence.ErrVersion},
		"no digest algorithm":     {recordDER(1, 0, nil, one), nil}, // it says nothing that the chains do not say
		"64 digest algorithms":    {recordDER(1, 64, nil, one), nil},
		"65 digest algorithms":    {recordDER(1, 65, nil, one), evidence.ErrTooLarge},
		"other fields":            {recordDER(1, 1, []byte{0xa0, 0, 0xa1, 2, 5, 0}, one), nil},
		"fields in another order": {recordDER(1, 1, []byte{0xa1, 0, 0xa0, 0}, one), evidence.ErrMalformed},
		"no chain":                {recordDER(1, 1, nil), evidence.ErrMalformed},
		"an empty chain":          {recordDER(1, 1, nil, one, nil), evidence.ErrMalformed},
		"256 chains":              {recordDER(1, 1, nil, slices.Repeat([][][]byte{one}, 256)...), nil},
		"257 chains":              {recordDER(1, 1, nil, slices.Repeat([][][]byte{one}, 257)...), evidence.ErrTooLarge},
		"1024 time-stamps":        {recordDER(1, 1, nil, slices.Repeat(one, 1000), slices.Repeat(one, 24)), nil},
		"1025 time-stamps":        {recordDER(1, 1, nil, slices.Repeat(one, 1000), slices.Repeat(one, 25)), evidence.ErrTooLarge},
		"an empty tree":           {recordDER(1, 1, nil, [][]byte{stampDER(0, [][][]byte{}, token)}), evidence.ErrMalformed},
		"an empty list":           {recordDER(1, 1, nil, [][]byte{stampDER(0, [][][]byte{{value}, {}}, token)}), evidence.ErrMalformed},
		"a shorter hash":          {recordDER(1, 1, nil, [][]byte{stampDER(0, [][][]byte{{value, value[:31]}}, token)}), evidence.ErrMalformed},
		"a longer hash":           {recordDER(1, 1, nil, [][]byte{stampDER(0, [][][]byte{{value, make([]byte, 64)}}, token)}), evidence.ErrMalformed},
		"64 lists":                {recordDER(1, 1, nil, [][]byte{lists(64)}), nil},
		"65 lists":                {recordDER(1, 1, nil, [][]byte{lists(65)}), evidence.ErrTooLarge},
		"1 Mi hashes":             {recordDER(1, 1, nil, [][]byte{hashes(1 << 19), hashes(1 << 19)}), nil},
		"1 Mi hashes and one":     {recordDER(1, 1, nil, [][]byte{hashes(1 << 19), hashes(1<<19 + 1)}), evidence.ErrTooLarge},
		"a field behind it":       {behind(recordDER(1, 1, nil, one)), evidence.ErrMalformed},
		"octets behind it":        {append(recordDER(1, 1, nil, one), 0), evidence.ErrMalformed},
		"octets behind a token":   {recordDER(1, 1, nil, [][]byte{stampDER(0, nil, append(slices.Clone(token), 5, 0))}), evidence.ErrMalformed},
		"no token":                {recordDER(1, 1, nil, [][]byte{stampDER(0, nil, nil)}), evidence.ErrMalformed},
		"a token of another kind": {recordDER(1, 1, nil, [][]byte{stampDER(0, nil, []byte{0x30, 0})}), tsa.ErrMalformed},
		"much, hashed often":      {recordDER(1, 1, nil, chains(large, 63)...), nil},
		"much, hashed too often":  {recordDER(1, 1, nil, chains(large, 65)...), evidence.ErrTooLarge},
		"more than 64 MiB":        {make([]byte, evidence.MaxSize+1), evidence.ErrTooLarge},
	} {
		r, err := evidence.Parse(tt.der)
		if !errors.Is(err, tt.want) || (r == nil) != (err != nil) {
			t.Errorf("%s: %v, %v", name, r != nil, err)
		}
		if err != nil {
			continue
		}
		if again := mustMarshal(t, r); !bytes.Equal(again, tt.der) {
			t.Errorf("%s is written as other octets", name)
		}
	}
}
