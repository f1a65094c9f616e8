package smime_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// p7m wraps a CMS message in an entity.
func p7m(der []byte, smimeType string) string {
	return "Content-Type: application/pkcs7-mime; smime-type=" + smimeType + "; name=smime.p7m\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(der) + "\r\n"
}

// multipartSigned puts parts together as multipart/signed.
func multipartSigned(parts ...string) string {
	return "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=s\r\n\r\n" +
		"--s\r\n" + strings.Join(parts, "\r\n--s\r\n") + "\r\n--s--\r\n"
}

func multipartMixed(parts ...string) string {
	return "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + strings.Join(parts, "\r\n--m\r\n") + "\r\n--m--\r\n"
}

func p7s(der []byte) string {
	return "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(der)
}

// signedData signs content and returns DER.
func signedData(t testing.TB, content string, o cms.SignedDataOptions, signers ...identity) []byte {
	t.Helper()
	for _, id := range signers {
		o.Signers = append(o.Signers, cmsSigner(t, id))
		o.Certificates = append(o.Certificates, id.cert)
	}
	der, err := cms.Sign(t.Context(), []byte(content), o)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// cmsSigner is a signer with the algorithms that suit the key.
func cmsSigner(t testing.TB, id identity) cms.Signer {
	t.Helper()
	scheme, digest, err := cms.DefaultSignature(id.cert)
	if err != nil {
		t.Fatal(err)
	}
	return cms.Signer{Certificate: id.cert, Key: id.key, Scheme: scheme, Digest: digest}
}

// withoutSigners is a SignedData that nobody signed; its content is absent if nil.
func withoutSigners(t testing.TB, content []byte, certificates ...[]byte) []byte {
	t.Helper()
	var b cryptobyte.Builder
	context0 := cbasn1.Tag(0).Constructed().ContextSpecific()
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(cms.OIDSignedData)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(cms.OIDData)
					if content != nil {
						b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					}
				})
				b.AddASN1(context0, func(b *cryptobyte.Builder) {
					for _, c := range certificates {
						b.AddBytes(c)
					}
				})
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

const text = "Content-Type: text/plain\r\n\r\nI am the text\r\n"

// TestForgedSignatures is about signed messages that are not what they seem.
func TestForgedSignatures(t *testing.T) {
	detached := cms.SignedDataOptions{Detached: true}
	good := signedData(t, text, detached, alice())
	other := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	var none error
	tests := map[string]struct {
		in      string
		err     error // of every signature, or of the layer where there is none
		signers int
		content string
	}{
		"good":               {multipartSigned(text, p7s(good)), none, 1, text},
		"other content":      {multipartSigned(text+"!", p7s(good)), cms.ErrMessageDigest, 1, text + "!"},
		"white space added":  {multipartSigned(text+"\r\n", p7s(good)), cms.ErrMessageDigest, 1, text + "\r\n"},
		"content inside too": {multipartSigned(text, p7s(signedData(t, text, cms.SignedDataOptions{}, alice()))), smime.ErrTwoContents, 1, text},
		"other content inside": {multipartSigned("Content-Type: text/plain\r\n\r\nforged", p7s(signedData(t, text, cms.SignedDataOptions{}, alice()))),
			smime.ErrTwoContents, 1, "Content-Type: text/plain\r\n\r\nforged"},
		"three parts":           {multipartSigned(text, p7s(good), text), smime.ErrStructure, 0, ""},
		"three parts, in front": {multipartSigned(text, text, p7s(good)), smime.ErrStructure, 0, ""},
		"one part":              {multipartSigned(text), smime.ErrStructure, 0, ""},
		"no part":               {multipartSigned(), smime.ErrStructure, 0, ""},
		"parts exchanged":       {multipartSigned(p7s(good), text), smime.ErrStructure, 0, ""},
		"signature is garbage":  {multipartSigned(text, p7s([]byte("garbage"))), cms.ErrMalformed, 0, text},
		"signature is cut":      {multipartSigned(text, p7s(good[:len(good)-10])), cms.ErrMalformed, 0, text},
		"signature and more":    {multipartSigned(text, p7s(append(bytes.Clone(good), "more"...))), cms.ErrTrailing, 0, text},
		"no signer":             {multipartSigned(text, p7s(withoutSigners(t, nil, alice().cert.Raw))), none, 0, text},
		"no signer, opaque":     {p7m(withoutSigners(t, []byte(text)), "signed-data"), none, 0, text},
		"two signers":           {p7m(signedData(t, text, cms.SignedDataOptions{}, alice(), mallory()), "signed-data"), none, 2, text},
		"not a message":         {p7m(signedData(t, text, cms.SignedDataOptions{ContentType: other}, alice()), "signed-data"), cms.ErrContentType, 1, text},
		"detached stands alone": {p7m(good, "signed-data"), smime.ErrNoContent, 1, ""},
		"opaque, cut":           {p7m(signedData(t, text, cms.SignedDataOptions{}, alice())[:200], "signed-data"), cms.ErrMalformed, 0, text},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := open(t, []byte(outerHeader+test.in), smime.OpenOptions{})
			if len(m.Layers) != 1 || m.Layers[0].Signed == nil {
				t.Fatalf("layers: %s", describe(m))
			}
			l := m.Layers[0].Signed
			if len(l.Signatures) != test.signers {
				t.Errorf("%d signatures: %s", len(l.Signatures), describe(m))
			}
			for _, s := range l.Signatures {
				if !errors.Is(s.Err, test.err) || (s.Err == nil) != (test.err == nil) {
					t.Errorf("signature: %v", s.Err)
				}
			}
			if test.signers == 0 && (!errors.Is(l.Err, test.err) || (l.Err == nil) != (test.err == nil)) {
				t.Errorf("layer: %v", l.Err)
			}
			want := test.content
			if errors.Is(test.err, smime.ErrStructure) {
				want = outerHeader + test.in // shown as it is
			}
			if got := content(t, m); got != want {
				t.Errorf("content %q", got)
			}
		})
	}
}

