package certstore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

// now is the time at which tests judge, unless they say otherwise.
func now() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

// node is a certificate with its key, for building hierarchies of any quality.
type node struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var (
	serialMu   sync.Mutex
	lastSerial int64
)

func nextSerial() *big.Int {
	serialMu.Lock()
	defer serialMu.Unlock()
	lastSerial++
	return big.NewInt(lastSerial)
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSAKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate under parent, or a self-signed one where parent is nil. change has the last word on the
// template, and may be nil.
func issue(t testing.TB, parent *node, name string, key crypto.Signer, change func(*x509.Certificate)) *node {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: nextSerial(),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now().AddDate(-1, 0, 0),
		NotAfter:     now().AddDate(1, 0, 0),
	}
	if change != nil {
		change(template)
	}
	n := &node{key: key}
	signer, above := key, template
	if parent != nil {
		signer, above = parent.key, parent.cert
	}
	der, err := x509.CreateCertificate(rand.Reader, template, above, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if n.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return n
}

// asCA makes a template an authority's.
func asCA(change func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.BasicConstraintsValid, c.IsCA = true, true
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		if change != nil {
			change(c)
		}
	}
}

// forMail makes a template a mail user's, for an EC key.
func forMail(address string, change func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		if address != "" {
			c.EmailAddresses = []string{address}
		}
		if change != nil {
			change(c)
		}
	}
}

func certs(nodes ...*node) []*x509.Certificate {
	var out []*x509.Certificate
	for _, n := range nodes {
		out = append(out, n.cert)
	}
	return out
}

func pair(nodes ...*node) certstore.KeyPair {
	return certstore.KeyPair{Key: nodes[0].key, Chain: certs(nodes...)}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
