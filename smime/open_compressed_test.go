package smime_test

import (
	"bytes"
	"compress/zlib"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/spool"
	"github.com/sealmail/sealmail/smime/verdict"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// zlibStream compresses.
func zlibStream(t testing.TB, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// compressedData builds a CompressedData (RFC 3274).
func compressedData(t testing.TB, eContentType asn1.ObjectIdentifier, stream []byte) []byte {
	t.Helper()
	explicit := cbasn1.Tag(0).ContextSpecific().Constructed()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(cms.OIDCompressedData)
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8})
				})
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(eContentType)
					b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString(stream) })
				})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func compress(t testing.TB, entity string) string {
	t.Helper()
	return p7m(compressedData(t, cms.OIDData, zlibStream(t, entity)), "compressed-data")
}

// judged is the verdict where everything but the structure is in order.
func judged(m *smime.Message) verdict.Verdict {
	good := verdict.Evidence{
		Chain:   verdict.ChainEvidence{Certificates: []string{"x"}, Anchor: "x"},
		Address: verdict.AddressEvidence{From: []string{"alice@example.org"}, FromMatches: true},
	}
	var evidence [][]verdict.Evidence
	for range len(m.Layers) + len(m.Enclosed) {
		evidence = append(evidence, []verdict.Evidence{good})
	}
	return verdict.Judge(verdict.SubjectOf(m), evidence, verdict.Policy{Now: testTime, Revocation: verdict.RevocationOff})
}

// TestCompressed opens compression in every place among the layers (RFC 8551 section 3.7). A signature speaks for the
// message whether it is inside or outside.
func TestCompressed(t *testing.T) {
	o := smime.SignOptions{SigningTime: testTime}
	opaque := smime.SignOptions{Form: smime.Opaque, SigningTime: testTime}
	const detachedLayer, opaqueLayer = "detached sha256/ecdsa-p256:<nil>;", "opaque sha256/ecdsa-p256:<nil>;"
	const gcm, cbc = "auth-enveloped-data aes-128-gcm decrypted;", "enveloped-data aes-256-cbc decrypted;"
	seal := func(e string) string { return encrypt(t, e, cms.AES128GCM, bob()) }
	for name, tt := range map[string]struct {
		in, layers string
		want       verdict.Status
		warning    string
	}{
		"compressed": {compress(t, plainEntity), "compressed;", verdict.Unsigned, ""},
		"signed, compressed": {
			compress(t, sign(t, plainEntity, alice(), o)), "compressed;" + detachedLayer, verdict.Passed, "",
		},
		"signed opaque, compressed": {
			compress(t, sign(t, plainEntity, alice(), opaque)), "compressed;" + opaqueLayer, verdict.Passed, "",
		},
		"compressed, signed": {
			sign(t, compress(t, plainEntity), alice(), o), detachedLayer + "compressed;", verdict.Passed, "",
		},
		"compressed, signed opaque": {
			sign(t, compress(t, plainEntity), alice(), opaque), opaqueLayer + "compressed;", verdict.Passed, "",
		},
		"signed, compressed, sealed": {
			seal(compress(t, sign(t, plainEntity, alice(), o))), gcm + "compressed;" + detachedLayer, verdict.Passed, "",
		},
		"compressed, signed, sealed": {
			seal(sign(t, compress(t, plainEntity), alice(), opaque)), gcm + opaqueLayer + "compressed;", verdict.Passed, "",
		},
		"compressed, signed, sealed with CBC": {
			encrypt(t, sign(t, compress(t, plainEntity), alice(), o), cms.AES256CBC, bob()), cbc + detachedLayer + "compressed;", verdict.Passed, "",
		},
		"signed, sealed, compressed": {
			compress(t, seal(sign(t, plainEntity, alice(), o))), "compressed;" + gcm + detachedLayer, verdict.Passed, "",
		},
		"sealed, compressed, signed": {
			sign(t, compress(t, seal(plainEntity)), alice(), o), detachedLayer + "compressed;" + gcm, verdict.Indeterminate, "signed-outside",
		},
		"signed, compressed, signed": {
			sign(t, compress(t, sign(t, plainEntity, alice(), opaque)), alice(), o), detachedLayer + "compressed;" + opaqueLayer, verdict.Passed, "",
		},
		"altered, then compressed": {
			compress(t, strings.Replace(sign(t, plainEntity, alice(), o), "\r\n\r\nHel", "\r\n\r\nhel", 1)),
			"compressed;detached sha256/ecdsa-p256:message digest does not match the content;", verdict.Failed, "",
		},
		"compressed, signed, other content in": {
			strings.Replace(sign(t, compress(t, plainEntity), alice(), o), compress(t, plainEntity), compress(t, strings.ToUpper(plainEntity)), 1),
			"detached sha256/ecdsa-p256:message digest does not match the content;compressed;", verdict.Failed, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := open(t, []byte(outerHeader+tt.in), smime.OpenOptions{Decrypters: bob().decrypters()})
			if got := describe(m); got != tt.layers {
				t.Errorf("layers %s", got)
			}
			for _, l := range m.Layers {
				if l.Covers != smime.CoversWhole {
					t.Errorf("covers %s", l.Covers)
				}
			}
			if got := content(t, m); tt.want != verdict.Failed && got != plainEntity {
				t.Errorf("content %q", got)
			}
			v := judged(m)
			if v.Status != tt.want || tt.warning == "" && len(v.Warnings) > 0 || tt.warning != "" && v.Warnings[0].Code != tt.warning {
				t.Errorf("verdict %s, %v", v.Status, v.Warnings)
			}
			if signed := strings.Contains(tt.layers, "sha256"); m.Parts[0].Signed != signed || m.Parts[0].Encrypted != strings.Contains(tt.layers, "aes") {
				t.Errorf("part %+v", m.Parts[0])
			}
		})
	}
}

