package revocation

import (
	"crypto/x509"
	"strings"
	"testing"
)

// TestRevokedSigner has a list whose signer, who is not part of the path, is revoked, or of whom nothing is known.
func TestRevokedSigner(t *testing.T) {
	root := newRoot(t, "Root")
	signer := issue(t, &root, "Signer", authority)
	leaf := issue(t, &root, "Leaf", indirectPoint(t, "http://example.org/i", signer.Subject.Raw))
	// For all but the signer the list of the root covers one reason, so that it alone decides nothing about the leaf.
	partial := scope(t, flag(tagImplicit3, 6, 0x40))
	indirect := list{by: signer, extensions: []extension{scope(t, pointName("http://example.org/i"), flag(tagImplicit4))}}.der(t)
	tests := []struct {
		name   string
		lists  [][]byte
		status Status
		why    string
	}{
		{"nothing is known", [][]byte{indirect}, Unknown, "may be revoked: there is neither"},
		{"too little is known", [][]byte{indirect, list{by: root, extensions: []extension{partial}}.der(t)}, Unknown, "may be revoked: the lists that there are do not cover"},
		{"revoked", [][]byte{indirect, list{by: root, extensions: []extension{partial}, entries: []entry{{serial: signer.SerialNumber, date: epoch().AddDate(0, 0, -1)}}}.der(t)},
			Unknown, "may be revoked: revoked since 2026-11-20"},
	}
	for _, test := range tests {
		a := check(t, pathOf(leaf, root), Evidence{CRLs: test.lists, Certificates: [][]byte{signer.Raw}}, epoch(), epoch())
		if a.Status != test.status || !strings.Contains(a.Why, test.why) {
			t.Errorf("%s: %s", test.name, describe(a))
		}
	}
	// The same list by somebody else of that name, whom the root does not know.
	impostor := newRoot(t, "Signer")
	forged := list{by: impostor, extensions: []extension{scope(t, pointName("http://example.org/i"), flag(tagImplicit4))}}.der(t)
	a := check(t, pathOf(leaf, root), Evidence{CRLs: [][]byte{forged}, Certificates: [][]byte{impostor.Raw}}, epoch(), epoch())
	if a.Status != Unknown || !strings.Contains(a.Why, "no valid path to the same anchor") {
		t.Errorf("another anchor: %s", describe(a))
	}
}

// TestSignerForItself has a second key of an authority sign lists, and be the only one who says that it is not revoked.
func TestSignerForItself(t *testing.T) {
	root := newRoot(t, "Root")
	second := issue(t, &root, "Root", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	leaf := issue(t, &root, "Leaf")
	given := Evidence{Certificates: [][]byte{second.Raw}, CRLs: [][]byte{list{by: second}.der(t)}}
	if a := check(t, pathOf(leaf, root), given, epoch(), epoch()); a.Status != Unknown || !strings.Contains(a.Why, "in question") {
		t.Errorf("%s", describe(a))
	}
	given.OCSPResponses = [][]byte{response{by: root, singles: []single{{c: second, issuer: root, status: Good}}}.der(t)}
	if a := check(t, pathOf(leaf, root), given, epoch(), epoch()); a.Status != Good || len(a.Evidence.OCSPResponses) != 1 {
		t.Errorf("with a word of the first key: %s", describe(a))
	}
}

// TestSignerBelowThePath has a list by a signer whose issuer is part of the path: that one has an answer of its own.
func TestSignerBelowThePath(t *testing.T) {
	root := newRoot(t, "Root")
	ca := issue(t, &root, "CA", authority)
	signer := issue(t, &ca, "Signer", authority)
	leaf := issue(t, &ca, "Leaf", indirectPoint(t, "http://example.org/i", signer.Subject.Raw))
	given := Evidence{Certificates: [][]byte{signer.Raw}, CRLs: [][]byte{
		list{by: signer, extensions: []extension{scope(t, pointName("http://example.org/i"), flag(tagImplicit4))}}.der(t),
		list{by: ca, extensions: []extension{scope(t, flag(tagImplicit2))}}.der(t),
	}}
	answers, err := new(Checker).Check(t.Context(), pathOf(leaf, ca, root), given, epoch(), epoch())
	if err != nil || answers[0].Status != Good || answers[1].Status != Unknown || answers[1].Index != 1 {
		t.Errorf("%v %v", answers, err)
	}
}

// TestSignersOfEachOther has lists that two authorities sign about each other's certificates.
func TestSignersOfEachOther(t *testing.T) {
	root := newRoot(t, "Root")
	a := issue(t, &root, "A", authority)
	b := issue(t, &root, "B", func(c *x509.Certificate) {
		authority(c)
		indirectPoint(t, "http://example.org/b", a.Subject.Raw)(c)
	})
	// The first certificate of A does not know B yet.
	a = issue(t, &root, "A", func(c *x509.Certificate) {
		authority(c)
		indirectPoint(t, "http://example.org/a", b.Subject.Raw)(c)
	})
	leaf := issue(t, &root, "Leaf", indirectPoint(t, "http://example.org/a", b.Subject.Raw))
	given := Evidence{Certificates: [][]byte{a.Raw, b.Raw}, CRLs: [][]byte{
		list{by: b, extensions: []extension{scope(t, pointName("http://example.org/a"), flag(tagImplicit4))}}.der(t),
		list{by: a, extensions: []extension{scope(t, pointName("http://example.org/b"), flag(tagImplicit4))}}.der(t),
	}}
	if answer := check(t, pathOf(leaf, root), given, epoch(), epoch()); answer.Status != Unknown || !strings.Contains(answer.Why, "in question") {
		t.Errorf("%s", describe(answer))
	}
}
