package cms

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"testing"
)

func TestEnvelopedWriterRefuses(t *testing.T) {
	rsaID, ecID := envIdentityNamed(t, "rsa"), envIdentityNamed(t, "p256")
	small, err := newEnvIdentity(rsaID.key, 9)
	if err != nil {
		t.Fatal(err)
	}
	small.cert.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 767), E: 65537}
	p224Key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := newEnvIdentity(p224Key, 10)
	if err != nil {
		t.Fatal(err)
	}
	x25519 := envIdentityNamed(t, "x25519")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	shortID, err := newEnvIdentity(short, 11)
	if err != nil {
		t.Fatal(err)
	}
	kek := make([]byte, 16)
	noKeyID := *rsaID.cert
	noKeyID.SubjectKeyId = nil
	good := rsaID.recipient(t, IssuerAndSerialNumber)

	tests := []struct {
		name string
		o    EnvelopedDataOptions
		want string
	}{
		{"no cipher", EnvelopedDataOptions{Recipients: []Recipient{good}}, "no cipher is stated"},
		{"3DES", EnvelopedDataOptions{Cipher: TripleDESCBC, Recipients: []Recipient{good}}, "too weak: encryption with 3des-cbc"},
		{"RC2", EnvelopedDataOptions{Cipher: RC2CBC, Recipients: []Recipient{good}}, "too weak: encryption with rc2-cbc"},
		{"no recipient", EnvelopedDataOptions{Cipher: AES256CBC}, "no recipient is stated"},
		{"no certificate", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{good, {KeyManagement: RSAPKCS1v15}}}, "recipient 2: no certificate"},
		{"no key management", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: rsaID.cert}}}, "recipient 1: no key management is stated"},
		{"RSA for EC", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: ecID.cert, KeyManagement: RSAPKCS1v15}}}, "recipient 1: key management rsa-pkcs1v15 does not fit a key of kind ECDSA"},
		{"EC for RSA", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: rsaID.cert, KeyManagement: ECDHStdSHA256}}}, "recipient 1: key management ecdh-sha256kdf does not fit a key of kind RSA"},
		{"small RSA key", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: small.cert, KeyManagement: RSAPKCS1v15}}}, "recipient 1: unsupported RSA key of 768 bits"},
		{"P-224", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: p224.cert, KeyManagement: ECDHStdSHA256}}}, "recipient 1: unsupported encryption to a key on curve P-224"},
		{"RSA for X25519", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: x25519.cert, KeyManagement: RSAOAEPSHA256}}}, "recipient 1: key management rsa-oaep-sha256 does not fit a key of kind X25519"},
		{"key wrap for RSA", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: rsaID.cert, KeyManagement: AESKeyWrap}}}, "recipient 1: key management aes-key-wrap does not fit a key of kind RSA"},
		{"OAEP too long", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: shortID.cert, KeyManagement: RSAOAEPSHA512}}}, "recipient 1: RSA encryption: crypto/rsa: message too long for RSA key size"},
		{"certificate and key", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: rsaID.cert, KeyManagement: RSAPKCS1v15, KeyEncryptionKey: kek}}}, "recipient 1: both a certificate and a key-encryption key"},
		{"key of 15 octets", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{KeyManagement: AESKeyWrap, KeyIdentifier: []byte{1}, KeyEncryptionKey: kek[1:]}}}, "recipient 1: key-encryption key of 15 octets"},
		{"key without identifier", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{KeyManagement: AESKeyWrap, KeyEncryptionKey: kek}}}, "recipient 1: key-encryption key without an identifier"},
		{"password and certificate", EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{{Certificate: rsaID.cert, KeyManagement: PasswordPBKDF2, Password: kek}}}, "recipient 1: key management pwri-kek does not fit a key of kind RSA"},
		{"no password", EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{{KeyManagement: PasswordPBKDF2}}}, "recipient 1: the password is empty"},
		{"password that is cheap to guess", EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{{KeyManagement: PasswordPBKDF2, Password: kek, Iterations: 599_999}}}, "recipient 1: 599999 iterations of a password's key derivation, not 600000 to 10000000"},
		{"password beyond what is read", EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{{KeyManagement: PasswordPBKDF2, Password: kek, Iterations: 10_000_001}}}, "recipient 1: 10000001 iterations of a password's key derivation, not 600000 to 10000000"},
		{"password for a certificate's owner", EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{{Certificate: rsaID.cert, KeyManagement: RSAPKCS1v15, Password: kek}}}, "recipient 1: a password that is not asked for"},
		{"no key identifier", EnvelopedDataOptions{Cipher: AES256CBC, Recipients: []Recipient{{Certificate: &noKeyID, ID: SubjectKeyIdentifier, KeyManagement: RSAPKCS1v15}}}, "recipient 1: certificate has no subject key identifier"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			w, err := NewEnvelopedDataWriter(t.Context(), &out, test.o)
			if err == nil || err.Error() != test.want {
				t.Fatalf("error %v, want %s", err, test.want)
			}
			if w != nil || out.Len() > 0 {
				t.Fatal("something was written all the same")
			}
		})
	}
}

func TestDefaultKeyManagement(t *testing.T) {
	for name, want := range map[string]KeyManagement{"rsa": RSAPKCS1v15, "p256": ECDHStdSHA256, "p384": ECDHStdSHA384, "p521": ECDHStdSHA512, "x25519": ECDHHKDFSHA256} {
		if got, err := DefaultKeyManagement(envIdentityNamed(t, name).cert); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	var unsupported *UnsupportedError
	for _, c := range []*x509.Certificate{{}, {PublicKeyAlgorithm: x509.Ed25519, PublicKey: []byte{}}} {
		if m, err := DefaultKeyManagement(c); m != 0 || !errors.As(err, &unsupported) {
			t.Errorf("%v: %v, %v", c.PublicKeyAlgorithm, m, err)
		}
	}
}

func TestEnvelopedWriterErrors(t *testing.T) {
	o := EnvelopedDataOptions{Cipher: AES256GCM, Recipients: []Recipient{envIdentityNamed(t, "p256").recipient(t, IssuerAndSerialNumber)}}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w, err := NewEnvelopedDataWriter(ctx, io.Discard, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("before")); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := w.Write([]byte("after")); !errors.Is(err, context.Canceled) {
			t.Fatalf("Write: %v", err)
		}
		if err := w.Close(); !errors.Is(err, context.Canceled) {
			t.Fatalf("Close: %v", err)
		}
	})
	t.Run("full destination", func(t *testing.T) {
		full := errors.New("no space left")
		w, err := NewEnvelopedDataWriter(t.Context(), failingWriter{full}, o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(make([]byte, 1<<20))
		if !errors.Is(err, full) || !errors.Is(w.Close(), full) {
			t.Fatalf("Write: %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		w, err := NewEnvelopedDataWriter(t.Context(), io.Discard, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte{1}); err == nil {
			t.Fatal("wrote to a closed writer")
		}
	})
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