func TestCertsOnlyIsNoLayer(t *testing.T) {
	m := open(t, []byte(outerHeader+p7m(withoutSigners(t, nil, alice().cert.Raw), "certs-only")), smime.OpenOptions{})
	if len(m.Layers) != 0 || len(m.Parts) != 1 || m.Parts[0].Type != "application/pkcs7-mime" {
		t.Errorf("%s %+v", describe(m), m.Parts)
	}
}

func TestSignerWithoutCertificate(t *testing.T) {
	der, err := cms.Sign(t.Context(), []byte(text), cms.SignedDataOptions{Signers: []cms.Signer{cmsSigner(t, alice())}})
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, []byte(p7m(der, "signed-data")), smime.OpenOptions{})
	if s := m.Layers[0].Signed.Signatures[0]; !errors.Is(s.Err, smime.ErrNoCertificate) || s.Signer != nil {
		t.Errorf("%v", s.Err)
	}
	m = open(t, []byte(p7m(der, "signed-data")), smime.OpenOptions{Certificates: append(m.Layers[0].Signed.Signatures[0].Bag, bob().cert, alice().cert)})
	if s := m.Layers[0].Signed.Signatures[0]; s.Err != nil || !s.Signer.Equal(alice().cert) {
		t.Errorf("%v", s.Err)
	}
}

// TestManyCertificates: of a bag that is larger than any that is meant, a part is parsed.
func TestManyCertificates(t *testing.T) {
	large := *alice().cert
	large.URIs = []*url.URL{{Scheme: "urn", Opaque: strings.Repeat("x", 100<<10)}}
	var junk []*x509.Certificate
	for i := range 20 {
		large.SerialNumber = big.NewInt(int64(1000 + i))
		junk = append(junk, certificate(&large, alice().cert, alice().key, alice().key))
	}
	parsed := 0
	o := smime.OpenOptions{ParseCertificate: func(c cms.RawCertificate) (*x509.Certificate, error) {
		parsed += len(c)
		return c.Parse()
	}}
	for _, count := range []int{1, 20} {
		parsed = 0
		bag := cms.SignedDataOptions{Certificates: slices.Clone(junk[:count])}
		m := open(t, []byte(p7m(signedData(t, text, bag, alice()), "signed-data")), o)
		s := m.Layers[0].Signed.Signatures[0]
		if parsed > 512<<10 || len(s.Bag) != min(count+1, 6) || len(m.Layers[0].Signed.Certificates) != count+1 {
			t.Errorf("%d: %d octets, %d certificates were parsed", count, parsed, len(s.Bag))
		}
		if s.Err != nil || !s.Signer.Equal(alice().cert) {
			t.Errorf("%d: %v", count, s.Err)
		}
	}
}

