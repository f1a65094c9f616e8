package certstore_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// question is what a path is asked for.
type question struct {
	name                        string
	anchors, intermediates, bag []*x509.Certificate
	leaf                        *x509.Certificate
	use                         certstore.Use
	at                          time.Time
}

// ask puts it to a validator with this cache, or with none, and returns the answer in a form that can be compared.
func (q question) ask(cache *certstore.PathCache) string {
	v := certstore.Validator{Anchors: q.anchors, Intermediates: q.intermediates, Cache: cache}
	path, err := v.Path(q.leaf, q.bag, q.use, q.at)
	if err != nil {
		return err.Error()
	}
	answer := "valid:"
	for _, c := range path {
		answer += " " + certstore.Fingerprint(c)[:8]
	}
	return answer
}

// questions differ from the first in one thing each.
func questions(t *testing.T) []question {
	rootKey, middleKey, leafKey := newKey(t), newKey(t), newKey(t)
	root := issue(t, nil, "root", rootKey, asCA(func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, 9, 0) }))
	middle := issue(t, root, "middle", middleKey, asCA(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = now().AddDate(0, -6, 0), now().AddDate(0, 6, 0)
	}))
	leaf := issue(t, middle, "leaf", leafKey, forMail("alice@example.org", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter, c.KeyUsage = now().AddDate(0, -3, 0), now().AddDate(0, 3, 0), x509.KeyUsageDigitalSignature
	}))
	otherRoot := issue(t, nil, "root", newKey(t), asCA(nil))
	otherMiddle := issue(t, otherRoot, "middle", newKey(t), asCA(nil))
	noCA := issue(t, root, "middle", middleKey, func(c *x509.Certificate) { c.SubjectKeyId = middle.cert.SubjectKeyId })
	renewed := issue(t, root, "middle", middleKey, asCA(func(c *x509.Certificate) { c.NotBefore = now().AddDate(0, 1, 0) }))
	lapsed := issue(t, root, "middle", middleKey, asCA(func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, -1, 0) }))
	constrained := issue(t, root, "middle", middleKey, asCA(func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"example.org"} }))
	otherLeaf := issue(t, middle, "leaf", leafKey, forMail("alice@example.org", func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}))

	first := question{name: "first", anchors: certs(root), bag: certs(leaf, middle), leaf: leaf.cert, use: certstore.SignMail, at: now()}
	list := []question{first}
	add := func(name string, change func(*question)) {
		q := first
		q.name = name
		change(&q)
		list = append(list, q)
	}
	add("parsed anew", func(q *question) {
		q.anchors, q.bag, q.leaf = parsedAnew(t, q.anchors), parsedAnew(t, q.bag), parsedAnew(t, []*x509.Certificate{q.leaf})[0]
	})
	for name, bag := range map[string][]*x509.Certificate{
		"no bag": nil, "no issuer in the bag": certs(leaf), "no leaf in the bag": certs(middle), "bag in another order": certs(middle, leaf),
		"another issuer of the same name": certs(leaf, otherMiddle), "both issuers of that name": certs(leaf, otherMiddle, middle),
		"the issuer's key, and no authority": certs(leaf, noCA), "constrained issuer": certs(leaf, constrained),
		"renewed issuer": certs(leaf, renewed), "renewed issuer first": certs(leaf, renewed, middle), "lapsed issuer": certs(leaf, lapsed),
		"lapsed issuer first": certs(leaf, lapsed, middle), "root in the bag": certs(leaf, middle, root), "nothing among the bag": {leaf.cert, nil, middle.cert},
	} {
		add(name, func(q *question) { q.bag = bag })
		for _, months := range []int{-2, 2} {
			add(fmt.Sprintf("%s, at %d months", name, months), func(q *question) { q.bag, q.at = bag, now().AddDate(0, months, 0) })
		}
	}
	for _, use := range []certstore.Use{certstore.EncryptMail, certstore.TimeStamp, certstore.ServeTLS} {
		add("use "+string(use), func(q *question) { q.use = use })
	}
	add("no anchor", func(q *question) { q.anchors = nil })
	add("another anchor of the same name", func(q *question) { q.anchors = certs(otherRoot) })
	add("two anchors", func(q *question) { q.anchors = certs(otherRoot, root) })
	add("anchor known and not trusted", func(q *question) { q.anchors, q.intermediates = nil, certs(root) })
	add("issuer is the anchor", func(q *question) { q.anchors = certs(middle) })
	add("leaf is the anchor", func(q *question) { q.anchors = certs(leaf) })
	add("issuer known", func(q *question) { q.intermediates, q.bag = certs(middle), nil })
	add("another issuer known", func(q *question) { q.intermediates, q.bag = certs(otherMiddle), nil })
	add("issuer known and sent", func(q *question) { q.intermediates = certs(middle) })
	add("renewed issuer known", func(q *question) { q.intermediates = certs(renewed) })
	add("another leaf over the same key", func(q *question) { q.leaf, q.bag = otherLeaf.cert, certs(leaf, middle) })
	for _, bound := range []*node{leaf, middle, root, renewed, lapsed} {
		for _, edge := range []time.Time{bound.cert.NotBefore, bound.cert.NotAfter} {
			for _, off := range []time.Duration{-1, 0, 1} {
				for name, bag := range map[string][]*x509.Certificate{"": certs(leaf, middle), ", all issuers": certs(leaf, renewed, lapsed, middle)} {
					add(fmt.Sprintf("%s%+v%s", edge.Format(time.DateOnly), off, name), func(q *question) { q.at, q.bag = edge.Add(off), bag })
				}
			}
		}
	}
	add("no time", func(q *question) { q.at = time.Time{} })
	return list
}

