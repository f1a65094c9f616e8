package certstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"slices"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// FuzzDecodePKCS12: whatever comes, what comes out hangs together, and wherever go-pkcs12 opens a file at all, the same
// comes out here. The budget of iterations is small, so that a fuzzer that finds the count does not
// spend its day on it.
func FuzzDecodePKCS12(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	for _, encoder := range []*pkcs12.Encoder{pkcs12.Modern2023, pkcs12.Modern2026, pkcs12.LegacyRC2, pkcs12.LegacyDES} {
		data, err := encoder.WithIterations(2).Encode(key, c, nil, "x")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	data, err := pkcs12.Passwordless.Encode(key, c, nil, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	const budget = 1000
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, password := range []string{"x", ""} {
			pfx, err := parsePFX(data, budget)
			if err != nil {
				return
			}
			bundle, err := pfx.open(password, budget)
			if key, leaf, issuers, libraryErr := pkcs12.DecodeChain(data, password); libraryErr == nil && pfx.mac != nil && publicKey(key) != nil {
				if err != nil || len(bundle.Oddities) == 0 && (len(bundle.Keys) != 1 || len(bundle.Certificates) < 1+len(issuers) || !slices.ContainsFunc(bundle.Certificates, leaf.Equal)) {
					t.Fatalf("%d keys and %d certificates (%v), where the library found a key and %d certificates", len(bundle.Keys), len(bundle.Certificates), err, 1+len(issuers))
				}
			}
			pairs, rest := bundle.KeyPairs()
			if len(pairs) > len(bundle.Keys)*len(bundle.Certificates) || len(rest) > len(bundle.Certificates) {
				t.Fatal("more came out than was in")
			}
			for _, p := range pairs {
				if len(p.Chain) == 0 || !KeyMatches(p.Chain[0], p.Key) {
					t.Fatal("a key with another's certificate")
				}
			}
		}
	})
}
