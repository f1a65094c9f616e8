package smime_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// secretDecrypter opens what is encrypted under a secret that both sides have.
type secretDecrypter struct{ secret []byte }

func (secretDecrypter) Certificate() *x509.Certificate { return nil }

func (d secretDecrypter) Unwrap(_ context.Context, r cms.RecipientInfo) ([]byte, error) {
	switch r := r.(type) {
	case *cms.KEKRecipientInfo:
		return r.Unwrap(d.secret)
	case *cms.PasswordRecipientInfo:
		return r.Unwrap(d.secret)
	}
	return nil, smime.ErrNotRecipient
}

// x25519Key is that of an example identity of RFC 9216.
func x25519Key(t *testing.T) corpusKey {
	t.Helper()
	decode := func(name string) []byte {
		data, err := os.ReadFile(peertest.Corpora(t, "rfc9216", name))
		block, _ := pem.Decode(data)
		if err != nil || block == nil {
			t.Fatal(name, err)
		}
		return block.Bytes
	}
	cert, err := x509.ParseCertificate(decode("dana-encrypt.crt.pem"))
	key, keyErr := x509.ParsePKCS8PrivateKey(decode("dana-encrypt.key.pem"))
	if err := errors.Join(err, keyErr); err != nil {
		t.Fatal(err)
	}
	return corpusKey{cert, key}
}

