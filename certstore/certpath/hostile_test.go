package certpath

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPoliciesDoNotExplode maps each of many policies to all of them, at each of many authorities: as a tree that would be
// 32 to the power of 30 nodes (CVE-2023-0464).
func TestPoliciesDoNotExplode(t *testing.T) {
	const policies, depth = 32, 30
	var list []PolicyInformation
	var mappings []PolicyMapping
	for i := range policies {
		list = append(list, PolicyInformation{Policy: OID([]byte{42, byte(i)})})
		for j := range policies {
			mappings = append(mappings, PolicyMapping{OID([]byte{42, byte(i)}), OID([]byte{42, byte(j)})})
		}
	}
	g := newPolicyGraph()
	nodes, edges := 0, 0
	for range depth {
		if !g.descend(list, true) || !g.apply(mappings, true) {
			t.Fatal("nothing is left")
		}
	}
	for _, level := range g.depths {
		nodes += len(level)
		for _, n := range level {
			edges += len(n.parents)
		}
	}
	if nodes != 1+depth*policies || edges != policies+(depth-1)*policies*policies {
		t.Errorf("%d nodes, %d edges", nodes, edges)
	}
	if got := g.authorityConstrained(); len(got) != policies {
		t.Errorf("%d policies", len(got))
	}
	// Without the policies that the graph expects everything falls, up to the root.
	if g.descend([]PolicyInformation{{Policy: "\x2b\x01"}}, false) {
		t.Error("a policy that nobody expects is left")
	}
	for i, level := range g.depths {
		if len(level) != 0 {
			t.Fatalf("depth %d has %d nodes", i, len(level))
		}
	}
}

// TestNamesAndConstraintsAreCounted has thousands of names under thousands of constraints.
func TestNamesAndConstraintsAreCounted(t *testing.T) {
	keys := testKeys()
	many := func(format string, n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf(format, i))
		}
		return list
	}
	for _, test := range []struct {
		names, constraints int
		want               Code
	}{{400, 400, ""}, {1000, 1000, ChainInvalid}, {2000, 2, ""}} {
		root := newRoot(t, "root", keys[1], func(c *x509.Certificate) { c.ExcludedEmailAddresses = many("host%d.example.com", test.constraints) })
		leaf := newCertificate(t, "leaf", false, root, keys[0], keys[1], func(c *x509.Certificate) { c.EmailAddresses = many("a%d@example.org", test.names) })
		_, err := buildOurs([]*Certificate{mustParse(t, leaf.Raw), mustParse(t, root.Raw)})
		wantCode(t, err, test.want)
		if test.want != "" && !errors.Is(err, errComparisons) {
			t.Errorf("%v", err)
		}
	}
	set := constraintSet{comparisons: maxNameComparisons}
	if err := set.add(nil, []GeneralName{{Kind: RFC822Name, Text: "example.org"}}); err != nil {
		t.Fatal(err)
	}
	leaf := newCertificate(t, "leaf", false, nil, keys[0], keys[0], nil)
	if err := set.check(mustParse(t, leaf.Raw)); !errors.Is(err, errComparisons) {
		t.Errorf("beyond the bound: %v", err)
	}
}

