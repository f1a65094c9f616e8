package cms

import (
	"bytes"
	"crypto/ecdh"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TestWycheproofECDH has an originator with the public key of each vector: what is
// agreed upon is the shared secret of the vector, or nothing.
func TestWycheproofECDH(t *testing.T) {
	p256 := func(raw []byte) (*ecdh.PrivateKey, error) {
		raw = bytes.TrimLeft(raw, "\x00")
		return ecdh.P256().NewPrivateKey(append(make([]byte, 32-len(raw)), raw...))
	}
	x25519 := func(der []byte) (*ecdh.PrivateKey, error) {
		key, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, err
		}
		return key.(*ecdh.PrivateKey), nil
	}
	for _, file := range []struct {
		name string
		key  func([]byte) (*ecdh.PrivateKey, error)
	}{{"ecdh_secp256r1_test.json", p256}, {"x25519_asn_test.json", x25519}} {
		agreed := 0
		for _, group := range wycheproof(t, file.name) {
			for _, test := range group.Tests {
				key, err := file.key(test.Private)
				if err != nil {
					if test.Result == "valid" {
						t.Errorf("%s %d: private key: %v", file.name, test.ID, err)
					}
					continue
				}
				cek, err := agreeWith(t, key, test.Public, test.Shared)
				switch {
				case err == nil && bytes.Equal(cek, testCEK):
					agreed++
					if test.Result == "invalid" {
						t.Errorf("%s %d %s %v: accepted", file.name, test.ID, test.Comment, test.Flags)
					}
				case err == nil:
					t.Errorf("%s %d %s: another key", file.name, test.ID, test.Comment)
				case test.Result == "valid":
					t.Errorf("%s %d %s: %v", file.name, test.ID, test.Comment, err)
				}
				if low := slices.Contains(test.Flags, "ZeroSharedSecret"); low && err != ErrDecrypt {
					t.Errorf("%s %d %s: %v", file.name, test.ID, test.Comment, err)
				}
			}
		}
		if agreed < 250 {
			t.Errorf("%s: only %d agreements", file.name, agreed)
		}
	}
}

// agreeWith unwraps a key that was wrapped under a shared secret, with the originator's key as it stands in a
// SubjectPublicKeyInfo.
func agreeWith(t *testing.T, key *ecdh.PrivateKey, info, shared []byte) ([]byte, error) {
	t.Helper()
	ri := keyAgreeWith(t, oidAES128Wrap, Originator{})
	in := cryptobyte.String(info)
	var seq cryptobyte.String
	var ok bool
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, errors.New("malformed key")
	}
	if ri.Originator.PublicKeyAlgorithm, ok = ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE); !ok {
		return nil, errors.New("malformed algorithm")
	}
	if !seq.ReadASN1BitStringAsBytes(&ri.Originator.PublicKey) || !seq.Empty() {
		return nil, errors.New("malformed point")
	}
	scheme, _ := keyAgreementByOID(oidStdDHSHA256KDF)
	kek, err := scheme.deriveKey(shared, AlgorithmIdentifier{Algorithm: oidAES128Wrap}, nil, 16)
	if err != nil {
		t.Fatal(err)
	}
	if ri.EncryptedKey, err = wrapKey(kek, testCEK); err != nil {
		t.Fatal(err)
	}
	return ri.Unwrap(key)
}
