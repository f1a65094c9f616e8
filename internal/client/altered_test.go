package client_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/cms/ber"
)

const (
	alteredEntity = "Content-Type: text/plain\r\n\r\nThe turbine costs as much as last year.\r\n"
	opaqueHeader  = mailHeader + "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	sealedHeader  = mailHeader + "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)

// span is a range of octets with a name.
type span struct {
	name       string
	start, end int
}

// spanOf finds part, which must be there once.
func spanOf(t *testing.T, name string, whole, part []byte) span {
	t.Helper()
	start := bytes.Index(whole, part)
	if len(part) == 0 || start < 0 || bytes.Contains(whole[start+1:], part) {
		t.Fatalf("%s: %x is not there once", name, part)
	}
	return span{name, start, start + len(part)}
}

// eachAlteration calls use with whole in which one bit of one octet of the span is changed, for each of its octets.
func eachAlteration(whole []byte, s span, use func(at int, altered []byte)) {
	for at := s.start; at < s.end; at++ {
		altered := bytes.Clone(whole)
		altered[at] ^= 1 << (at % 8)
		use(at-s.start, altered)
	}
}

// The structures of RFC 5652 and RFC 5083, as far as the tests take them apart.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version      int
		Digests      asn1.RawValue
		Content      asn1.RawValue
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		Signers      []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version    int
		SID        asn1.RawValue
		Digest     asn1.RawValue
		Attributes asn1.RawValue `asn1:"optional,tag:0"`
		Algorithm  asn1.RawValue
		Signature  []byte
	}
	authEnvelopedData struct {
		Version    int
		Recipients asn1.RawValue
		Encrypted  encryptedContent
		Attributes asn1.RawValue `asn1:"optional,tag:1"`
		Tag        []byte
	}
	encryptedContent struct {
		Type       asn1.ObjectIdentifier
		Algorithm  algorithm
		Ciphertext asn1.RawValue `asn1:"tag:0"`
	}
	algorithm struct {
		ID         asn1.ObjectIdentifier
		Parameters gcmParameters
	}
	gcmParameters struct {
		Nonce []byte
		Size  int `asn1:"optional,default:12"`
	}
)

