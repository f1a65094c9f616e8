//go:build unix

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
)

const (
	peerHeader = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: Offer\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n"
	peerEntity = "Content-Type: text/plain; charset=utf-8\r\n\r\nThe turbine costs as much as last year.\r\n"
)

// opensslReadsOurs has openssl verify, decrypt and check the timestamps of what sign, encrypt and tsa stamp
// wrote.
func (h *peerHouse) opensslReadsOurs(t *testing.T) {
	h.serveTSA(t)
	h.write(t, "mail.eml", peerHeader+peerEntity)
	h.sealmail(t, "tsa", "cert", "trust", h.root(), "--for", "tsa").mustBe(t, exitGood)
	for _, kind := range []string{"p256", "p384", "rsa2048", "rsa3072"} {
		alice, bob := h.key(t, "alice", kind), h.key(t, "bob", kind)
		keys := []string{"--key", alice + ".key", "--cert", alice + ".pem"}
		for _, form := range []string{"detached", "opaque"} {
			t.Run("sign "+kind+" "+form, func(t *testing.T) {
				args := append([]string{"sign", "mail.eml", "-o", "signed.eml", "--tsa", h.url}, keys...)
				if form == "opaque" {
					args = append(args, "--opaque")
				}
				h.sealmail(t, "tsa", args...).mustBe(t, exitGood)
				h.opensslVerifies(t, "signed.eml", func(content []byte) {
					if !bytes.HasSuffix(content, []byte("\r\n\r\nThe turbine costs as much as last year.\r\n")) {
						t.Errorf("%q", content)
					}
				})
				h.opensslVerifiesToken(t, "signed.eml")
				mustHave(t, h.sealmail(t, "tsa", "verify", "signed.eml", "--trust", h.root(), "--json").mustBe(t, exitGood).report(t), map[string]any{
					"verdict": "passed", "layers.0.form": form, "signatures.0.checks.time.status": "passed",
				})
			})
		}
		for _, cipher := range []string{"aes-256-cbc", "aes-256-gcm"} {
			for _, form := range []string{"", "--opaque"} {
				t.Run("sign and encrypt "+kind+" "+cipher+" "+form, func(t *testing.T) { h.opensslReadsBoth(t, alice, bob, cipher, form) })
			}
		}
		for _, cipher := range []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-gcm", "aes-192-gcm", "aes-256-gcm"} {
			t.Run("encrypt "+kind+" "+cipher, func(t *testing.T) {
				h.sealmail(t, "nobody", "encrypt", "mail.eml", "--to", "./"+bob+".pem", "--cipher", cipher, "-o", "sealed.eml").mustBe(t, exitGood)
				got := peertest.Run(t, "openssl", "cms", "-decrypt", "-in", h.file("sealed.eml"), "-recip", h.file(bob+".pem"), "-inkey", h.file(bob+".key"))
				if !bytes.HasSuffix(got, []byte("\r\n\r\nThe turbine costs as much as last year.\r\n")) {
					t.Errorf("%q", got)
				}
			})
		}
	}
	for _, hash := range []string{"sha256", "sha384", "sha512"} {
		t.Run("stamp "+hash, func(t *testing.T) {
			h.sealmail(t, "tsa", "tsa", "stamp", "mail.eml", "-o", "mail.tsr", "--tsa", h.url, "--hash", hash).mustBe(t, exitGood)
			out := peertest.Run(t, "openssl", "ts", "-verify", "-in", h.file("mail.tsr"), "-data", h.file("mail.eml"), "-CAfile", h.root())
			if !strings.Contains(string(out), "Verification: OK") {
				t.Errorf("%s", out)
			}
		})
	}
	h.stopTSA(t)
}

// opensslReadsBoth has openssl decrypt and verify what encrypt --sign wrote. What verify -o writes is the same.
func (h *peerHouse) opensslReadsBoth(t *testing.T, alice, bob, cipher, form string) {
	t.Helper()
	args := []string{"encrypt", "--sign", "mail.eml", "--to", "./" + bob + ".pem", "--cipher", cipher, "-o", "sealed.eml", "--key", alice + ".key", "--cert", alice + ".pem"}
	h.sealmail(t, "nobody", append(args, strings.Fields(form)...)...).mustBe(t, exitGood)
	h.write(t, "signed.eml", string(peertest.Run(t, "openssl", "cms", "-decrypt", "-in", h.file("sealed.eml"), "-recip", h.file(bob+".pem"), "-inkey", h.file(bob+".key"))))
	h.sealmail(t, "nobody", "verify", "sealed.eml", "--trust", h.root(), "--key", bob+".key", "--cert", bob+".pem", "-o", "content.eml").mustBe(t, exitGood)
	h.opensslVerifies(t, "signed.eml", func(content []byte) {
		// openssl knows nothing of header protection: it shows the subject that the text begins with.
		if !bytes.Contains(content, []byte("hp=\"cipher\"\r\n\r\nSubject: Offer\r\n\r\nThe turbine")) {
			t.Errorf("%q", content)
		}
		if got := h.read(t, "content.eml"); !bytes.Equal(got, content) {
			t.Errorf("verify -o writes\n%q\nand openssl\n%q", got, content)
		}
	})
}

