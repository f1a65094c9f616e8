//go:build unix

package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// othersReadOurs has GnuPG's gpgsm and NSS's cmsutil read what sign and encrypt wrote. Neither reads AES-GCM.
func (h *peerHouse) othersReadOurs(t *testing.T) {
	h.write(t, "mail.eml", peerHeader+peerEntity)
	for _, alice := range []string{h.key(t, "alice", "p256"), h.key(t, "alice", "rsa3072")} {
		h.sealmail(t, "nobody", "sign", "--opaque", "mail.eml", "-o", alice+".eml", "--key", alice+".key", "--cert", alice+".pem").mustBe(t, exitGood)
		message := h.write(t, alice+".p7m", string(cmsBody(t, h.read(t, alice+".eml"))))
		t.Run("gpgsm verifies "+alice, func(t *testing.T) {
			newGPGSM(t, h, "").verifies(t, message)
		})
		t.Run("cmsutil verifies "+alice, func(t *testing.T) {
			hasOffer(t, peertest.Run(t, "cmsutil", "-D", "-d", newNSS(t, h, ""), "-i", message))
		})
	}
	bob := h.key(t, "bob", foreign+"rsa2048")
	h.sealmail(t, "nobody", "encrypt", "mail.eml", "--to", "./"+bob+".pem", "-o", "sealed.eml").mustBe(t, exitGood)
	message := h.write(t, "sealed.p7m", string(cmsBody(t, h.read(t, "sealed.eml"))))
	t.Run("gpgsm decrypts", func(t *testing.T) { hasOffer(t, newGPGSM(t, h, bob).decrypts(t, message)) })
	t.Run("cmsutil decrypts", func(t *testing.T) {
		hasOffer(t, peertest.Run(t, "cmsutil", "-D", "-d", newNSS(t, h, bob), "-i", message))
	})
}

func hasOffer(t *testing.T, content []byte) {
	t.Helper()
	if !bytes.HasSuffix(content, []byte("\r\n\r\nThe turbine costs as much as last year.\r\n")) {
		t.Errorf("%q", content)
	}
}

// newNSS makes an NSS database that trusts the house's authority, and holds a key unless name is empty.
func newNSS(t *testing.T, h *peerHouse, name string) string {
	t.Helper()
	for _, name := range []string{"certutil", "pk12util", "cmsutil"} {
		peertest.Command(t, name)
	}
	db := "sql:" + t.TempDir()
	peertest.Run(t, "certutil", "-N", "-d", db, "--empty-password")
	peertest.Run(t, "certutil", "-A", "-d", db, "-n", "root", "-t", ",C,", "-i", h.root())
	peertest.Run(t, "certutil", "-A", "-d", db, "-n", "issuing", "-t", ",,", "-i", h.file("ca/issuing.pem"))
	if name != "" {
		peertest.Run(t, "pk12util", "-i", h.file(name+".p12"), "-d", db, "-K", "", "-W", peerPassword)
	}
	return db
}

// gpgsm is GnuPG's S/MIME with a folder of its own, in which the house's authority is trusted.
type gpgsm struct {
	home string
}

// newGPGSM imports a key unless name is empty.
func newGPGSM(t *testing.T, h *peerHouse, name string) gpgsm {
	t.Helper()
	peertest.Command(t, "gpgsm")
	home, err := os.MkdirTemp("", "sealmail-gpg-") // the agent's socket wants a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // what did not start needs no end
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	root, _ := pem.Decode(h.read(t, "ca/root.pem"))
	for file, text := range map[string]string{
		"trustlist.txt": fmt.Sprintf("%X S relax\n", sha1.Sum(root.Bytes)),
		"gpgsm.conf":    "disable-crl-checks\n",
	} {
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := gpgsm{home}
	g.run(t, "--import", h.root(), h.file("ca/issuing.pem"))
	if name != "" {
		g.importKey(t, h, name)
	}
	return g
}

// importKey imports NAME.p12. Of those that openssl writes gpgsm 2.2 refuses 1 in 64: it derives another key where a sum
// modulo 2^512 begins with a zero octet (RFC 7292 appendix B.2 step 6C), which depends on the salts. For these openssl
// writes the file anew, with other salts. Nothing of sealmail is asked here.
func (g gpgsm) importKey(t *testing.T, h *peerHouse, name string) {
	t.Helper()
	const attempts = 5 // all of them fail once in 10^9
	for range attempts {
		_, said, err := peertest.RunErr(t, []byte(peerPassword+"\n"), "gpgsm", g.args("--import", h.file(name+".p12"))...)
		switch {
		case err == nil:
			return
		case !bytes.Contains(said, []byte("error parsing or decrypting the PKCS#12 file")):
			t.Fatalf("gpgsm --import: %v\n%s", err, said)
		}
		t.Logf("gpgsm refuses %s.p12, which is made anew:\n%s", name, said)
		h.exportPKCS12(t, name)
	}
	t.Fatalf("gpgsm refuses %s.p12, made anew %d times", name, attempts)
}

// TestGPGSMRefusedSalt imports the key in a file that gpgsm refuses for its salt.
func TestGPGSMRefusedSalt(t *testing.T) {
	peertest.Command(t, "gpgsm")
	h := newPeerHouse(t)
	data, err := os.ReadFile(filepath.Join("testdata", "gpgsm", "refused.p12"))
	if err != nil {
		t.Fatal(err)
	}
	in := h.write(t, "refused.p12", string(data))
	for name, which := range map[string]string{"refused.key": "-nocerts", "refused.pem": "-nokeys"} {
		peertest.Run(t, "openssl", "pkcs12", "-in", in, "-passin", "file:"+h.file("password"), "-nodes", which, "-out", h.file(name))
	}
	if keys, _ := newGPGSM(t, h, "refused").run(t, "--list-secret-keys"); !bytes.Contains(keys, []byte("refused by gpgsm")) {
		t.Errorf("gpgsm has no key:\n%s", keys)
	}
}

func (g gpgsm) args(args ...string) []string {
	return append([]string{"--homedir", g.home, "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0"}, args...)
}

// run runs gpgsm, and returns what it wrote and what it said.
func (g gpgsm) run(t *testing.T, args ...string) (out []byte, said string) {
	t.Helper()
	out, errs, err := peertest.RunErr(t, []byte(peerPassword+"\n"), "gpgsm", g.args(args...)...)
	if err != nil {
		t.Fatalf("gpgsm %s: %v\n%s", strings.Join(args, " "), err, errs)
	}
	return out, string(errs)
}

func (g gpgsm) verifies(t *testing.T, args ...string) {
	t.Helper()
	if _, said := g.run(t, append([]string{"--verify"}, args...)...); !strings.Contains(said, "Good signature from ") {
		t.Errorf("%s", said)
	}
}

// decrypts returns what comes out, which the caller has to check: gpgsm ends with an error also where it is only another
// recipient's key that it does not have.
func (g gpgsm) decrypts(t *testing.T, name string) []byte {
	t.Helper()
	out, _, _ := peertest.RunErr(t, []byte(peerPassword+"\n"), "gpgsm", g.args("--decrypt", name)...)
	return out
}
