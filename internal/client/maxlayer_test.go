package client_test

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/spool"
)

// compressed is a message whose content is a CompressedData (RFC 3274) with an entity.
func compressed(t *testing.T, header, entity string) string {
	t.Helper()
	var stream bytes.Buffer
	w := zlib.NewWriter(&stream)
	if _, err := w.Write([]byte(entity)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	explicit := cbasn1.Tag(0).ContextSpecific().Constructed()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(cms.OIDCompressedData)
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8})
				})
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(cms.OIDData)
					b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString(stream.Bytes()) })
				})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return header + "Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(der) + "\r\n"
}

// TestMaxLayer opens messages that come to more than what a layer may have. Those that swell are refused; those that were
// as large before are not.
func TestMaxLayer(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.issue("alice", "p256"), w.issue("bob", "p256")
	c := w.client()
	entity := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("a line of text\r\n", 1<<15)
	plain := w.write("plain", mailHeader+entity)
	swells := compressed(t, mailHeader, entity)
	w.write("swells", swells)
	for _, err := range []error{
		c.Sign(t.Context(), client.SignParams{Keys: alice, Opaque: true}, plain, client.Output{Name: w.in("signed")}),
		c.Encrypt(t.Context(), client.EncryptParams{To: []string{w.in("bob.pem")}}, plain, client.Output{Name: w.in("sealed")}),
		c.Encrypt(t.Context(), client.EncryptParams{To: []string{w.in("bob.pem")}}, w.in("swells"), client.Output{Name: w.in("sealed-swells")}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	o := w.options()
	for _, test := range []struct {
		file  string
		limit int64
		fails bool
	}{
		{"swells", 0, false},
		{"swells", 1 << 20, false},
		{"swells", 1 << 18, true},
		{"sealed-swells", 1 << 20, false},
		{"sealed-swells", 1 << 18, true},
		{"signed", 1 << 18, false},
		{"sealed", 1 << 18, false},
	} {
		o.MaxLayer = test.limit
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		use := map[string]func() error{
			"read": func() error {
				return c.Read(t.Context(), client.ReadParams{ID: w.in(test.file), Keys: bob}, func(r *client.Report) error {
					if !strings.HasPrefix(*r.Text, "a line of text") {
						t.Errorf("%s: the text is %.20q", test.file, *r.Text)
					}
					return nil
				})
			},
		}
		if strings.HasPrefix(test.file, "sealed") {
			use["decrypt"] = func() error {
				err := c.Decrypt(t.Context(), client.DecryptParams{Keys: bob}, w.in(test.file), client.Output{Name: w.in("out")})
				if _, statErr := os.Stat(w.in("out")); err != nil && statErr == nil {
					t.Errorf("%s: there is an output", test.file)
				}
				return errors.Join(err, os.RemoveAll(w.in("out")))
			}
		}
		for name, use := range use {
			err := use()
			switch {
			case !test.fails && err == nil:
			case !test.fails, !errors.Is(err, spool.ErrTooLarge), client.KindOf(err) != client.Failed:
				t.Errorf("%s of %s with at most %d octets: %v", name, test.file, test.limit, err)
			}
		}
	}

	// The content of a signature in a file of its own is brought into canonical form: it too is as large as it was.
	bundle, err := certstore.ParsePEM([]byte(w.read("alice.pem")))
	if err != nil {
		t.Fatal(err)
	}
	pairs, _ := bundle.KeyPairs()
	der, err := cms.Sign(t.Context(), []byte(entity), cms.SignedDataOptions{Detached: true, Certificates: pairs[0].Chain, Signers: []cms.Signer{
		{Certificate: pairs[0].Chain[0], Key: pairs[0].Key.(crypto.Signer), Scheme: cms.ECDSA, Digest: crypto.SHA256},
	}})
	if err != nil {
		t.Fatal(err)
	}
	o.MaxLayer = 1 << 18
	if c, err = client.New(o); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	beside := client.VerifyParams{Revocation: "soft", Trust: []string{w.in("ca/root.pem")}, Content: w.write("entity", strings.ReplaceAll(entity, "\r\n", "\n"))}
	for r, err := range c.Verify(t.Context(), beside, []string{w.write("entity.p7s", string(der))}) {
		if err != nil || r.Signatures[0].Checks.Integrity.Status != "passed" {
			t.Errorf("signature beside its content: %+v, %v", r, err)
		}
	}

	f := w.account("bob", &folder{validity: 1, messages: []string{swells, mail("after", "")}})
	f.MaxLayer = 1 << 18
	if c, err = client.New(f); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var lines []string
	err = c.Fetch(t.Context(), client.FetchParams{}, func(l client.ListLine) error {
		if l.Error != nil {
			lines = append(lines, *l.Error)
		} else {
			lines = append(lines, *l.Subject)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 2 || !strings.Contains(lines[0], "message 1: ") || !strings.Contains(lines[0], "limit is 262144 octets") || lines[1] != "after" {
		t.Errorf("fetched %q", lines)
	}
}