func parsedAnew(t *testing.T, list []*x509.Certificate) []*x509.Certificate {
	t.Helper()
	var again []*x509.Certificate
	for _, c := range list {
		parsed, err := x509.ParseCertificate(bytes.Clone(c.Raw))
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, parsed)
	}
	return again
}

// TestPathCacheAnswersAsASearch: whatever was asked before, the answer is that of a validator that remembers nothing.
func TestPathCacheAnswersAsASearch(t *testing.T) {
	list := questions(t)
	fresh := make([]string, len(list))
	distinct := map[string]bool{}
	for i, q := range list {
		fresh[i] = q.ask(nil)
		distinct[fresh[i]] = true
	}
	if len(distinct) < 15 {
		t.Errorf("the questions have %d answers only", len(distinct))
	}
	check := func(q question, got, want, after string) {
		if got != want {
			t.Errorf("%s, after %s:\n got %s\nwant %s", q.name, after, got, want)
		}
	}
	primed := map[string]bool{}
	for i, before := range list {
		// A refusal is not remembered, and of those with one answer at one time one will do.
		if known := fresh[i] + before.at.String(); !strings.HasPrefix(fresh[i], "valid:") || primed[known] {
			continue
		} else {
			primed[known] = true
		}
		cache := new(certstore.PathCache)
		for j, q := range list {
			check(before, before.ask(cache), fresh[i], "others")
			check(q, q.ask(cache), fresh[j], before.name)
		}
	}
	if len(primed) < 10 {
		t.Errorf("%d of the answers are paths", len(primed))
	}
}

// searches reports whether the second answer costs a search. Work is counted in allocations, which do not depend on the
// machine: a search makes some eighty of them, an answer out of the cache two.
func searches(v certstore.Validator, q question) bool {
	return testing.AllocsPerRun(1, func() { _, _ = v.Path(q.leaf, q.bag, q.use, q.at) }) > 20
}

// searchesFirst is that of the first answer.
func searchesFirst(v certstore.Validator, q question) bool {
	asked := false
	return testing.AllocsPerRun(1, func() {
		if asked { // not when it warms up
			_, _ = v.Path(q.leaf, q.bag, q.use, q.at)
		}
		asked = true
	}) > 20
}

func TestPathCacheSavesTheSearch(t *testing.T) {
	q := questions(t)[0]
	v := certstore.Validator{Anchors: q.anchors}
	if !searches(v, q) {
		t.Fatal("a search costs nothing: the test tests nothing")
	}
	v.Cache = new(certstore.PathCache)
	if searches(v, q) {
		t.Error("what was found is searched again")
	}
	later := q
	later.at = q.at.Add(24 * time.Hour)
	copied := v
	if searches(copied, later) {
		t.Error("a copy of the validator, a day later, searches again")
	}
	q.bag, v.Anchors = parsedAnew(t, q.bag), parsedAnew(t, v.Anchors)
	if searches(v, q) {
		t.Error("the same certificates, parsed once more, are searched for again")
	}
}