func wantCode(t testing.TB, err error, want Code) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%v", err)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != want || e.Reason == "" {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestCrossCertificates has hundreds of authorities certify one another in a ring and across it: there are more paths
// among them than atoms anywhere, and none leads to an anchor.
func TestCrossCertificates(t *testing.T) {
	keys := testKeys()
	const authorities, across = 300, 4
	name := func(i int) string { return fmt.Sprintf("authority %d", i%authorities) }
	// The authorities share four keys and are told apart by name.
	certificate := make([]*x509.Certificate, authorities)
	for i := range authorities {
		certificate[i] = newRoot(t, name(i), keys[i%4], nil)
	}
	var heap []*Certificate
	for i := range authorities {
		for j := 1; j <= across; j++ {
			by := (i + j*j) % authorities
			heap = append(heap, mustParse(t, newCertificate(t, name(i), true, certificate[by], keys[i%4], keys[by%4], nil).Raw))
		}
	}
	leaf := mustParse(t, newCertificate(t, "leaf", false, certificate[0], keys[4], keys[0], nil).Raw)
	root := newRoot(t, "root", keys[0], nil)
	b := Builder{Anchors: NewSet([]*Certificate{mustParse(t, root.Raw)}), Issuers: []*Set{NewSet(heap)}}
	s := b.newSearch(Parameters{Time: testTime()})
	_, err := s.run(leaf)
	wantCode(t, err, NoAnchor)
	if s.steps > maxSteps+1 || len(s.verified) > maxSignatures || len(s.verified) < 20 {
		t.Errorf("%d steps, %d signatures", s.steps, len(s.verified))
	}
	// One honest certificate among them leads out, and is tried before the heap is searched.
	honest := mustParse(t, newCertificate(t, name(0), true, root, keys[0], keys[0], nil).Raw)
	b.Issuers = append(b.Issuers, NewSet([]*Certificate{honest}))
	near := mustParse(t, newCertificate(t, "leaf", false, certificate[0], keys[4], keys[0], nil).Raw)
	b.Issuers[0], b.Issuers[1] = b.Issuers[1], b.Issuers[0]
	if _, err := b.Build(near, Parameters{Time: testTime()}); err != nil {
		t.Errorf("the honest path: %v", err)
	}
}

// TestLayers has twenty authorities with two certificates each, one above the other: their eighty signatures are within
// the bound, and make a million paths.
func TestLayers(t *testing.T) {
	keys := testKeys()
	const layers = maxDepth
	name := func(i int) string { return fmt.Sprintf("authority %d", i) }
	var heap []*Certificate
	for i := range layers {
		above := newRoot(t, name(i+1), keys[(i+1)%4], nil)
		for range 2 {
			heap = append(heap, mustParse(t, newCertificate(t, name(i), true, above, keys[i%4], keys[(i+1)%4], nil).Raw))
		}
	}
	leaf := mustParse(t, newCertificate(t, "leaf", false, newRoot(t, name(0), keys[0], nil), keys[4], keys[0], nil).Raw)
	s := Builder{Issuers: []*Set{NewSet(heap)}}.newSearch(Parameters{Time: testTime()})
	_, err := s.run(leaf)
	wantCode(t, err, NoAnchor)
	if s.steps != maxSteps+1 || len(s.verified) >= maxSignatures {
		t.Errorf("%d steps, %d signatures", s.steps, len(s.verified))
	}
}

// TestLikelyIssuersFirst hides the issuer behind more others of its name than signatures are checked.
func TestLikelyIssuersFirst(t *testing.T) {
	keys := testKeys()
	root := newRoot(t, "root", keys[2], nil)
	good := newCertificate(t, "middle", true, root, keys[1], keys[2], nil)
	leaf := mustParse(t, newCertificate(t, "leaf", false, good, keys[0], keys[1], nil).Raw)
	var heap []*Certificate
	for i := range maxSignatures + 50 {
		heap = append(heap, mustParse(t, newCertificate(t, "middle", true, root, keys[3], keys[2], func(c *x509.Certificate) { c.SubjectKeyId = []byte{byte(i)} }).Raw))
	}
	heap = append(heap, mustParse(t, good.Raw))
	s := Builder{Anchors: NewSet([]*Certificate{mustParse(t, root.Raw)}), Issuers: []*Set{NewSet(heap)}}.newSearch(Parameters{Time: testTime()})
	if _, err := s.run(leaf); err != nil || len(s.verified) != 2 {
		t.Errorf("%d signatures, %v", len(s.verified), err)
	}
}

// TestLoop has two authorities that certify each other: each is on the path once.
func TestLoop(t *testing.T) {
	keys := testKeys()
	a, b := newRoot(t, "a", keys[1], nil), newRoot(t, "b", keys[2], nil)
	heap := []*Certificate{mustParse(t, a.Raw), mustParse(t, b.Raw),
		mustParse(t, newCertificate(t, "a", true, b, keys[1], keys[2], nil).Raw), mustParse(t, newCertificate(t, "b", true, a, keys[2], keys[1], nil).Raw)}
	leaf := mustParse(t, newCertificate(t, "leaf", false, a, keys[0], keys[1], nil).Raw)
	s := Builder{Issuers: []*Set{NewSet(heap)}}.newSearch(Parameters{Time: testTime()})
	_, err := s.run(leaf)
	wantCode(t, err, NoAnchor)
	// Both certificates of a, those of itself and of b as its issuers, and so on once more: nothing is gone through twice.
	if s.steps > 12 {
		t.Errorf("%d steps", s.steps)
	}
}

