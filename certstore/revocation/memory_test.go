package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// TestKeys has numbers whose octets are the same, which are other certificates.
func TestKeys(t *testing.T) {
	root, other := newRoot(t, "Root"), newRoot(t, "Root")
	keys := map[string]bool{}
	for _, issuer := range []holder{root, other} {
		for _, n := range []int64{5, -5, 1280} {
			c := *root.Certificate
			c.SerialNumber = big.NewInt(n)
			keys[(&question{path: []*certpath.Certificate{&c, issuer.Certificate}}).key()] = true
		}
	}
	if len(keys) != 6 {
		t.Errorf("%d keys for six certificates", len(keys))
	}
}

// TestShared has several Checks at once, which share what they fetch.
func TestShared(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){listURL: serve(list{by: root}.der(t))}}
	c := &Checker{Fetcher: n}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			found, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch())
			if err != nil || found[0].Status != Good {
				t.Errorf("%v %v", found, err)
			}
		})
	}
	group.Wait()
	before := n.count()
	if found, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch()); err != nil || found[0].Status != Good || n.count() != before {
		t.Errorf("%v %v, asked %v", found, err, n.asked[before:])
	}
}

// TestExported has evidence that was fetched for one Check be enough for another, without the network.
func TestExported(t *testing.T) {
	root := newRoot(t, "Root")
	signer := issue(t, &root, "Signer", authority, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"http://crl.example.org/root.crl"} })
	ca := issue(t, &root, "CA", authority, func(c *x509.Certificate) { c.OCSPServer = []string{responderURL} })
	leaf := issue(t, &ca, "Leaf", indirectPoint(t, listURL, signer.Subject.Raw))
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){
		listURL:                           serve(list{by: signer, extensions: []extension{scope(t, pointName(listURL), flag(tagImplicit4))}}.der(t)),
		"http://crl.example.org/root.crl": serve(list{by: root}.der(t)),
		responderURL:                      respond(t, response{by: root, singles: []single{{c: ca, issuer: root, status: Revoked, at: epoch().Add(-time.Hour), reason: ReasonSuperseded}}}),
	}}
	path := pathOf(leaf, ca, root)
	first, err := (&Checker{Fetcher: n}).Check(t.Context(), path, Evidence{Certificates: [][]byte{signer.Raw}}, epoch(), epoch())
	if err != nil {
		t.Fatal(err)
	}
	if first[0].Status != Good || first[1].Status != Revoked {
		t.Fatalf("%s; %s", describe(first[0]), describe(first[1]))
	}
	var kept Evidence
	for _, a := range first {
		kept.Add(a.Evidence)
	}
	if len(kept.CRLs) != 2 || len(kept.OCSPResponses) != 1 || len(kept.Certificates) != 1 {
		t.Errorf("%d lists, %d responses, %d certificates", len(kept.CRLs), len(kept.OCSPResponses), len(kept.Certificates))
	}
	second, err := new(Checker).Check(t.Context(), path, kept, epoch(), epoch().AddDate(10, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range first {
		b := second[i]
		if a.Status != b.Status || !a.At.Equal(b.At) || !a.Until.Equal(b.Until) || a.Reason != b.Reason || a.Why != b.Why || a.Source != b.Source ||
			!equalLists(a.Evidence.CRLs, b.Evidence.CRLs) || !equalLists(a.Evidence.OCSPResponses, b.Evidence.OCSPResponses) {
			t.Errorf("%d: %s, and later %s", i, describe(a), describe(b))
		}
	}
}

func equalLists(a, b [][]byte) bool { return bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) }

// TestKeptForAnother has a list that was fetched, and found to be signed by its issuer, looked at for another issuer of the
// same name.
func TestKeptForAnother(t *testing.T) {
	root, namesake := newRoot(t, "Root"), newRoot(t, "Root")
	ours := issue(t, &root, "Leaf", withAddresses)
	theirs := issue(t, &namesake, "Leaf", withAddresses)
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){listURL: serve(list{by: root}.der(t))}}
	c := &Checker{Fetcher: n}
	for _, test := range []struct {
		name   string
		path   []*certpath.Certificate
		status Status
	}{
		{"the issuer", pathOf(ours, root), Good},
		{"the other", pathOf(theirs, namesake), Unknown},
		{"the issuer again", pathOf(ours, root), Good},
	} {
		answers, err := c.Check(t.Context(), test.path, Evidence{}, epoch(), epoch())
		if err != nil || answers[0].Status != test.status {
			t.Errorf("%s: %v %v", test.name, answers, err)
		}
	}
}

// TestMemoryBounds puts in more than is remembered.
func TestMemoryBounds(t *testing.T) {
	var m memory
	large := func(n int) held { return held{list: &CRL{Raw: make([]byte, n)}} }
	for _, key := range []string{"a", "b", "c", "a"} {
		m.put(key, large(maxHeldBytes/2))
	}
	if _, ok := m.get("a"); !ok || len(m.held) != 2 || m.size != maxHeldBytes/2*2 {
		t.Errorf("%d lists of %d octets", len(m.held), m.size)
	}
	m = memory{}
	m.put("a", large(10))
	m.put("a", large(20))
	if m.size != 20 {
		t.Errorf("%d octets of a list of 20", m.size)
	}
	m = memory{}
	for i := range maxHeld + 10 {
		m.put(string(rune(i)), held{response: &Response{Raw: []byte{1}}})
		m.fail(string(rune(i)), "why", epoch())
	}
	if len(m.held) != maxHeld || m.size != maxHeld || len(m.failures) > maxFailures {
		t.Errorf("%d held, %d octets, %d failures", len(m.held), m.size, len(m.failures))
	}
}
