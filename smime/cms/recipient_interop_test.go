package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// writeIdentity writes NAME.pem and NAME.key.
func writeIdentity(t testing.TB, dir, name string, id envIdentity) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: id.cert.Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func writeTestFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// interopText is long enough for several segments and not a whole number of blocks.
func interopText() []byte {
	var b bytes.Buffer
	for i := range 3000 {
		fmt.Fprintf(&b, "line %d of a text\r\n", i)
	}
	return b.Bytes()
}

// openSSLMessage has openssl encrypt a text, with these arguments, and returns the message in DER.
func openSSLMessage(t *testing.T, text []byte, args ...string) []byte {
	t.Helper()
	output := filepath.Join(t.TempDir(), "message")
	peertest.Run(t, "openssl", append([]string{"cms", "-binary", "-in", writeTestFile(t, "text", text), "-out", output, "-outform", "DER"}, args...)...)
	message, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// openAnyKey decrypts with the first recipient, whatever it is.
func openAnyKey(t *testing.T, message []byte, o DecryptOptions, unwrap func(RecipientInfo) ([]byte, error)) ([]byte, error) {
	t.Helper()
	e := readMessage(t, message)
	cek, err := unwrap(e.Recipients[0])
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = e.Decrypt(t.Context(), &out, cek, o)
	return out.Bytes(), err
}

// TestOldMailFromOpenSSL opens messages in weak ciphers, to all kinds of recipients. Without leave, they stay shut.
func TestOldMailFromOpenSSL(t *testing.T) {
	peertest.Command(t, "openssl")
	text := interopText()
	dir := t.TempDir()
	legacy := []string{"-provider", "legacy", "-provider", "default"}
	kek := "000102030405060708090a0b0c0d0e0f0001020304050607"
	tests := []struct {
		name, recipient string
		args            []string
		weak            string
	}{
		{"3DES, RSA", "rsa", []string{"-des3"}, "3des-cbc"},
		{"3DES, OAEP", "rsa", []string{"-des3", "-keyopt", "rsa_padding_mode:oaep"}, "3des-cbc"},
		{"3DES, ECDH, wrapped in 3DES", "p256", []string{"-des3", "-des3-wrap"}, "3des-cbc"},
		{"3DES, ECDH, wrapped in AES", "p384", []string{"-des3", "-aes192-wrap"}, "3des-cbc"},
		{"3DES, password", "", []string{"-des3", "-pwri_password", "abc"}, "3des-cbc"},
		{"3DES, key", "", []string{"-des3", "-secretkey", kek, "-secretkeyid", "c0ffee"}, "3des-cbc"},
		{"RC2 of 40 bits, RSA", "rsa", append([]string{"-rc2-40"}, legacy...), "rc2-cbc of 40 bits"},
		{"RC2 of 64 bits, RSA", "rsa", append([]string{"-rc2-64"}, legacy...), "rc2-cbc of 64 bits"},
		{"RC2 of 128 bits, RSA", "rsa", append([]string{"-rc2-128"}, legacy...), "rc2-cbc of 128 bits"},
		{"RC2 of 128 bits, ECDH, wrapped in AES", "p256", append([]string{"-rc2-128", "-aes128-wrap"}, legacy...), "rc2-cbc of 128 bits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"-encrypt"}, test.args...)
			if test.recipient != "" {
				certFile, _ := writeIdentity(t, dir, test.recipient, envIdentityNamed(t, test.recipient))
				at := len(args)
				if i := strings.Index(strings.Join(args, " "), "-keyopt"); i >= 0 { // belongs to the recipient before it
					at = 2
				}
				args = append(args[:at:at], append([]string{"-recip", certFile}, args[at:]...)...)
			}
			message := openSSLMessage(t, text, args...)
			unwrap := func(ri RecipientInfo) ([]byte, error) {
				switch ri := ri.(type) {
				case *PasswordRecipientInfo:
					return ri.Unwrap([]byte("abc"))
				case *KEKRecipientInfo:
					return ri.Unwrap(unhex(t, kek))
				}
				return envIdentityNamed(t, test.recipient).unwrap(t, ri)
			}
			got, err := openAnyKey(t, message, DecryptOptions{AllowWeak: true}, unwrap)
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d octets of %d, %v", len(got), len(text), err)
			}
			got, err = openAnyKey(t, message, DecryptOptions{}, unwrap)
			if checkWeak(t, err, test.weak); len(got) > 0 {
				t.Errorf("%d octets came out without leave", len(got))
			}
		})
	}
	t.Run("3DES in EncryptedData", func(t *testing.T) {
		message := openSSLMessage(t, text, "-EncryptedData_encrypt", "-des3", "-secretkey", kek)
		for _, allow := range []bool{false, true} {
			e, err := readEncrypted(t, message, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = e.Decrypt(t.Context(), &out, unhex(t, kek), DecryptOptions{AllowWeak: allow})
			if !allow {
				checkWeak(t, err, "3des-cbc")
			} else if err != nil || !bytes.Equal(out.Bytes(), text) {
				t.Errorf("%d octets, %v", out.Len(), err)
			}
		}
	})
	t.Run("AES wrapped in 3DES", func(t *testing.T) {
		certFile, _ := writeIdentity(t, dir, "p256", envIdentityNamed(t, "p256"))
		message := openSSLMessage(t, text, "-encrypt", "-aes256", "-des3-wrap", "-recip", certFile)
		_, err := openAnyKey(t, message, DecryptOptions{AllowWeak: true}, func(ri RecipientInfo) ([]byte, error) { return envIdentityNamed(t, "p256").unwrap(t, ri) })
		if err == nil || !strings.Contains(err.Error(), "unsupported 3des-wrap") {
			t.Errorf("a strong key in a weak wrap: %v", err)
		}
	})
}

