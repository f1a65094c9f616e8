package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// stamper is a time-stamp authority of the test's.
type stamper struct {
	t    testing.TB
	pki  *tsatest.PKI
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newStamper(t testing.TB) *stamper {
	t.Helper()
	s := &stamper{t: t, pki: tsatest.NewPKI(t), key: tsatest.ECKey(t)}
	s.cert = s.pki.Issue(t, s.key.Public(), nil)
	return s
}

// with is the authority for another test.
func (s *stamper) with(t testing.TB) *stamper {
	other := *s
	other.t = t
	return &other
}

// successor is an authority under the same root with another certificate.
func (s *stamper) successor(change func(*x509.Certificate)) *stamper {
	key := tsatest.ECKey(s.t)
	return &stamper{t: s.t, pki: s.pki, key: key, cert: s.pki.Issue(s.t, key.Public(), change)}
}

// token stamps a digest at a time.
func (s *stamper) token(hash crypto.Hash, digest []byte, at time.Time) []byte {
	s.t.Helper()
	imprint, err := tsa.NewMessageImprint(hash, digest)
	if err != nil {
		s.t.Fatal(err)
	}
	token := s.pki.Token(s.t, nil, s.cert, s.key)
	token.Info.Imprint, token.Info.GenTime = imprint, at
	return token.DER(s.t)
}

// stamp stamps a tree.
func (s *stamper) stamp(tree *evidence.Tree, at time.Time) *evidence.Stamped {
	s.t.Helper()
	stamped, err := tree.Stamp(s.token(tree.Hash(), tree.Root(), at))
	if err != nil {
		s.t.Fatal(err)
	}
	return stamped
}

// plain is a time-stamp without a hash tree.
func (s *stamper) plain(hash crypto.Hash, digest []byte, at time.Time) evidence.ArchiveTimeStamp {
	s.t.Helper()
	return evidence.ArchiveTimeStamp{Hash: hash, TimeStamp: s.token(hash, digest, at)}
}

func (s *stamper) options() evidence.VerifyOptions {
	return evidence.VerifyOptions{Path: s.pki.Path(), At: tsatest.Now().AddDate(30, 0, 0)}
}

// objects are n data objects.
func objects(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = fmt.Appendf(nil, "data object %d", i)
	}
	return list
}

// father is the hash over digests in ascending order.
func father(sons ...[]byte) []byte {
	slices.SortFunc(sons, bytes.Compare)
	return digest(crypto.SHA256, bytes.Join(sons, nil))
}

// digest is that of one object.
func digest(hash crypto.Hash, object []byte) []byte {
	h := hash.New()
	h.Write(object)
	return h.Sum(nil)
}

// digestsOf is the DigestFunc of objects in memory.
func digestsOf(list ...[]byte) evidence.DigestFunc {
	return func(hash crypto.Hash) (digests [][]byte, err error) {
		for _, o := range list {
			digests = append(digests, digest(hash, o))
		}
		return digests, nil
	}
}

// treeOf is a tree over single objects.
func treeOf(t testing.TB, hash crypto.Hash, list [][]byte) *evidence.Tree {
	t.Helper()
	tree, err := evidence.NewTree(hash)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range list {
		if at, err := tree.Add(digest(hash, o)); at != i || err != nil {
			t.Fatal(at, err)
		}
	}
	return tree
}

// again writes a record and reads it.
func again(t testing.TB, r *evidence.Record) *evidence.Record {
	t.Helper()
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := evidence.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := read.Marshal(); err != nil || !bytes.Equal(second, der) {
		t.Fatalf("what was read is written as other octets: %v", err)
	}
	return read
}

