package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// identity is a certificate and its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// The certification authority and most keys are the same in every run, so that a fuzzer's findings stay meaningful:
// Ed25519 signs deterministically, and so the certificates come out the same, too.
var (
	testCA = sync.OnceValue(func() identity {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{42}, ed25519.SeedSize))
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
			NotBefore: testNotBefore, NotAfter: testNotAfter,
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
		return identity{mustCertificate(template, template, key, key), key}
	})
	testP256    = sync.OnceValue(func() identity { return issue(2, ecKey(elliptic.P256(), 2)) })
	testP384    = sync.OnceValue(func() identity { return issue(3, ecKey(elliptic.P384(), 3)) })
	testP521    = sync.OnceValue(func() identity { return issue(4, ecKey(elliptic.P521(), 4)) })
	testEd25519 = sync.OnceValue(func() identity {
		return issue(5, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize)))
	})
	testRSA     = sync.OnceValue(func() identity { return issue(6, rsaKey(2048)) })
	testRSAWeak = sync.OnceValue(func() identity { return issue(7, rsaKey(1024)) })
	otherP256   = sync.OnceValue(func() identity { return issue(8, ecKey(elliptic.P256(), 8)) })
)

var (
	testNotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	testNotAfter  = time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC)
	testTime      = time.Date(2026, 11, 21, 10, 2, 11, 0, time.UTC)
)

func issue(serial int64, key crypto.Signer) identity {
	ca := testCA()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "Alice"}, EmailAddresses: []string{"alice@example.org"},
		NotBefore: testNotBefore, NotAfter: testNotAfter, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		SubjectKeyId: []byte{'k', 'e', 'y', byte(serial)},
	}
	return identity{mustCertificate(template, ca.cert, key, ca.key), key}
}

// mustCertificate panics on errors: its input is the constants above.
func mustCertificate(template, parent *x509.Certificate, key, parentKey crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

func ecKey(curve elliptic.Curve, scalar byte) *ecdsa.PrivateKey {
	raw := make([]byte, (curve.Params().BitSize+7)/8)
	raw[len(raw)-1] = scalar
	raw[len(raw)/2] = 0x5a
	key, err := ecdsa.ParseRawPrivateKey(curve, raw)
	if err != nil {
		panic(err)
	}
	return key
}

func rsaKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// writeFiles writes the CA, the certificate and the key as PEM into a folder for a peer program, and returns the folder.
func (id identity) writeFiles(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem":   {Type: "CERTIFICATE", Bytes: testCA().cert.Raw},
		"cert.pem": {Type: "CERTIFICATE", Bytes: id.cert.Raw},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: der},
	} {
		writeFile(t, filepath.Join(dir, name), pem.EncodeToMemory(block))
	}
	return dir
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