func encryptTo(t testing.TB, e string, c cms.Cipher, to ...cms.Recipient) string {
	t.Helper()
	var out bytes.Buffer
	if err := smime.Encrypt(t.Context(), &out, strings.NewReader(e), to, smime.EncryptOptions{Cipher: c}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// keptKeys opens a message with private keys, and returns what opens it without them, in a copy that outlives the message.
func keptKeys(t testing.TB, message string, keys ...smime.Decrypter) (kept []smime.ContentKey) {
	t.Helper()
	m, err := smime.Open(t.Context(), strings.NewReader(message), smime.OpenOptions{Decrypters: keys, KeepContentKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	given := m.ContentKeys()
	for _, k := range given {
		k.Key = bytes.Clone(k.Key)
		kept = append(kept, k)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, k := range given {
		if !bytes.Equal(k.Key, make([]byte, len(k.Key))) {
			t.Error("a key was not wiped when its message was closed")
		}
	}
	return kept
}

func openKept(t testing.TB, message string, kept []smime.ContentKey) *smime.Message {
	t.Helper()
	var keys []smime.Decrypter
	for _, k := range kept {
		keys = append(keys, k.Decrypter())
	}
	return open(t, []byte(message), smime.OpenOptions{Decrypters: keys})
}

// TestContentKeys opens messages with the keys that were kept of them alone, whatever way these were handed over in.
func TestContentKeys(t *testing.T) {
	x25519, secret := x25519Key(t), bytes.Repeat([]byte{7}, 32)
	type way struct {
		to  cms.Recipient
		key smime.Decrypter
	}
	of := func(key smime.Decrypter, management ...cms.KeyManagement) (ways []way) {
		for _, m := range management {
			to := cms.Recipient{Certificate: key.Certificate(), KeyManagement: m}
			switch m {
			case cms.AESKeyWrap:
				to.KeyIdentifier, to.KeyEncryptionKey = []byte("name"), secret
			case cms.PasswordPBKDF2:
				to.Password = secret
			}
			ways = append(ways, way{to, key})
		}
		return ways
	}
	agreements := []cms.KeyManagement{cms.ECDHStdSHA256, cms.ECDHStdSHA384, cms.ECDHStdSHA512, cms.ECDHHKDFSHA256, cms.ECDHHKDFSHA384, cms.ECDHHKDFSHA512}
	ways := of(decrypter{bobRSA()}, cms.RSAPKCS1v15, cms.RSAOAEPSHA256, cms.RSAOAEPSHA384, cms.RSAOAEPSHA512)
	ways = append(ways, of(decrypter{bob()}, agreements...)...)
	ways = append(ways, of(decrypter{alice384()}, agreements...)...)
	ways = append(ways, of(x25519, agreements...)...)
	ways = append(ways, of(secretDecrypter{secret}, cms.AESKeyWrap, cms.PasswordPBKDF2)...)
	for _, way := range ways {
		for _, cipher := range []cms.Cipher{cms.AES128CBC, cms.AES256GCM} {
			message := outerHeader + encryptTo(t, plainEntity, cipher, way.to)
			name := way.to.KeyManagement.String() + " " + cipher.String()
			kept := keptKeys(t, message, way.key)
			if len(kept) != 1 || !kept[0].Certificate.Equal(way.key.Certificate()) {
				t.Fatalf("%s: %d keys were kept", name, len(kept))
			}
			m := openKept(t, message, kept)
			l := m.Layers[0].Encrypted
			if content(t, m) != plainEntity || !l.Key.Equal(way.key.Certificate()) || l.Recipients[0].Mine != (l.Key != nil) {
				t.Errorf("%s: %s, opened by %v", name, describe(m), l.Key)
			}
			if len(m.ContentKeys()) > 0 {
				t.Errorf("%s: keys are kept that nobody asked for", name)
			}
			kept[0].Certificate = nil
			if m := openKept(t, message, kept); content(t, m) != plainEntity || m.Layers[0].Encrypted.Recipients[0].Mine {
				t.Errorf("%s, without the certificate: %s", name, describe(m))
			}
			other := outerHeader + encryptTo(t, plainEntity, cipher, way.to)
			if m := openKept(t, other, kept); m.Content != nil || m.Encryption() != smime.StatusUndecryptable {
				t.Errorf("%s: the key of one message opens another: %s", name, describe(m))
			}
			kept[0].Key = append(kept[0].Key, 0)
			if m := openKept(t, message, kept); m.Content != nil || m.Encryption() != smime.StatusFailed {
				t.Errorf("%s: a key of the wrong size: %s", name, describe(m))
			}
		}
	}
}

// TestContentKeysOfLayers keeps the keys of two layers of encryption around a signature: each opens its own.
func TestContentKeysOfLayers(t *testing.T) {
	inner := encrypt(t, sign(t, plainEntity, alice(), smime.SignOptions{}), cms.AES128CBC, alice384(), bobRSA())
	message := outerHeader + encrypt(t, sign(t, inner, alice(), smime.SignOptions{}), cms.AES256GCM, mallory(), bob(), alice())
	kept := keptKeys(t, message, decrypter{bobRSA()}, decrypter{bob()})
	if len(kept) != 2 || !kept[0].Certificate.Equal(bob().cert) || !kept[1].Certificate.Equal(bobRSA().cert) {
		t.Fatalf("%d keys were kept", len(kept))
	}
	for name, test := range map[string]struct {
		kept   []smime.ContentKey
		layers int
		status smime.Status
	}{
		"both":    {kept, 4, smime.StatusDecrypted},
		"swapped": {[]smime.ContentKey{kept[1], kept[0]}, 4, smime.StatusDecrypted},
		"outer":   {kept[:1], 3, smime.StatusUndecryptable},
		"inner":   {kept[1:], 1, smime.StatusUndecryptable},
	} {
		m := openKept(t, message, test.kept)
		opened := content(t, m) == plainEntity
		if len(m.Layers) != test.layers || m.Encryption() != test.status || opened != (test.status == smime.StatusDecrypted) {
			t.Errorf("%s: %s", name, describe(m))
		}
	}
}

// TestContentKeysStayShut: of ciphertext that is part of the content no key is kept, and what is damaged shows itself so with the
// keys that were kept of it.
func TestContentKeysStayShut(t *testing.T) {
	part := encrypt(t, "Content-Type: text/plain\r\n\r\nsecret of another\r\n", cms.AES256GCM, bob())
	mixed := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nlook at this\r\n--b\r\n" + part + "\r\n--b--\r\n"
	message := outerHeader + encrypt(t, mixed, cms.AES256GCM, bob())
	kept := keptKeys(t, message, decrypter{bob()})
	if len(kept) != 1 {
		t.Errorf("%d keys were kept of a message with encrypted mail inside", len(kept))
	}
	m := openKept(t, message, kept)
	if got := content(t, m); got != mixed {
		t.Errorf("content %q", got)
	}
	if m := openKept(t, outerHeader+part, kept); m.Content != nil {
		t.Error("the key of a message opens what is enclosed in it")
	}
	lines := strings.Split(encrypt(t, plainEntity, cms.AES256GCM, bobRSA()), "\r\n")
	last := &lines[len(lines)-3] // before the last, and full: of the ciphertext
	letter := "A"
	if (*last)[0] == 'A' {
		letter = "B"
	}
	*last = letter + (*last)[1:]
	damaged := outerHeader + strings.Join(lines, "\r\n")
	if m := openKept(t, damaged, keptKeys(t, damaged, decrypter{bobRSA()})); m.Content != nil || m.Encryption() != smime.StatusFailed {
		t.Errorf("a damaged message: %s", describe(m))
	}
	if kept := keptKeys(t, outerHeader+plainEntity, decrypter{bob()}); len(kept) > 0 {
		t.Error("a key was kept of what is not encrypted")
	}
}
