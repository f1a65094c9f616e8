package smime_test

import (
	"bytes"
	"crypto/ecdsa"
	"io"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// FuzzOpen opens anything. It must not panic, everything that comes out must be readable, and a signature that holds is
// Alice's, over what she signed: the fuzzer has no key.
func FuzzOpen(f *testing.F) {
	o := smime.SignOptions{SigningTime: testTime}
	detached := sign(f, plainEntity, alice(), o)
	opaque := sign(f, plainEntity, alice(), smime.SignOptions{Form: smime.Opaque, SigningTime: testTime})
	for _, seed := range []string{
		outerHeader + detached,
		outerHeader + opaque,
		strings.ReplaceAll(outerHeader+detached, "\r", ""),
		outerHeader + encrypt(f, plainEntity, cms.AES256CBC, bob()),
		outerHeader + encrypt(f, detached, cms.AES128GCM, bob()),
		outerHeader + sign(f, encrypt(f, opaque, cms.AES128GCM, bob()), alice(), o),
		outerHeader + compress(f, detached),
		outerHeader + compress(f, encrypt(f, opaque, cms.AES256CBC, bob())),
		outerHeader + sign(f, compress(f, plainEntity), alice(), o),
		outerHeader + compress(f, compress(f, plainEntity)),
		outerHeader + multipartMixed(plainEntity, detached, "Content-Type: message/rfc822\r\n\r\n"+outerHeader+opaque),
		outerHeader + multipartSigned(plainEntity, p7s(signedData(f, plainEntity, cms.SignedDataOptions{}, alice()))),
		outerHeader + p7m(withoutSigners(f, []byte(plainEntity)), "signed-data"),
		string(signedData(f, plainEntity, cms.SignedDataOptions{}, alice())),
		"Content-Type: text/html; hp=\"clear\"\r\nFrom: a@b\r\n\r\n<a href=http://x>y</a><script>",
	} {
		f.Add([]byte(seed))
	}
	options := smime.OpenOptions{
		Decrypters: bob().decrypters(), AllowWeak: true, Detached: strings.NewReader(plainEntity),
		Limits: smime.Limits{Entity: entity.Limits{HeaderBytes: 64 << 10, Parts: 64}},
		Spool:  spool.Options{Limit: 16 << 20},
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m := useEverything(t, in, options)
		if m == nil {
			return
		}
		layers := m.Layers
		for _, e := range m.Enclosed {
			layers = append(layers, e.Layer)
		}
		for _, l := range layers {
			if l.Encrypted != nil && (l.Encrypted.Status == smime.StatusDecrypted) != (l.Encrypted.Err == nil) {
				t.Fatalf("%+v", l.Encrypted)
			}
			if l.Compressed != nil && (l.Compressed.Content != nil) != (l.Compressed.Err == nil) {
				t.Fatalf("%+v", l.Compressed)
			}
			if l.Signed == nil {
				continue
			}
			for _, s := range l.Signed.Signatures {
				if s.Err == nil {
					checkAlices(t, s, l.Signed)
				}
			}
		}
	})
}

// checkAlices checks that a signature that holds stands over something that Alice signed.
func checkAlices(t *testing.T, s smime.Signature, l *smime.Signed) {
	t.Helper()
	// Her certificate is another in each process, her key is not.
	if !alice().key.Public().(*ecdsa.PublicKey).Equal(s.Signer.PublicKey) {
		t.Fatalf("signed by %v", s.Signer.Subject)
	}
	got, err := io.ReadAll(io.NewSectionReader(l.Content, 0, l.Content.Size()))
	if err != nil {
		t.Fatal(err)
	}
	// She also signs what is encrypted to Bob, which differs from run to run.
	if string(got) != plainEntity && string(got) != compress(t, plainEntity) && !bytes.Contains(got, []byte("smime-type=authEnveloped-data")) {
		t.Fatalf("signed content became %q", got)
	}
}
