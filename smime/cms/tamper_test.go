package cms_test

import (
	"bytes"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TestTamper changes every octet of what is signed, and of the signature itself.
func TestTamper(t *testing.T) {
	for name, id := range map[string]identity{"p256": testP256(), "ed25519": testEd25519(), "rsa": testRSA(), "pss": testPSS()} {
		t.Run(name, func(t *testing.T) {
			content := []byte("Pay 10.")
			message := sign(t, content, options(id))
			s, _, err := verifyAll(message, nil, cms.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			signature := s.SignerInfos[0].Signature
			regions := map[string][2]int{
				"content":    region(t, message, append([]byte{4, byte(len(content))}, content...)),
				"attributes": attributesRegion(t, message),
				"signature":  region(t, message, signature),
			}
			for part, r := range regions {
				for i := r[0]; i < r[1]; i++ {
					for bit := range 8 {
						if name != "p256" && bit != i%8 {
							continue // one bit of each octet
						}
						forged := bytes.Clone(message)
						forged[i] ^= 1 << bit
						if _, _, err := verifyAll(forged, nil, cms.VerifyOptions{AllowWeak: true}); err == nil {
							t.Errorf("%s: verifies with bit %d of octet %d flipped", part, bit, i-r[0])
						}
					}
				}
			}
		})
	}
}

func region(t *testing.T, message, part []byte) [2]int {
	t.Helper()
	if bytes.Count(message, part) != 1 {
		t.Fatalf("%x is in the message %d times", part, bytes.Count(message, part))
	}
	start := bytes.Index(message, part)
	return [2]int{start, start + len(part)}
}

// attributesRegion finds the signed attributes: the last element with the tag [0] that starts with a SEQUENCE of the
// content-type attribute.
func attributesRegion(t *testing.T, message []byte) [2]int {
	t.Helper()
	contentType := marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(cms.OIDAttributeContentType)
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(cms.OIDData) })
		})
	})
	at := bytes.Index(message, contentType)
	for start := at - 1; start > 0; start-- {
		in := cryptobyte.String(message[start:])
		var set cryptobyte.String
		if in.ReadASN1Element(&set, cbasn1.Tag(0).Constructed().ContextSpecific()) && len(set) > len(contentType) {
			return [2]int{start, start + len(set)}
		}
	}
	t.Fatal("no signed attributes")
	return [2]int{}
}

// TestTamperNoAttributes does the same where the signature stands over the content itself.
func TestTamperNoAttributes(t *testing.T) {
	d := newDraft(testP256())
	d.attributes = nil
	message := d.marshal(t)
	r := region(t, message, d.content)
	for i := r[0]; i < r[1]; i++ {
		forged := bytes.Clone(message)
		forged[i] ^= 0x20
		_, _, err := verifyAll(forged, nil, cms.VerifyOptions{})
		checkOnly(t, err, cms.ErrSignature)
	}
}

// TestTamperAnywhere changes every octet of a message: most of the rest is not signed, but none of it changes what is.
func TestTamperAnywhere(t *testing.T) {
	content := []byte("Pay 10.")
	for _, message := range [][]byte{
		sign(t, content, options(testEd25519())), stream(t, content, options(testEd25519())), newDraft(testP256()).marshal(t),
	} {
		_, content, err := verifyAll(message, nil, cms.VerifyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range message {
			for _, change := range []byte{1, 0x20} {
				forged := bytes.Clone(message)
				forged[i] ^= change
				if _, got, err := verifyAll(forged, nil, cms.VerifyOptions{AllowWeak: true}); err == nil && !bytes.Equal(got, content) {
					t.Errorf("octet %d changed by %#02x: %q verifies", i, change, got)
				}
			}
		}
	}
}
