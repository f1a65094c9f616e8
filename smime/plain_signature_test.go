package smime_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ed25519WithoutAttributes signs content by Ed25519 without signed attributes, as cms never writes it: the signature
// stands over the content itself (RFC 8419 section 3.1).
func ed25519WithoutAttributes(t *testing.T, content string, detached bool) []byte {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	id := issue(8, "alice", key)
	value, err := key.Sign(nil, []byte(content), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	explicit := cbasn1.Tag(0).Constructed().ContextSpecific()
	algorithm := func(b *cryptobyte.Builder, oid ...int) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	}
	sha512 := []int{2, 16, 840, 1, 101, 3, 4, 2, 3}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(cms.OIDSignedData)
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { algorithm(b, sha512...) })
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(cms.OIDData)
					if !detached {
						b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte(content)) })
					}
				})
				b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddBytes(id.cert.Raw) })
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(id.cert.RawIssuer)
							b.AddASN1BigInt(id.cert.SerialNumber)
						})
						algorithm(b, sha512...)
						algorithm(b, 1, 3, 101, 112)
						b.AddASN1OctetString(value)
					})
				})
			})
		})
	})
	return b.BytesOrPanic()
}

// TestEd25519WithoutAttributes opens such messages in both forms, with the line ends that were signed and with others.
func TestEd25519WithoutAttributes(t *testing.T) {
	opaque, detached := ed25519WithoutAttributes(t, plainEntity, false), ed25519WithoutAttributes(t, plainEntity, true)
	multipart := outerHeader + multipartSigned(plainEntity, p7s(detached))
	altered := strings.Replace(plainEntity, "e", "E", 1)
	for name, tt := range map[string]struct {
		in   string
		want error
	}{
		"opaque":                {outerHeader + p7m(opaque, "signed-data"), nil},
		"opaque, altered":       {outerHeader + p7m(bytes.Replace(opaque, []byte(plainEntity), []byte(altered), 1), "signed-data"), cms.ErrSignature},
		"detached":              {multipart, nil},
		"detached, altered":     {outerHeader + multipartSigned(altered, p7s(detached)), cms.ErrSignature},
		"detached, bare LF":     {strings.ReplaceAll(multipart, "\r\n", "\n"), nil},
		"detached, LF, altered": {strings.ReplaceAll(outerHeader+multipartSigned(altered, p7s(detached)), "\r\n", "\n"), cms.ErrSignature},
	} {
		m := open(t, []byte(tt.in), smime.OpenOptions{})
		if len(m.Layers) != 1 || m.Layers[0].Signed == nil || len(m.Layers[0].Signed.Signatures) != 1 {
			t.Errorf("%s: %s", name, describe(m))
			continue
		}
		if s := m.Layers[0].Signed.Signatures[0]; !errors.Is(s.Err, tt.want) || s.Algorithm != "ed25519" {
			t.Errorf("%s: %s: %v", name, s.Algorithm, s.Err)
		}
	}
}
