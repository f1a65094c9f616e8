package cms

import (
	"bytes"
	"crypto/cipher"
	"crypto/des"
	"math/big"
	"testing"

	"errors"
	"github.com/sealmail/sealmail/smime/cms/rc2"
	"strings"
)

// rc2Identifier is rc2CBC with this parameter version (RFC 3370 section 5.2).
func rc2Identifier(version int, iv []byte) AlgorithmIdentifier {
	number := big.NewInt(int64(version)).Bytes()
	if number[0] >= 0x80 {
		number = append([]byte{0}, number...)
	}
	return AlgorithmIdentifier{oidRC2CBC, element(0x30, element(0x02, number), element(0x04, iv))}
}

// weakEnvelopes are messages in old ciphers, with their keys.
func weakEnvelopes(t testing.TB, text []byte) map[string]struct {
	envelope envelope
	key      []byte
} {
	t.Helper()
	list := map[string]struct {
		envelope envelope
		key      []byte
	}{}
	iv := testIV[:8]
	add := func(name string, a AlgorithmIdentifier, key []byte, block cipher.Block, err error) {
		if err != nil {
			t.Fatal(err)
		}
		e := cbcEnvelope(t, padAES(nil))
		e.cipher, e.content = a, pad(bytes.Clone(text), block.BlockSize())
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(e.content, e.content)
		list[name] = struct {
			envelope envelope
			key      []byte
		}{e, key}
	}
	key := []byte("24 octets of a Triple-DES key")[:24]
	block, err := des.NewTripleDESCipher(key)
	add("3des-cbc", AlgorithmIdentifier{oidTripleDESCBC, element(0x04, iv)}, key, block, err)
	for _, v := range []struct {
		name          string
		version, bits int
	}{{"rc2-cbc of 40 bits", 160, 40}, {"rc2-cbc of 64 bits", 120, 64}, {"rc2-cbc of 128 bits", 58, 128}} {
		block, err := rc2.NewCipher(key[:v.bits/8], v.bits)
		add(v.name, rc2Identifier(v.version, iv), key[:v.bits/8], block, err)
	}
	return list
}

// TestWeakCiphers opens old messages where that is allowed, in both kinds of container. Nothing of them comes out where
// it is not.
func TestWeakCiphers(t *testing.T) {
	for _, text := range [][]byte{{}, []byte("a short text"), bytes.Repeat([]byte("long "), 70_000)} {
		for name, weak := range weakEnvelopes(t, text) {
			for _, container := range []string{"EnvelopedData", "EncryptedData"} {
				message := weak.envelope.marshal(t)
				if container == "EncryptedData" {
					message = weak.envelope.encryptedData(t)
				}
				open := func(key []byte, o DecryptOptions) ([]byte, error) {
					info, err := Read(bytes.NewReader(message), Limits{})
					if err != nil {
						t.Fatal(err)
					}
					var out bytes.Buffer
					switch m := info.(type) {
					case *EnvelopedData:
						if m.Recipients[0].CEKSize() != len(key) && o.AllowWeak {
							t.Errorf("%s: key of %d octets", name, m.Recipients[0].CEKSize())
						}
						err = m.Decrypt(t.Context(), &out, key, o)
					case *EncryptedData:
						err = m.Decrypt(t.Context(), &out, key, o)
					}
					return out.Bytes(), err
				}
				got, err := open(weak.key, DecryptOptions{})
				checkWeak(t, err, name)
				if len(got) > 0 {
					t.Errorf("%s: text came out all the same", name)
				}
				if got, err = open(weak.key, DecryptOptions{AllowWeak: true}); err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s of %d octets in %s: %d octets, %v", name, len(text), container, len(got), err)
				}
				message = message[:len(message)-1]
				if _, err := open(weak.key, DecryptOptions{AllowWeak: true}); err == nil {
					t.Errorf("%s in %s: a cut message opens", name, container)
				}
			}
			for _, size := range []int{0, len(weak.key) - 1, len(weak.key) + 1} {
				e := readMessage(t, weak.envelope.marshal(t))
				if err := e.Decrypt(t.Context(), &bytes.Buffer{}, make([]byte, size), DecryptOptions{AllowWeak: true}); err != ErrDecrypt {
					t.Errorf("%s with a key of %d octets: %v", name, size, err)
				}
			}
		}
	}
}

// TestTripleDESParity checks that the parity bits of a key are not looked at.
func TestTripleDESParity(t *testing.T) {
	weak := weakEnvelopes(t, []byte("text"))["3des-cbc"]
	key := bytes.Clone(weak.key)
	for i := range key {
		key[i] ^= byte(i % 2)
	}
	_, got, err := decryptWeak(t, weak.envelope.marshal(t), key)
	if err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
}

func decryptWeak(t testing.TB, message, key []byte) (*EnvelopedData, []byte, error) {
	t.Helper()
	e := readMessage(t, message)
	var out bytes.Buffer
	err := e.Decrypt(t.Context(), &out, key, DecryptOptions{AllowWeak: true})
	return e, out.Bytes(), err
}

// checkWeak checks that an error says what is too weak.
func checkWeak(t testing.TB, err error, name string) {
	t.Helper()
	var weak *WeakError
	if !errors.As(err, &weak) || !strings.Contains(err.Error(), name) {
		t.Errorf("%v, want %s to be too weak", err, name)
	}
}
