package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

func writeTestFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
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