func decode(t *testing.T, der []byte, v any) {
	t.Helper()
	if rest, err := asn1.Unmarshal(der, v); err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d octets behind", err, len(rest))
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// trusted is a client for which the world's authority is an anchor.
func (w *world) trusted() *client.Client {
	w.t.Helper()
	c := w.client()
	anchors, err := c.CertAnchors(w.in("ca/root.pem"))
	if err == nil {
		_, err = c.CertTrust(anchors, "mail")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// pair is the key in a file of issue.
func (w *world) pair(name string) certstore.KeyPair {
	w.t.Helper()
	bundle, err := certstore.ParsePEM([]byte(w.read(name + ".pem")))
	pairs, _ := bundle.KeyPairs()
	if err != nil || len(pairs) != 1 {
		w.t.Fatalf("%d keys, %v", len(pairs), err)
	}
	return pairs[0]
}

// verdict is what verify says of a message; that it cannot be read at all is "unreadable".
func (w *world) verdict(c *client.Client, message []byte) string {
	w.t.Helper()
	for report, err := range c.Verify(w.t.Context(), client.VerifyParams{Revocation: "soft"}, []string{w.write("altered", string(message))}) {
		if err == nil {
			return report.Verdict
		}
	}
	return "unreadable"
}

func inBase64(header string, der []byte) []byte {
	return []byte(header + base64.StdEncoding.EncodeToString(der) + "\r\n")
}

// TestAlteredSignature alters every octet of what a signature stands over and of the signature: no such message passes.
func TestAlteredSignature(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"p256", "rsa2048"} {
		t.Run(kind+" detached", func(t *testing.T) { alterDetached(newWorld(t), kind) })
		t.Run(kind+" opaque", func(t *testing.T) { alterOpaque(newWorld(t), kind, true) })
		t.Run(kind+" opaque, no attributes", func(t *testing.T) { alterOpaque(newWorld(t), kind, false) })
	}
}

func alterDetached(w *world, kind string) {
	t, c := w.t, w.trusted()
	in := w.write("mail", mailHeader+alteredEntity)
	if err := c.Sign(t.Context(), client.SignParams{Keys: w.issue("alice", kind)}, in, client.Output{Name: w.in("signed")}); err != nil {
		t.Fatal(err)
	}
	whole := []byte(w.read("signed"))
	m, err := smime.Open(t.Context(), bytes.NewReader(whole), smime.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	content, err := io.ReadAll(m.Layers[0].Signed.Content)
	if err != nil {
		t.Fatal(err)
	}
	w.neverPasses(c, whole, spanOf(t, "content", whole, content), func(altered []byte) []byte { return altered })

	_, p7s, _ := strings.Cut(string(whole), "S/MIME signature\r\n\r\n")
	p7s, _, _ = strings.Cut(p7s, "\r\n--")
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(p7s, "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	message := func(altered []byte) []byte { return bytes.Replace(whole, []byte(p7s), inBase64("", altered), 1) }
	w.neverPasses(c, der, attributes(t, der), message)
	w.neverPasses(c, der, signature(t, der), message)
}

func alterOpaque(w *world, kind string, withAttributes bool) {
	t, c := w.t, w.trusted()
	w.issue("alice", kind)
	pair := w.pair("alice")
	key := pair.Key.(crypto.Signer)
	der, err := cms.Sign(t.Context(), []byte(alteredEntity), cms.SignedDataOptions{
		Certificates: pair.Chain, Signers: []cms.Signer{{Certificate: pair.Chain[0], Key: key, SigningTime: now()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	message := func(altered []byte) []byte { return inBase64(opaqueHeader, altered) }
	if withAttributes {
		w.neverPasses(c, der, attributes(t, der), message)
	} else {
		der = withoutAttributes(t, der, key)
	}
	w.neverPasses(c, der, spanOf(t, "content", der, []byte(alteredEntity)), message)
	w.neverPasses(c, der, signature(t, der), message)
}

// neverPasses alters each octet of the span.
func (w *world) neverPasses(c *client.Client, whole []byte, s span, message func([]byte) []byte) {
	w.t.Helper()
	if v := w.verdict(c, message(whole)); v != "passed" {
		w.t.Fatalf("unaltered: %s", v)
	}
	eachAlteration(whole, s, func(at int, altered []byte) {
		if v := w.verdict(c, message(altered)); v == "passed" {
			w.t.Errorf("octet %d of the %s is altered, and it passed", at, s.name)
		}
	})
}

func signerOf(t *testing.T, der []byte) (data signedData, signer signerInfo) {
	t.Helper()
	var info contentInfo
	decode(t, der, &info)
	decode(t, info.Content.Bytes, &data)
	if len(data.Signers) != 1 {
		t.Fatalf("%d signers", len(data.Signers))
	}
	return data, data.Signers[0]
}

// attributes is where the signed attributes are, with their tag and length.
func attributes(t *testing.T, der []byte) span {
	t.Helper()
	_, signer := signerOf(t, der)
	return spanOf(t, "signed attributes", der, signer.Attributes.FullBytes)
}

func signature(t *testing.T, der []byte) span {
	t.Helper()
	_, signer := signerOf(t, der)
	return spanOf(t, "signature", der, signer.Signature)
}

// withoutAttributes signs the content of a SignedData once more, immediately.
func withoutAttributes(t *testing.T, der []byte, key crypto.Signer) []byte {
	t.Helper()
	var info contentInfo
	decode(t, der, &info)
	data, _ := signerOf(t, der)
	h := crypto.SHA256.New()
	h.Write([]byte(alteredEntity))
	value, err := key.Sign(nil, h.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	data.Signers[0].Attributes, data.Signers[0].Signature = asn1.RawValue{}, value
	info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: encode(t, data)}
	return encode(t, info)
}

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
		return c.Decrypt(t.Context(), key, w.write("altered", string(inBase64(sealedHeader, der))), client.Output{Name: w.in("clear")})
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