// TestCompressedProtectsNothing: what is merely compressed protects no header field, whatever it says.
func TestCompressedProtectsNothing(t *testing.T) {
	m := open(t, []byte(outerHeader+compress(t, "Content-Type: text/plain; hp=\"clear\"\r\nSubject: inside\r\n\r\nx\r\n")), smime.OpenOptions{})
	if m.Protection.Scheme != smime.HPNone || m.Field("Subject") == "inside" || m.Encryption() != smime.StatusNone {
		t.Errorf("%+v", m.Protection)
	}
}

// TestCompressedForms recognizes compression by other signs than its type.
func TestCompressedForms(t *testing.T) {
	der := compressedData(t, cms.OIDData, zlibStream(t, plainEntity))
	encoded := base64.StdEncoding.EncodeToString(der)
	for name, in := range map[string]string{
		"smime-type missing": "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded,
		"smime-type wrong":   p7m(der, "enveloped-data"),
		"p7z":                "Content-Type: application/octet-stream; name=smime.p7z\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded,
		"DER":                string(der),
		"base64":             encoded,
	} {
		if m := open(t, []byte(in), smime.OpenOptions{}); describe(m) != "compressed;" || content(t, m) != plainEntity {
			t.Errorf("%s: %s", name, describe(m))
		}
	}
}

// TestCompressedRefuses leaves shut what cannot or must not be decompressed, and lets no signature around it pass.
func TestCompressedRefuses(t *testing.T) {
	stream := zlibStream(t, plainEntity)
	damaged := bytes.Clone(stream)
	damaged[len(damaged)-1]++
	der := compressedData(t, cms.OIDData, stream)
	unknown := bytes.Clone(der)
	at := bytes.Index(unknown, []byte{0x09, 0x10, 0x03, 0x08})
	unknown[at+3] = 9
	zeros := strings.Repeat("\x00", 64<<20)
	for name, tt := range map[string]struct {
		in   string
		want error // nil: an UnsupportedError
	}{
		"damaged":               {p7m(compressedData(t, cms.OIDData, damaged), "compressed-data"), cms.ErrMalformed},
		"cut short":             {p7m(der[:len(der)-5], "compressed-data"), cms.ErrMalformed},
		"cut very short":        {p7m(der[:1], "compressed-data"), cms.ErrMalformed},
		"bomb":                  {p7m(compressedData(t, cms.OIDData, zlibStream(t, zeros)), "compressed-data"), cms.ErrTooLarge},
		"bomb in a bomb":        {compress(t, p7m(compressedData(t, cms.OIDData, zlibStream(t, zeros)), "compressed-data")), nil},
		"compressed twice":      {compress(t, compress(t, plainEntity)), nil},
		"something signed in":   {p7m(compressedData(t, cms.OIDSignedData, stream), "compressed-data"), nil},
		"algorithm not known":   {p7m(unknown, "compressed-data"), nil},
		"damaged beyond saying": {p7m([]byte{0x30, 0x80, 0xff}, "compressed-data"), cms.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []string{tt.in, sign(t, tt.in, alice(), smime.SignOptions{SigningTime: testTime})} {
				m := open(t, []byte(outerHeader+in), smime.OpenOptions{Spool: spool.Options{Limit: 32 << 20}})
				last := m.Layers[len(m.Layers)-1].Compressed
				if last == nil || m.Content != nil || last.Content != nil || len(m.Parts) > 0 {
					t.Fatalf("%s: %+v", describe(m), m.Parts)
				}
				var unsupported *cms.UnsupportedError
				if tt.want != nil && !errors.Is(last.Err, tt.want) || tt.want == nil && !errors.As(last.Err, &unsupported) {
					t.Errorf("error %v", last.Err)
				}
				want := verdict.Unsigned
				if in != tt.in {
					want = verdict.Indeterminate
				}
				if v := judged(m); v.Status != want || v.Warnings[0].Code != "not-decompressed" {
					t.Errorf("%s: verdict %s, %v", describe(m), v.Status, v.Warnings)
				}
			}
		})
	}
}

// TestCompressedSpool: a spool that is full is the caller's limit, and an error of Open.
func TestCompressedSpool(t *testing.T) {
	in := []byte(outerHeader + compress(t, plainEntity))
	if _, err := smime.Open(t.Context(), bytes.NewReader(in), smime.OpenOptions{Spool: spool.Options{Limit: 10}}); !errors.Is(err, spool.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// TestLimitOnAllLayers opens layers in layers, each of which is within the limit that all of them have together.
func TestLimitOnAllLayers(t *testing.T) {
	large := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("a line of text\r\n", 1<<14)
	sealed := encrypt(t, encrypt(t, large, cms.AES128GCM, bob()), cms.AES256CBC, bob())
	once := int64(len(large))
	for limit, fits := range map[int64]bool{0: true, 3 * once: true, 2 * once: false, once + once/2: false} {
		m, err := smime.Open(t.Context(), strings.NewReader(outerHeader+sealed), smime.OpenOptions{
			Decrypters: bob().decrypters(), Spool: spool.Options{Limit: limit, Memory: -1, Dir: t.TempDir()},
		})
		switch {
		case fits && err == nil:
			err = m.Close()
			if err != nil {
				t.Error(err)
			}
		case fits, !errors.Is(err, spool.ErrTooLarge):
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}
