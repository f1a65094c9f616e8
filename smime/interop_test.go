package smime_test

import (
	"bytes"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// TestOpenSSLAcceptsOurs has openssl verify and decrypt what Sign and Encrypt made.
func TestOpenSSLAcceptsOurs(t *testing.T) {
	peertest.Command(t, "openssl")
	for name, id := range map[string]identity{"p256": alice(), "p384": alice384(), "rsa": aliceRSA()} {
		for _, form := range []smime.Form{smime.Detached, smime.Opaque} {
			t.Run("sign "+name+" "+form.String(), func(t *testing.T) {
				dir := id.writeFiles(t)
				in := filepath.Join(dir, "in.eml")
				writeFile(t, in, []byte(outerHeader+sign(t, plainEntity, id, smime.SignOptions{Form: form, SigningTime: testTime, Capabilities: cms.OwnCapabilities()})))
				got := peertest.Run(t, "openssl", "cms", "-verify", "-in", in, "-CAfile", filepath.Join(dir, "ca.pem"),
					"-purpose", "smimesign", "-no_check_time")
				if string(got) != plainEntity {
					t.Errorf("%q", got)
				}
			})
		}
	}
	for name, id := range map[string]identity{"p256": bob(), "rsa": bobRSA()} {
		for _, cipher := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
			t.Run("encrypt "+name+" "+cipher.String(), func(t *testing.T) {
				dir := id.writeFiles(t)
				in := filepath.Join(dir, "in.eml")
				writeFile(t, in, []byte(outerHeader+encrypt(t, plainEntity, cipher, alice(), id, aliceRSA())))
				got := peertest.Run(t, "openssl", "cms", "-decrypt", "-in", in, "-recip", filepath.Join(dir, "cert.pem"), "-inkey", filepath.Join(dir, "key.pem"))
				if string(got) != plainEntity {
					t.Errorf("%q", got)
				}
			})
		}
	}
}

// TestOpenReadsOpenSSLSigned opens what openssl signed, in its forms and line ends.
func TestOpenReadsOpenSSLSigned(t *testing.T) {
	peertest.Command(t, "openssl")
	for name, id := range map[string]identity{"p256": alice(), "p384": alice384(), "rsa": aliceRSA()} {
		dir := id.writeFiles(t)
		for file, body := range map[string]string{
			"entity": plainEntity,                                // has a header
			"text":   "just text\r\n\r\nwithout a header\r\n",    // has none
			"lf":     strings.ReplaceAll(plainEntity, "\r", ""),  // converted by openssl
			"nofin":  "Content-Type: text/plain\r\n\r\nno end",   // last line without an end
			"blank":  "Content-Type: text/plain\r\n\r\n\r\n\r\n", // nothing but line ends
		} {
			in := filepath.Join(dir, file)
			writeFile(t, in, []byte(body))
			variants := [][]string{{}, {"-nodetach", "-stream"}}
			if name == "p256" && file == "entity" {
				variants = append(variants, [][]string{
					{"-stream"}, {"-nodetach"}, {"-crlfeol"}, {"-binary", "-nodetach"}, {"-noattr"}, {"-keyid"},
					{"-outform", "DER", "-nodetach"}, {"-outform", "PEM", "-nodetach"},
				}...)
			}
			if name == "p384" && file != "entity" {
				continue
			}
			for _, flags := range variants {
				t.Run(name+" "+file+strings.Join(flags, ""), func(t *testing.T) {
					args := append([]string{"cms", "-sign", "-md", "sha256", "-in", in, "-signer", filepath.Join(dir, "cert.pem"), "-inkey", filepath.Join(dir, "key.pem")}, flags...)
					out := peertest.Run(t, "openssl", args...)
					m := open(t, out, smime.OpenOptions{})
					if len(m.Layers) != 1 || len(m.Layers[0].Signed.Signatures) != 1 {
						t.Fatalf("%s\n%s", describe(m), out)
					}
					if s := m.Layers[0].Signed.Signatures[0]; s.Err != nil || !s.Signer.Equal(id.cert) {
						t.Errorf("%v", s.Err)
					}
					want := strings.ReplaceAll(strings.ReplaceAll(body, "\r", ""), "\n", "\r\n")
					if len(flags) > 0 && flags[0] == "-binary" {
						want = body
					}
					if got := content(t, m); got != want {
						t.Errorf("%q instead of %q", got, want)
					}
				})
			}
		}
	}
}