// TestEachAlone stamps so many objects with one token: each is proven by its own record, and by no other.
func TestEachAlone(t *testing.T) {
	s := newStamper(t)
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, n := range []int{1, 2, 4, 5, 16, 17, 21, 65} {
			list := objects(n)
			stamped := s.stamp(treeOf(t, hash, list), tsatest.Now())
			for i, o := range list {
				r := again(t, evidence.NewRecord(stamped.ArchiveTimeStamp(i)))
				result, err := r.Verify(digestsOf(o), s.options())
				if err != nil {
					t.Fatalf("%v, %d of %d: %v", hash, i, n, err)
				}
				if !result.Time().Equal(tsatest.Now()) || len(result.TimeStamps) != 1 || result.TimeStamps[0].Hash != hash {
					t.Errorf("%+v", result)
				}
				if _, err := r.Verify(digestsOf(append(o, '!')), s.options()); !errors.Is(err, evidence.ErrObject) {
					t.Errorf("a changed object: %v", err)
				}
				for _, other := range []int{i ^ 1, (i + 7) % n} {
					if _, err := r.Verify(digestsOf(list[other%n]), s.options()); other%n != i && !errors.Is(err, evidence.ErrObject) {
						t.Errorf("%d of %d proves %d: %v", i, n, other, err)
					}
				}
				whole := s.options()
				whole.Whole = true
				if _, err := r.Verify(digestsOf(o), whole); err != nil {
					t.Errorf("%d of %d is proven with others: %v", i, n, err)
				}
			}
		}
	}
}