// opensslVerifies has openssl verify a signed message in a file, for e-mail, and gives out the content.
func (h *peerHouse) opensslVerifies(t *testing.T, name string, content func([]byte)) {
	t.Helper()
	content(peertest.Run(t, "openssl", "cms", "-verify", "-in", h.file(name), "-CAfile", h.root(), "-purpose", "smimesign", "-x509_strict"))
}

// opensslVerifiesToken takes the timestamp out of a signed message and has openssl verify it over the signature value.
func (h *peerHouse) opensslVerifiesToken(t *testing.T, name string) {
	t.Helper()
	m, err := smime.Open(t.Context(), bytes.NewReader(h.read(t, name)), smime.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := m.Layers[0].Signed.Signatures[0]
	if tokens := s.SignerInfo.TimeStampTokens(); len(tokens) != 1 {
		t.Fatalf("%d tokens", len(tokens))
	}
	h.write(t, "token", string(s.SignerInfo.TimeStampTokens()[0]))
	h.write(t, "signature", string(s.SignerInfo.Signature))
	out := peertest.Run(t, "openssl", "ts", "-verify", "-token_in", "-in", h.file("token"), "-data", h.file("signature"), "-CAfile", h.root())
	if !strings.Contains(string(out), "Verification: OK") {
		t.Errorf("%s", out)
	}
	h.write(t, "signature", string(s.SignerInfo.Signature[1:]))
	if out, _, err := peertest.RunErr(t, nil, "openssl", "ts", "-verify", "-token_in", "-in", h.file("token"), "-data", h.file("signature"), "-CAfile", h.root()); err == nil {
		t.Errorf("openssl takes the token for any signature: %s", out)
	}
}

// readsOpenSSLSigned verifies what openssl signed, in all its forms.
func (h *peerHouse) readsOpenSSLSigned(t *testing.T) {
	h.write(t, "entity", strings.ReplaceAll(peerEntity, "\r", ""))
	whole := h.write(t, "mail.eml", peerHeader+peerEntity)
	type variant struct {
		flags   string
		digest  string // sha256 by default
		content bool   // the content is in a file beside the signature
	}
	forms := []variant{{flags: ""}, {flags: "-stream"}, {flags: "-nodetach"}, {flags: "-nodetach -stream"}}
	for kind, algorithm := range map[string]string{"p256": "ecdsa-p256", "p384": "ecdsa-p384", "rsa2048": "rsa-pkcs1v15", "rsa3072": "rsa-pkcs1v15"} {
		alice := h.key(t, "alice", kind)
		variants := forms
		if kind == "p256" || kind == "rsa2048" {
			for _, f := range forms {
				for _, more := range []string{" -noattr", " -keyid", " -outform DER", " -outform PEM"} {
					variants = append(variants, variant{flags: strings.TrimSpace(f.flags + more), content: f.flags == "" && strings.Contains(more, "outform")})
				}
			}
			variants = append(variants, variant{flags: "-nosmimecap"}, variant{flags: "-text"}, variant{flags: "-binary"}, variant{flags: "-crlfeol"})
			for _, digest := range []string{"sha224", "sha384", "sha512"} {
				variants = append(variants, variant{flags: "-md " + digest, digest: digest}, variant{flags: "-nodetach -noattr -md " + digest, digest: digest})
			}
		}
		for _, v := range variants {
			t.Run(kind+" "+v.flags, func(t *testing.T) {
				args := append([]string{"cms", "-sign", "-signer", h.file(alice + ".pem"), "-inkey", h.file(alice + ".key"), "-certfile", h.file("ca/issuing.pem"), "-out", h.file("signed")}, strings.Fields(v.flags)...)
				verify := []string{"verify", "signed", "--trust", h.root(), "--json"}
				if strings.Contains(v.flags, "-outform") { // there is no header outside: a whole message is what is signed
					args = append(args, "-in", whole, "-binary")
				} else {
					args = append(args, "-in", h.file("entity"), "-from", peerAlice, "-to", peerBob, "-subject", "Offer")
				}
				if v.content {
					verify = append(verify, "--content", "mail.eml")
				}
				digest := v.digest
				if digest == "" {
					digest = "sha256"
					args = append(args, "-md", digest)
				}
				peertest.Run(t, "openssl", args...)
				// openssl ignores that it should detach where it writes DER or PEM as a stream.
				form := "detached"
				if strings.Contains(v.flags, "-nodetach") || strings.HasPrefix(v.flags, "-stream -outform") {
					form = "opaque"
				}
				verify = append(verify, "-o", "content")
				mustHave(t, h.sealmail(t, "nobody", verify...).mustBe(t, exitGood).report(t), map[string]any{
					"verdict": "passed", "message.from": peerAlice, "message.subject": "Offer", "encryption": "none",
					"layers.0.form": form, "signatures.0.digest": digest, "signatures.0.algorithm": algorithm, "signatures.0.covers": "whole",
					"signatures.0.signer.fingerprint": certstore.Fingerprint(h.certificate(t, alice)),
				})
				if got := h.read(t, "content"); !bytes.HasSuffix(bytes.TrimSpace(got), []byte("The turbine costs as much as last year.")) || !v.content && !strings.Contains(v.flags, "-outform") && bytes.Contains(got, []byte("Subject")) {
					t.Errorf("%q", got)
				}
			})
		}
	}
}

// readsOpenSSLEncrypted decrypts and reads what openssl encrypted, in all its forms.
func (h *peerHouse) readsOpenSSLEncrypted(t *testing.T) {
	h.write(t, "entity", peerEntity)
	for kind, algorithm := range map[string]string{"p256": "ecdh-p256", "p384": "ecdh-p384", "rsa2048": "rsa-pkcs1v15", "rsa3072": "rsa-pkcs1v15"} {
		bob := h.key(t, "bob", kind)
		for _, cipher := range []string{"aes-128-cbc", "aes-256-cbc", "aes-256-gcm"} {
			for _, flags := range []string{"", "-stream", "-keyid", "-outform DER", "-stream -outform DER", "-outform PEM"} {
				if (kind == "p384" || kind == "rsa3072") && flags != "-stream" {
					continue
				}
				t.Run(kind+" "+cipher+" "+flags, func(t *testing.T) {
					keys := []string{"--key", bob + ".key", "--cert", bob + ".pem"}
					if flags == "-stream" && cipher == "aes-256-gcm" {
						keys = []string{"--p12", bob + ".p12", "--p12-password-file", "password"}
					}
					args := append([]string{"cms", "-encrypt", "-" + cipher, "-in", h.file("entity"), "-from", peerAlice, "-to", peerBob, "-subject", "Offer", "-out", h.file("sealed.eml")}, strings.Fields(flags)...)
					peertest.Run(t, "openssl", append(args, h.file(bob+".pem"))...)
					h.sealmail(t, "nobody", append([]string{"decrypt", "sealed.eml", "-o", "clear"}, keys...)...).mustBe(t, exitGood)
					if got := h.read(t, "clear"); string(got) != peerEntity {
						t.Errorf("%q", got)
					}
					form := "enveloped-data"
					if strings.HasSuffix(cipher, "gcm") {
						form = "auth-enveloped-data"
					}
					mustHave(t, h.sealmail(t, "nobody", append([]string{"read", "sealed.eml", "--json"}, keys...)...).mustBe(t, exitGood).report(t), map[string]any{
						"verdict": "unsigned", "encryption": "decrypted", "text": "The turbine costs as much as last year.\n",
						"layers.0.form": form, "layers.0.cipher": cipher, "layers.0.authenticated": strings.HasSuffix(cipher, "gcm"),
						"layers.0.recipients.0.algorithm": algorithm, "layers.0.recipients.0.mine": true,
						"layers.0.key": certstore.Fingerprint(h.certificate(t, bob)),
					})
				})
			}
		}
	}
}

// readsOpenSSLLayers reads a message that openssl signed, then encrypted to several, then signed once
// more around.
func (h *peerHouse) readsOpenSSLLayers(t *testing.T) {
	h.write(t, "entity", peerEntity)
	alice, bob, other := h.key(t, "alice", "rsa2048"), h.key(t, "bob", "p256"), h.key(t, "bob", "rsa2048")
	sign := []string{"cms", "-sign", "-md", "sha256", "-signer", h.file(alice + ".pem"), "-inkey", h.file(alice + ".key"), "-certfile", h.file("ca/issuing.pem")}
	envelope := []string{"-from", peerAlice, "-to", peerBob, "-subject", "Offer"}
	peertest.Run(t, "openssl", append(sign, "-in", h.file("entity"), "-out", h.file("1"))...)
	peertest.Run(t, "openssl", append(append([]string{"cms", "-encrypt", "-aes-256-cbc", "-in", h.file("1"), "-out", h.file("2.eml")}, envelope...), h.file(other+".pem"), h.file(bob+".pem"))...)
	peertest.Run(t, "openssl", append(append(sign, "-in", h.file("2.eml"), "-nodetach", "-stream", "-out", h.file("3.eml")), envelope...)...)
	for _, key := range []string{bob, other} {
		for file, outer := range map[string]int{"2.eml": 0, "3.eml": 1} {
			o := h.sealmail(t, "nobody", "verify", file, "--trust", h.root(), "--json", "--key", key+".key", "--cert", key+".pem")
			report := o.mustBe(t, exitGood).report(t)
			mustHave(t, report, map[string]any{"verdict": "passed", "encryption": "decrypted"})
			if n := len(at(t, report, "layers").([]any)); n != 2+outer {
				t.Errorf("%s: %d layers", file, n)
			}
			if key := at(t, report, "layers", outer, "authenticated"); key != false {
				t.Errorf("%s: CBC is said to be authenticated", file)
			}
		}
	}
}
