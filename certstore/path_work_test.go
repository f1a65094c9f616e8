package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
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

// madeUp returns an issuer with an RSA key of so many bits, a multiple of 24, and the leaf with a signature by it that holds: the modulus is
// made to fit the signature. Nobody needs a private key for that, and it takes no time.
func madeUp(t *testing.T, bits int) (issuer, leaf *x509.Certificate) {
	short := issue(t, nil, "issuer", newRSAKey(t), asCA(nil))
	leaf = issue(t, short, "leaf", newKey(t), forMail("alice@example.org", nil)).cert
	digest := sha256.Sum256(leaf.RawTBSCertificate)
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32}, digest[:]...) // RFC 8017 section 9.2
	padded := bytes.Repeat([]byte{0xff}, bits/8)
	padded[0], padded[1], padded[len(padded)-len(info)-1] = 0, 1, 0
	copy(padded[len(padded)-len(info):], info)
	message := new(big.Int).SetBytes(padded)
	// With the exponent 3, and a root whose cube is a little below 2 to the bits, cube minus message is a modulus that fits.
	root := new(big.Int).Lsh(big.NewInt(9), uint(bits/3))
	root.Div(root, big.NewInt(10))
	for root.Bit(0) == message.Bit(0) {
		root.Add(root, big.NewInt(1))
	}
	modulus := new(big.Int).Exp(root, big.NewInt(3), nil)
	modulus.Sub(modulus, message)
	if modulus.BitLen() != bits {
		t.Fatalf("%d bits", modulus.BitLen())
	}
	issuer = issue(t, short, "issuer", publicOnly{short.key, &rsa.PublicKey{N: modulus, E: 3}}, asCA(func(c *x509.Certificate) { c.SubjectKeyId = short.cert.SubjectKeyId })).cert
	var parts struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(leaf.Raw, &parts); err != nil {
		t.Fatal(err)
	}
	parts.Signature = asn1.BitString{Bytes: root.FillBytes(make([]byte, bits/8)), BitLength: bits / 8 * 8}
	leaf, err := x509.ParseCertificate(mustMarshal(t, parts))
	if err != nil {
		t.Fatal(err)
	}
	return issuer, leaf
}

// TestIssuersInWithALongKey is TestIssuerWithALongKey for putting a bundle in order.
func TestIssuersInWithALongKey(t *testing.T) {
	for bits, want := range map[int]int{8184: 1, 8208: 0} {
		issuer, leaf := madeUp(t, bits)
		if err := leaf.CheckSignatureFrom(issuer); err != nil {
			t.Fatal(err)
		}
		if got := certstore.IssuersIn([]*x509.Certificate{issuer}, leaf); len(got) != want {
			t.Errorf("key of %d bits: %d issuers", bits, len(got))
		}
	}
}
