package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/rsa"
	"errors"
	"reflect"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// wellNamed reports an error that is none of those that readers of parameters have.
func wellNamed(t *testing.T, err error) {
	t.Helper()
	var unsupported *UnsupportedError
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrBrokenDigest) && !errors.As(err, &unsupported) {
		t.Errorf("error %v", err)
	}
}

// FuzzPSSParameters: what is accepted is written again and read as the same.
func FuzzPSSParameters(f *testing.F) {
	hashes := []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	for _, h := range hashes {
		for _, salt := range []int{h.Size(), 1, 2048} {
			der, err := pssParameters{hash: h, saltLength: salt}.marshal()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(der)
		}
	}
	f.Add(element(0x30))
	f.Add(element(0x30, element(0xa2, element(0x02, []byte{20})), element(0xa3, element(0x02, []byte{1}))))
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := parsePSSParameters(der)
		if err != nil {
			wellNamed(t, err)
			return
		}
		written, err := p.marshal()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parsePSSParameters(written); err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
		if p.saltLength < 1 || p.saltLength > maxRSABits/8 {
			t.Errorf("salt of %d octets", p.saltLength)
		}
	})
}

// FuzzOAEPParameters: what is accepted is written again and read as the same.
func FuzzOAEPParameters(f *testing.F) {
	var e encoder
	f.Add(element(0x30))
	f.Add(e.oaep(f, crypto.SHA256, crypto.SHA1, []byte("label")))
	f.Add(e.oaep(f, crypto.SHA512, crypto.SHA512, nil))
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		a, err := oaepIdentifier(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Parameters)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		o, err := oaepOptions(der)
		if err != nil {
			wellNamed(t, err)
			return
		}
		var e encoder
		again, err := oaepOptions(e.oaep(t, o.Hash, o.MGFHash, o.Label))
		same := func(a, b *rsa.OAEPOptions) bool {
			return a.Hash == b.Hash && a.MGFHash == b.MGFHash && bytes.Equal(a.Label, b.Label)
		}
		if err != nil || !same(o, again) {
			t.Errorf("%+v became %+v, %v", o, again, err)
		}
	})
}

// TestOAEPUnreadable: an algorithm whose identifier cannot be read is not the one that is meant where there is none.
func TestOAEPUnreadable(t *testing.T) {
	unreadable := element(0x30, element(0x06, bytes.Repeat([]byte{0xff}, 12), []byte{1}))
	for tag := byte(0xa0); tag <= 0xa2; tag++ {
		_, err := oaepOptions(element(0x30, element(tag, unreadable)))
		if kindOfError(err) != errUnsupported {
			t.Errorf("tag %#x: %v", tag, err)
		}
	}
}

// FuzzContentParameters: what is accepted is written again and read as the same, and the cipher takes it.
func FuzzContentParameters(f *testing.F) {
	for i := range ciphers {
		c := ciphers[i].cipher
		f.Add(uint8(c), element(0x04, testIV))
		f.Add(uint8(c), element(0x04, testIV[:8]))
		f.Add(uint8(c), element(0x30, element(0x04, testIV[:12]), element(0x02, []byte{16})))
		f.Add(uint8(c), element(0x30, element(0x04, testIV[:12])))
		f.Add(uint8(c), element(0x30, element(0x02, []byte{58}), element(0x04, testIV[:8])))
	}
	f.Fuzz(func(t *testing.T, number uint8, der []byte) {
		c := Cipher(number)
		if number == 0 || int(number) > len(ciphers) {
			return
		}
		p, err := readContentParameters(c, der)
		if err != nil {
			wellNamed(t, err)
			return
		}
		var e encoder
		again, err := readContentParameters(c, e.contentParameters(p))
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
		key := bytes.Repeat(testCEK[:1], p.keySize)
		if c.Authenticated() {
			_, err = newGCM(key, p.iv)
		} else if block, blockErr := p.block(key); blockErr != nil {
			err = blockErr
		} else {
			_, err = newCBCDecrypter(block, p.iv)
		}
		if err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	})
}

