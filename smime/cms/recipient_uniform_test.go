package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"testing"
)

// TestUniformErrors damages what a key is encrypted in, in every way that can be told apart with the key alone. Each is
// the same error as any other: the value itself, with nothing around it.
func TestUniformErrors(t *testing.T) {
	rsaID := envIdentityNamed(t, "rsa")
	public := rsaID.key.Public().(*rsa.PublicKey)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	oaep := func(hash crypto.Hash, label string, key []byte) []byte {
		encrypted, err := rsa.EncryptOAEP(hash.New(), rand.Reader, public, key, []byte(label))
		if err != nil {
			t.Fatal(err)
		}
		return encrypted
	}
	transport := func(encrypted []byte) func() ([]byte, error) {
		ri := &KeyTransRecipientInfo{recipient: recipient{key: contentKey{size: 16}, algorithm: oaepWith(t, crypto.SHA256, crypto.SHA256, nil)}, EncryptedKey: encrypted}
		return func() ([]byte, error) { return ri.Unwrap(rsaID.key.(crypto.Decrypter)) }
	}
	good := oaep(crypto.SHA256, "", testCEK)
	wrapped, err := wrapKey(testCEK, testCEK)
	if err != nil {
		t.Fatal(err)
	}
	long, err := wrapKey(testCEK, slices.Concat(testCEK, testCEK))
	if err != nil {
		t.Fatal(err)
	}
	kek := func(key, encrypted []byte) func() ([]byte, error) {
		ri := &KEKRecipientInfo{recipient: recipient{key: contentKey{size: 16}, algorithm: AlgorithmIdentifier{Algorithm: oidAES128Wrap}}, EncryptedKey: encrypted}
		return func() ([]byte, error) { return ri.Unwrap(key) }
	}
	if cek, err := transport(good)(); err != nil || !bytes.Equal(cek, testCEK) {
		t.Fatalf("what is right does not open: %v", err)
	}
	if cek, err := kek(testCEK, wrapped)(); err != nil || !bytes.Equal(cek, testCEK) {
		t.Fatalf("what is right does not open: %v", err)
	}
	for name, unwrap := range map[string]func() ([]byte, error){
		"OAEP, another hash":        transport(oaep(crypto.SHA384, "", testCEK)),
		"OAEP, another label":       transport(oaep(crypto.SHA256, "label", testCEK)),
		"OAEP, short key":           transport(oaep(crypto.SHA256, "", testCEK[1:])),
		"OAEP, long key":            transport(oaep(crypto.SHA256, "", slices.Concat(testCEK, testCEK))),
		"OAEP, empty key":           transport(oaep(crypto.SHA256, "", nil)),
		"OAEP, altered":             transport(append([]byte{good[0] ^ 1}, good[1:]...)),
		"OAEP, cut":                 transport(good[1:]),
		"OAEP, longer":              transport(append([]byte{0}, good...)),
		"OAEP, empty":               transport(nil),
		"OAEP, above the modulus":   transport(bytes.Repeat([]byte{0xff}, 256)),
		"OAEP, all zero":            transport(make([]byte, 256)),
		"OAEP, another private key": func() ([]byte, error) { return readOAEP(t, good).Unwrap(other) },
		"wrap, another key":         kek(make([]byte, 16), wrapped),
		"wrap, key of 15":           kek(testCEK[1:], wrapped),
		"wrap, key of 32":           kek(make([]byte, 32), wrapped),
		"wrap, altered":             kek(testCEK, append([]byte{wrapped[0] ^ 1}, wrapped[1:]...)),
		"wrap, cut":                 kek(testCEK, wrapped[8:]),
		"wrap, of another length":   kek(testCEK, long),
		"wrap, empty":               kek(testCEK, nil),
	} {
		if cek, err := unwrap(); err != ErrDecrypt || cek != nil {
			t.Errorf("%s: %x, %v", name, cek, err)
		}
	}
}

func readOAEP(t testing.TB, encrypted []byte) *KeyTransRecipientInfo {
	t.Helper()
	return &KeyTransRecipientInfo{recipient: recipient{key: contentKey{size: 16}, algorithm: oaepWith(t, crypto.SHA256, crypto.SHA256, nil)}, EncryptedKey: encrypted}
}

// TestBlindingSizes checks that RSA with PKCS #1 v1.5 never fails, for a key of any cipher, and gives another key each
// time where the padding or the length is wrong.
func TestBlindingSizes(t *testing.T) {
	id := envIdentityNamed(t, "rsa")
	public := id.key.Public().(*rsa.PublicKey)
	encrypt := func(size int) []byte {
		key := bytes.Repeat([]byte{0xfe}, size) // as a Triple-DES key, of wrong parity throughout
		encrypted, _, err := encryptKey(public, 0, key)
		if err != nil {
			t.Fatal(err)
		}
		return encrypted
	}
	for size, another := range map[int]int{5: 16, 8: 24, 16: 5, 24: 16, 32: 24} { // RC2, Triple-DES, AES
		for name, encrypted := range map[string][]byte{
			"right": encrypt(size), "short": encrypt(size - 1), "long": encrypt(size + 1), "of another cipher": encrypt(another),
			"zero": make([]byte, 256), "above the modulus": bytes.Repeat([]byte{0xff}, 256), "cut": make([]byte, 255), "empty": nil,
		} {
			ri := &KeyTransRecipientInfo{recipient: recipient{key: contentKey{size: size}, algorithm: AlgorithmIdentifier{Algorithm: oidRSAEncryption}}, EncryptedKey: encrypted}
			cek, err := ri.Unwrap(id.key.(crypto.Decrypter))
			if err != nil || len(cek) != size {
				t.Errorf("%s, %d octets: %x, %v", name, size, cek, err)
				continue
			}
			again, err := ri.Unwrap(id.key.(crypto.Decrypter))
			if err != nil || bytes.Equal(cek, again) != (name == "right") {
				t.Errorf("%s, %d octets: %x and then %x, %v", name, size, cek, again, err)
			}
			if right := bytes.Equal(cek, bytes.Repeat([]byte{0xfe}, size)); right != (name == "right") {
				t.Errorf("%s, %d octets: %x", name, size, cek)
			}
		}
	}
}
