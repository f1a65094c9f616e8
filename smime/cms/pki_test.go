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
	"math/big"
	"sync"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
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

	// The key of testRSA in certificates that say it is for RSASSA-PSS alone: without restriction, and with.
	testPSS       = sync.OnceValue(func() identity { return pssOnly(issue(9, testRSA().key), nil) })
	testPSSSHA384 = sync.OnceValue(func() identity {
		return pssOnly(issue(10, testRSA().key), pssParameters(oidSHA384, oidMGF1, oidSHA384, 48, -1))
	})
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

// The members of a TBSCertificate that reissue may change.
const (
	tbsSerial = 1
	tbsKey    = 6
)

// reissue returns the certificate with one member changed to what crypto/x509 would not write, signed by the CA.
func reissue(cert *x509.Certificate, member int, der []byte) []byte {
	in := cryptobyte.String(cert.RawTBSCertificate)
	var tbs, element cryptobyte.String
	in.ReadASN1(&tbs, cbasn1.SEQUENCE)
	changed := marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for i := 0; tbs.ReadAnyASN1Element(&element, new(cbasn1.Tag)); i++ {
				if i == member {
					element = der
				}
				b.AddBytes(element)
			}
		})
	})
	signature, err := testCA().key.Sign(nil, changed, crypto.Hash(0))
	if err != nil {
		panic(err)
	}
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(changed)
			addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: oidEd25519})
			b.AddASN1BitString(signature)
		})
	})
}

// pssOnly returns the identity with its key marked as one for RSASSA-PSS alone, under these parameters.
func pssOnly(id identity, parameters []byte) identity {
	in := cryptobyte.String(id.cert.RawSubjectPublicKeyInfo)
	var key cryptobyte.String
	in.ReadASN1(&key, cbasn1.SEQUENCE)
	key.SkipASN1(cbasn1.SEQUENCE)
	cert, err := x509.ParseCertificate(reissue(id.cert, tbsKey, marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: oidPSS, Parameters: parameters})
			b.AddBytes(key)
		})
	})))
	if err != nil {
		panic(err)
	}
	return identity{cert, id.key}
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