// TestGroup has a group of objects, which one record proves together and whole.
func TestGroup(t *testing.T) {
	s := newStamper(t)
	list := objects(9)
	tree, err := evidence.NewTree(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	add := func(group ...[]byte) int {
		digests, _ := digestsOf(group...)(crypto.SHA256)
		i, err := tree.Add(digests...)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	alone, group := add(list[0]), add(list[1:4]...)
	for _, o := range list[4:] {
		add(o)
	}
	stamped := s.stamp(tree, tsatest.Now())
	whole := s.options()
	whole.Whole = true
	r := again(t, evidence.NewRecord(stamped.ArchiveTimeStamp(group)))
	for name, tt := range map[string]struct {
		objects [][]byte
		options evidence.VerifyOptions
		want    error
	}{
		"whole":              {list[1:4], whole, nil},
		"in another order":   {[][]byte{list[3], list[1], list[2]}, whole, nil},
		"a part":             {list[1:3], s.options(), nil},
		"a part as whole":    {list[1:3], whole, evidence.ErrGroup},
		"one too many":       {list[1:5], whole, evidence.ErrObject},
		"one of another":     {list[:1], s.options(), evidence.ErrObject},
		"nothing":            {nil, whole, evidence.ErrEmpty},
		"one of them, twice": {[][]byte{list[1], list[1]}, s.options(), nil},
	} {
		if _, err := r.Verify(digestsOf(tt.objects...), tt.options); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := evidence.NewRecord(stamped.ArchiveTimeStamp(alone)).Verify(digestsOf(list[0]), s.options()); err != nil {
		t.Error(err)
	}
	// Hash-tree renewal keeps the group together.
	digests, _ := digestsOf(list[1:4]...)(crypto.SHA512)
	leaves, err := r.HashTreeDigests(crypto.SHA512, digests...)
	if err != nil {
		t.Fatal(err)
	}
	renewal, _ := evidence.NewTree(crypto.SHA512)
	if _, err := renewal.Add(leaves...); err != nil {
		t.Fatal(err)
	}
	if err := r.RenewHashTree(s.stamp(renewal, tsatest.Now().AddDate(1, 0, 0)).ArchiveTimeStamp(0), digests...); err != nil {
		t.Fatal(err)
	}
	if _, err := again(t, r).Verify(digestsOf(list[1:4]...), whole); err != nil {
		t.Error(err)
	}
	if _, err := again(t, r).Verify(digestsOf(list[1:3]...), whole); !errors.Is(err, evidence.ErrGroup) {
		t.Error(err)
	}
}

// renewed makes three records, renews them together by time-stamp, by hash tree, and by time-stamp once more.
func renewed(t testing.TB, s *stamper) (list [][]byte, records []*evidence.Record) {
	t.Helper()
	list = objects(3)
	stamped := s.stamp(treeOf(t, crypto.SHA256, list), tsatest.Now())
	for i := range list {
		records = append(records, evidence.NewRecord(stamped.ArchiveTimeStamp(i)))
	}
	byTimeStamp := func(years int) {
		tree, err := evidence.NewTree(records[0].Chains[len(records[0].Chains)-1][0].Hash)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			_, digest := r.TimeStampDigest()
			if _, err := tree.Add(digest); err != nil {
				t.Fatal(err)
			}
		}
		stamped := s.stamp(tree, tsatest.Now().AddDate(years, 0, 0))
		for i, r := range records {
			if err := r.RenewTimeStamp(stamped.ArchiveTimeStamp(i)); err != nil {
				t.Fatal(err)
			}
			records[i] = again(t, r)
		}
	}
	byTimeStamp(1)
	tree, _ := evidence.NewTree(crypto.SHA512)
	for i, r := range records {
		leaf, err := r.HashTreeDigests(crypto.SHA512, digest(crypto.SHA512, list[i]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(leaf...); err != nil {
			t.Fatal(err)
		}
	}
	stamped = s.stamp(tree, tsatest.Now().AddDate(2, 0, 0))
	for i, r := range records {
		if err := r.RenewHashTree(stamped.ArchiveTimeStamp(i), digest(crypto.SHA512, list[i])); err != nil {
			t.Fatal(err)
		}
		records[i] = again(t, r)
	}
	byTimeStamp(3)
	return list, records
}

// TestRenewal proves objects over two renewals by time-stamp and one by hash tree, and finds what was changed meanwhile.
func TestRenewal(t *testing.T) {
	s := newStamper(t)
	list, records := renewed(t, s)
	for i, r := range records {
		result, err := r.Verify(digestsOf(list[i]), s.options())
		if err != nil {
			t.Fatal(err)
		}
		var years []int
		for _, stamp := range result.TimeStamps {
			years = append(years, stamp.Time.Year()-tsatest.Now().Year())
		}
		if !slices.Equal(years, []int{0, 1, 2, 3}) || result.TimeStamps[2].Chain != 2 || result.TimeStamps[2].Hash != crypto.SHA512 {
			t.Errorf("%v", result)
		}
	}
	// Section 3.1: each algorithm stands at the beginning of the record, once.
	in := cryptobyte.String(mustMarshal(t, records[0]))
	var content, algorithms cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || !content.SkipASN1(cbasn1.INTEGER) || !content.ReadASN1(&algorithms, cbasn1.SEQUENCE) {
		t.Fatal("no record")
	}
	var hashes []crypto.Hash
	for !algorithms.Empty() {
		algorithm, ok := cms.ReadAlgorithmIdentifier(&algorithms, cbasn1.SEQUENCE)
		hash, err := tsa.HashOf(algorithm, false)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		hashes = append(hashes, hash)
	}
	if !slices.Equal(hashes, []crypto.Hash{crypto.SHA256, crypto.SHA512}) {
		t.Errorf("digestAlgorithms: %v", hashes)
	}
	for name, tt := range map[string]struct {
		change func(r *evidence.Record)
		want   error
	}{
		"a time-stamp taken out":     {func(r *evidence.Record) { r.Chains[0] = r.Chains[0][1:] }, evidence.ErrObject},
		"the second taken out":       {func(r *evidence.Record) { r.Chains[0] = r.Chains[0][:1] }, evidence.ErrObject},
		"the first chain taken out":  {func(r *evidence.Record) { r.Chains = r.Chains[1:] }, evidence.ErrObject},
		"time-stamps swapped":        {func(r *evidence.Record) { slices.Reverse(r.Chains[0]) }, evidence.ErrObject},
		"one of another record":      {func(r *evidence.Record) { r.Chains[1][1] = records[0].Chains[0][1] }, evidence.ErrChainHash},
		"the last of another record": {func(r *evidence.Record) { r.Chains[1][1] = r.Chains[1][0] }, evidence.ErrPredecessor},
		"a hash of the tree changed": {func(r *evidence.Record) {
			r.Chains[0][0].ReducedHashtree[1][0] = digest(crypto.SHA256, nil)
		}, evidence.ErrRoot},
	} {
		_, fresh := renewed(t, s)
		r := fresh[1]
		tt.change(r)
		if _, err := r.Verify(digestsOf(list[1]), s.options()); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOutdated judges each authority up to the next time-stamp, and the last one at the time of judging.
func TestOutdated(t *testing.T) {
	first := newStamper(t)
	short := first.successor(func(c *x509.Certificate) { c.NotAfter = tsatest.Now().AddDate(2, 0, 0) })
	object := objects(1)
	record := func() *evidence.Record {
		return evidence.NewRecord(short.stamp(treeOf(t, crypto.SHA256, object), tsatest.Now()).ArchiveTimeStamp(0))
	}
	renew := func(r *evidence.Record, years int) *evidence.Record {
		hash, digest := r.TimeStampDigest()
		tree, _ := evidence.NewTree(hash)
		if _, err := tree.Add(digest); err != nil {
			t.Fatal(err)
		}
		a := first.stamp(tree, tsatest.Now().AddDate(years, 0, 0)).ArchiveTimeStamp(0)
		switch err := r.RenewTimeStamp(a); {
		case years < 0 && errors.Is(err, evidence.ErrRenewal) && errors.Is(err, evidence.ErrOrder):
			r.Chains[0] = append(r.Chains[0], a) // as somebody else may have written it
		case err != nil || years < 0:
			t.Fatal(err)
		}
		return again(t, r)
	}
	at := func(years int) evidence.VerifyOptions {
		o := first.options()
		o.At = tsatest.Now().AddDate(years, 0, -1)
		return o
	}
	for name, tt := range map[string]struct {
		record *evidence.Record
		at     evidence.VerifyOptions
		want   error
	}{
		"while it is valid":       {record(), at(1), nil},
		"after it has expired":    {record(), at(3), tsa.ErrOutdated},
		"renewed in time":         {renew(record(), 1), at(10), nil},
		"renewed too late":        {renew(record(), 3), at(10), tsa.ErrOutdated},
		"renewal before the time": {renew(record(), -1), at(1), evidence.ErrOrder},
		"no time":                 {record(), evidence.VerifyOptions{Path: first.pki.Path()}, evidence.ErrTime},
		"nobody trusted":          {record(), evidence.VerifyOptions{Path: newStamper(t).pki.Path(), At: tsatest.Now()}, tsa.ErrPath},
	} {
		if _, err := tt.record.Verify(digestsOf(object...), tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRevoked has the first of two authorities lose its key before and after the second one stamped the record, and the last
// one before and after what counts: a time-stamp that was renewed by then stays what it was.
func TestRevoked(t *testing.T) {
	first := newStamper(t)
	second := first.successor(nil)
	object := []byte("text")
	renewal := tsatest.Now().AddDate(1, 0, 0)
	r := evidence.NewRecord(first.plain(crypto.SHA256, digest(crypto.SHA256, object), tsatest.Now()))
	hash, over := r.TimeStampDigest()
	if err := r.RenewTimeStamp(second.plain(hash, over, renewal)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		who  *stamper
		at   time.Time
		want error
	}{
		"the first before it was renewed": {first, renewal.Add(-time.Second), tsa.ErrRevoked},
		"the first when it was renewed":   {first, renewal, tsa.ErrRevoked},
		"the first after it was renewed":  {first, renewal.Add(time.Second), nil},
		"the second, which is the last":   {second, renewal.AddDate(0, 6, 0), tsa.ErrRevoked},
		"the second after what counts":    {second, renewal.AddDate(0, 10, 0), nil},
	} {
		o := first.options()
		o.At = renewal.AddDate(0, 9, 0)
		o.Revocation = func(chain []*x509.Certificate, _ cms.RevocationValues, _ time.Time) ([]tsa.Revocation, error) {
			if !chain[0].Equal(tt.who.cert) {
				return nil, nil
			}
			return []tsa.Revocation{{Certificate: chain[0], At: tt.at, Reason: "keyCompromise"}}, nil
		}
		if _, err := again(t, r).Verify(digestsOf(object), o); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefused: what does not belong to a tree or to a record is not put there.
func TestRefused(t *testing.T) {
	s := newStamper(t)
	if _, err := evidence.NewTree(crypto.SHA1); !errors.Is(err, evidence.ErrHash) {
		t.Error(err)
	}
	empty, _ := evidence.NewTree(crypto.SHA256)
	if empty.Root() != nil {
		t.Error("an empty tree has a root")
	}
	if _, err := empty.Stamp(s.token(crypto.SHA256, make([]byte, 32), tsatest.Now())); !errors.Is(err, evidence.ErrEmpty) {
		t.Error(err)
	}
	if _, err := empty.Add(make([]byte, 20)); !errors.Is(err, evidence.ErrDigest) {
		t.Error(err)
	}
	tree := treeOf(t, crypto.SHA256, objects(5))
	for name, token := range map[string][]byte{
		"other root": s.token(crypto.SHA256, digest(crypto.SHA256, nil), tsatest.Now()),
		"other hash": s.token(crypto.SHA512, digest(crypto.SHA512, nil), tsatest.Now()),
	} {
		if _, err := tree.Stamp(token); !errors.Is(err, tsa.ErrImprint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := evidence.NewRecord(s.stamp(tree, tsatest.Now()).ArchiveTimeStamp(0))
	other := s.stamp(treeOf(t, crypto.SHA256, objects(2)), tsatest.Now()).ArchiveTimeStamp(0)
	if err := r.RenewTimeStamp(other); !errors.Is(err, evidence.ErrRenewal) {
		t.Error(err)
	}
	if err := r.RenewHashTree(other, digest(crypto.SHA256, objects(1)[0])); !errors.Is(err, evidence.ErrRenewal) {
		t.Error(err)
	}
	err := r.RenewTimeStamp(s.stamp(treeOf(t, crypto.SHA512, objects(2)), tsatest.Now()).ArchiveTimeStamp(0))
	if !errors.Is(err, evidence.ErrRenewal) || !strings.Contains(err.Error(), "its chain with SHA-256") {
		t.Error(err)
	}
	if len(r.Chains) != 1 || len(r.Chains[0]) != 1 {
		t.Error("what was refused is there")
	}
}

// TestTree: what a program gives is left as it is, the lists of hashes are in ascending order (section 4.2), and what was
// not added has no evidence.
func TestTree(t *testing.T) {
	tree, err := evidence.NewTree(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	group := reversed(sorted(must(digestsOf(objects(6)...)(crypto.SHA256))...))
	given := slices.Clone(group)
	for range 3 {
		if _, err := tree.Add(group...); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.EqualFunc(group, given, bytes.Equal) {
		t.Error("the digests that were given were changed")
	}
	if tree.Len() != 3 || !bytes.Equal(tree.Root(), father(father(father(given...), father(given...)), father(given...))) {
		t.Errorf("root %x of %d", tree.Root(), tree.Len())
	}
	stamped := newStamper(t).stamp(tree, tsatest.Now())
	for i := range 3 {
		for _, list := range stamped.ArchiveTimeStamp(i).ReducedHashtree {
			if !slices.IsSortedFunc(list, bytes.Compare) {
				t.Errorf("leaf %d: a list is not in ascending order", i)
			}
		}
	}
	if _, err := tree.Add(given[0]); !errors.Is(err, evidence.ErrComplete) || tree.Len() != 3 {
		t.Errorf("added to a tree that is stamped: %v", err)
	}
	for _, index := range []int{-1, 3, 4, 1 << 40} {
		r := evidence.NewRecord(stamped.ArchiveTimeStamp(index))
		if der, err := r.Marshal(); !errors.Is(err, evidence.ErrHash) {
			t.Errorf("index %d: %x, %v", index, der, err)
		}
		if _, err := r.Verify(digestsOf(objects(1)...), newStamper(t).options()); !errors.Is(err, evidence.ErrHash) {
			t.Errorf("index %d: %v", index, err)
		}
	}
}

// TestFigure has the tree that is drawn in docs/evidence.md, and the records of the table below it.
func TestFigure(t *testing.T) {
	h := func(name string) []byte { return digest(crypto.SHA256, []byte(name)) }
	tree, err := evidence.NewTree(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range [][][]byte{{h("1")}, {h("2c"), h("2a"), h("2b")}, {h("3")}, {h("4")}, {h("5")}} {
		if _, err := tree.Add(leaf...); err != nil {
			t.Fatal(err)
		}
	}
	h2, n34 := father(h("2a"), h("2b"), h("2c")), father(h("3"), h("4"))
	n1234 := father(father(h("1"), h2), n34)
	if !bytes.Equal(tree.Root(), father(n1234, h("5"))) {
		t.Error("root")
	}
	stamped := newStamper(t).stamp(tree, tsatest.Now())
	for leaf, want := range map[int][]evidence.PartialHashtree{
		0: {{h("1")}, {h2}, {n34}, {h("5")}},
		1: {sorted(h("2a"), h("2b"), h("2c")), {h("1")}, {n34}, {h("5")}},
		4: {{h("5")}, {n1234}},
	} {
		got := stamped.ArchiveTimeStamp(leaf).ReducedHashtree
		if !slices.EqualFunc(got, want, func(a, b evidence.PartialHashtree) bool { return slices.EqualFunc(a, b, bytes.Equal) }) {
			t.Errorf("leaf %d: %x", leaf, got)
		}
	}
	if got := newStamper(t).stamp(treeOf(t, crypto.SHA256, objects(1)), tsatest.Now()).ArchiveTimeStamp(0).ReducedHashtree; got != nil {
		t.Errorf("one object alone: %x", got)
	}
}

// TestBERToken has an authority that writes its tokens in BER: in a record there is DER alone, or nobody could read it again.
func TestBERToken(t *testing.T) {
	s := newStamper(t)
	tree := treeOf(t, crypto.SHA256, objects(2))
	token := s.token(crypto.SHA256, tree.Root(), tsatest.Now())
	in := cryptobyte.String(token)
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) {
		t.Fatal("no SEQUENCE")
	}
	stamped, err := tree.Stamp(slices.Concat([]byte{0x30, 0x80}, content, []byte{0, 0})) // of indefinite length
	if err != nil {
		t.Fatal(err)
	}
	a := stamped.ArchiveTimeStamp(0)
	if !bytes.Equal(a.TimeStamp, token) {
		t.Errorf("%x", a.TimeStamp)
	}
	if _, err := again(t, evidence.NewRecord(a)).Verify(digestsOf(objects(1)...), s.options()); err != nil {
		t.Error(err)
	}
	if _, err := tree.Stamp([]byte{0x30, 0x80, 0, 0}); !errors.Is(err, tsa.ErrMalformed) {
		t.Error(err)
	}
}

// TestExtra has a token without the certificate of its authority, which is then at hand.
func TestExtra(t *testing.T) {
	s := newStamper(t)
	tree := treeOf(t, crypto.SHA256, objects(2))
	imprint, err := tsa.NewMessageImprint(crypto.SHA256, tree.Root())
	if err != nil {
		t.Fatal(err)
	}
	token := s.pki.Token(t, nil, s.cert, s.key)
	token.Info.Imprint, token.Info.GenTime, token.Certificates = imprint, tsatest.Now(), nil
	stamped, err := tree.Stamp(token.DER(t))
	if err != nil {
		t.Fatal(err)
	}
	r := again(t, evidence.NewRecord(stamped.ArchiveTimeStamp(1)))
	o := s.options()
	if _, err := r.Verify(digestsOf(objects(2)[1]), o); !errors.Is(err, tsa.ErrNoCertificate) {
		t.Error(err)
	}
	o.Extra = []*x509.Certificate{s.cert}
	if _, err := r.Verify(digestsOf(objects(2)[1]), o); err != nil {
		t.Error(err)
	}
}
