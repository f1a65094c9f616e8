package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParsePEM(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	leaf := issue(t, root, "leaf", newKey(t), forMail("alice@example.org", nil))
	ec := leaf.key.(*ecdsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := newRSAKey(t)
	rsaPKCS8, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	both := certstore.EncodeCertificates(leaf.cert, root.cert)
	tests := []struct {
		name        string
		data        []byte
		certs, keys int
		pairs, rest int
		err         error
	}{
		{"nothing", nil, 0, 0, 0, 0, nil},
		{"two certificates", both, 2, 0, 0, 2, nil},
		{"text around", bytes.Join([][]byte{[]byte("Subject: CN=x\r\n"), both, []byte("trailing\n")}, nil), 2, 0, 0, 2, nil},
		{"DER", leaf.cert.Raw, 1, 0, 0, 1, nil},
		{"DER, one behind the other", append(bytes.Clone(leaf.cert.Raw), root.cert.Raw...), 2, 0, 0, 2, nil},
		{"key first, root first", bytes.Join([][]byte{block("PRIVATE KEY", pkcs8), certstore.EncodeCertificates(root.cert, leaf.cert)}, nil), 2, 1, 1, 0, nil},
		{"SEC 1", append(block("EC PRIVATE KEY", sec1), both...), 2, 1, 1, 0, nil},
		{"parameters in front, as OpenSSL writes them", bytes.Join([][]byte{block("EC PARAMETERS", []byte{6, 1, 1}), block("EC PRIVATE KEY", sec1)}, nil), 0, 1, 0, 0, nil},
		{"a key that belongs to none", append(block("PRIVATE KEY", rsaPKCS8), both...), 2, 1, 0, 2, nil},
		{"DER of a key", pkcs8, 0, 1, 0, 0, nil},
		{"DER of a SEC 1 key", sec1, 0, 1, 0, 0, nil},
		{"OpenSSL's trusted certificate", block("TRUSTED CERTIFICATE", append(bytes.Clone(leaf.cert.Raw), 0x30, 0)), 1, 0, 0, 1, nil},
		{"encrypted PKCS#8", block("ENCRYPTED PRIVATE KEY", []byte{0x30, 0}), 0, 0, 0, 0, certstore.ErrEncryptedKey},
		{"old encryption", []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), 0, 0, 0, 0, certstore.ErrEncryptedKey},
		{"not a certificate", block("CERTIFICATE", []byte("x")), 0, 0, 0, 0, certstore.ErrMalformed},
		{"not a key", block("PRIVATE KEY", []byte("x")), 0, 0, 0, 0, certstore.ErrMalformed},
		{"text", []byte("hello"), 0, 0, 0, 0, certstore.ErrMalformed},
		{"octets behind DER", append(bytes.Clone(leaf.cert.Raw), 1), 0, 0, 0, 0, certstore.ErrMalformed},
		{"truncated DER", leaf.cert.Raw[:100], 0, 0, 0, 0, certstore.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bundle, err := certstore.ParsePEM(test.data)
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("%v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			pairs, rest := bundle.KeyPairs()
			if len(bundle.Certificates) != test.certs || len(bundle.Keys) != test.keys || len(pairs) != test.pairs || len(rest) != test.rest {
				t.Fatalf("%d certificates, %d keys, %d pairs, %d left", len(bundle.Certificates), len(bundle.Keys), len(pairs), len(rest))
			}
			for _, p := range pairs {
				if len(p.Chain) != 2 || !p.Chain[0].Equal(leaf.cert) {
					t.Errorf("the chain is not leaf and root")
				}
			}
		})
	}
	if _, err := certstore.ParseCertificates(block("PRIVATE KEY", pkcs8)); !errors.Is(err, certstore.ErrNoCertificate) {
		t.Errorf("a key for a certificate: %v", err)
	}
	if _, err := certstore.ParsePrivateKey(both); !errors.Is(err, certstore.ErrNoKey) {
		t.Errorf("a certificate for a key: %v", err)
	}
}

func TestKeyRoundTrip(t *testing.T) {
	for _, key := range []crypto.Signer{newKey(t), newRSAKey(t)} {
		encoded, err := certstore.EncodePrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := certstore.ParsePrivateKey(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if !again.(interface {
			Equal(x crypto.PrivateKey) bool
		}).Equal(key) {
			t.Errorf("%T became another", key)
		}
	}
}

// TestRFC9216Keys reads the sample identities of RFC 9216, among them Ed25519 and X25519.
func TestRFC9216Keys(t *testing.T) {
	for _, name := range []string{"alice-sign", "alice-encrypt", "bob-sign", "carlos-sign", "carlos-encrypt", "dana-encrypt"} {
		bundle, err := certstore.ParsePEM(append(readFile(t, peertest.Corpora(t, "rfc9216", name+".key.pem")),
			readFile(t, peertest.Corpora(t, "rfc9216", name+".crt.pem"))...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if pairs, _ := bundle.KeyPairs(); len(pairs) != 1 {
			t.Errorf("%s: key and certificate do not find each other", name)
		}
	}
}

// FuzzParsePEM: what was read can be written, and is read again as the same.
func FuzzParsePEM(f *testing.F) {
	n := issue(f, nil, "seed", newKey(f), forMail("alice@example.org", nil))
	key, err := certstore.EncodePrivateKey(n.key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(certstore.EncodeCertificates(n.cert))
	f.Add(append(key, certstore.EncodeCertificates(n.cert, n.cert)...))
	f.Add(n.cert.Raw)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bundle, err := certstore.ParsePEM(data)
		if err != nil {
			return
		}
		bundle.KeyPairs()
		if len(bundle.Certificates) == 0 {
			return
		}
		again, err := certstore.ParseCertificates(certstore.EncodeCertificates(bundle.Certificates...))
		if err != nil || len(again) != len(bundle.Certificates) {
			t.Fatalf("%d certificates became %d (%v)", len(bundle.Certificates), len(again), err)
		}
		for i, c := range again {
			if !c.Equal(bundle.Certificates[i]) {
				t.Fatalf("certificate %d changed", i)
			}
			certstore.Describe(c)
		}
	})
}