// TestPathCacheKeepsAnchors: with a cache, hundreds of anchors are read once and not for each correspondent.
func TestPathCacheKeepsAnchors(t *testing.T) {
	key := newKey(t)
	root := issue(t, nil, "root", key, asCA(nil))
	v := certstore.Validator{Anchors: certs(root), Cache: new(certstore.PathCache)}
	for range 200 {
		v.Anchors = append(v.Anchors, issue(t, nil, "another root", key, asCA(nil)).cert)
	}
	var leaves []question
	for range 2 {
		leaf := issue(t, root, "leaf", key, forMail("alice@example.org", nil))
		leaves = append(leaves, question{leaf: leaf.cert, use: certstore.SignMail, at: now()})
	}
	calls := 0
	work := testing.AllocsPerRun(1, func() { // which runs it once to warm up
		if _, err := v.Path(leaves[calls].leaf, nil, certstore.SignMail, now()); err != nil {
			t.Error(err)
		}
		calls++
	})
	if work > 500 { // 5,000 if all were read again
		t.Errorf("%v allocations for the second leaf", work)
	}
}

// TestPathCacheForgetsTrust changes the anchors of a validator in place.
func TestPathCacheForgetsTrust(t *testing.T) {
	q := questions(t)[0]
	v := certstore.Validator{Anchors: slices.Clone(q.anchors), Cache: new(certstore.PathCache)}
	if _, err := v.Path(q.leaf, q.bag, q.use, q.at); err != nil {
		t.Fatal(err)
	}
	v.Anchors[0] = issue(t, nil, "root", newKey(t), asCA(nil)).cert
	_, err := v.Path(q.leaf, q.bag, q.use, q.at)
	wantCode(t, err, certstore.NoAnchor, "")
}

func TestPathCacheIsBounded(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	v := certstore.Validator{Anchors: certs(root), Cache: new(certstore.PathCache)}
	key := newKey(t)
	var list []question
	for range 300 {
		leaf := issue(t, root, "leaf", key, forMail("alice@example.org", nil))
		list = append(list, question{leaf: leaf.cert, bag: certs(leaf), use: certstore.SignMail, at: now()})
	}
	for _, q := range list {
		for _, q := range []question{q, list[0]} {
			if _, err := v.Path(q.leaf, q.bag, q.use, q.at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if searchesFirst(v, list[0]) {
		t.Error("what was used all the time is forgotten")
	}
	if searchesFirst(v, list[len(list)-1]) {
		t.Error("what was used last is forgotten")
	}
	if !searchesFirst(v, list[1]) {
		t.Error("what was not used for 299 others is remembered")
	}
}

// TestPathCacheKeepsNoMessage: what is remembered does not share memory with what it came from, and is not large.
func TestPathCacheKeepsNoMessage(t *testing.T) {
	q := questions(t)[0]
	v := certstore.Validator{Anchors: q.anchors, Cache: new(certstore.PathCache)}
	for range 2 {
		path, err := v.Path(q.leaf, q.bag, q.use, q.at)
		if err != nil {
			t.Fatal(err)
		}
		if path[0] != q.leaf {
			t.Error("the path does not begin with the certificate that was asked for")
		}
		path[0], path[1], path[2] = nil, nil, nil // which is the caller's own
	}
	path, err := v.Path(q.leaf, q.bag, q.use, q.at)
	if err != nil {
		t.Fatal(err)
	}
	if path[1] == q.bag[1] || &path[1].Raw[0] == &q.bag[1].Raw[0] {
		t.Error("the certificate of a message is kept")
	}

	root := issue(t, nil, "root", newKey(t), asCA(nil))
	large := issue(t, root, "middle", newKey(t), asCA(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{extension(false, make([]byte, 20<<10), 1, 2, 3, 4)}
	}))
	leaf := issue(t, large, "leaf", newKey(t), forMail("alice@example.org", nil))
	v.Anchors = certs(root)
	if !searches(v, question{leaf: leaf.cert, bag: certs(leaf, large), use: certstore.SignMail, at: now()}) {
		t.Error("a path of 20 KiB is kept")
	}
}

// TestPathCacheOfUnparsed: certificates without DER cannot be told apart.
func TestPathCacheOfUnparsed(t *testing.T) {
	q := questions(t)[0]
	v := certstore.Validator{Anchors: q.anchors, Cache: new(certstore.PathCache)}
	q.bag = append(slices.Clone(q.bag), &x509.Certificate{})
	if _, err := v.Path(q.leaf, q.bag, q.use, q.at); err == nil {
		t.Error("a certificate that was never parsed helps to find a path")
	}
}

func TestPathCacheConcurrently(t *testing.T) {
	list := questions(t)
	fresh := make([]string, len(list))
	for i, q := range list {
		fresh[i] = q.ask(nil)
	}
	cache := new(certstore.PathCache)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range list {
				i = (i + worker*len(list)/4) % len(list)
				if got := list[i].ask(cache); got != fresh[i] {
					t.Errorf("%s: got %s, want %s", list[i].name, got, fresh[i])
				}
			}
		})
	}
	group.Wait()
}
