package client

import (
	"bytes"
	"io"
	"net/mail"
	"reflect"
	"strings"
	"testing"
)

// TestTypedAddress has addresses read the same after they were written as a person types them, and nothing in a name end its line.
func TestTypedAddress(t *testing.T) {
	for _, c := range []struct {
		in   mail.Address
		want string
	}{
		{mail.Address{Address: "bob@example.org"}, "bob@example.org"},
		{mail.Address{Name: "Bob Brown", Address: "bob@example.org"}, "Bob Brown <bob@example.org>"},
		{mail.Address{Name: "Größe-O'Neil", Address: "bob@example.org"}, "Größe-O'Neil <bob@example.org>"},
		{mail.Address{Name: `Brown, "Bob" <eve@example.org>`, Address: "bob@example.org"}, `"Brown, \"Bob\" <eve@example.org>" <bob@example.org>`},
		{mail.Address{Name: "Bob\nBcc: eve@example.org", Address: "bob@example.org"}, `"Bob Bcc: eve@example.org" <bob@example.org>`},
		{mail.Address{Name: "B\u202eob", Address: "bob@example.org"}, "Bob <bob@example.org>"},
		{mail.Address{Name: "Bob", Address: "b b@example.org"}, `Bob <"b b"@example.org>`},
	} {
		got := typedAddress(&c.in)
		if got != c.want {
			t.Errorf("%+v is typed as %s, want %s", c.in, got, c.want)
		}
		if list, err := mail.ParseAddressList(got); err != nil || len(list) != 1 || list[0].Address != c.in.Address {
			t.Errorf("%s reads as %v, %v", got, list, err)
		}
	}
}

// FuzzTemplate has what is read from a template, written as one, read the same.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"To: bob@example.org\nSubject: x\n\ntext\n", "to: a@b, \"B, c\" <c@d>\n d <e@f>\nKeep: 1 plan.csv\nAttach: a b\n\n", "X-A: b\nx-a: c\r\n\r\ntext", "\n\n", "Subject\n", " x\n", "", "\ufeffTo: a@b\n\n", "To:\n <e@f>\nKeep: 1 :",
	} {
		f.Add([]byte(seed))
	}
	kept := []attachment{{name: "plan.csv"}, {name: "b"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseTemplate(text, kept)
		if err != nil {
			if KindOf(err) != Usage || !strings.Contains(err.Error(), "template, line ") {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := parseTemplate(l.template(), l.kept)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, l.template(), err)
		}
		same := func(a, b []string) bool { return strings.Join(a, ", ") == strings.Join(b, ", ") }
		if !same(l.To, again.To) || !same(l.Cc, again.Cc) || !same(l.Bcc, again.Bcc) || !same(l.ReplyTo, again.ReplyTo) || !reflect.DeepEqual(l.Attach, again.Attach) ||
			!reflect.DeepEqual(l.Fields, again.Fields) || len(l.kept) != len(again.kept) || l.Subject != again.Subject || l.From != again.From ||
			l.InReplyTo != again.InReplyTo || l.References != again.References || !bytes.Equal(l.Body, again.Body) {
			t.Errorf("%+v is written as %q and reads %+v", l, l.template(), again)
		}
	})
}

// TestSevenBit: only what is 7-bit text may be a part of type message/rfc822, whose octets nobody may encode.
func TestSevenBit(t *testing.T) {
	for text, odd := range map[string]bool{
		"a\r\n":                                  false,
		strings.Repeat("x", 998) + "\r\n":        false,
		strings.Repeat("x", 999) + "\r\n":        true,
		"a\rb\r\n":                               true,
		"\x00":                                   true,
		"ä\r\n":                                  true,
		strings.Repeat("x\r\n", 1000) + "\r\n\r": false,
	} {
		w := &lineWriter{dst: io.Discard}
		for i := range len(text) {
			_, _ = w.Write([]byte{text[i]})
		}
		if w.odd != odd {
			t.Errorf("%.20q: %v", text, w.odd)
		}
	}
}
