package mailbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

func TestParseEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"imaps://mail.example.org:993":  "imaps://mail.example.org:993",
		"imaps://mail.example.org":      "imaps://mail.example.org:993",
		"imap://mail.example.org/":      "imap://mail.example.org:143",
		"submissions://127.0.0.1:10465": "submissions://127.0.0.1:10465",
		"submissions://x":               "submissions://x:465",
		"submission://[::1]":            "submission://[::1]:587",
		"IMAPS://Mail.Example.ORG":      "imaps://mail.example.org:993",
		"imaps://bücher.example":        "imaps://xn--bcher-kva.example:993",
	} {
		e, err := mailbox.ParseEndpoint(in)
		if err != nil || e.String() != want {
			t.Errorf("%s: got %v, %v; want %s", in, e, err, want)
			continue
		}
		if again, err := mailbox.ParseEndpoint(e.String()); err != nil || again != e {
			t.Errorf("%s: once more: %v, %v", in, again, err)
		}
	}
	for _, in := range []string{
		"", "x", "mail.example.org", "mail.example.org:993", "imaps:mail.example.org", "imaps://", "imaps://:993", "https://x", "://x",
		"imaps://x:0", "imaps://x:65536", "imaps://x:y", "imaps://x:", "imaps://x/INBOX", "imaps://x?a=b", "imaps://x?", "imaps://x#y",
		"imaps://a b", "imaps://u:secret@x", "imaps://u@x", "imaps://u:sec\x00ret@x:y", "imaps://a_.b\x1b[31m", "smtp://x", "smtps://x:465",
	} {
		e, err := mailbox.ParseEndpoint(in)
		if strings.HasSuffix(in, ":") && in == "imaps://x:" {
			continue // RFC 3986 section 3.2.3: an empty port is no port
		}
		if !errors.Is(err, mailbox.ErrEndpoint) {
			t.Errorf("%q: got %v, %v", in, e, err)
			continue
		}
		oneLine(t, err)
		if strings.Contains(err.Error(), "sec") {
			t.Errorf("a secret in an error: %v", err)
		}
	}
	if _, err := mailbox.ParseEndpoint("smtp://x"); !strings.Contains(err.Error(), "submission") {
		t.Errorf("no hint: %v", err)
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"imaps://mail.example.org:993", "imap://[::1]", "submission://a", "submissions://bücher.example:1", "smtp://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := mailbox.ParseEndpoint(s)
		if err != nil {
			oneLine(t, err)
			return
		}
		if again, err := mailbox.ParseEndpoint(e.String()); err != nil || again != e {
			t.Errorf("%q: %v is read as %v, %v", s, e, again, err)
		}
	})
}

// TestPasswordHides: no way of printing shows it.
func TestPasswordHides(t *testing.T) {
	c := mailbox.Credentials{User: alice, Password: password}
	o := mailbox.Options{Credentials: c}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&b, verb+verb+verb+verb+"\n", c, &c, c.Password, o)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "password", c.Password, "c", c)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "password", c.Password, "c", c)
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(j)
	hex := fmt.Sprintf("%x", password)
	if s := b.String(); strings.Contains(s, password) || strings.Contains(strings.ToLower(s), hex) || strings.Contains(s, password[:7]) {
		t.Error(s)
	}
	if string(c.Password) != password {
		t.Error("the conversion does not bring it out")
	}
}

func TestParseFiles(t *testing.T) {
	for text, want := range map[string]string{
		"maildir:/home/a/Maildir": "maildir:/home/a/Maildir", "MBOX:/var/mail/../mail/a/": "mbox:/var/mail/a", "mbox:/a b:c": "mbox:/a b:c",
		"maildir:Maildir": "", "maildir:": "", "maildir://host/x": "maildir:/host/x", "/home/a": "", "imaps:/x": "", "mbox:/a\nb": "", "mbox:/\xff": "",
	} {
		e, err := mailbox.ParseFiles(text)
		if want == "" {
			if !errors.Is(err, mailbox.ErrEndpoint) {
				t.Errorf("%q: %v, %v", text, e, err)
			}
			continue
		}
		if err != nil || e.String() != want {
			t.Errorf("%q: %q, %v", text, e, err)
		}
		if again, err := mailbox.ParseFiles(e.String()); err != nil || again != e {
			t.Errorf("%q again: %v, %v", e, again, err)
		}
	}
}
