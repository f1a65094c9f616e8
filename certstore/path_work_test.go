package certstore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// TestHeapOfAuthorities gives a message's bag many certificates of one authority that lead nowhere but to each other,
// with a slow kind of key: saying so must not cost a search at each moment that one of them names.
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
	var pathErr *certstore.PathError
	// Work is counted in allocations, which do not depend on the machine.
	work := testing.AllocsPerRun(1, func() { _, err = v.Path(leaf.cert, bag, certstore.SignMail, now()) })
	if !errors.As(err, &pathErr) || pathErr.Code != certstore.NoAnchor {
		t.Fatalf("got %v, want no anchor", err)
	}
	if work > 20_000 { // 3,000, against 150,000 with each moment tried
		t.Errorf("%v allocations to say so", work)
	}
}

// publicOnly is a key that signs as another one: nobody has the private half of a modulus that was made up.
type publicOnly struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k publicOnly) Public() crypto.PublicKey { return k.public }

// TestIssuerWithALongKey gives a message's bag an issuer with an RSA key so long that checking one signature would take
// seconds, or hours: it is not asked. Whether it was can be seen from the answer.
func TestIssuerWithALongKey(t *testing.T) {
	for _, test := range []struct {
		bits int
		want certstore.PathCode
	}{
		{8192, certstore.BadSignature},
		{8193, certstore.NoAnchor},
		{1 << 20, certstore.NoAnchor},
	} {
		modulus := new(big.Int).Lsh(big.NewInt(1), uint(test.bits-1))
		key := &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: 65537}
		authority := asCA(func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} })
		short := issue(t, nil, "issuer", newRSAKey(t), authority)
		long := issue(t, short, "issuer", publicOnly{short.key, key}, authority)
		leaf := issue(t, short, "leaf", newKey(t), forMail("alice@example.org", nil))
		_, err := certstore.Validator{}.Path(leaf.cert, certs(long), certstore.SignMail, now())
		wantCode(t, err, test.want, "leaf")
	}
}
