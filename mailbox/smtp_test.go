package mailbox_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

const note = "Subject: x\r\n\r\n.x\r\n"

func refused(step string, code int, enhanced string, permanent bool) func(error) bool {
	return func(err error) bool {
		var e *mailbox.RefusedError
		return errors.As(err, &e) && e.Step == step && e.Code == code && e.EnhancedCode == enhanced && e.Permanent == permanent &&
			mailbox.Temporary(err) == !permanent && !isType[*mailbox.UncertainError](err)
	}
}

// TestSMTPEachCommandFails answers each command in each wrong way.
func TestSMTPEachCommandFails(t *testing.T) {
	const short = 150 * time.Millisecond
	uncertain := isType[*mailbox.UncertainError]
	for _, c := range []struct {
		name, command string
		fail          func(*peer, string) bool
		check         func(error) bool
	}{
		{"552", "MAIL", reply(true, "552 too large"), isType[*mailbox.TooLargeError]},
		{"552 5.3.4", "MAIL", reply(true, "552 5.3.4 too large"), isType[*mailbox.TooLargeError]},
		{"552 5.2.2", "MAIL", reply(true, "552 5.2.2 full"), refused("MAIL", 552, "5.2.2", true)},
		{"550", "MAIL", reply(true, "550 5.7.1 not you"), refused("MAIL", 550, "5.7.1", true)},
		{"451", "MAIL", reply(true, "451 4.3.0 later"), refused("MAIL", 451, "4.3.0", false)},
		{"421", "MAIL", reply(false, "421 4.3.2 going"), refused("MAIL", 421, "4.3.2", false)},
		{"550", "RCPT", reply(true, "550-5.1.1 no", "550 5.1.1 such"), refused("RCPT", 550, "5.1.1", true)},
		{"450", "RCPT", reply(true, "450 4.2.0 greylisted"), refused("RCPT", 450, "4.2.0", false)},
		{"421", "RCPT", reply(false, "421 going"), refused("RCPT", 421, "", false)},
		{"554", "DATA", reply(true, "554 5.6.0 no"), refused("DATA", 554, "5.6.0", true)},
		{"550", ".", reply(true, "550 5.7.1 spam"), refused("message", 550, "5.7.1", true)},
		{"451", ".", reply(true, "451 4.3.0 later"), refused("message", 451, "4.3.0", false)},
		{"421", ".", reply(false, "421 4.3.0 going"), refused("message", 421, "4.3.0", false)},
		{"552 5.3.4", ".", reply(true, "552 5.3.4 too large"), isType[*mailbox.TooLargeError]},
		{"cut", "MAIL", reply(false), certain},
		{"cut", "RCPT", reply(false), certain},
		{"cut", "DATA", reply(false), certain},
		{"cut", ".", reply(false), uncertain},
		{"cut in a line", ".", func(p *peer, _ string) bool { p.Write([]byte("25")); return false }, uncertain},
		{"cut after a line", ".", reply(false, "250-o"), uncertain},
		{"silence", "MAIL", func(p *peer, _ string) bool { p.silence(); return false }, certain},
		{"silence", "RCPT", func(p *peer, _ string) bool { p.silence(); return false }, certain},
		{"silence", "DATA", func(p *peer, _ string) bool { p.silence(); return false }, certain},
		{"silence", ".", func(p *peer, _ string) bool { p.silence(); return false }, uncertain},
		{"silence in a line", ".", func(p *peer, _ string) bool { p.Write([]byte("250-x\r\n250")); p.silence(); return false }, uncertain},
		{"nonsense", "MAIL", reply(true, "\x00\x1b[31m"), certain},
		{"nonsense", "RCPT", reply(true, "* OK"), certain},
		{"nonsense", "DATA", reply(true, "3x4 hm"), certain},
		{"nonsense", ".", reply(true, "yes\x1b[31m"), uncertain},
		{"another yes", ".", reply(true, "251 fine"), func(err error) bool { return err == nil }},
		{"many lines", ".", reply(true, "250-a", "250-b", "250 c"), func(err error) bool { return err == nil }},
		{"354", ".", reply(true, "354 what"), uncertain},
		{"a reply without end", "MAIL", func(p *peer, _ string) bool { flood(p, "", "250-x\r\n"); return false }, certain},
		{"a line without end", "RCPT", func(p *peer, _ string) bool { flood(p, "250", "x"); return false }, certain},
		{"a reply without end", ".", func(p *peer, _ string) bool { flood(p, "", "250-x\r\n"); return false }, uncertain},
	} {
		t.Run(c.command+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			var failed atomic.Bool
			fake := &fakeSMTP{}
			fake.commands = map[string]func(*peer, string) bool{c.command: func(p *peer, args string) bool {
				if failed.CompareAndSwap(false, true) {
					return c.fail(p, args)
				}
				return fake.one(p, c.command)
			}}
			silent := strings.HasPrefix(c.name, "silence")
			s, _ := fake.dial(t, func(o *mailbox.Options) {
				if silent {
					o.Timeout = short
				}
			})
			committed := 0
			err := within(t, func() error {
				return s.Submit(t.Context(), mailbox.Envelope{From: alice, To: []string{bob}}, int64(len(note)), strings.NewReader(note), func() error {
					committed++
					return nil
				})
			})
			if !c.check(err) {
				t.Errorf("got error %v (%T)", err, err)
			}
			if err != nil {
				oneLine(t, err)
			}
			if want := c.command == "."; (committed == 1) != want {
				t.Errorf("commit was called %d times", committed)
			}
			if silent {
				return
			}
			if err := submit(t, s, note); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// TestSMTPRecipients: the refusal of some is one error with all of them, and none gets the message.
func TestSMTPRecipients(t *testing.T) {
	s, said := (&fakeSMTP{commands: map[string]func(*peer, string) bool{"RCPT": func(p *peer, args string) bool {
		switch {
		case strings.Contains(args, "no"):
			p.say("550 5.1.1 no \x1b[31msuch user")
		case strings.Contains(args, "later"):
			p.say("451 4.7.1 greylisted")
		default:
			p.say("250 ok")
		}
		return true
	}}}).dial(t)
	try := func(to ...string) error {
		return s.Submit(t.Context(), mailbox.Envelope{From: alice, To: to}, int64(len(note)), strings.NewReader(note), nil)
	}
	err := try("a@x.test", "no1@x.test", "later1@x.test", "b@x.test", "no2@x.test")
	var all *mailbox.RefusedRecipientsError
	if !errors.As(err, &all) || len(all.Recipients) != 3 || mailbox.Temporary(err) {
		t.Fatalf("got error %v", err)
	}
	for i, want := range []string{"no1@x.test", "later1@x.test", "no2@x.test"} {
		if r := all.Recipients[i]; r.Recipient != want || r.Permanent != strings.HasPrefix(want, "no") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %+v, want %s", r, want)
		}
	}
	oneLine(t, err)
	if err := try("later@x.test", "a@x.test"); !mailbox.Temporary(err) {
		t.Errorf("not temporary: %v", err)
	}
	if strings.Contains(said.String(), "DATA") {
		t.Error("sent to some")
	}
	if err := try("a@x.test"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if n := strings.Count(said.String(), "RSET"); n != 2 {
		t.Errorf("%d RSET, want 2", n)
	}
}

func TestSMTPExtensions(t *testing.T) {
	for _, c := range []struct {
		name       string
		extensions []string
		from, to   string
		text       string
		check      func(error) bool
		said       string
	}{
		{"size is declared", []string{"SIZE 1000"}, alice, bob, note, func(err error) bool { return err == nil }, fmt.Sprintf("SIZE=%d", len(note))},
		{"size at the limit", []string{fmt.Sprintf("SIZE %d", len(note))}, alice, bob, note, func(err error) bool { return err == nil }, "DATA"},
		{"size above the limit", []string{fmt.Sprintf("SIZE %d", len(note)-1)}, alice, bob, note, func(err error) bool {
			var e *mailbox.TooLargeError
			return errors.As(err, &e) && e.Size == int64(len(note)) && e.Limit == e.Size-1
		}, ""},
		{"any size", []string{"SIZE 0"}, alice, bob, note, func(err error) bool { return err == nil }, "DATA"},
		{"null reverse-path", nil, "", bob, note, func(err error) bool { return err == nil }, "MAIL FROM:<> "},
		{"a domain beyond ASCII", nil, alice, "bob@bücher.example", note, func(err error) bool { return err == nil }, "RCPT TO:<bob@xn--bcher-kva.example>"},
		{"SMTPUTF8", []string{"SMTPUTF8"}, alice, "jürgen@bücher.example", note, func(err error) bool { return err == nil }, "RCPT TO:<jürgen@bücher.example>"},
		{"SMTPUTF8 is declared", []string{"SMTPUTF8"}, "jürgen@bücher.example", bob, note, func(err error) bool { return err == nil }, " SMTPUTF8\r\n"},
		{"no SMTPUTF8", nil, alice, "jürgen@bücher.example", note, func(err error) bool {
			var e *mailbox.UnsupportedError
			return errors.As(err, &e) && strings.Contains(e.Error(), "jürgen@bücher.example") && !mailbox.Temporary(err)
		}, ""},
		{"8-bit", nil, alice, bob, "Subject: x\r\n\r\nGröße\r\n", func(err error) bool { return err == nil }, "BODY=8BITMIME"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, said := (&fakeSMTP{extensions: c.extensions}).dial(t)
			err := s.Submit(t.Context(), mailbox.Envelope{From: c.from, To: []string{c.to}}, int64(len(c.text)), strings.NewReader(c.text), nil)
			if !c.check(err) {
				t.Errorf("got error %v", err)
			}
			if !strings.Contains(said.String(), c.said) {
				t.Errorf("%q is not in %q", c.said, said)
			}
			if err != nil && strings.Contains(said.String(), "DATA") {
				t.Error("began to send")
			}
		})
	}
	t.Run("no 8BITMIME", func(t *testing.T) {
		address, said := listen(t, (&fakeSMTP{commands: map[string]func(*peer, string) bool{"EHLO": reply(true, "250-fake", "250 AUTH PLAIN")}}).serve)
		s := dialSMTP(t, fakeOptions(t, "submission", address))
		defer s.Close()
		if err := submit(t, s, "Subject: x\r\n\r\nGröße\r\n"); !isType[*mailbox.UnsupportedError](err) {
			t.Errorf("got error %v", err)
		}
		if strings.Contains(said.String(), "\n.\r\n") {
			t.Error("sent it")
		}
		if err := submit(t, s, note); err != nil {
			t.Errorf("7-bit: %v", err)
		}
	})
}

// TestSMTPUTF8Header: a header beyond ASCII needs SMTPUTF8 as an address does, whatever the envelope (RFC 6531 section 3.4).
func TestSMTPUTF8Header(t *testing.T) {
	for _, offered := range []bool{true, false} {
		var extensions []string
		if offered {
			extensions = append(extensions, "SMTPUTF8")
		}
		s, said := (&fakeSMTP{extensions: extensions}).dial(t)
		err := s.Submit(t.Context(), mailbox.Envelope{From: alice, To: []string{bob}, UTF8: true}, int64(len(note)), strings.NewReader(note), nil)
		if offered != (err == nil) || !offered && !isType[*mailbox.UnsupportedError](err) || offered != strings.Contains(said.String(), " SMTPUTF8\r\n") {
			t.Errorf("offered %v: %v, said %q", offered, err, said)
		}
	}
}

func TestWireAddress(t *testing.T) {
	for address, want := range map[string]string{
		bob: bob, "bob@bücher.example": "bob@xn--bcher-kva.example", "jürgen@bücher.example": "jürgen@bücher.example", "bob": "", "b ob@x.test": "",
	} {
		if got, err := mailbox.WireAddress(address); got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, mailbox.ErrAddress) {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
}

// TestSMTPReconnects: a server that ended an idle connection is called again, once for a message.
func TestSMTPReconnects(t *testing.T) {
	for _, c := range []struct {
		name string
		last []string // said after a message, before the end of the connection
	}{
		{"without a word", []string{"250 taken"}},
		{"with 421", []string{"250 taken", "421 4.4.2 you were idle for too long"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, said := (&fakeSMTP{commands: map[string]func(*peer, string) bool{".": reply(false, c.last...)}}).dial(t)
			for range 3 {
				if err := submit(t, s, note); err != nil {
					t.Fatal(err)
				}
			}
			if n := strings.Count(said.String(), "\n.\r\n"); n != 3 {
				t.Errorf("%d messages were sent, want 3", n)
			}
		})
	}
	t.Run("never again", func(t *testing.T) {
		var connections atomic.Int32
		address, _ := listen(t, func(p *peer) {
			if connections.Add(1) == 1 {
				(&fakeSMTP{commands: map[string]func(*peer, string) bool{".": reply(false, "250 taken")}}).serve(p)
			} else {
				(&fakeSMTP{commands: map[string]func(*peer, string) bool{"MAIL": reply(false)}}).serve(p)
			}
		})
		s := dialSMTP(t, fakeOptions(t, "submission", address))
		defer s.Close()
		if err := submit(t, s, note); err != nil {
			t.Fatal(err)
		}
		reason(t, submit(t, s, note), mailbox.ReasonLost)
	})
}

func TestSMTPTooLargeOnLocalServer(t *testing.T) {
	server := startLocal(t, localserver.Options{MaxMessageBytes: 1000})
	s := dialSMTP(t, server.options(t, alice, "submissions"))
	defer s.Close()
	var e *mailbox.TooLargeError
	if err := submit(t, s, note+strings.Repeat("x\r\n", 1000)); !errors.As(err, &e) || e.Limit != 1000 {
		t.Errorf("got error %v", err)
	}
	if err := submit(t, s, note); err != nil {
		t.Error(err)
	}
}
