package client_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

// shown is what a reader takes from a message that passed.
type shown struct {
	Header client.MessageReport
	Text   string
	Signer string // fingerprint
}

// reader reads one message after another.
type reader struct {
	t     testing.TB
	c     *client.Client
	keys  client.KeyFiles
	stdin *bytes.Reader
}

// newReader reads with a client that trusts the world's authority.
func (w *world) newReader(keys client.KeyFiles) *reader {
	w.t.Helper()
	w.trusted()
	r := &reader{t: w.t, keys: keys, stdin: new(bytes.Reader)}
	o := w.options()
	o.Stdin = r.stdin
	var err error
	if r.c, err = client.New(o); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(r.c.Close)
	return r
}

// passed reads a message; nil if it is another than passed, or cannot be read at all. What is not protected is left out, and
// that it is marked so is checked.
func (r *reader) passed(message []byte) *shown {
	r.t.Helper()
	r.stdin.Reset(message)
	var found *shown
	_ = r.c.Read(r.t.Context(), client.ReadParams{ID: "-", Keys: r.keys}, func(report *client.Report) error {
		if report.Verdict != "passed" {
			return nil
		}
		s := shown{Header: report.Message, Text: *report.Text}
		for _, signature := range report.Signatures {
			if signature.Covers == "whole" {
				s.Signer += *signature.Digest + " " + signature.Signer.Fingerprint + "\n"
			}
		}
		h := &s.Header
		protected := func(name string) bool { return strings.Contains(strings.Join(h.ProtectedHeaders, " ")+" ", name+" ") }
		if !protected("from") {
			*h.From = strings.ToLower(*h.From) // without protection it is the certificate that speaks for it
		}
		for name, clear := range map[string]func(){
			"sender": func() { h.Sender = nil }, "to": func() { h.To = nil }, "cc": func() { h.Cc = nil }, "subject": func() { h.Subject = nil },
			"date": func() { h.Date = nil }, "message-id": func() { h.MessageID = nil },
		} {
			if !protected(name) {
				clear()
			}
		}
		h.Outer = nil // is what may differ
		found = &s
		return nil
	})
	return found
}

// octetsInstead are what an octet is replaced by, one after the other from place to place.
const octetsInstead = "\n\r \t:;,\"'()<>@=-\\?_%&/.0Az\x00\x7f\x80\xc3\xff"

// TestEveryOctet changes every octet of messages that passed, one at a time: what still passes shows the same protected text
// and header, and the same signer.
func TestEveryOctet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.issue("alice", "p256"), w.issue("bob", "p256")
	c := w.client()
	const entity = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"The turbine costs 5=E2=82=AC.\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>More <b>of</b> it.\r\n--b--\r\n"
	plain := w.write("plain", mailHeader+entity)
	to := []string{w.in("bob.pem")}
	out := func(name string) client.Output { return client.Output{Name: w.in(name)} }
	for _, err := range []error{
		c.Sign(t.Context(), client.SignParams{Keys: alice}, plain, out("detached")),
		c.Sign(t.Context(), client.SignParams{Keys: alice, Opaque: true}, plain, out("opaque")),
		c.Encrypt(t.Context(), client.EncryptParams{To: to, Sign: &client.SignParams{Keys: alice}}, plain, out("sealed")),
		c.Encrypt(t.Context(), client.EncryptParams{To: to, Sign: &client.SignParams{Keys: alice, Opaque: true}, Cipher: "aes-256-cbc"}, plain, out("sealed in CBC")),
		c.Sign(t.Context(), client.SignParams{Keys: alice}, w.in("sealed"), out("wrapped three times")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	der, err := cms.Sign(t.Context(), []byte(entity), cms.SignedDataOptions{Certificates: w.pair("alice").Chain, Signers: []cms.Signer{w.signer("alice")}})
	if err != nil {
		t.Fatal(err)
	}
	w.write("without protected header", string(inBase64(opaqueHeader, der)))

	r := w.newReader(bob)
	for _, name := range []string{"detached", "opaque", "sealed", "sealed in CBC", "wrapped three times", "without protected header"} {
		whole, err := os.ReadFile(w.in(name))
		if err != nil {
			t.Fatal(err)
		}
		want := r.passed(whole)
		if want == nil {
			t.Fatalf("%s: it does not pass unaltered", name)
		}
		passed, tried := 0, 0
		step := 1
		if peertest.RaceEnabled {
			step = 16
		}
		for at := 0; at < len(whole); at += step {
			for _, other := range []byte{whole[at] ^ 1<<(at%8), octetsInstead[at%len(octetsInstead)]} {
				if other == whole[at] {
					continue
				}
				altered := bytes.Clone(whole)
				altered[at] = other
				tried++
				if got := r.passed(altered); got != nil {
					passed++
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: octet %d, %q, became %q: %s", name, at, whole[at], other, diff)
					}
				}
			}
		}
		t.Logf("%s: %d of %d alterations pass and change nothing", name, passed, tried)
		if passed == 0 || passed == tried {
			t.Errorf("%s: %d of %d alterations pass", name, passed, tried)
		}
	}
}
