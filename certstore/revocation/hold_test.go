package revocation

import (
	"context"
	"crypto/x509"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

// TestHoldBecomesMore: who has a stolen key sends the answer along that it was on hold, which for a time before that says
// that it was good. What is known since is that it was stolen, and when.
func TestHoldBecomesMore(t *testing.T) {
	const address = "http://ocsp.test/"
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", func(c *x509.Certificate) { c.OCSPServer = []string{address} })
	path := pathOf(leaf, root)
	signed := epoch().AddDate(0, 0, -20) // proven
	stolen, held, found := signed.AddDate(0, 0, -1), signed.AddDate(0, 0, 2), signed.AddDate(0, 0, 10)
	hold := response{by: root, produced: held, singles: []single{{c: leaf, issuer: root, status: Revoked, at: held, reason: ReasonCertificateHold, this: held}}}
	var invalidity cryptobyte.Builder
	invalidity.AddASN1GeneralizedTime(stolen)
	compromised := response{by: root, singles: []single{{c: leaf, issuer: root, status: Revoked, at: found, reason: ReasonKeyCompromise,
		extensions: []extension{{oidInvalidityDate, false, invalidity.BytesOrPanic()}}}}}
	look := func(name string, a Answer) {
		t.Helper()
		if a.Status != Revoked || !a.KeyCompromise || !a.Invalidity.Equal(stolen) {
			t.Errorf("%s: %s, key compromise %v from %v", name, describe(a), a.KeyCompromise, a.Invalidity)
		}
	}
	old, latest := hold.der(t), compromised.der(t)
	look("both, the old one first", check(t, path, Evidence{OCSPResponses: [][]byte{old, latest}}, signed, epoch()))
	look("both, the new one first", check(t, path, Evidence{OCSPResponses: [][]byte{latest, old}}, signed, epoch()))
	ask := func(c *Checker) Answer {
		t.Helper()
		answers, err := c.Check(t.Context(), path, Evidence{OCSPResponses: [][]byte{old}}, signed, epoch())
		if err != nil {
			t.Fatal(err)
		}
		return answers[0]
	}
	n := &network{}
	if a := ask(&Checker{Fetcher: n}); a.Status != Revoked || a.KeyCompromise || n.count() != 1 {
		t.Errorf("where nobody answers: %s, %d asked", describe(a), n.count())
	}
	n.answer = map[string]func(context.Context, Request) ([]byte, error){address: respond(t, compromised)}
	look("asked", ask(&Checker{Fetcher: n}))
}

// TestFirstRevocationCounts: of several revocations that differ it is the one that took effect first.
func TestFirstRevocationCounts(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	signed := epoch().AddDate(0, 0, -20)
	var all [][]byte
	for _, days := range []int{5, -5, 9} {
		all = append(all, response{by: root, singles: []single{{c: leaf, issuer: root, status: Revoked, at: signed.AddDate(0, 0, days), reason: ReasonSuperseded}}}.der(t))
	}
	if a := check(t, pathOf(leaf, root), Evidence{OCSPResponses: all}, signed, epoch()); a.Status != Revoked || a.At.After(signed) {
		t.Errorf("%s", describe(a))
	}
}
