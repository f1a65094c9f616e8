package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
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

// TestDecryptFromOpenSSL opens what openssl encrypts.
func TestDecryptFromOpenSSL(t *testing.T) {
	peertest.Command(t, "openssl")
	text := interopText()
	input := writeTestFile(t, "text", text)
	dir := t.TempDir()
	type options struct {
		name string
		args []string
	}
	recipients := map[string][]options{
		"rsa": {
			{"PKCS #1 v1.5", nil},
			{"key identifier", []string{"-keyid"}},
			{"OAEP", []string{"-keyopt", "rsa_padding_mode:oaep"}},
			{"OAEP SHA-256", []string{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"}},
			{"OAEP SHA-384, label", []string{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha384", "-keyopt", "rsa_oaep_label:00ff10"}},
			{"OAEP SHA-512, MGF SHA-384", []string{"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512", "-keyopt", "rsa_mgf1_md:sha384"}},
		},
		"p256": {
			{"SHA-1", nil},
			{"key identifier", []string{"-keyid"}},
			{"SHA-256", []string{"-keyopt", "ecdh_kdf_md:sha256"}},
			{"cofactor", []string{"-keyopt", "ecdh_kdf_md:sha256", "-keyopt", "ecdh_cofactor_mode:1"}},
			{"AES-128 wrap", []string{"-aes128-wrap"}},
			{"AES-192 wrap", []string{"-aes192-wrap"}},
			{"AES-256 wrap", []string{"-aes256-wrap"}},
		},
		"p384": {
			{"SHA-224", []string{"-keyopt", "ecdh_kdf_md:sha224"}},
			{"SHA-384", []string{"-keyopt", "ecdh_kdf_md:sha384"}},
			{"cofactor", []string{"-keyopt", "ecdh_kdf_md:sha384", "-keyopt", "ecdh_cofactor_mode:1"}},
		},
		"p521": {
			{"SHA-512", []string{"-keyopt", "ecdh_kdf_md:sha512"}},
		},
	}
	for name, variants := range recipients {
		id := envIdentityNamed(t, name)
		certFile, _ := writeIdentity(t, dir, name, id)
		for _, variant := range variants {
			for _, c := range ciphers {
				for _, stream := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %s %v stream=%t", name, variant.name, c.cipher, stream), func(t *testing.T) {
						t.Parallel()
						output := filepath.Join(t.TempDir(), "message")
						args := []string{"cms", "-encrypt", "-binary", "-in", input, "-out", output, "-outform", "DER", "-" + c.name}
						if stream {
							args = append(args, "-stream")
						}
						args = append(args, "-recip", certFile)
						args = append(args, variant.args...)
						peertest.Run(t, "openssl", args...)
						message, err := os.ReadFile(output)
						if err != nil {
							t.Fatal(err)
						}
						e, got, err := openMessage(t, bytes.NewReader(message), id, Limits{})
						if err != nil || !bytes.Equal(got, text) {
							t.Fatalf("%d octets of %d, %v", len(got), len(text), err)
						}
						if e.Cipher != c.cipher || e.Authenticated != c.authenticated {
							t.Fatalf("%v, authenticated %t", e.Cipher, e.Authenticated)
						}
					})
				}
			}
		}
	}
}

// TestEncryptForOpenSSL has openssl open what is encrypted here.
func TestEncryptForOpenSSL(t *testing.T) {
	peertest.Command(t, "openssl")
	text := interopText()
	dir := t.TempDir()
	names := []string{"rsa", "p256", "p384", "p521"}
	for _, name := range names {
		writeIdentity(t, dir, name, envIdentityNamed(t, name))
	}
	check := func(t *testing.T, message []byte, name string) {
		t.Helper()
		certFile, keyFile := filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
		got := peertest.Run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", writeTestFile(t, "message", message),
			"-recip", certFile, "-inkey", keyFile)
		if !bytes.Equal(got, text) {
			t.Fatalf("openssl reads %d octets of %d", len(got), len(text))
		}
	}
	for _, c := range ciphers {
		for _, name := range names {
			for _, form := range []IdentifierForm{IssuerAndSerialNumber, SubjectKeyIdentifier} {
				t.Run(fmt.Sprintf("%v %s %d", c.cipher, name, form), func(t *testing.T) {
					t.Parallel()
					r := envIdentityNamed(t, name).recipient(t, form)
					check(t, encryptMessage(t, text, EnvelopedDataOptions{Cipher: c.cipher, Recipients: []Recipient{r}}), name)
				})
			}
		}
	}
	agreements := []KeyManagement{ECDHStdSHA256, ECDHStdSHA384, ECDHStdSHA512} // openssl knows no HKDF in CMS
	for name, ways := range map[string][]KeyManagement{"rsa": {RSAOAEPSHA256, RSAOAEPSHA384, RSAOAEPSHA512}, "p256": agreements, "p384": agreements, "p521": agreements} {
		for _, m := range ways {
			for _, c := range []Cipher{AES128CBC, AES192GCM, AES256GCM} {
				t.Run(fmt.Sprintf("%v %s %v", c, name, m), func(t *testing.T) {
					t.Parallel()
					r := Recipient{Certificate: envIdentityNamed(t, name).cert, KeyManagement: m}
					check(t, encryptMessage(t, text, EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{r}}), name)
				})
			}
		}
	}
	t.Run("everybody", func(t *testing.T) {
		var recipients []Recipient
		for _, name := range names {
			recipients = append(recipients, envIdentityNamed(t, name).recipient(t, IssuerAndSerialNumber))
		}
		message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: AES256GCM, Recipients: recipients})
		for _, name := range names {
			check(t, message, name)
		}
	})
}

// TestEncryptForNSS has NSS, which Thunderbird stands on, open what is encrypted here. Its cmsutil knows no
// AuthEnvelopedData; versions before 3.97 know no ECDH either.
func TestEncryptForNSS(t *testing.T) {
	for _, name := range []string{"openssl", "certutil", "pk12util", "cmsutil"} {
		peertest.Command(t, name)
	}
	dir := t.TempDir()
	id := envIdentityNamed(t, "rsa")
	certFile, keyFile := writeIdentity(t, dir, "rsa", id)
	p12, db := filepath.Join(dir, "rsa.p12"), "sql:"+dir
	peertest.Run(t, "openssl", "pkcs12", "-export", "-in", certFile, "-inkey", keyFile, "-out", p12, "-passout", "pass:secret", "-name", "rsa")
	peertest.Run(t, "certutil", "-N", "-d", db, "--empty-password")
	peertest.Run(t, "pk12util", "-i", p12, "-d", db, "-W", "secret")
	text := interopText()
	for _, c := range []Cipher{AES128CBC, AES192CBC, AES256CBC} {
		for _, form := range []IdentifierForm{IssuerAndSerialNumber, SubjectKeyIdentifier} {
			message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{id.recipient(t, form)}})
			got := peertest.Run(t, "cmsutil", "-D", "-d", db, "-i", writeTestFile(t, "message", message))
			if !bytes.Equal(got, text) {
				t.Errorf("%v, form %d: cmsutil reads %d octets of %d", c, form, len(got), len(text))
			}
		}
	}
}
