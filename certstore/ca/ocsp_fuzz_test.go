package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"math/big"
	"testing"

	"golang.org/x/crypto/ocsp"
)

// FuzzOCSPRequest holds what is accepted against another parser, which reads the first certificate alone and knows no
// extensions, and against what an answer repeats: each CertID is in the request as it is.
func FuzzOCSPRequest(f *testing.F) {
	key, err := P256.Generate()
	if err != nil {
		f.Fatal(err)
	}
	root := goodLeaf()
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	issuer, err := sign(root, root, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		der, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: big.NewInt(0x1234567890)}, issuer, &ocsp.RequestOptions{Hash: hash})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := parseOCSPRequest(der)
		if err != nil {
			return
		}
		if len(r.ids) == 0 || len(r.ids) > maxOCSPSingles || r.nonce != nil && (len(r.nonce) == 0 || len(r.nonce) > maxNonce) {
			t.Fatalf("%d certificates, nonce of %d", len(r.ids), len(r.nonce))
		}
		for _, id := range r.ids {
			if !bytes.Contains(der, id.raw) {
				t.Error("a CertID that is not in the request")
			}
		}
		if !bytes.Contains(der, r.nonce) {
			t.Error("a nonce that is not in the request")
		}
		first := r.ids[0]
		other, err := ocsp.ParseRequest(der)
		if err != nil {
			return // it refuses optional parts, and hashes, that it does not know
		}
		if other.SerialNumber.Cmp(first.serial) != 0 || !bytes.Equal(other.IssuerKeyHash, first.keyHash) || !bytes.Equal(other.IssuerNameHash, first.nameHash) ||
			other.HashAlgorithm != first.hash {
			t.Errorf("%+v and %+v", other, first)
		}
	})
}
