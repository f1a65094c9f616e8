package certstore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"os"
	"testing"
)

// TestGnuPGAgrees: the file that gpgsm refused is known as such, and salts are drawn until gpgsm is of one mind with the RFC.
func TestGnuPGAgrees(t *testing.T) {
	const password = "correct horse"
	refused, err := os.ReadFile("../cmd/sealmail/testdata/gpgsm/refused.p12")
	if err != nil {
		t.Fatal(err)
	}
	if agrees, err := gnupgAgrees(refused, password); agrees || err != nil {
		t.Fatalf("the refused file: %v, %v", agrees, err)
	}
	bundle, err := DecodePKCS12(refused, password)
	if err != nil {
		t.Fatal(err)
	}
	pairs, _ := bundle.KeyPairs()
	good, err := EncodeLegacyPKCS12(pairs[0], password)
	if err != nil {
		t.Fatal(err)
	}
	if agrees, err := gnupgAgrees(good, password); !agrees || err != nil {
		t.Fatalf("what was written: %v, %v", agrees, err)
	}
	drawn := 0
	data, err := drawSalts(password, func() ([]byte, error) {
		if drawn++; drawn <= 3 {
			return refused, nil
		}
		return good, nil
	})
	if err != nil || drawn != 4 || !bytes.Equal(data, good) {
		t.Errorf("%d draws, %v", drawn, err)
	}
	if _, err := drawSalts(password, func() ([]byte, error) { return refused, nil }); err == nil {
		t.Error("a file that gpgsm refuses was written")
	}
	// Salts that were not looked at would be wrong now and then: here are some on which the derivations differ.
	differ := 0
	for salt := range 256 {
		right := pkcs12KDF(sha1.New, kdfKey, newPasswordForms(password).bmp, []byte{byte(salt)}, 1, 24)
		theirs := gnupgKDF(sha1.New, kdfKey, newPasswordForms(password).bmp, []byte{byte(salt)}, 1, 24)
		if !bytes.Equal(right, theirs) {
			differ++
		}
		if !bytes.Equal(right[:sha1.Size], theirs[:sha1.Size]) {
			t.Error("the first block differs, which comes before the fault")
		}
	}
	if differ == 0 || differ > 16 {
		t.Errorf("%d of 256 salts are concerned", differ)
	}
}

// TestGnuPGKeyTag: a key whose OCTET STRING has the tag that GnuPG gives it is read; other wrong tags are not.
func TestGnuPGKeyTag(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(der, []byte{4, 0x6d}) // the OCTET STRING of a key on P-256
	if at < 0 {
		t.Fatal("another form than expected")
	}
	for tag, good := range map[byte]bool{0x04: true, 0x24: true, 0x30: false, 0x05: false} {
		changed := bytes.Clone(der)
		changed[at] = tag
		mended, err := asPKCS8(changed)
		if good != (err == nil) || good && !bytes.Equal(mended, der) || !good && !errors.Is(err, errUndecryptable) {
			t.Errorf("tag %#x: %v", tag, err)
		}
	}
}
