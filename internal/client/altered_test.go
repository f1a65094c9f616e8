package client_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

const (
	alteredEntity = "Content-Type: text/plain\r\n\r\nThe turbine costs as much as last year.\r\n"
	opaqueHeader  = mailHeader + "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)

// span is a range of octets with a name.
type span struct {
	name       string
	start, end int
}

// spanOf finds part, which must be there once.
func spanOf(t testing.TB, name string, whole, part []byte) span {
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

func decode(t testing.TB, der []byte, v any) {
	t.Helper()
	if rest, err := asn1.Unmarshal(der, v); err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d octets behind", err, len(rest))
	}
}

func encode(t testing.TB, v any) []byte {
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

// signer is who signs with the key in a file of issue.
func (w *world) signer(name string) cms.Signer {
	w.t.Helper()
	pair := w.pair(name)
	scheme, digest, err := cms.DefaultSignature(pair.Chain[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return cms.Signer{Certificate: pair.Chain[0], Key: pair.Key.(crypto.Signer), Scheme: scheme, Digest: digest, SigningTime: now()}
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
	der, err := cms.Sign(t.Context(), []byte(alteredEntity), cms.SignedDataOptions{Certificates: pair.Chain, Signers: []cms.Signer{w.signer("alice")}})
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

func signerOf(t testing.TB, der []byte) (data signedData, signer signerInfo) {
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
func attributes(t testing.TB, der []byte) span {
	t.Helper()
	_, signer := signerOf(t, der)
	return spanOf(t, "signed attributes", der, signer.Attributes.FullBytes)
}

func signature(t testing.TB, der []byte) span {
	t.Helper()
	_, signer := signerOf(t, der)
	return spanOf(t, "signature", der, signer.Signature)
}

// withoutAttributes signs the content of a SignedData once more, immediately.
func withoutAttributes(t testing.TB, der []byte, key crypto.Signer) []byte {
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