// TestOpenReadsOpenSSLSignatureFile verifies a .p7s beside its content.
func TestOpenReadsOpenSSLSignatureFile(t *testing.T) {
	peertest.Command(t, "openssl")
	id := alice()
	dir := id.writeFiles(t)
	in := filepath.Join(dir, "content")
	writeFile(t, in, []byte(plainEntity))
	der := peertest.Run(t, "openssl", "cms", "-sign", "-outform", "DER", "-in", in, "-signer", filepath.Join(dir, "cert.pem"), "-inkey", filepath.Join(dir, "key.pem"))
	for name, p7s := range map[string][]byte{
		"DER":    der,
		"PEM":    pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}),
		"base64": bytes.ReplaceAll(bytes.ReplaceAll(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}), []byte("-----BEGIN CMS-----\n"), nil), []byte("-----END CMS-----\n"), nil),
	} {
		m := open(t, p7s, smime.OpenOptions{Detached: strings.NewReader(plainEntity)})
		if got := content(t, m); got != plainEntity || describe(m) != "detached sha256/ecdsa-p256:<nil>;" {
			t.Errorf("%s: %s %q", name, describe(m), got)
		}
		if len(m.Header) > 0 || len(m.Notes) > 0 {
			t.Errorf("%s: header %v, notes %v", name, m.Header, m.Notes)
		}
		m = open(t, p7s, smime.OpenOptions{Detached: strings.NewReader(plainEntity + "x")})
		if describe(m) == "detached sha256/ecdsa-p256:<nil>;" {
			t.Errorf("%s: other content", name)
		}
		m = open(t, p7s, smime.OpenOptions{})
		if m.Content != nil || !strings.Contains(describe(m), smime.ErrNoContent.Error()) {
			t.Errorf("%s: without content: %s", name, describe(m))
		}
	}
}

// TestOpenReadsOpenSSLEncrypted opens what openssl encrypted.
func TestOpenReadsOpenSSLEncrypted(t *testing.T) {
	peertest.Command(t, "openssl")
	for name, id := range map[string]identity{"p256": bob(), "rsa": bobRSA()} {
		dir := id.writeFiles(t)
		other := aliceRSA().writeFiles(t)
		for file, body := range map[string]string{"entity": plainEntity, "text": "just text\r\n"} {
			in := filepath.Join(dir, file)
			writeFile(t, in, []byte(body))
			variants := [][]string{{"-aes-256-cbc"}, {"-aes-128-gcm", "-stream"}}
			if file == "entity" {
				variants = append(variants, [][]string{
					{"-aes128", "-stream"}, {"-aes-256-gcm"}, {"-aes256", "-keyid"}, {"-aes-256-gcm", "-outform", "DER"}, {"-aes-256-cbc", "-outform", "PEM"},
				}...)
			}
			for _, flags := range variants {
				t.Run(name+" "+file+strings.Join(flags, ""), func(t *testing.T) {
					args := append([]string{"cms", "-encrypt", "-in", in}, flags...)
					args = append(args, filepath.Join(other, "cert.pem"), filepath.Join(dir, "cert.pem"))
					out := peertest.Run(t, "openssl", args...)
					m := open(t, out, smime.OpenOptions{Decrypters: id.decrypters()})
					if got := content(t, m); got != body || m.Encryption() != smime.StatusDecrypted {
						t.Errorf("%s: %q", describe(m), got)
					}
					if l := m.Layers[0].Encrypted; l.Authenticated != strings.Contains(flags[0], "gcm") {
						t.Errorf("authenticated: %v", l.Authenticated)
					}
					// A wrong key, also one that claims to be the right one, gets nothing.
					liar := []smime.Decrypter{wrongKey{decrypter{id}}}
					if m := open(t, out, smime.OpenOptions{Decrypters: liar}); m.Content != nil || m.Encryption() == smime.StatusDecrypted {
						t.Errorf("wrong key: %s", describe(m))
					}
				})
			}
		}
	}
}
