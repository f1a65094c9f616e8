//go:build unix

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
)

// TestPeersReadRevocationValues has other programs verify signatures that bring along a timestamp and what says that nobody has
// revoked their certificates. OpenSSL reads the responses, too.
func TestPeersReadRevocationValues(t *testing.T) {
	t.Parallel()
	peertest.Command(t, "openssl")
	port, err := quietPort()
	if err != nil {
		t.Fatal(err)
	}
	h := newPeerHouse(t, "--base-url", "http://127.0.0.1:"+port+"/pki")
	h.oldPKCS12 = true
	h.serveTSA(t)
	authority, _ := startServing(t, "ca", "serve", "--dir", h.file("ca"), "--ca-passphrase-file", h.file("password"), "--listen", "127.0.0.1:"+port)
	h.write(t, "mail.eml", peerHeader+peerEntity)
	for _, kind := range []string{"p256", "rsa3072"} {
		h.sealmail(t, kind, "init", peerAlice, "--imap", "imaps://127.0.0.1:1", "--smtp", "submissions://127.0.0.1:1", "--no-check", "--password-file", h.file("password"),
			"--p12", h.key(t, "alice", kind)+".p12", "--p12-password-file", h.file("password"), "--trust", h.root(), "--tsa", h.url, "--tsa-trust", h.root(), "--unprotected").mustBe(t, exitGood)
		h.sealmail(t, kind, "cert", "find", peerAlice).mustBe(t, exitGood) // which asks about revocation
	}
	stopServing(t, authority)
	for _, kind := range []string{"p256", "rsa3072"} {
		t.Run(kind, func(t *testing.T) {
			h.sealmail(t, kind, "sign", "mail.eml", "-o", "signed.eml").mustBe(t, exitGood)
			h.opensslVerifies(t, "signed.eml", func(content []byte) { hasOffer(t, content) })
			h.opensslVerifiesToken(t, "signed.eml")
			h.opensslReadsResponses(t, "signed.eml")
			h.sealmail(t, kind, "sign", "--opaque", "mail.eml", "-o", "opaque.eml").mustBe(t, exitGood)
			h.opensslVerifies(t, "opaque.eml", func(content []byte) { hasOffer(t, content) })
			message := h.write(t, "opaque.p7m", string(cmsBody(t, h.read(t, "opaque.eml"))))
			t.Run("gpgsm", func(t *testing.T) { newGPGSM(t, h, "").verifies(t, message) })
			t.Run("cmsutil", func(t *testing.T) {
				hasOffer(t, peertest.Run(t, "cmsutil", "-D", "-d", newNSS(t, h, ""), "-i", message))
			})
			mustHave(t, h.sealmail(t, "nobody", "verify", "signed.eml", "--trust", h.root(), "--tsa-trust", h.root(), "--revocation", "hard", "--at", "2045-01-01T00:00:00Z", "--json").mustBe(t, exitGood).report(t), map[string]any{
				"verdict": "passed", "signatures.0.revocation.source": "OCSP",
			})
		})
	}
	h.stopTSA(t)
}

// opensslReadsResponses has openssl find the attribute, and verify each response that the message brings along.
func (h *peerHouse) opensslReadsResponses(t *testing.T, name string) {
	t.Helper()
	m, err := smime.Open(t.Context(), bytes.NewReader(h.read(t, name)), smime.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	signature := m.Layers[0].Signed.Signatures[0]
	printed := peertest.Run(t, "openssl", "cms", "-cmsout", "-print", "-noout", "-in", h.file(name))
	if n := strings.Count(string(printed), "id-smime-aa-ets-revocationValues"); n != 1 || signature.RevocationErr != nil || len(signature.RevocationValues.OCSPResponses) == 0 {
		t.Fatalf("openssl finds %d attributes; %d responses, %v", n, len(signature.RevocationValues.OCSPResponses), signature.RevocationErr)
	}
	for _, der := range signature.RevocationValues.OCSPResponses {
		said := peertest.Run(t, "openssl", "ocsp", "-no_nonce", "-respin", h.write(t, "response.der", string(der)), "-issuer", h.file("ca/issuing.pem"),
			"-serial", "0x"+signature.Signer.SerialNumber.Text(16), "-CAfile", h.root(), "-verify_other", h.file("ca/issuing.pem"))
		if !bytes.Contains(said, []byte(": good\n")) {
			t.Errorf("openssl ocsp: %s", said)
		}
	}
}