// FuzzPasswordDerivation reads PBKDF2-params: what is accepted is written again and read as the same.
func FuzzPasswordDerivation(f *testing.F) {
	parameters := func(e *encoder, d passwordDerivation) []byte {
		var size, prf []byte
		if d.keySize != 0 {
			size = e.integer(d.keySize)
		}
		for _, known := range passwordHashes {
			if known.hash == d.hash {
				prf = element(0x30, e.oid(known.oid), derNull)
			}
		}
		return element(0x30, element(0x04, d.salt), e.integer(d.iterations), size, prf)
	}
	for _, known := range passwordHashes {
		for _, size := range []int{0, 16} {
			f.Add(parameters(&encoder{}, passwordDerivation{salt: []byte("salt"), iterations: 100_000, keySize: size, hash: known.hash}))
		}
	}
	f.Add(element(0x30, element(0x04), element(0x02, []byte{1})))
	f.Fuzz(func(t *testing.T, der []byte) {
		d, err := readPasswordDerivation(AlgorithmIdentifier{oidPBKDF2, der})
		if err != nil {
			wellNamed(t, err)
			return
		}
		again, err := readPasswordDerivation(AlgorithmIdentifier{oidPBKDF2, parameters(&encoder{}, d)})
		if err != nil || !bytes.Equal(d.salt, again.salt) || d.iterations != again.iterations || d.keySize != again.keySize || d.hash != again.hash {
			t.Errorf("%+v became %+v, %v", d, again, err)
		}
		ri := PasswordRecipientInfo{derivation: d}
		if left := ri.charge(maxPasswordIterations); left < 0 || left > maxPasswordIterations || ri.broken == nil && d.iterations != maxPasswordIterations-left {
			t.Errorf("%d iterations leave %d, %v", d.iterations, left, ri.broken)
		}
	})
}

// FuzzKeyWrapAlgorithm unwraps anything: an AES-wrapped key that is accepted is wrapped to the same octets, and the others have
// the length that was asked for. The algorithm is what a KeyWrapAlgorithm may be, as it stands in a key agreement.
func FuzzKeyWrapAlgorithm(f *testing.F) {
	for _, w := range keyWraps {
		wrapped, err := wrapKey(bytes.Repeat(testCEK[:1], w.keySize), testCEK)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(element(0x30, oidElement(f, w.oid)), wrapped)
		f.Add(element(0x30, oidElement(f, w.oid), derNull), append(wrapped, wrapped...))
	}
	point, err := ecdh.P256().NewPrivateKey(append(make([]byte, 31), 9))
	if err != nil {
		f.Fatal(err)
	}
	key, err := ecdh.P256().NewPrivateKey(append(make([]byte, 31), 7))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, der, wrapped []byte) {
		in := cryptobyte.String(der)
		a, ok := ReadAlgorithmIdentifier(&in, cbasn1.SEQUENCE)
		if !ok || !in.Empty() {
			return
		}
		content := contentKey{size: 16, weak: true}
		agreed := KeyAgreeRecipientInfo{
			recipient:    recipient{algorithm: AlgorithmIdentifier{oidStdDHSHA256KDF, der}, key: content},
			Originator:   Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidECPublicKey}, PublicKey: point.PublicKey().Bytes()},
			EncryptedKey: wrapped,
		}
		if cek, err := agreed.Unwrap(key); err == nil {
			t.Errorf("a key that nobody wrapped: %x", cek)
		} else if !errors.Is(err, ErrDecrypt) {
			wellNamed(t, err)
		}
		w, err := keyWrapFor(a, content)
		if err != nil {
			wellNamed(t, err)
			return
		}
		kek := bytes.Repeat(testCEK[:1], w.keySize)
		cek, err := w.unwrap(kek, wrapped)
		if err != nil {
			if err != ErrDecrypt {
				t.Errorf("error %v, want ErrDecrypt and nothing more", err)
			}
			return
		}
		if len(cek)+w.growth != len(wrapped) {
			t.Errorf("%d octets became %d", len(wrapped), len(cek))
		}
		if again, err := wrapKey(kek, cek); !w.weak && (err != nil || !bytes.Equal(again, wrapped)) {
			t.Errorf("%x became %x, %v", wrapped, again, err)
		}
	})
}

// FuzzPasswordUnwrap undoes the double encryption of RFC 3211: what is accepted has the size that was asked for.
func FuzzPasswordUnwrap(f *testing.F) {
	block, err := aes.NewCipher(testCEK)
	if err != nil {
		f.Fatal(err)
	}
	plain := append([]byte{16, testCEK[0] ^ 0xff, testCEK[1] ^ 0xff, testCEK[2] ^ 0xff}, testCEK...)
	plain = append(plain, make([]byte, 12)...)
	wrapped := encryptCBC(f, testCEK, testIV, plain)
	wrapped = encryptCBC(f, testCEK, wrapped[16:], wrapped)
	if cek, err := unwrapPassword(block, testIV, wrapped, 16); err != nil || !bytes.Equal(cek, testCEK) {
		f.Fatalf("%x, %v", cek, err)
	}
	f.Add(wrapped, uint8(16))
	f.Add(wrapped[:16], uint8(16))
	f.Fuzz(func(t *testing.T, wrapped []byte, size uint8) {
		before := bytes.Clone(wrapped)
		cek, err := unwrapPassword(block, testIV, wrapped, int(size))
		switch {
		case err != nil && err != ErrDecrypt:
			t.Errorf("error %v, want ErrDecrypt and nothing more", err)
		case err == nil && len(cek) != int(size):
			t.Errorf("%d octets, want %d", len(cek), size)
		case !bytes.Equal(before, wrapped):
			t.Error("input was changed")
		}
	})
}