// TestSignerBehindManyCertificates: what is not parsed of a bag does not keep the signer from being known.
func TestSignerBehindManyCertificates(t *testing.T) {
	template := *alice().cert
	template.URIs = []*url.URL{{Scheme: "urn", Opaque: strings.Repeat("x", 100<<10)}}
	var bag []*x509.Certificate // in the order of DER: they differ in the serial number, and perhaps in the length of the signature
	for i := range 10 {
		template.SerialNumber = big.NewInt(int64(1000 + i))
		bag = append(bag, certificate(&template, alice().cert, alice().key, alice().key))
	}
	slices.SortFunc(bag, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	last := identity{bag[9], alice().key}
	m := open(t, []byte(p7m(signedData(t, text, cms.SignedDataOptions{Certificates: bag[:9]}, last), "signed-data")), smime.OpenOptions{})
	s := m.Layers[0].Signed.Signatures[0]
	if len(s.Bag) != 5 || slices.ContainsFunc(s.Bag, last.cert.Equal) {
		t.Errorf("%d certificates were parsed, among them the last", len(s.Bag))
	}
	if s.Err != nil || !s.Signer.Equal(last.cert) {
		t.Error(s.Err)
	}
}

// TestEnclosed is about signed and encrypted parts inside a message: they are what they are, and nothing more.
func TestEnclosed(t *testing.T) {
	secret := "Content-Type: text/plain\r\n\r\nthe stolen secret\r\n"
	stolen := encrypt(t, secret, cms.AES256CBC, bob())
	signed := sign(t, text, alice(), smime.SignOptions{})
	opaque := sign(t, text, alice(), smime.SignOptions{Form: smime.Opaque})
	own := "Content-Type: text/plain\r\n\r\nmy own words\r\n"
	message := func(inside string) string { return "Content-Type: message/rfc822\r\n\r\n" + outerHeader + inside }
	tests := map[string]struct {
		in       string
		enclosed []smime.Covers
		text     string
	}{
		"signed in mixed":            {multipartMixed(own, signed), []smime.Covers{smime.CoversPart}, "my own words\n"},
		"opaque in mixed":            {multipartMixed(own, opaque), []smime.Covers{smime.CoversPart}, "my own words\n"},
		"signed in an alternative":   {strings.Replace(multipartMixed(signed, own), "mixed", "alternative", 1), []smime.Covers{smime.CoversPart}, "my own words\n"},
		"signed in a message":        {multipartMixed(own, message(signed)), []smime.Covers{smime.CoversEnclosed}, "my own words\n"},
		"a signed message, attached": {message(opaque), []smime.Covers{smime.CoversEnclosed}, ""},
		"encrypted in mixed":         {multipartMixed(own, stolen, own), nil, "my own words\n\nmy own words\n"},
		"encrypted in a message":     {multipartMixed(own, message(stolen)), nil, "my own words\n"},
		"encrypted in signed mixed":  {sign(t, multipartMixed(own, stolen), alice(), smime.SignOptions{}), nil, "my own words\n"},
		"signed twice in mixed":      {multipartMixed(signed, opaque), []smime.Covers{smime.CoversPart, smime.CoversPart}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := open(t, []byte(outerHeader+test.in), smime.OpenOptions{Decrypters: bob().decrypters()})
			if m.Encryption() != smime.StatusNone {
				t.Errorf("an enclosed part counts as encryption: %s", describe(m))
			}
			var covers []smime.Covers
			for _, e := range m.Enclosed {
				covers = append(covers, e.Covers)
				if len(e.Signed.Signatures) != 1 || e.Signed.Signatures[0].Err != nil || e.Signed.Signatures[0].Signer == nil {
					t.Errorf("signature: %+v", e.Signed)
				}
				if e.Part < 0 || !m.Parts[e.Part].Enclosed && m.Parts[e.Part].Type != "message/rfc822" {
					t.Errorf("part %d of %+v", e.Part, m.Parts)
				}
			}
			if fmt.Sprint(covers) != fmt.Sprint(test.enclosed) {
				t.Errorf("enclosed: %v", covers)
			}
			got, err := m.Text(0)
			if err != nil || got.Body != test.text {
				t.Errorf("text %q, %v", got.Body, err)
			}
			for i := range m.Parts {
				if text, _, _ := m.PartText(i, 0); strings.Contains(text, "stolen") {
					t.Error("an enclosed part was decrypted")
				}
			}
		})
	}
}

// TestAlteredCiphertext changes single octets of encrypted messages. What is authenticated is never released; what is not
// may be, and says so.
func TestAlteredCiphertext(t *testing.T) {
	for _, cipher := range []cms.Cipher{cms.AES128GCM, cms.AES256CBC} {
		for name, id := range map[string]identity{"p256": bob(), "rsa": bobRSA()} {
			head, body, _ := strings.Cut(encrypt(t, plainEntity, cipher, id), "\r\n\r\n")
			der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			step := 1
			if name == "rsa" {
				step = 7 // a millisecond each
			}
			for i := 0; i < len(der); i += step {
				altered := bytes.Clone(der)
				altered[i] ^= 1 << (i % 8)
				in := head + "\r\n\r\n" + base64.StdEncoding.EncodeToString(altered)
				m := tryOpen(t, []byte(in), smime.OpenOptions{Decrypters: id.decrypters()})
				if m == nil || len(m.Layers) == 0 || m.Encryption() != smime.StatusDecrypted {
					if m != nil && len(m.Layers) > 0 && m.Content != nil {
						t.Fatalf("%v %s, octet %d: content of a layer that is %s", cipher, name, i, m.Encryption())
					}
					continue
				}
				got := content(t, m)
				if cipher.Authenticated() && got != plainEntity {
					t.Fatalf("%v %s, octet %d: %q was released", cipher, name, i, got)
				}
				if !cipher.Authenticated() && m.Layers[0].Encrypted.Authenticated {
					t.Fatalf("octet %d: CBC claims to be authenticated", i)
				}
			}
		}
	}
}

