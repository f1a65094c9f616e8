package revocation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// TestRequestByOthers has golang.org/x/crypto/ocsp read a request of ours, and us its responses.
func TestRequestByOthers(t *testing.T) {
	// That package writes the present into producedAt, whichever it is.
	root := issue(t, nil, "Root", authority, func(c *x509.Certificate) { c.NotAfter = epoch().AddDate(100, 0, 0) })
	leaf := issue(t, &root, "Leaf")
	der, err := MarshalRequest(NewCertID(leaf.Certificate, root.Certificate), nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ocsp.CreateRequest(leaf.x509, root.x509, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(der, theirs) {
		t.Errorf("%x, and theirs is %x", der, theirs)
	}
	if der, err = MarshalRequest(NewCertID(leaf.Certificate, root.Certificate), bytes.Repeat([]byte{7}, NonceSize)); err != nil {
		t.Fatal(err)
	}
	if _, err := ocsp.ParseRequest(der); err != nil {
		t.Error(err)
	}
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		template := ocsp.Response{Status: ocsp.Revoked, SerialNumber: leaf.SerialNumber, ThisUpdate: epoch(), NextUpdate: epoch().Add(time.Hour),
			RevokedAt: epoch().AddDate(0, -1, 0), RevocationReason: ocsp.KeyCompromise, IssuerHash: hash}
		der, err := ocsp.CreateResponse(root.x509, root.x509, template, root.key)
		if err != nil {
			t.Fatal(err)
		}
		now := epoch()
		if parsed, err := ParseResponse(der); err != nil {
			t.Fatal(err)
		} else if parsed.ProducedAt.After(now) {
			now = parsed.ProducedAt
		}
		a := check(t, pathOf(leaf, root), Evidence{OCSPResponses: [][]byte{der}}, epoch(), now)
		if a.Status != Revoked || !a.At.Equal(template.RevokedAt) || a.Reason != "keyCompromise" || !a.KeyCompromise || !a.Until.Equal(template.NextUpdate) {
			t.Errorf("%v: %s", hash, describe(a))
		}
	}
	ours := response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}.der(t)
	if parsed, err := ocsp.ParseResponseForCert(ours, leaf.x509, root.x509); err != nil || parsed.Status != ocsp.Good {
		t.Errorf("the responses of these tests as others read them: %v", err)
	}
}

// TestListsByOthers has crypto/x509 make a list, and read one of these tests.
func TestListsByOthers(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(77), ThisUpdate: epoch(), NextUpdate: epoch().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: leaf.SerialNumber, RevocationTime: epoch().AddDate(0, -1, 0), ReasonCode: 4}},
	}, root.x509, root.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	if l.Number.Int64() != 77 || l.Version != 2 || l.Entries != 1 || !l.NextUpdate.Equal(epoch().Add(time.Hour)) || !bytes.Equal(l.AuthorityKeyID.KeyID, root.SubjectKeyID) {
		t.Errorf("%v %d %d %v", l.Number, l.Version, l.Entries, l.NextUpdate)
	}
	a := check(t, pathOf(leaf, root), Evidence{CRLs: [][]byte{der}}, epoch(), epoch())
	if a.Status != Revoked || a.Reason != "superseded" || !a.At.Equal(epoch().AddDate(0, -1, 0)) {
		t.Errorf("%s", describe(a))
	}
	if _, err := x509.ParseRevocationList(list{by: root}.der(t)); err != nil {
		t.Errorf("the lists of these tests as others read them: %v", err)
	}
}
