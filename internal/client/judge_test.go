package client_test

import (
	"crypto"
	"os"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime/cms"
)

// TestManySigners bounds what one message may have done for it: signatures beyond the bound are never good.
func TestManySigners(t *testing.T) {
	w := newWorld(t)
	w.issue("alice", "p256")
	data, err := os.ReadFile(w.in("alice.pem"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := certstore.ParsePEM(data)
	if err != nil {
		t.Fatal(err)
	}
	pairs, _ := bundle.KeyPairs()
	signer := cms.Signer{
		Certificate: pairs[0].Chain[0], Key: pairs[0].Key.(crypto.Signer), Scheme: cms.ECDSA, Digest: crypto.SHA256,
	}
	const many = 40
	o := cms.SignedDataOptions{Certificates: pairs[0].Chain}
	for range many {
		o.Signers = append(o.Signers, signer)
	}
	der, err := cms.Sign(t.Context(), []byte(mailHeader+"Content-Type: text/plain\r\n\r\nhello\r\n"), o)
	if err != nil {
		t.Fatal(err)
	}
	c := w.client()
	anchors, err := c.CertAnchors(w.in("ca/root.pem"))
	if err == nil {
		_, err = c.CertTrust(anchors, "mail")
	}
	if err != nil {
		t.Fatal(err)
	}
	err = c.Read(t.Context(), client.ReadParams{ID: w.write("signed", string(der))}, func(r *client.Report) error {
		passed := 0
		for _, s := range r.Signatures {
			if s.Verdict == "passed" {
				passed++
			}
		}
		if len(r.Signatures) != many || passed != 32 || r.Verdict != "indeterminate" {
			t.Errorf("%d of %d signatures passed, and the verdict is %s", passed, len(r.Signatures), r.Verdict)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttachedMessage forwards a signed message as an attachment: its signer is measured by its own From, and says
// nothing of who forwards it.
func TestAttachedMessage(t *testing.T) {
	w := newWorld(t)
	alice := w.issue("alice", "p256")
	c := w.client()
	for from, want := range map[string]string{"alice@example.org": "passed", "eve@example.org": "failed"} {
		in := w.write("plain", "From: "+from+"\r\nContent-Type: text/plain\r\n\r\nhello\r\n")
		if err := c.Sign(t.Context(), client.SignParams{Keys: alice}, in, client.Output{Name: w.in("signed")}); err != nil {
			t.Fatal(err)
		}
		in = w.write("carrier", "From: bob@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"+w.read("signed")+"\r\n--b--\r\n")
		err := c.Read(t.Context(), client.ReadParams{ID: in}, func(r *client.Report) error {
			if r.Verdict != "unsigned" || len(r.Signatures) != 1 || r.Signatures[0].Covers != "enclosed" || r.Signatures[0].Checks.Address.Status != want {
				t.Errorf("attached message from %s: %s, %+v", from, r.Verdict, r.Signatures)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