// TestManyInvalidPaths has many authorities of one name that all lead to the anchor, and none may.
func TestManyInvalidPaths(t *testing.T) {
	keys := testKeys()
	root := newRoot(t, "root", keys[1], func(c *x509.Certificate) { c.MaxPathLenZero, c.MaxPathLen = true, 0 })
	var heap []*Certificate
	for i := range 200 {
		heap = append(heap, mustParse(t, newCertificate(t, "middle", true, root, keys[2], keys[1], func(c *x509.Certificate) {
			c.SubjectKeyId = []byte{byte(i)}
		}).Raw))
	}
	middle := newRoot(t, "middle", keys[2], nil)
	leaf := mustParse(t, newCertificate(t, "leaf", false, middle, keys[0], keys[2], nil).Raw)
	s := Builder{Anchors: NewSet([]*Certificate{mustParse(t, root.Raw)}), Issuers: []*Set{NewSet(heap)}}.newSearch(Parameters{Time: testTime()})
	_, err := s.run(leaf)
	wantCode(t, err, PathLength)
	if s.paths > maxPaths+1 || len(s.verified) > maxSignatures {
		t.Errorf("%d paths, %d signatures", s.paths, len(s.verified))
	}
}

// TestLargeCertificates reads what is as large as may be, and nothing larger; and says little about it.
func TestLargeCertificates(t *testing.T) {
	key := testKeys()[0]
	long := bytes.Repeat([]byte{0x7f}, 100<<10)
	serial := mustParse(t, handmade{key: key, serial: long}.sign(t, key))
	if serial.SerialNumber.BitLen() != 8*len(long)-1 {
		t.Errorf("a serial number of %d bits", serial.SerialNumber.BitLen())
	}
	name := tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, []byte(OIDCommonName)), tlv(12, bytes.Repeat([]byte("é\x1b["), 10<<10)))))
	c := mustParse(t, handmade{key: key, subject: name, issuer: name}.sign(t, key))
	_, err := Builder{}.Build(c, Parameters{Time: testTime()})
	wantCode(t, err, NoAnchor)
	if text := err.Error(); len(text) > 1000 || strings.Contains(text, "\x1b") {
		t.Errorf("%d octets about it", len(text))
	}
	for what, der := range map[string][]byte{
		"size":       handmade{key: key, serial: make([]byte, 0)}.sign(t, key),
		"large":      handmade{key: key, serial: bytes.Repeat([]byte{0x7f}, MaxCertificate)}.sign(t, key),
		"attributes": handmade{key: key, subject: tlv(0x30, slices.Repeat([][]byte{tlv(0x31)}, maxNameAttributes+1)...)}.sign(t, key),
	} {
		if _, err := Parse(der); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	lists := map[string][]byte{
		"extensions": nil,
		"names":      handExtension(OIDSubjectAltName, false, generalNames(DNSName, slices.Repeat([]string{"a"}, maxGeneralNames+1)...)),
		"usages":     handExtension(OIDExtendedKeyUsage, false, tlv(0x30, slices.Repeat([][]byte{tlv(6, []byte{42})}, maxListed+1)...)),
		"mappings":   handExtension(OIDPolicyMappings, false, tlv(0x30, slices.Repeat([][]byte{tlv(0x30, tlv(6, []byte{42}), tlv(6, []byte{43}))}, maxListed+1)...)),
	}
	for what, extension := range lists {
		h := handmade{key: key, extensions: [][]byte{extension}}
		if extension == nil {
			h.extensions = nil
			for i := range maxExtensions + 1 {
				h.extensions = append(h.extensions, handExtension(OID([]byte{42, byte(i >> 7 & 0x7f), byte(i & 0x7f)}), false, nil))
			}
		}
		if c := mustParse(t, h.sign(t, key)); len(c.Problems) == 0 {
			t.Errorf("too many %s are no problem", what)
		}
	}
}
