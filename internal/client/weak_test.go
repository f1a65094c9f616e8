package client_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

// TestWeakEncryption opens a message in 3DES where that is allowed. Where it is not, each command says why it does not,
// and none asks for a key.
func TestWeakEncryption(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	vector := filepath.Join("..", "..", "testdata", "vectors", "13-openssl-3des.eml")
	keys := client.KeyFiles{P12: []string{filepath.Join("..", "..", "testdata", "pki", "bob-rsa2048.p12")}, P12Password: []byte("test")}
	const reason = "too weak: encryption with 3des-cbc"

	out := client.Output{Name: w.in("clear")}
	err := c.Decrypt(t.Context(), client.DecryptParams{Keys: keys}, vector, out)
	var weak *cms.WeakError
	var known *client.Error
	if !errors.As(err, &weak) || !strings.Contains(err.Error(), reason) || !errors.As(err, &known) || known.Kind != client.No || !strings.Contains(known.Hint, "--allow-weak") {
		t.Errorf("decrypt: %v", err)
	}
	if err := c.Decrypt(t.Context(), client.DecryptParams{Keys: keys, AllowWeak: true}, vector, out); err != nil || !strings.Contains(w.read("clear"), "this is vector 13") {
		t.Errorf("decrypt, allowed: %v", err)
	}
	for _, allow := range []bool{false, true} {
		check := func(command string, r *client.Report) {
			t.Helper()
			l := r.Layers[0]
			switch {
			case !allow && (r.Encryption != "undecryptable" || l.Code == nil || *l.Code != "weak-algorithm" || l.Reason == nil || *l.Reason != reason || !l.Recipients[0].Mine):
				t.Errorf("%s: %s, %+v", command, r.Encryption, l)
			case allow && (r.Encryption != "decrypted" || l.Reason != nil || len(r.Warnings) == 0 || r.Warnings[0] != (client.WarningReport{Code: "weak-algorithm", Reason: reason})):
				t.Errorf("%s, allowed: %s, %+v, %+v", command, r.Encryption, l, r.Warnings)
			}
		}
		err := c.Read(t.Context(), client.ReadParams{ID: vector, Keys: keys, AllowWeak: allow}, func(r *client.Report) error {
			check("read", r)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for r, err := range c.Verify(t.Context(), client.VerifyParams{Keys: keys, Revocation: "soft", AllowWeak: allow}, []string{vector}) {
			if err != nil {
				t.Fatal(err)
			}
			check("verify", r)
		}
	}
}

// TestX25519 imports an identity with a key for key agreement only, encrypts to it, and opens what comes. Carlos and Dana
// are the example identities of RFC 9216.
func TestX25519(t *testing.T) {
	for _, name := range []string{"carlos", "dana"} {
		w := newWorld(t)
		c := w.client()
		p12 := peertest.Corpora(t, "rfc9216", name+".p12")
		if _, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{p12}, Password: func(string) ([]byte, error) { return []byte(name), nil }}); err != nil {
			t.Fatal(err)
		}
		entity := w.write("entity", "Content-Type: text/plain\r\n\r\nfor "+name+"\r\n")
		err := c.Encrypt(t.Context(), client.EncryptParams{To: []string{peertest.Corpora(t, "rfc9216", name+"-encrypt.crt.pem")}}, entity, client.Output{Name: w.in("sealed")})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Decrypt(t.Context(), client.DecryptParams{}, w.in("sealed"), client.Output{Name: w.in("clear")}); err != nil || !strings.Contains(w.read("clear"), "for "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
