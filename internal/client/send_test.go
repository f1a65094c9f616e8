package client_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestSendSignedToBlindRecipients has mail that is signed only in an envelope for those that all may see, and one for each other.
func TestSendSignedToBlindRecipients(t *testing.T) {
	w := newWorld(t)
	o, out := w.sender(w.stamps(now), 0)
	for name, c := range map[string]struct {
		p    client.SendParams
		want [][]string
	}{
		"open and blind": {client.SendParams{Letter: client.Letter{To: []string{"to@example.org"}, Cc: []string{"cc@example.org"}, Bcc: []string{"one@example.org", "two@example.org"}}},
			[][]string{{"to@example.org", "cc@example.org"}, {"one@example.org"}, {"two@example.org"}}},
		"blind alone": {client.SendParams{Letter: client.Letter{Bcc: []string{"one@example.org", "two@example.org"}}}, [][]string{{"one@example.org"}, {"two@example.org"}}},
	} {
		t.Run(name, func(t *testing.T) {
			out.messages, out.envelopes = nil, nil
			sender, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer sender.Close()
			c.p.Body, c.p.NoEncrypt = []byte("hello\n"), true
			result, err := sender.Send(t.Context(), c.p)
			if err != nil {
				t.Fatal(err)
			}
			var got [][]string
			recipients := 0
			for i, e := range out.envelopes {
				got = append(got, e.To)
				recipients += len(e.To)
				if e.From != "alice@example.org" || out.messages[i] != out.messages[0] {
					t.Errorf("message %d, from %s, is another than the first", i, e.From)
				}
			}
			if !slices.EqualFunc(got, c.want, slices.Equal[[]string]) || len(result.Recipients) != recipients {
				t.Errorf("envelopes %q, want %q; recipients %+v", got, c.want, result.Recipients)
			}
		})
	}
}

// TestSendBeyondASCII: addresses are in ASCII as far as they can be, and who gets them is told where they are not, also in
// envelopes of others, whose header has them too.
func TestSendBeyondASCII(t *testing.T) {
	w := newWorld(t)
	o, out := w.sender(w.stamps(now), 0)
	for name, c := range map[string]struct {
		to, header string
		wide       bool
	}{
		"domain":     {"Bob <bob@bücher.example>", "To: \"Bob\" <bob@xn--bcher-kva.example>\r\n", false},
		"local part": {"jürgen@bücher.example", "To: <jürgen@bücher.example>\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			out.messages, out.envelopes = nil, nil
			sender, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer sender.Close()
			p := client.SendParams{Letter: client.Letter{To: []string{c.to}, Bcc: []string{"carol@example.org"}, Body: []byte("hello\n")}}
			p.NoEncrypt = true
			if _, err := sender.Send(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if len(out.envelopes) != 2 {
				t.Fatalf("%d messages", len(out.envelopes))
			}
			for i, e := range out.envelopes {
				if e.UTF8 != c.wide || !strings.Contains(out.messages[i], c.header) {
					t.Errorf("to %s: UTF8 %v, want %v with %q in\n%s", e.To, e.UTF8, c.wide, c.header, out.messages[i])
				}
			}
		})
	}
}

// TestSendControlCharacters: what would be a line of a header, or do something to a terminal, is not sent encoded either.
func TestSendControlCharacters(t *testing.T) {
	w := newWorld(t)
	o, out := w.sender(w.stamps(now), 0)
	for name, l := range map[string]client.Letter{
		"subject":         {Subject: "x\r\nBcc: eve@example.org"},
		"escape":          {Subject: "x\x1b[2J"},
		"field":           {Subject: "x", Fields: []string{"X-A: b\nBcc: eve@example.org"}},
		"name of a field": {Subject: "x", Fields: []string{"X-A\nBcc: eve@example.org"}},
	} {
		t.Run(name, func(t *testing.T) {
			sender, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer sender.Close()
			l.To, l.Body = []string{"to@example.org"}, []byte("hello\n")
			_, err = sender.Send(t.Context(), client.SendParams{Letter: l, SendOptions: client.SendOptions{NoEncrypt: true}})
			if client.KindOf(err) != client.Usage || len(out.messages) > 0 {
				t.Errorf("got error %v, and %d messages were sent", err, len(out.messages))
			}
		})
	}
}
