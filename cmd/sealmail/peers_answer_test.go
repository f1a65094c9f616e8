//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
)

// answered has bob answer the last message, and send it on to alice, whose mailbox is empty; openssl reads both, and verifies what
// alice signed herself in what comes back to her, and so does gpgsm where it can.
func (h *peerHouse) answered(t *testing.T, s peertest.Servers, alice, bob string, c mailCase) {
	t.Helper()
	h.write(t, "answer.txt", "Agreed.\n")
	var ids []string
	for _, args := range [][]string{{"reply", "last"}, {"forward", "last", "--to", peerAlice}} {
		sent := h.sealmail(t, bob, append(args, "--body", "answer.txt", "--json")...).mustBe(t, exitGood).report(t)
		id, _ := sent["message_id"].(string)
		ids = append(ids, "mid:"+id)
	}
	s.Settle(t)
	h.sealmail(t, alice, "cert", "export", peerAlice, "--key", "-o", "alice-exported.p12", "--yes", "--p12-password-file", h.file("password")).mustBe(t, exitGood)
	peertest.Run(t, "openssl", "pkcs12", "-in", h.file("alice-exported.p12"), "-passin", "file:"+h.file("password"), "-nodes", "-nocerts", "-out", h.file("alice-exported.key"))
	peertest.Run(t, "openssl", "pkcs12", "-in", h.file("alice-exported.p12"), "-passin", "file:"+h.file("password"), "-nokeys", "-clcerts", "-out", h.file("alice-exported.pem"))
	for i, want := range [][]string{
		{"Agreed.", "alice@example.test wrote:", "> The turbine costs as much as last year,"},
		{"Agreed.", "Content-Type: message/rfc822", "The turbine costs as much as last year,"},
	} {
		raw := h.sealmail(t, alice, "read", ids[i], "--raw").mustBe(t, exitGood).out
		h.write(t, "answer.eml", raw)
		mustHave(t, h.sealmail(t, alice, "read", ids[i], "--json").mustBe(t, exitGood).report(t), map[string]any{"verdict": "passed", "encryption": "decrypted"})
		peertest.Run(t, "openssl", "cms", "-decrypt", "-in", h.file("answer.eml"), "-recip", h.file("alice-exported.pem"), "-inkey", h.file("alice-exported.key"), "-out", h.file("answer-signed.eml"))
		h.opensslVerifies(t, "answer-signed.eml", func(content []byte) {
			for _, words := range want {
				if !bytes.Contains(content, []byte(words)) {
					t.Errorf("%q is not in what openssl opens of %s:\n%.2000s", words, ids[i], content)
				}
			}
		})
	}

	saved := h.sealmail(t, alice, "save", ids[1], "--attachments", h.file("saved-"+alice), "--json").mustBe(t, exitGood).report(t)
	file, _ := saved["file"].(string)
	mustHave(t, h.sealmail(t, alice, "verify", file, "--json").mustBe(t, exitGood).report(t), map[string]any{
		"verdict": "passed", "message.from": peerAlice, "message.subject": peerSubject, "encryption": "none",
	})
	forwarded, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "forwarded.eml", string(forwarded))
	h.opensslVerifies(t, "forwarded.eml", func(content []byte) {
		if !bytes.Contains(content, []byte("The turbine costs as much as last year,")) {
			t.Errorf("openssl opens %.2000s", content)
		}
	})
	h.opensslVerifiesToken(t, "forwarded.eml")
	if c.bob != foreign+"rsa2048" {
		return
	}
	t.Run("gpgsm verifies what was sent on", func(t *testing.T) {
		m, err := smime.Open(t.Context(), bytes.NewReader(forwarded), smime.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		content, err := io.ReadAll(m.Layers[0].Signed.Content)
		if err != nil {
			t.Fatal(err)
		}
		_, signature, _ := strings.Cut(string(forwarded), "Content-Type: application/pkcs7-signature")
		signature, _, _ = strings.Cut(signature, "\r\n--")
		newGPGSM(t, h, "bob-"+c.bob).verifies(t, h.write(t, "forwarded.p7s", string(cmsBody(t, []byte(signature)))), h.write(t, "forwarded.content", string(content)))
	})
}
