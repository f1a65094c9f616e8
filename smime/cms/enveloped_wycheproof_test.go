package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

type wycheproofGroup struct {
	PrivateKeyPKCS8 hexBytes `json:"privateKeyPkcs8"`
	Tests           []struct {
		ID      int      `json:"tcId"`
		Comment string   `json:"comment"`
		Key     hexBytes `json:"key"`
		IV      hexBytes `json:"iv"`
		AAD     hexBytes `json:"aad"`
		Msg     hexBytes `json:"msg"`
		CT      hexBytes `json:"ct"`
		Tag     hexBytes `json:"tag"`
		Label   hexBytes `json:"label"`
		Public  hexBytes `json:"public"`
		Private hexBytes `json:"private"`
		Shared  hexBytes `json:"shared"`
		Flags   []string `json:"flags"`
		Result  string   `json:"result"`
	} `json:"tests"`
}

func wycheproof(t *testing.T, name string) []wycheproofGroup {
	t.Helper()
	data, err := os.ReadFile(peertest.Corpora(t, "wycheproof", name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []wycheproofGroup `json:"testGroups"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) == 0 {
		t.Fatal("no tests")
	}
	return file.Groups
}

func TestWycheproofGCM(t *testing.T) {
	for _, group := range wycheproof(t, "aes_gcm_test.json") {
		for _, test := range group.Tests {
			g, err := newGCM(test.Key, test.IV)
			if err != nil {
				if test.Result == "valid" {
					t.Errorf("%d %s: %v", test.ID, test.Comment, err)
				}
				continue
			}
			text := bytes.Clone(test.CT)
			if err := g.decrypt(text); err != nil {
				t.Fatal(err)
			}
			tag := g.tag(test.AAD)
			valid := bytes.Equal(tag[:], test.Tag)
			if valid != (test.Result == "valid") || valid && !bytes.Equal(text, test.Msg) {
				t.Errorf("%d %s: tag %x", test.ID, test.Comment, tag)
			}
		}
	}
}

func TestWycheproofCBC(t *testing.T) {
	for _, group := range wycheproof(t, "aes_cbc_pkcs5_test.json") {
		for _, test := range group.Tests {
			text, err := decryptCBC(t, test.Key, test.IV, bytes.NewReader(test.CT))
			if test.Result != "valid" {
				if err != ErrDecrypt {
					t.Errorf("%d %s: %x, %v", test.ID, test.Comment, text, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(text, test.Msg) {
				t.Errorf("%d %s: %x, %v", test.ID, test.Comment, text, err)
			}
			if got := encryptCBC(t, test.Key, test.IV, padAES(bytes.Clone(test.Msg))); !bytes.Equal(got, test.CT) {
				t.Errorf("%d %s: ciphertext %x", test.ID, test.Comment, got)
			}
		}
	}
}

func TestWycheproofKeyWrap(t *testing.T) {
	for _, group := range wycheproof(t, "aes_wrap_test.json") {
		for _, test := range group.Tests {
			key, err := unwrapKey(test.Key, test.CT)
			switch test.Result {
			case "valid":
				if err != nil || !bytes.Equal(key, test.Msg) {
					t.Errorf("%d %s: %x, %v", test.ID, test.Comment, key, err)
				}
				wrapped, err := wrapKey(test.Key, test.Msg)
				if err != nil || !bytes.Equal(wrapped, test.CT) {
					t.Errorf("%d %s: wrapped %x, %v", test.ID, test.Comment, wrapped, err)
				}
			case "invalid":
				if err != ErrDecrypt {
					t.Errorf("%d %s: %x, %v", test.ID, test.Comment, key, err)
				}
			}
		}
	}
}

func wycheproofRSAKey(t *testing.T, group wycheproofGroup) *rsa.PrivateKey {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(group.PrivateKeyPKCS8)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

// TestWycheproofPKCS1v15 checks that every ciphertext gives a key of the size that was asked for, the right one where
// the padding is right and else one that is random.
func TestWycheproofPKCS1v15(t *testing.T) {
	for _, group := range wycheproof(t, "rsa_pkcs1_2048_test.json") {
		key := wycheproofRSAKey(t, group)
		for _, test := range group.Tests {
			for _, size := range []int{16, 24, 32, len(test.Msg)} {
				if size == 0 {
					continue
				}
				ri := &KeyTransRecipientInfo{EncryptedKey: test.CT}
				ri.algorithm.Algorithm, ri.key.size = oidRSAEncryption, size
				cek, err := ri.Unwrap(key)
				if err != nil || len(cek) != size {
					t.Fatalf("%d %s: %x, %v", test.ID, test.Comment, cek, err)
				}
				if test.Result == "valid" && size == len(test.Msg) {
					if !bytes.Equal(cek, test.Msg) {
						t.Errorf("%d %s: %x", test.ID, test.Comment, cek)
					}
					continue
				}
				if size < 16 {
					continue // too short to tell chance from error
				}
				if again, err := ri.Unwrap(key); err != nil || bytes.Equal(cek, again) {
					t.Errorf("%d %s: not random: %x, %v", test.ID, test.Comment, cek, err)
				}
			}
		}
	}
}

func TestWycheproofOAEP(t *testing.T) {
	for _, group := range wycheproof(t, "rsa_oaep_2048_sha256_mgf1sha256_test.json") {
		key := wycheproofRSAKey(t, group)
		for _, test := range group.Tests {
			if len(test.Msg) == 0 {
				continue // no key is empty
			}
			ri := &KeyTransRecipientInfo{EncryptedKey: test.CT}
			ri.algorithm, ri.key.size = oaepWith(t, crypto.SHA256, crypto.SHA256, test.Label), len(test.Msg)
			cek, err := ri.Unwrap(key)
			if test.Result != "valid" {
				if err != ErrDecrypt {
					t.Errorf("%d %s: %x, %v", test.ID, test.Comment, cek, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(cek, test.Msg) {
				t.Errorf("%d %s: %x, %v", test.ID, test.Comment, cek, err)
			}
		}
	}
}

// oaepWith is id-RSAES-OAEP with all three parameters.
func oaepWith(t testing.TB, hash, mgf crypto.Hash, label []byte) AlgorithmIdentifier {
	t.Helper()
	h, err := digestIdentifier(hash)
	if err != nil {
		t.Fatal(err)
	}
	m, err := digestIdentifier(mgf)
	if err != nil {
		t.Fatal(err)
	}
	explicit := func(b *cryptobyte.Builder, number uint8, f cryptobyte.BuilderContinuation) {
		b.AddASN1(cbasn1.Tag(number).ContextSpecific().Constructed(), f)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		explicit(b, 0, func(b *cryptobyte.Builder) { h.AddTo(b, cbasn1.SEQUENCE) })
		explicit(b, 1, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidMGF1)
				m.AddTo(b, cbasn1.SEQUENCE)
			})
		})
		explicit(b, 2, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidPSpecified)
				b.AddASN1OctetString(label)
			})
		})
	})
	parameters, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return AlgorithmIdentifier{Algorithm: oidRSAESOAEP, Parameters: parameters}
}
