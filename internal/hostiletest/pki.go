package hostiletest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// Identity is a key with its certificate, and those above it.
type Identity struct {
	Key   crypto.Signer
	Chain []*x509.Certificate // the identity's own first, no root
}

// Certificate is the identity's own.
func (id Identity) Certificate() *x509.Certificate { return id.Chain[0] }

// password opens the PKCS #12 files.
const password = "test"

// Between these times the certificates are valid.
var (
	notBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)
)

// The files in testdata/pki. Root and issuing authority are trusted, and the stranger is not.
const (
	rootFile     = "hostile-root.p12"
	rootPEM      = "hostile-root.pem"
	issuingFile  = "hostile-issuing.p12"
	strangerFile = "hostile-stranger.p12"
	aliceFile    = "alice-p256.p12"
	aliceRSAFile = "alice-rsa2048.p12"
	malloryFile  = "mallory-p256.p12"
	carolFile    = "carol-p256.p12"
	bobFile      = "bob-p256.p12"
	bobRSAFile   = "bob-rsa2048.p12"
)

// Lab is what messages are made with.
type Lab struct {
	Root, Issuing, Stranger Identity
	Alice, AliceRSA         Identity // alice@example.test
	Mallory                 Identity // mallory@example.test
	Bob, BobRSA, Carol      Identity // whom mail is for; Bob reads
	serial                  int64
	messageID               string
}

// open reads the keys in a folder.
func open(dir string) *Lab {
	read := func(name string) Identity {
		data := must(os.ReadFile(filepath.Join(dir, name)))
		bundle := must(certstore.DecodePKCS12(data, password))
		pairs, _ := bundle.KeyPairs()
		id := Identity{Key: pairs[0].Key.(crypto.Signer), Chain: pairs[0].Chain}
		if n := len(id.Chain); n > 1 && string(id.Chain[n-1].RawIssuer) == string(id.Chain[n-1].RawSubject) {
			id.Chain = id.Chain[:n-1]
		}
		return id
	}
	return &Lab{
		Root: read(rootFile), Issuing: read(issuingFile), Stranger: read(strangerFile),
		Alice: read(aliceFile), AliceRSA: read(aliceRSAFile), Mallory: read(malloryFile),
		Bob: read(bobFile), BobRSA: read(bobRSAFile), Carol: read(carolFile),
	}
}

// makeKeys makes new keys and certificates in a folder.
func makeKeys(dir string) {
	l := &Lab{serial: 1}
	write := func(name string, id Identity) {
		pair := certstore.KeyPair{Key: id.Key, Chain: id.Chain, Label: id.Certificate().Subject.CommonName}
		check(os.WriteFile(filepath.Join(dir, name), must(certstore.EncodePKCS12(pair, password)), 0o644))
	}
	authority := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: name, Organization: []string{"Example GmbH"}}
			c.EmailAddresses, c.ExtKeyUsage = nil, nil
			c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		}
	}
	l.Root = l.issue(Identity{}, newKey(), "", authority("Hostile Test Root"))
	l.Stranger = l.issue(Identity{}, newKey(), "", authority("Stranger"))
	l.Issuing = l.issue(l.Root, newKey(), "", authority("Hostile Test Issuing CA"))
	write(rootFile, l.Root)
	write(strangerFile, l.Stranger)
	write(issuingFile, l.Issuing)
	write(aliceFile, l.issue(l.Issuing, newKey(), "alice", named("Alice Adams")))
	write(aliceRSAFile, l.issue(l.Issuing, must(rsa.GenerateKey(rand.Reader, 2048)), "alice", named("Alice Adams")))
	write(malloryFile, l.issue(l.Issuing, newKey(), "mallory", named("Mallory Moor")))
	write(carolFile, l.issue(l.Issuing, newKey(), "carol", named("Carol Clark")))
	block := &pem.Block{Type: "CERTIFICATE", Bytes: l.Root.Certificate().Raw}
	check(os.WriteFile(filepath.Join(dir, rootPEM), pem.EncodeToMemory(block), 0o644))
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// keyOf is a key that is the same each time, and another for each name.
func keyOf(name string) *ecdsa.PrivateKey {
	raw := sha256.Sum256([]byte(name))
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), raw[:]))
}

// issue makes a certificate for mail from user@example.test, which make may change; from the zero Identity it is self-signed.
func (l *Lab) issue(from Identity, key crypto.Signer, user string, change func(*x509.Certificate)) Identity {
	l.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(l.serial), Subject: pkix.Name{CommonName: user},
		EmailAddresses: []string{user + "@example.test"},
		NotBefore:      notBefore, NotAfter: notAfter, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	if change != nil {
		change(template)
	}
	return l.certify(from, key, template)
}

// certify makes a certificate of a template.
func (l *Lab) certify(from Identity, key crypto.Signer, template *x509.Certificate) Identity {
	parent, signer := template, key
	if from.Key != nil {
		parent, signer = from.Certificate(), from.Key
	}
	cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))))
	id := Identity{Key: key, Chain: []*x509.Certificate{cert}}
	if from.Key != nil && string(from.Certificate().RawIssuer) != string(from.Certificate().RawSubject) {
		id.Chain = append(id.Chain, from.Chain...)
	}
	return id
}

// odd is a certificate of the trusted authority that is not as it should be, with a key of its own.
func (l *Lab) odd(user string, change func(*x509.Certificate)) Identity {
	return l.issue(l.Issuing, keyOf(user+l.messageID), user, change)
}

func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
