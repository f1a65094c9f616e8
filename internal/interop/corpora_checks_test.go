package interop

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

// read opens bare CMS.
func (c *corpus) cms(t *testing.T, file string) cms.ContentInfo {
	t.Helper()
	info, err := cms.Read(bytes.NewReader(c.read(t, file)), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// refused is CMS that is refused with these words.
func refused(words string) func(*testing.T, *corpus, string) {
	return func(t *testing.T, c *corpus, file string) {
		if _, err := cms.Read(bytes.NewReader(c.read(t, file)), cms.Limits{}); err == nil || err.Error() != words {
			t.Error(err)
		}
	}
}

// bag is a SignedData with so many certificates and revocation lists, and nothing else.
func bag(certificates, crls int) func(*testing.T, *corpus, string) {
	return func(t *testing.T, c *corpus, file string) {
		m, ok := c.cms(t, file).(*cms.SignedData)
		if !ok {
			t.Fatal("no SignedData")
		}
		if _, err := m.ReadContent(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Verify(nil, cms.VerifyOptions{ContentType: cms.OIDData}); !errors.Is(err, cms.ErrNoSigners) {
			t.Error(err)
		}
		if !m.CertsOnly() || len(m.Certificates) != certificates || len(m.CRLs) != crls {
			t.Errorf("certs-only: %v, %d certificates, %d lists", m.CertsOnly(), len(m.Certificates), len(m.CRLs))
		}
	}
}

// digested is a DigestedData of this content.
func digested(content string) func(*testing.T, *corpus, string) {
	return func(t *testing.T, c *corpus, file string) {
		m, ok := c.cms(t, file).(*cms.DigestedData)
		if !ok {
			t.Fatal("no DigestedData")
		}
		var got bytes.Buffer
		if err := m.ReadContent(t.Context(), &got); err != nil || got.String() != content {
			t.Errorf("%q, %v", &got, err)
		}
	}
}

// underKey is an EncryptedData of this content, under a weak cipher.
func underKey(key, content string, attributes int) func(*testing.T, *corpus, string) {
	return func(t *testing.T, c *corpus, file string) {
		m, ok := c.cms(t, file).(*cms.EncryptedData)
		if !ok {
			t.Fatal("no EncryptedData")
		}
		k, err := hex.DecodeString(key)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := m.Decrypt(t.Context(), &got, k, cms.DecryptOptions{}); !errors.As(err, new(*cms.WeakError)) {
			t.Errorf("without weak algorithms: %v", err)
		}
		if err := m.Decrypt(t.Context(), &got, k, cms.DecryptOptions{AllowWeak: true}); err != nil || got.String() != content {
			t.Errorf("%q, %v", &got, err)
		}
		if len(m.UnprotectedAttributes) != attributes {
			t.Errorf("%d attributes", len(m.UnprotectedAttributes))
		}
	}
}

// certificates is a file of so many certificates.
func certificates(count int) func(*testing.T, *corpus, string) {
	return func(t *testing.T, c *corpus, file string) {
		certs, err := certstore.ParseCertificates(c.read(t, file))
		if err != nil || len(certs) != count {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
	}
}

// privateKey is a file with a key.
func privateKey(t *testing.T, c *corpus, file string) {
	if _, err := certstore.ParsePrivateKey(c.read(t, file)); err != nil {
		t.Error(err)
	}
}

// revocationList is a file with one list.
func revocationList(t *testing.T, c *corpus, file string) {
	data := c.read(t, file)
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	if _, err := x509.ParseRevocationList(data); err != nil {
		t.Error(err)
	}
}

// opens is a PKCS #12 file with keys and their certificates.
func opens(password string) func(*testing.T, *corpus, string) {
	return func(t *testing.T, c *corpus, file string) {
		bundle, err := certstore.DecodePKCS12(c.read(t, file), password)
		if pairs, _ := bundle.KeyPairs(); err != nil || len(pairs) == 0 {
			t.Errorf("%d pairs, %v", len(pairs), err)
		}
	}
}

// pair reads the certificate and the key of somebody in PEM.
func (c *corpus) pair(t *testing.T, name string) certstore.KeyPair {
	t.Helper()
	bundle, err := certstore.ParsePEM(slices.Concat(c.read(t, name+".crt.pem"), []byte("\n"), c.read(t, name+".key.pem")))
	pairs, rest := bundle.KeyPairs()
	if err != nil || len(pairs) != 1 || len(rest) != 0 {
		t.Fatalf("%s: %d pairs, %v", name, len(pairs), err)
	}
	return pairs[0]
}

func someone(file string) string {
	name, _, _ := strings.Cut(file, ".")
	return name
}

// pairs is a key that finds its certificate.
func pairs(t *testing.T, c *corpus, file string) { c.pair(t, someone(file)) }

// samePairs is a PKCS #12 file with the keys that are there in PEM as well.
func samePairs(t *testing.T, c *corpus, file string) {
	bundle, err := certstore.DecodePKCS12(c.read(t, file), someone(file))
	pairs, _ := bundle.KeyPairs()
	if err != nil || len(pairs) != 2 {
		t.Fatalf("%d pairs, %v", len(pairs), err)
	}
	for _, use := range []string{"-sign", "-encrypt"} {
		want := c.pair(t, someone(file)+use)
		if !slices.ContainsFunc(pairs, func(p certstore.KeyPair) bool {
			return p.Chain[0].Equal(want.Chain[0]) && p.Key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(want.Key)
		}) {
			t.Errorf("another key%s", use)
		}
	}
}

// issuers is an authority that signed the certificates of those who use its kind of key.
func issuers(t *testing.T, c *corpus, file string) {
	ca := c.pair(t, someone(file)).Chain[0]
	people := map[string][]string{"ca-rsa": {"alice", "bob"}, "ca-ed25519": {"carlos", "dana"}}[someone(file)]
	for _, name := range people {
		for _, use := range []string{"-sign", "-encrypt"} {
			if err := c.pair(t, name+use).Chain[0].CheckSignatureFrom(ca); err != nil {
				t.Errorf("%s%s: %v", name, use, err)
			}
		}
	}
}

// crossed is the certificate of one authority by the other.
func crossed(t *testing.T, c *corpus, file string) {
	certs, err := certstore.ParseCertificates(c.read(t, file))
	if err != nil || len(certs) != 1 {
		t.Fatal(err)
	}
	other := map[string]string{"ca-rsa-cross": "ca-ed25519", "ca-ed25519-cross": "ca-rsa"}[someone(file)]
	if err := certs[0].CheckSignatureFrom(c.pair(t, other).Chain[0]); err != nil {
		t.Error(err)
	}
}

// signsAndVerifies is somebody who signs.
func signsAndVerifies(t *testing.T, c *corpus, file string) {
	p := c.pair(t, someone(file))
	scheme, hash, err := cms.DefaultSignature(p.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	signed, err := cms.Sign(t.Context(), content, cms.SignedDataOptions{
		Certificates: p.Chain, Signers: []cms.Signer{{Certificate: p.Chain[0], Key: p.Key.(crypto.Signer), Scheme: scheme, Digest: hash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	results, got, err := verify(t, signed, cms.VerifyOptions{ContentType: cms.OIDData})
	if err != nil || len(results) != 1 || !results[0].Certificate.Equal(p.Chain[0]) || !bytes.Equal(got, content) {
		t.Errorf("%d signatures, %v", len(results), err)
	}
}

// encryptsAndDecrypts is somebody to whom messages are encrypted.
func encryptsAndDecrypts(t *testing.T, c *corpus, file string) {
	p := c.pair(t, someone(file))
	management, err := cms.DefaultKeyManagement(p.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, cipher := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
		var sealed bytes.Buffer
		w, err := cms.NewEnvelopedDataWriter(t.Context(), &sealed, cms.EnvelopedDataOptions{
			Cipher: cipher, Recipients: []cms.Recipient{{Certificate: p.Chain[0], KeyManagement: management}},
		})
		if _, err := finish(&sealed, w, err); err != nil {
			t.Fatal(err)
		}
		info, err := cms.Read(&sealed, cms.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m := info.(*cms.EnvelopedData)
		cek, err := p.Decrypter().Unwrap(t.Context(), m.Recipients[0])
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := m.Decrypt(t.Context(), &got, cek, cms.DecryptOptions{}); err != nil || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("%v: %d octets, %v", cipher, got.Len(), err)
		}
	}
}

// number is a parameter of a key in the form of libgcrypt.
var number = regexp.MustCompile(`\(([a-z]) #([0-9A-Fa-f\s]+)#\)`)

// sExpression adds an RSA key in the form of libgcrypt.
func (c *corpus) sExpression(t *testing.T, certFile, keyFile string) {
	t.Helper()
	n := map[string]*big.Int{}
	for _, m := range number.FindAllSubmatch(c.read(t, keyFile), -1) {
		n[string(m[1])], _ = new(big.Int).SetString(strings.Join(strings.Fields(string(m[2])), ""), 16)
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n["n"], E: int(n["e"].Int64())}, D: n["d"], Primes: []*big.Int{n["p"], n["q"]}}
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(c.read(t, certFile))
	if err != nil {
		t.Fatal(err)
	}
	c.keys = append(c.keys, certstore.KeyPair{Key: key, Chain: []*x509.Certificate{cert}}.Decrypter())
}

// vectorsOf lists vectors that the tests of another package read.
func vectorsOf(pkg string) func(*testing.T, *corpus, string) {
	return func(t *testing.T, _ *corpus, file string) {
		checkout, err := peertest.Checkout()
		if err != nil {
			t.Fatal(err)
		}
		tests, err := filepath.Glob(filepath.Join(checkout, filepath.FromSlash(pkg), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range tests {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(source, []byte(strconv.Quote(file))) {
				return
			}
		}
		t.Errorf("no test of %s reads it", pkg)
	}
}
