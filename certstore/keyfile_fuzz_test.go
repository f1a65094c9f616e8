package certstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"go.mozilla.org/pkcs7"
	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// FuzzReadFile: whatever comes, the password is asked for once at most; what comes out is within the bounds, hangs
// together, and is read again as the same when it is written; and where nothing is encrypted, the password changes nothing.
func FuzzReadFile(f *testing.F) {
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
	clearKey, err := EncodePrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	p7, err := pkcs7.DegenerateCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	p12, err := pkcs12.LegacyDES.WithIterations(2).Encode(key, c, nil, "x")
	if err != nil {
		f.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		der, clearKey, append(bytes.Clone(clearKey), EncodeCertificates(c, c)...), p7, p12, sec1,
		pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: p7}),
		pem.EncodeToMemory(&pem.Block{Type: "PKCS12", Bytes: p12}),
		[]byte(base64.StdEncoding.EncodeToString(p7)),
		oldEncryption(f, sec1, []byte("x")),
		shrouded(f, p12),
		[]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const budget = 1000
		asked := 0
		bundle, err := readFile(data, func() ([]byte, error) { asked++; return []byte("x"), nil }, budget)
		if asked > 1 {
			t.Fatalf("asked %d times", asked)
		}
		without, errWithout := readFile(data, nil, budget)
		if asked == 0 && ((err == nil) != (errWithout == nil) || len(bundle.Keys) != len(without.Keys)) || asked > 0 && errWithout == nil {
			t.Fatalf("asked %d times: %v; without a password: %v", asked, err, errWithout)
		}
		if asked > 0 && !errors.Is(errWithout, ErrEncryptedKey) {
			t.Fatalf("without a password: %v", errWithout)
		}
		if err != nil {
			return
		}
		if len(bundle.Certificates) > maxCertificates || len(bundle.Keys) > maxKeys || len(bundle.Oddities) > maxCertificates {
			t.Fatal("more came out than may")
		}
		for _, odd := range bundle.Oddities {
			if odd.Err == nil || strings.Contains(odd.Error(), "\n") {
				t.Fatalf("oddity %q", odd.Error())
			}
		}
		pairs, _ := bundle.KeyPairs()
		for _, p := range pairs {
			if !KeyMatches(p.Chain[0], p.Key) || len(p.Chain) > maxChain+1 {
				t.Fatal("a key with another's certificate, or a chain without end")
			}
		}
		written := EncodeCertificates(bundle.Certificates...)
		for _, k := range bundle.Keys {
			encoded, err := EncodePrivateKey(k)
			if err != nil {
				t.Fatal(err)
			}
			written = append(written, encoded...)
		}
		again, err := readFile(written, nil, 0)
		if err != nil && len(written) > 0 || len(again.Oddities) > 0 || len(again.Certificates) != len(bundle.Certificates) || len(again.Keys) != len(bundle.Keys) {
			t.Fatalf("%d certificates and %d keys became %d and %d: %v", len(bundle.Certificates), len(bundle.Keys), len(again.Certificates), len(again.Keys), err)
		}
		for i, c := range again.Certificates {
			if !c.Equal(bundle.Certificates[i]) {
				t.Fatalf("certificate %d changed", i)
			}
		}
	})
}

// TestSharedBudget: what several PKCS#12 files inside one cost together is bounded, as what each costs is.
func TestSharedBudget(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	data, err := pkcs12.Modern2023.WithIterations(100).Encode(key, c, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PKCS12", Bytes: data})
	for count, want := range map[int]error{1: nil, 2: nil, 20: ErrTooLarge} {
		bundle, err := readFile(bytes.Repeat(block, count), nil, 2000)
		if !errors.Is(err, want) || err == nil && len(bundle.Keys) != count {
			t.Errorf("%d files: %d keys, %v, want %v", count, len(bundle.Keys), err, want)
		}
	}
}

// oldEncryption encrypts a SEC 1 key with a DEK-Info.
func oldEncryption(f *testing.F, sec1, password []byte) []byte {
	f.Helper()
	salt := []byte("saltsalt")
	if got, want := oldPEMKey(password, salt, 16), md5.Sum(append(bytes.Clone(password), salt...)); !bytes.Equal(got, want[:]) {
		f.Fatal("the first block of the key is the MD5 of password and salt")
	}
	iv := append(salt, salt...)
	return pem.EncodeToMemory(&pem.Block{Type: pemECKey, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,73616c7473616c7473616c7473616c74"},
		Bytes: encryptCBC(f, oldPEMKey(password, salt, 16), iv, sec1)})
}

// shrouded takes the encrypted key out of a PKCS#12 file.
func shrouded(f *testing.F, p12 []byte) []byte {
	f.Helper()
	p, err := parsePFX(p12, maxIterations)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range p.safes {
		if s.scheme != nil {
			continue
		}
		bags, err := parseBags(s.data)
		if err != nil {
			f.Fatal(err)
		}
		for _, b := range bags {
			if b.id.Equal(oidShroudedKeyBag) {
				return pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: b.value})
			}
		}
	}
	f.Fatal("no encrypted key")
	return nil
}

func encryptCBC(f *testing.F, key, iv, data []byte) []byte {
	f.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		f.Fatal(err)
	}
	padding := aes.BlockSize - len(data)%aes.BlockSize
	padded := append(bytes.Clone(data), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	return padded
}