// TestSharedSecretsWithOpenSSL exchanges messages under keys and passwords that both sides have.
func TestSharedSecretsWithOpenSSL(t *testing.T) {
	peertest.Command(t, "openssl")
	text := interopText()
	secret := "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	for _, c := range ciphers {
		for _, size := range []int{16, 24, 32} {
			t.Run(fmt.Sprintf("%v, key of %d octets", c.cipher, size), func(t *testing.T) {
				t.Parallel()
				kek := unhex(t, secret)[:size]
				message := openSSLMessage(t, text, "-encrypt", "-"+c.name, "-secretkey", hex.EncodeToString(kek), "-secretkeyid", "c0ffee")
				got, err := openAnyKey(t, message, DecryptOptions{}, func(ri RecipientInfo) ([]byte, error) {
					r := ri.(*KEKRecipientInfo)
					if hex.EncodeToString(r.KeyIdentifier) != "c0ffee" {
						t.Errorf("key identifier %x", r.KeyIdentifier)
					}
					return r.Unwrap(kek)
				})
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("from openssl: %d octets of %d, %v", len(got), len(text), err)
				}
				own := encryptMessage(t, text, EnvelopedDataOptions{Cipher: c.cipher, Recipients: []Recipient{{KeyManagement: AESKeyWrap, KeyIdentifier: []byte{0xc0, 0xff, 0xee}, KeyEncryptionKey: kek}}})
				got = peertest.Run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", writeTestFile(t, "message", own),
					"-secretkey", hex.EncodeToString(kek), "-secretkeyid", "c0ffee")
				if !bytes.Equal(got, text) {
					t.Errorf("openssl reads %d octets of %d", len(got), len(text))
				}
			})
		}
	}
	for _, c := range []Cipher{AES128CBC, AES192CBC, AES256CBC} {
		t.Run(fmt.Sprintf("%v, password", c), func(t *testing.T) {
			message := openSSLMessage(t, text, "-encrypt", "-"+c.String(), "-pwri_password", "päßword")
			unwrap := func(password string) func(RecipientInfo) ([]byte, error) {
				return func(ri RecipientInfo) ([]byte, error) { return ri.(*PasswordRecipientInfo).Unwrap([]byte(password)) }
			}
			if got, err := openAnyKey(t, message, DecryptOptions{}, unwrap("päßword")); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d octets of %d, %v", len(got), len(text), err)
			}
			if _, err := openAnyKey(t, message, DecryptOptions{}, unwrap("passwort")); err != ErrDecrypt {
				t.Errorf("wrong password: %v", err)
			}
		})
		t.Run(fmt.Sprintf("%v in EncryptedData", c), func(t *testing.T) {
			key := unhex(t, secret)[:c.KeySize()]
			e, err := readEncrypted(t, openSSLMessage(t, text, "-EncryptedData_encrypt", "-"+c.String(), "-secretkey", hex.EncodeToString(key)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := e.Decrypt(t.Context(), &out, key, DecryptOptions{}); err != nil || !bytes.Equal(out.Bytes(), text) {
				t.Errorf("%d octets of %d, %v", out.Len(), len(text), err)
			}
		})
	}
}

// TestX25519WithOpenSSL takes a message apart with the primitives of openssl, whose cms command knows no X25519: the
// agreement, the key derivation and the key wrap come from there.
func TestX25519WithOpenSSL(t *testing.T) {
	peertest.Command(t, "openssl")
	id := envIdentityNamed(t, "x25519")
	keyDER, err := x509.MarshalPKCS8PrivateKey(id.agreement)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := writeTestFile(t, "key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	text := []byte("agreed upon")
	for m, kdf := range map[KeyManagement][]string{
		ECDHHKDFSHA256: {"HKDF", "SHA256", "hexkey"}, ECDHHKDFSHA384: {"HKDF", "SHA384", "hexkey"}, ECDHHKDFSHA512: {"HKDF", "SHA512", "hexkey"},
		ECDHStdSHA256: {"X963KDF", "SHA256", "hexsecret"}, ECDHStdSHA512: {"X963KDF", "SHA512", "hexsecret"},
	} {
		t.Run(m.String(), func(t *testing.T) {
			message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{{Certificate: id.cert, KeyManagement: m}}})
			e := readMessage(t, message)
			ri := e.Recipients[0].(*KeyAgreeRecipientInfo)
			info := element(0x30, element(0x30, oidElement(t, oidX25519)), element(0x03, []byte{0}, ri.Originator.PublicKey))
			peerFile := writeTestFile(t, "peer", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: info}))
			secret := peertest.Run(t, "openssl", "pkeyutl", "-derive", "-inkey", keyFile, "-peerkey", peerFile)
			// ECC-CMS-SharedInfo: id-aes256-wrap without parameters, and 256 bits.
			shared := "3015" + "300b060960864801650304012d" + "a206040400000100"
			kek := peertest.Run(t, "openssl", "kdf", "-keylen", "32", "-binary", "-kdfopt", "digest:"+kdf[1], "-kdfopt", kdf[2]+":"+hex.EncodeToString(secret),
				"-kdfopt", "hexinfo:"+shared, kdf[0])
			cek := peertest.Run(t, "openssl", "enc", "-d", "-id-aes256-wrap", "-K", hex.EncodeToString(kek), "-iv", "a6a6a6a6a6a6a6a6",
				"-in", writeTestFile(t, "wrapped", ri.EncryptedKey))
			var out bytes.Buffer
			if err := e.Decrypt(t.Context(), &out, cek, DecryptOptions{}); err != nil || !bytes.Equal(out.Bytes(), text) {
				t.Errorf("%q, %v", &out, err)
			}
		})
	}
}
