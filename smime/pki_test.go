package smime_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// identity is a certificate and its key, under the test CA.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var (
	testNotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	testNotAfter  = time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC)
	testTime      = time.Date(2026, 11, 21, 10, 2, 11, 0, time.UTC)

	testCA = sync.OnceValue(func() identity {
		key := newKey(elliptic.P256(), 1)
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
			NotBefore: testNotBefore, NotAfter: testNotAfter,
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
		return identity{certificate(template, template, key, key), key}
	})
	alice    = sync.OnceValue(func() identity { return issue(2, "alice", newKey(elliptic.P256(), 2)) })
	alice384 = sync.OnceValue(func() identity { return issue(3, "alice", newKey(elliptic.P384(), 3)) })
	aliceRSA = sync.OnceValue(func() identity { return issue(4, "alice", newRSA(2048)) })
	bob      = sync.OnceValue(func() identity { return issue(5, "bob", newKey(elliptic.P256(), 5)) })
	bobRSA   = sync.OnceValue(func() identity { return issue(6, "bob", newRSA(2048)) })
	mallory  = sync.OnceValue(func() identity { return issue(7, "mallory", newKey(elliptic.P256(), 7)) })
)

// newKey returns the same key in every run, so that what a fuzzer finds stays meaningful.
func newKey(curve elliptic.Curve, scalar byte) crypto.Signer {
	raw := make([]byte, (curve.Params().BitSize+7)/8)
	raw[len(raw)-1], raw[len(raw)/2] = scalar, 0x5a
	key, err := ecdsa.ParseRawPrivateKey(curve, raw)
	if err != nil {
		panic(err)
	}
	return key
}

func newRSA(bits int) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func issue(serial int64, name string, key crypto.Signer) identity {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name}, EmailAddresses: []string{name + "@example.org"},
		NotBefore: testNotBefore, NotAfter: testNotAfter, BasicConstraintsValid: true,
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		SubjectKeyId: []byte{'k', 'e', 'y', byte(serial)},
	}
	ca := testCA()
	return identity{certificate(template, ca.cert, key, ca.key), key}
}

// certificate panics on errors: its input is the constants above.
func certificate(template, parent *x509.Certificate, key, parentKey crypto.Signer) *x509.Certificate {
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

func (id identity) signer() smime.Signer {
	return smime.Signer{Key: id.key, Chain: []*x509.Certificate{id.cert, testCA().cert}}
}

func (id identity) recipient(t testing.TB) cms.Recipient {
	t.Helper()
	management, err := cms.DefaultKeyManagement(id.cert)
	if err != nil {
		t.Fatal(err)
	}
	return cms.Recipient{Certificate: id.cert, KeyManagement: management}
}

// decrypter opens what is encrypted to an identity.
type decrypter struct{ identity }

func (d decrypter) Certificate() *x509.Certificate { return d.cert }

func (d decrypter) Unwrap(_ context.Context, r cms.RecipientInfo) ([]byte, error) {
	if !r.Recipient().Matches(d.cert) {
		return nil, smime.ErrNotRecipient
	}
	switch r := r.(type) {
	case *cms.KeyTransRecipientInfo:
		return r.Unwrap(d.key.(crypto.Decrypter))
	case *cms.KeyAgreeRecipientInfo:
		var key *ecdh.PrivateKey
		key, err := d.key.(*ecdsa.PrivateKey).ECDH()
		if err != nil {
			return nil, err
		}
		return r.Unwrap(key)
	}
	return nil, fmt.Errorf("recipient of type %s", r.Type())
}

func (id identity) decrypters() []smime.Decrypter { return []smime.Decrypter{decrypter{id}} }

// writeFiles writes ca.pem, cert.pem and key.pem for a peer program into a folder, and returns the folder.
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

// open opens a message that must be readable.
func open(t testing.TB, in []byte, o smime.OpenOptions) *smime.Message {
	t.Helper()
	m, err := smime.Open(t.Context(), bytes.NewReader(in), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// tryOpen opens any input; nil if that is an error.
func tryOpen(t testing.TB, in []byte, o smime.OpenOptions) *smime.Message {
	t.Helper()
	m, err := smime.Open(t.Context(), bytes.NewReader(in), o)
	if err != nil {
		return nil
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}
