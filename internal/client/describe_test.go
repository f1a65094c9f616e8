package client_test

import (
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestShownAddressIsTheJudgedOne hides the syntax of another address in encoded words (RFC 2047).
func TestShownAddressIsTheJudgedOne(t *testing.T) {
	w := newWorld(t)
	alice := w.issue("alice", "p256")
	c := w.client()
	in := w.write("entity", "Content-Type: text/plain\r\n\r\nhello\r\n")
	if err := c.Sign(t.Context(), client.SignParams{Keys: alice}, in, client.Output{Name: w.in("signed")}); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{
		"alice@example.org",
		"=?utf-8?q?ceo=40example.com?= <alice@example.org>",
		"=?utf-8?q?ceo=40example.com_=28?= <alice@example.org> (=?utf-8?q?=29?=)",
		"=?utf-8?q?=3Cceo=40example.com=3E_=28?= <alice@example.org> (=?utf-8?q?=29?=)",
	} {
		in := w.write("message", "From: "+from+"\r\nSender: "+from+"\r\n"+w.read("signed"))
		err := c.Read(t.Context(), client.ReadParams{ID: in}, func(r *client.Report) error {
			if r.Signatures[0].Checks.Address.Status != "passed" || *r.Message.From != "alice@example.org" || *r.Message.Sender != "alice@example.org" {
				t.Errorf("From: %s is judged %+v, and shown as %s", from, r.Signatures[0].Checks.Address, *r.Message.From)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
