package client_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/cms/ber"
)

const sealedHeader = mailHeader + "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"

// TestAlteredGCM alters every octet of ciphertext, authenticated attributes, nonce and tag: nothing is released.
func TestAlteredGCM(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"p256", "rsa2048"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			key := w.issue("bob", kind)
			der := w.sealed("aes-256-gcm", mailHeader+alteredEntity)
			w.neverReleases(key, der, false)
			w.neverReleases(key, w.withAttributes(der), true)
		})
	}
}

func (w *world) neverReleases(key client.KeyFiles, der []byte, withAttributes bool) {
	t, c := w.t, w.client()
	var info contentInfo
	var envelope authEnvelopedData
	decode(t, der, &info)
	decode(t, info.Content.Bytes, &envelope)
	decrypt := func(der []byte) error {
		return c.Decrypt(t.Context(), client.DecryptParams{Keys: key}, w.write("altered", string(inBase64(sealedHeader, der))), client.Output{Name: w.in("clear")})
	}
	if err := decrypt(der); err != nil || !strings.Contains(w.read("clear"), "turbine") {
		t.Fatalf("unaltered: %v", err)
	}
	if err := os.Remove(w.in("clear")); err != nil {
		t.Fatal(err)
	}
	spans := []span{
		spanOf(t, "ciphertext", der, envelope.Encrypted.Ciphertext.Bytes), spanOf(t, "nonce", der, envelope.Encrypted.Algorithm.Parameters.Nonce),
		spanOf(t, "tag", der, envelope.Tag),
	}
	if withAttributes {
		spans = append(spans, spanOf(t, "authenticated attributes", der, envelope.Attributes.FullBytes))
	}
	for _, s := range spans {
		eachAlteration(der, s, func(at int, altered []byte) {
			var known *client.Error
			if err := decrypt(altered); !errors.As(err, &known) || known.Kind != client.No {
				t.Errorf("octet %d of the %s is altered: %v", at, s.name, err)
			}
			if _, err := os.Stat(w.in("clear")); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("octet %d of the %s is altered, and there is an output: %v", at, s.name, err)
			}
		})
	}
}

// sealed encrypts a message to bob, and returns the CMS message in DER.
func (w *world) sealed(cipher, message string) []byte {
	t := w.t
	t.Helper()
	in := w.write("mail", message)
	if err := w.client().Encrypt(t.Context(), client.EncryptParams{To: []string{w.in("bob.pem")}, Cipher: cipher}, in, client.Output{Name: w.in("sealed")}); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(w.read("sealed"), "\r\n\r\n")
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	der, err := ber.ToDER(raw, ber.Limits{Depth: 32, Elements: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// withAttributes encrypts the content of an AuthEnvelopedData once more under the same key, with an authenticated
// attribute: the content type (RFC 5083 section 2.1).
func (w *world) withAttributes(der []byte) []byte {
	t := w.t
	t.Helper()
	read, err := cms.Read(bytes.NewReader(der), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	cek, err := w.pair("bob").Decrypter().Unwrap(t.Context(), read.(*cms.EnvelopedData).Recipients[0])
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	attribute := encode(t, struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.ObjectIdentifier `asn1:"set"`
	}{cms.OIDAttributeContentType, []asn1.ObjectIdentifier{cms.OIDData}})

	var info contentInfo
	var envelope authEnvelopedData
	decode(t, der, &info)
	decode(t, info.Content.Bytes, &envelope)
	set := encode(t, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: attribute}) // RFC 5083 section 2.2: with a SET's tag
	sealed := gcm.Seal(nil, envelope.Encrypted.Algorithm.Parameters.Nonce, []byte(mailHeader+alteredEntity), set)
	envelope.Encrypted.Ciphertext = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: sealed[:len(sealed)-gcm.Overhead()]}
	envelope.Attributes = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: attribute}
	envelope.Tag = sealed[len(sealed)-gcm.Overhead():]
	info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: encode(t, envelope)}
	return encode(t, info)
}

// TestAlteredCBC alters a signed message that is encrypted without authentication, in every block. Whatever comes out, it
// is not said to be authenticated; and it never passes unless what is shown is what was signed, as where only the words
// around the parts are altered.
func TestAlteredCBC(t *testing.T) {
	t.Parallel()
	for _, opaque := range []bool{false, true} {
		w := newWorld(t)
		c := w.trusted()
		bob := w.issue("bob", "p256")
		in := w.write("in", mailHeader+alteredEntity)
		if err := c.Sign(t.Context(), client.SignParams{Keys: w.issue("alice", "p256"), Opaque: opaque}, in, client.Output{Name: w.in("signed")}); err != nil {
			t.Fatal(err)
		}
		der := w.sealed("aes-256-cbc", w.read("signed"))
		ciphertext := der[len(der)-(len(w.read("signed"))/aes.BlockSize)*aes.BlockSize:]
		passed, failed := 0, 0
		for at := len(der) - len(ciphertext); at < len(der); at += 5 { // each block thrice
			altered := bytes.Clone(der)
			altered[at] ^= 1 << (at % 8)
			err := c.Read(t.Context(), client.ReadParams{ID: w.write("altered.eml", string(inBase64(sealedHeader, altered))), Keys: bob}, func(r *client.Report) error {
				if r.Layers[0].Authenticated {
					t.Errorf("octet %d is altered, and AES-CBC is said to be authenticated", at)
				}
				if r.Verdict != "passed" {
					failed++
					return nil
				}
				passed++
				if r.Text == nil || *r.Text != "The turbine costs as much as last year.\n" || *r.Message.From != "alice@example.org" {
					t.Errorf("octet %d is altered, and it passed with %v", at, r.Text)
				}
				return nil
			})
			if err != nil {
				t.Errorf("octet %d is altered: %v", at, err)
			}
		}
		if failed < passed {
			t.Errorf("opaque %t: %d passed and %d failed", opaque, passed, failed)
		}
		t.Logf("opaque %t: of %d messages, %d passed", opaque, passed+failed, passed)
	}
}
