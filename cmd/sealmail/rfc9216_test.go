//go:build unix

package main

import (
	"fmt"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestRFC9216 uses the sample identities of RFC 9216 as people would: each has one certificate to sign with and another to
// be encrypted to, from an authority that another one vouches for as well. Alice and Bob have RSA keys, Carlos and Dana
// Ed25519 and X25519. Each trusts one's own authority alone; the others' is reached by its cross certificate.
func TestRFC9216(t *testing.T) {
	h := newPeerHouse(t)
	corpus := func(name string) string { return peertest.Corpora(t, "rfc9216", name) }
	people := []string{"alice", "bob", "carlos", "dana"}
	authority := map[string]string{"alice": "rsa", "bob": "rsa", "carlos": "ed25519", "dana": "ed25519"}
	const domain = "@smime.example"
	for _, name := range people {
		password := h.write(t, name+".password", name)
		h.sealmail(t, name, "cert", "import", corpus(name+".p12"), "--p12-password-file", password).mustBe(t, exitGood)
		for _, other := range people {
			if other != name {
				h.sealmail(t, name, "cert", "import", corpus(other+"-sign.crt.pem"), corpus(other+"-encrypt.crt.pem")).mustBe(t, exitGood)
			}
		}
		h.sealmail(t, name, "cert", "trust", corpus("ca-"+authority[name]+".crt.pem"), "--for", "mail").mustBe(t, exitGood)
	}
	seal := func(t *testing.T, from, to string) outcome {
		mail := h.write(t, "mail.eml", "From: "+from+domain+"\r\nTo: "+to+domain+"\r\nSubject: Hello\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"+
			"Message-ID: <"+from+to+domain+">\r\n\r\nHello "+to+".\r\n")
		return h.sealmail(t, from, "encrypt", mail, "--sign", "--p12", corpus(from+".p12"), "--p12-password-file", h.file(from+".password"),
			"--to", to+domain, "-o", h.file(from+"-"+to+".eml"))
	}
	for _, crossed := range []bool{false, true} {
		if crossed { // from now on everybody knows how the authorities vouch for each other
			for _, name := range people {
				h.sealmail(t, name, "cert", "find", "alice"+domain)
				h.sealmail(t, name, "cert", "import", corpus("ca-rsa-cross.crt.pem"), corpus("ca-ed25519-cross.crt.pem")).mustBe(t, exitGood)
			}
		}
		for _, from := range people {
			for _, to := range people {
				if from == to {
					continue
				}
				t.Run(fmt.Sprintf("%s to %s, crossed %v", from, to, crossed), func(t *testing.T) {
					if authority[from] != authority[to] && !crossed {
						seal(t, from, to).mustBe(t, exitFailed)
						return
					}
					seal(t, from, to).mustBe(t, exitGood)
					report := h.sealmail(t, to, "verify", h.file(from+"-"+to+".eml"), "--json").mustBe(t, exitGood).report(t)
					mustHave(t, report, map[string]any{"verdict": "passed", "encryption": "decrypted"})
				})
			}
		}
	}
}