// TestAlteredSigned changes every octet of signed messages, one at a time: where a signature still holds, the content is
// the one that was signed.
func TestAlteredSigned(t *testing.T) {
	for _, form := range []smime.Form{smime.Detached, smime.Opaque} {
		in := []byte(outerHeader + sign(t, plainEntity, alice(), smime.SignOptions{Form: form, SigningTime: testTime}))
		held := 0
		for i := range in {
			altered := bytes.Clone(in)
			altered[i] ^= 1 << (i % 8)
			held += checkSigned(t, altered)
			if i%3 == 0 {
				checkSigned(t, in[:i])
			}
		}
		if held == 0 || held > len(in)/3 {
			t.Errorf("%v: %d of %d alterations left the signature intact", form, held, len(in))
		}
	}
}

// checkSigned opens a message and checks that a signature that holds is Alice's, over what she signed. It returns how
// many hold.
func checkSigned(t testing.TB, in []byte) int {
	t.Helper()
	m, err := smime.Open(t.Context(), bytes.NewReader(in), smime.OpenOptions{})
	if err != nil {
		return 0
	}
	defer m.Close()
	held := 0
	for _, l := range m.Layers {
		if l.Signed == nil {
			continue
		}
		for _, s := range l.Signed.Signatures {
			if s.Err != nil {
				continue
			}
			held++
			if !s.Signer.Equal(alice().cert) || s.SigningTime.IsZero() || !s.SigningTime.Equal(testTime) {
				t.Fatalf("signed by %v at %v: %q", s.Signer.Subject, s.SigningTime, in)
			}
			if got := content(t, m); got != plainEntity {
				t.Fatalf("signed content became %q: %q", got, in)
			}
		}
	}
	return held
}

// TestContentBesideWhatIsNotDetached gives a content along with messages that sign something else: nobody must take one
// of them for a signature over that content.
func TestContentBesideWhatIsNotDetached(t *testing.T) {
	signed := sign(t, plainEntity, alice(), smime.SignOptions{})
	for name, in := range map[string]string{
		"opaque":               string(signedData(t, plainEntity, cms.SignedDataOptions{}, alice())),
		"opaque message":       outerHeader + sign(t, plainEntity, alice(), smime.SignOptions{Form: smime.Opaque}),
		"multipart/signed":     outerHeader + signed,
		"encrypted and signed": outerHeader + encrypt(t, signed, cms.AES256GCM, bob()),
	} {
		for _, beside := range []string{plainEntity, "something else"} {
			m := open(t, []byte(in), smime.OpenOptions{Decrypters: bob().decrypters(), Detached: strings.NewReader(beside)})
			layer := m.Layers[len(m.Layers)-1].Signed
			if !errors.Is(layer.Err, smime.ErrNotDetached) || !errors.Is(layer.Signatures[0].Err, smime.ErrNotDetached) || content(t, m) != plainEntity {
				t.Errorf("%s: %s", name, describe(m))
			}
		}
	}
	// A signature by itself may stand over a message that is signed once more.
	der := signedData(t, signed, cms.SignedDataOptions{Detached: true}, alice())
	m := open(t, der, smime.OpenOptions{Detached: strings.NewReader(signed)})
	if len(m.Layers) != 2 || m.Layers[0].Signed.Signatures[0].Err != nil || m.Layers[1].Signed.Signatures[0].Err != nil {
		t.Error(describe(m))
	}
}

// TestContentWithOtherLineEnds gives a content whose line ends are not those that were signed: that is said.
func TestContentWithOtherLineEnds(t *testing.T) {
	der := signedData(t, plainEntity, cms.SignedDataOptions{Detached: true}, alice())
	for beside, want := range map[string]bool{plainEntity: false, strings.ReplaceAll(plainEntity, "\r\n", "\n"): true} {
		m := open(t, der, smime.OpenOptions{Detached: strings.NewReader(beside)})
		said := slices.ContainsFunc(m.Notes, func(n entity.Note) bool { return n.Code == "line-ends" })
		if l := m.Layers[0].Signed; l.Signatures[0].Err != nil || l.Canonical != want || said != want || content(t, m) != plainEntity {
			t.Errorf("%q: canonical %v, said %v: %s", beside, l.Canonical, said, describe(m))
		}
	}
}
