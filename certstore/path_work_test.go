package certstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// TestHeapOfAuthorities gives a message's bag many certificates of one authority that lead nowhere but to each other,
// with a slow kind of key: saying so must not take longer than anybody waits.
func TestHeapOfAuthorities(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var bag []*x509.Certificate
	var last *node
	for i := range 100 {
		last = issue(t, nil, "Heap", key, func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid = true, true
			c.NotBefore = now().Add(-time.Duration(i+1) * time.Hour)
		})
		bag = append(bag, last.cert)
	}
	leaf := issue(t, last, "Mallory", newKey(t), func(c *x509.Certificate) { c.EmailAddresses = []string{"m@example.org"} })
	root := issue(t, nil, "Root", newKey(t), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	v := certstore.Validator{Anchors: []*x509.Certificate{root.cert}}
	began := time.Now()
	_, err = v.Path(leaf.cert, bag, certstore.SignMail, now())
	var pathErr *certstore.PathError
	if !errors.As(err, &pathErr) || pathErr.Code != certstore.NoAnchor {
		t.Fatalf("got %v, want no anchor", err)
	}
	if took := time.Since(began); took > 5*time.Second { // 0.3 s, against 10 with each moment tried
		t.Errorf("it took %v to say so", took)
	}
}
