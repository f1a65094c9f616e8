package client_test

import (
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

const mailHeader = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: Very important\r\n"

// TestEncryptLayer encrypts messages that are signed already. A subject that is nowhere inside must not be hidden
// outside: it would be lost.
func TestEncryptLayer(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.issue("alice", "p256"), w.issue("bob", "p256")
	entity := w.write("entity", "Content-Type: text/plain\r\n\r\nhello\r\n")
	message := w.write("message", mailHeader+w.read("entity"))
	c := w.client()
	for _, opaque := range []bool{false, true} {
		sign := func(in, out string) {
			if err := c.Sign(t.Context(), client.SignParams{Keys: alice, Opaque: opaque}, in, client.Output{Name: w.in(out)}); err != nil {
				t.Fatal(err)
			}
		}
		sign(entity, "bare")
		w.write("outside", mailHeader+w.read("bare")) // as most programs sign
		sign(message, "inside")
		for name, hidden := range map[string]bool{"outside": false, "inside": true} {
			w.said = nil
			err := c.Encrypt(t.Context(), client.EncryptParams{To: []string{w.in("bob.pem")}}, w.in(name), client.Output{Name: w.in("sealed")})
			if err != nil {
				t.Fatal(err)
			}
			if got := !strings.Contains(w.read("sealed"), "Very important"); got != hidden || hidden != (len(w.said) == 0) {
				t.Errorf("opaque %t, header %s: hidden %t; %q", opaque, name, got, w.said)
			}
			err = c.Read(t.Context(), client.ReadParams{ID: w.in("sealed"), Keys: bob}, func(r *client.Report) error {
				if r.Encryption != "decrypted" || r.Message.Subject == nil || *r.Message.Subject != "Very important" {
					t.Errorf("opaque %t, header %s: %+v", opaque, name, r.Message)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
