package client_test

import (
	"context"
	"crypto"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime/cms"
)

// signedTimes is a message with so many signatures of alice, whom its reader trusts, each with so many unsigned attributes
// of a kind.
func (w *world) signedTimes(signers int, unsigned func(signature []byte) []cms.Attribute) string {
	w.t.Helper()
	w.issue("alice", "p256")
	bundle, err := certstore.ParsePEM([]byte(w.read("alice.pem")))
	if err != nil {
		w.t.Fatal(err)
	}
	pairs, _ := bundle.KeyPairs()
	signer := cms.Signer{
		Certificate: pairs[0].Chain[0], Key: pairs[0].Key.(crypto.Signer), Scheme: cms.ECDSA, Digest: crypto.SHA256,
		UnsignedAttributes: func(_ context.Context, signature []byte) ([]cms.Attribute, error) { return unsigned(signature), nil },
	}
	o := cms.SignedDataOptions{Certificates: pairs[0].Chain, Signers: slices.Repeat([]cms.Signer{signer}, signers)}
	der, err := cms.Sign(w.t.Context(), []byte(mailHeader+"Content-Type: text/plain\r\n\r\nhello\r\n"), o)
	if err != nil {
		w.t.Fatal(err)
	}
	c := w.client()
	anchors, err := c.CertAnchors(w.in("ca/root.pem"))
	if err == nil {
		_, err = c.CertTrust(anchors, "mail")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return w.write("signed", string(der))
}

// readReport is what Read says of a message.
func (w *world) readReport(in string) *client.Report {
	w.t.Helper()
	var report *client.Report
	err := w.client().Read(w.t.Context(), client.ReadParams{ID: in}, func(r *client.Report) error {
		report = r
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// TestManySigners bounds what one message may have done for it: signatures beyond the bound are never good.
func TestManySigners(t *testing.T) {
	const many = 40
	w := newWorld(t)
	r := w.readReport(w.signedTimes(many, func([]byte) []cms.Attribute { return nil }))
	passed := 0
	for _, s := range r.Signatures {
		if s.Verdict == "passed" {
			passed++
		}
	}
	if len(r.Signatures) != many || passed != 32 || r.Verdict != "indeterminate" {
		t.Errorf("%d of %d signatures passed, and the verdict is %s", passed, len(r.Signatures), r.Verdict)
	}
}

// TestManyTimestamps has more timestamps in a message than are looked at. What is left out is said, and changes nothing
// but what is known of the time.
func TestManyTimestamps(t *testing.T) {
	broken := func(n int) func([]byte) []cms.Attribute {
		return func([]byte) []cms.Attribute {
			return []cms.Attribute{{Type: cms.OIDAttributeTimeStampToken, Values: slices.Repeat([][]byte{{0x30, 0x00}}, n)}}
		}
	}
	for _, test := range []struct {
		about           string
		signers, tokens int
		broken, left    int    // signatures with a timestamp that was looked at, and those with none
		warning         string // "": none
	}{
		{"as many as are looked at", 4, 8, 4, 0, ""},
		{"too many of one signature", 1, 9, 1, 0, "only 8 of 9 timestamps were looked at: at most 8 of a signature, and 32 of a message"},
		{"too many of all together", 6, 7, 5, 1, "only 32 of 42 timestamps were looked at: at most 8 of a signature, and 32 of a message"},
		{"very many", 20, 64, 4, 16, "only 32 of 1280 timestamps were looked at: at most 8 of a signature, and 32 of a message"},
	} {
		t.Run(test.about, func(t *testing.T) {
			w := newWorld(t)
			r := w.readReport(w.signedTimes(test.signers, broken(test.tokens)))
			codes := map[string]int{}
			for _, s := range r.Signatures {
				codes[*s.Checks.Time.Code]++
				if s.SigningTime.Proven != nil {
					t.Error("a time is proven")
				}
			}
			if codes["token-broken"] != test.broken || codes["too-many-timestamps"] != test.left || r.Verdict != "passed" {
				t.Errorf("%v, and the verdict is %s", codes, r.Verdict)
			}
			said := ""
			for _, warning := range r.Warnings {
				if warning.Code == "too-many-timestamps" {
					said = warning.Reason
				}
			}
			if said != test.warning {
				t.Errorf("warning %q, want %q", said, test.warning)
			}
		})
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
