package mailbox_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// connect dials by the scheme of o and closes what comes of it.
func connect(t testing.TB, ctx context.Context, o mailbox.Options) error {
	return within(t, func() error {
		switch o.Endpoint.Scheme {
		case mailbox.SchemeIMAP, mailbox.SchemeIMAPS:
			s, err := mailbox.DialIMAP(ctx, o)
			if err == nil {
				return s.Close()
			}
			return err
		default:
			s, err := mailbox.DialSMTP(ctx, o)
			if err == nil {
				return s.Close()
			}
			return err
		}
	})
}

var schemes = []mailbox.Scheme{mailbox.SchemeIMAPS, mailbox.SchemeIMAP, mailbox.SchemeSubmissions, mailbox.SchemeSubmission}

// TestDialFails has servers that fail, each in its way, before anybody is logged in.
func TestDialFails(t *testing.T) {
	config, roots := testTLS(t)
	const short = 200 * time.Millisecond
	for _, c := range []struct {
		name   string
		script func(*peer)
		scheme mailbox.Scheme
		change func(*mailbox.Options)
		want   mailbox.Reason
		text   string // in the error
	}{
		{"no TLS at all", func(p *peer) { p.say("* OK hello"); p.silence() }, "imaps", nil, mailbox.ReasonTLS, ""},
		{"no TLS at all", func(p *peer) { p.say("220 hello"); p.silence() }, "submissions", nil, mailbox.ReasonTLS, ""},
		{"TLS 1.1", func(p *peer) {
			old := config.Clone()
			old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
			p.upgrade(old)
			p.silence()
		}, "imaps", nil, mailbox.ReasonTLS, "version"},
		{"untrusted", func(p *peer) { p.upgrade(config); p.silence() }, "imaps",
			func(o *mailbox.Options) { o.TLSRoots = x509.NewCertPool() }, mailbox.ReasonUntrusted, "unknown authority"},
		{"another name", func(p *peer) { p.upgrade(config); p.silence() }, "submissions",
			func(o *mailbox.Options) { o.Endpoint.Host = "localhost" }, mailbox.ReasonUntrusted, "localhost"},
		{"silent handshake", (*peer).silence, "imaps", func(o *mailbox.Options) { o.Timeout = short }, mailbox.ReasonTimeout, "TLS handshake"},
		{"cut in the handshake", func(p *peer) { p.r.Peek(1) }, "imaps", nil, mailbox.ReasonLost, "TLS handshake"},
		{"silent greeting", func(p *peer) { p.upgrade(config); p.silence() }, "imaps",
			func(o *mailbox.Options) { o.Timeout = short }, mailbox.ReasonTimeout, ""},
		{"silent greeting", (*peer).silence, "submission", func(o *mailbox.Options) { o.Timeout = short }, mailbox.ReasonTimeout, "STARTTLS"},
		{"IMAP greets with BYE", func(p *peer) { p.upgrade(config); p.say("* BYE too \x1b[31mmany"); p.silence() }, "imaps", nil,
			mailbox.ReasonUnavailable, "too [31mmany"},
		{"IMAP greets with BYE", func(p *peer) { p.say("* BYE too many"); p.silence() }, "imap", nil, mailbox.ReasonUnavailable, "too many"},
		{"SMTP greets with 421", func(p *peer) { p.upgrade(config); p.say("421 too many"); p.silence() }, "submissions", nil,
			mailbox.ReasonUnavailable, "too many"},
		{"SMTP greets with 554", func(p *peer) { p.say("554-too", "554 many"); p.silence() }, "submission", nil,
			mailbox.ReasonUnavailable, "too many"},
		{"no greeting but a web page", func(p *peer) { p.upgrade(config); p.say("HTTP/1.1 400 Bad Request", ""); p.silence() }, "imaps", nil,
			mailbox.ReasonProtocol, ""},
		{"no greeting but a web page", func(p *peer) { p.upgrade(config); p.say("HTTP/1.1 400 Bad Request", ""); p.silence() }, "submissions", nil,
			mailbox.ReasonProtocol, ""},
		{"no greeting but a web page", func(p *peer) { p.say("HTTP/1.1 400 Bad Request", ""); p.silence() }, "imap", nil, mailbox.ReasonProtocol, ""},
		{"cut in the greeting", func(p *peer) { p.upgrade(config); p.Write([]byte("* OK")) }, "imaps", nil, mailbox.ReasonLost, "greeting"},
		{"cut in the greeting", func(p *peer) { p.upgrade(config); p.Write([]byte("220-x")) }, "submissions", nil, mailbox.ReasonLost, "greeting"},
		{"greeting without end", func(p *peer) { p.upgrade(config); flood(p, "* OK ", "x") }, "imaps", nil, mailbox.ReasonProtocol, "longer"},
		{"greeting without end", func(p *peer) { flood(p, "", "220-x\r\n") }, "submission", nil, mailbox.ReasonProtocol, "longer"},
		{"capabilities without end", func(p *peer) { p.upgrade(config); p.say("* OK hello"); flood(p, "* CAPABILITY ", "X ") }, "imaps", nil,
			mailbox.ReasonProtocol, "longer"},
		{"no capabilities", func(p *peer) { p.upgrade(config); p.say("* OK hello", "T1 NO no"); p.silence() }, "imaps", nil,
			mailbox.ReasonProtocol, "capabilities"},
	} {
		t.Run(string(c.scheme)+"/"+c.name, func(t *testing.T) {
			address, said := listen(t, c.script)
			o := fakeOptions(t, c.scheme, address, func(o *mailbox.Options) { o.TLSRoots, o.InsecureLoopback = roots, false })
			if c.change != nil {
				c.change(&o)
			}
			err := connect(t, t.Context(), o)
			reason(t, err, c.want)
			if err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%q is not in %q", c.text, err)
			}
			nothingSecret(t, said)
		})
	}
}

// flood writes without end.
func flood(p *peer, first, then string) {
	_, err := p.Write([]byte(first))
	for then = strings.Repeat(then, 1000); err == nil; {
		_, err = p.Write([]byte(then))
	}
}

func nothingSecret(t testing.TB, said *transcript) {
	t.Helper()
	if s := said.String(); strings.Contains(s, "AUTH ") || strings.Contains(s, "LOGIN") || strings.Contains(s, "AUTHENTICATE") {
		t.Errorf("the client tried to log in: %q", s)
	}
}

// TestSTARTTLS has servers, and those who sit before them, that meddle with STARTTLS. Credentials must not go out.
func TestSTARTTLS(t *testing.T) {
	config, roots := testTLS(t)
	ehlo := func(p *peer, lines ...string) {
		p.say("220 hello")
		p.line()
		p.say(lines...)
		p.line()
	}
	greet := func(p *peer, greeting string) {
		p.say(greeting)
		p.line()
	}
	for _, c := range []struct {
		name   string
		scheme mailbox.Scheme
		script func(*peer)
		want   mailbox.Reason
	}{
		{"NO", "imap", func(p *peer) { greet(p, "* OK hello"); p.say("a NO not here"); p.silence() }, mailbox.ReasonNoSTARTTLS},
		{"BAD", "imap", func(p *peer) { greet(p, "* OK hello"); p.say("a BAD what"); p.silence() }, mailbox.ReasonNoSTARTTLS},
		{"BYE", "imap", func(p *peer) { greet(p, "* OK hello"); p.say("* BYE going"); p.silence() }, mailbox.ReasonUnavailable},
		{"PREAUTH", "imap", func(p *peer) { p.say("* PREAUTH welcome"); p.silence() }, mailbox.ReasonNoSTARTTLS},
		{"cut", "imap", func(p *peer) { greet(p, "* OK hello") }, mailbox.ReasonLost},
		{"no answer among many lines", "imap", func(p *peer) {
			greet(p, "* OK hello")
			for range 1000 {
				p.say("* OK still here")
			}
			p.silence()
		}, mailbox.ReasonProtocol},
		{"clear text behind the answer", "imap", func(p *peer) {
			greet(p, "* OK hello")
			p.say("a OK begin", "* CAPABILITY IMAP4rev1", "T1 OK done")
			p.upgrade(config)
			p.silence()
		}, mailbox.ReasonNoSTARTTLS},
		{"clear text instead of TLS", "imap", func(p *peer) {
			greet(p, "* OK hello")
			p.say("a OK begin")
			p.r.Peek(1)
			p.say("* OK [CAPABILITY IMAP4rev1] and now?")
			p.silence()
		}, mailbox.ReasonTLS},
		{"stripped", "submission", func(p *peer) { ehlo(p, "250-fake", "250 AUTH PLAIN LOGIN"); p.silence() }, mailbox.ReasonNoSTARTTLS},
		{"other words", "submission", func(p *peer) { ehlo(p, "250-STARTTLSX", "250 XSTARTTLS"); p.silence() }, mailbox.ReasonNoSTARTTLS},
		{"no EHLO", "submission", func(p *peer) { ehlo(p, "502 what"); p.silence() }, mailbox.ReasonNoSTARTTLS},
		{"454", "submission", func(p *peer) { ehlo(p, "250-fake", "250 STARTTLS"); p.say("454 not now"); p.silence() }, mailbox.ReasonNoSTARTTLS},
		{"cut", "submission", func(p *peer) { ehlo(p, "250-fake", "250 STARTTLS") }, mailbox.ReasonLost},
		{"clear text behind the answer", "submission", func(p *peer) {
			ehlo(p, "250-fake", "250 STARTTLS")
			p.say("220 begin", "250-fake", "250 AUTH PLAIN")
			p.upgrade(config)
			p.silence()
		}, mailbox.ReasonNoSTARTTLS},
	} {
		t.Run(string(c.scheme)+"/"+c.name, func(t *testing.T) {
			address, said := listen(t, c.script)
			o := fakeOptions(t, c.scheme, address, func(o *mailbox.Options) { o.TLSRoots, o.InsecureLoopback = roots, false })
			reason(t, connect(t, t.Context(), o), c.want)
			nothingSecret(t, said)
		})
	}
}

// TestSTARTTLSForgets: what is said before TLS counts for nothing inside.
func TestSTARTTLSForgets(t *testing.T) {
	config, roots := testTLS(t)
	t.Run("imap", func(t *testing.T) {
		address, said := listen(t, func(p *peer) {
			p.say("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=LOGIN] hello")
			p.line()
			p.say("* CAPABILITY IMAP4rev1 AUTH=LOGIN", "* LIST () NIL injected", "* OK [CLOSED] x", "* PREAUTH x", "a OK begin")
			p.upgrade(config)
			fake := fakeIMAP{capabilities: "IMAP4rev1 AUTH=PLAIN SASL-IR"}
			fake.commands = map[string]func(*peer, string, string) bool{
				"CAPABILITY": answer("OK done", "* CAPABILITY "+fake.capabilities),
				"LIST":       answer("OK done"),
			}
			fake.serveGreeted(p)
		})
		s := dialIMAP(t, fakeOptions(t, "imap", address, func(o *mailbox.Options) { o.TLSRoots, o.InsecureLoopback = roots, false }))
		defer s.Close()
		if !strings.Contains(said.String(), "AUTHENTICATE PLAIN ") {
			t.Errorf("logged in by what was offered before TLS: %q", said)
		}
		if folders, err := s.Folders(t.Context()); err != nil || len(folders) > 0 {
			t.Errorf("Folders: %v, %v", folders, err)
		}
	})
	t.Run("submission", func(t *testing.T) {
		address, said := listen(t, func(p *peer) {
			p.say("220 hello")
			p.line()
			p.say("250-fake", "250-AUTH LOGIN", "250-SIZE 1", "250 STARTTLS")
			p.line()
			p.say("220 begin")
			p.upgrade(config)
			new(fakeSMTP).serveGreeted(p)
		})
		s := dialSMTP(t, fakeOptions(t, "submission", address, func(o *mailbox.Options) { o.TLSRoots, o.InsecureLoopback = roots, false }))
		defer s.Close()
		if !strings.Contains(said.String(), "AUTH PLAIN ") {
			t.Errorf("logged in by what was offered before TLS: %q", said)
		}
		if err := submit(t, s, "Subject: x\r\n\r\n"); err != nil {
			t.Error(err)
		}
	})
}

// TestClearText: without TLS there is no connection, but to a loopback address where that was allowed.
func TestClearText(t *testing.T) {
	imapAddress, _ := listen(t, new(fakeIMAP).serve)
	smtpAddress, _ := listen(t, new(fakeSMTP).serve)
	for scheme, address := range map[mailbox.Scheme]string{"imap": imapAddress, "submission": smtpAddress} {
		if err := connect(t, t.Context(), fakeOptions(t, scheme, address)); err != nil {
			t.Errorf("%s, allowed: %v", scheme, err)
		}
		err := connect(t, t.Context(), fakeOptions(t, scheme, address, func(o *mailbox.Options) { o.InsecureLoopback = false }))
		if err == nil {
			t.Errorf("%s: clear text without leave", scheme)
		}
		// The connection leads elsewhere, whatever the name says.
		err = connect(t, t.Context(), fakeOptions(t, scheme, address, func(o *mailbox.Options) {
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				return elsewhere{c}, err
			}
		}))
		if err == nil {
			t.Errorf("%s: clear text to another machine", scheme)
		}
	}
}

type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 143} }

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, scheme := range schemes {
		reason(t, connect(t, t.Context(), fakeOptions(t, scheme, address)), mailbox.ReasonUnreachable)

		err := connect(t, t.Context(), fakeOptions(t, scheme, address, func(o *mailbox.Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "mail.invalid", IsNotFound: true}}
			}
		}))
		reason(t, err, mailbox.ReasonUnreachable)

		err = connect(t, t.Context(), fakeOptions(t, scheme, address, func(o *mailbox.Options) {
			o.Timeout = 10 * time.Millisecond
			o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}))
		reason(t, err, mailbox.ReasonTimeout)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = connect(t, ctx, fakeOptions(t, scheme, address))
		reason(t, err, mailbox.ReasonCancelled)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("not a cancellation: %v", err)
		}
	}
}

// TestLogInWays has servers that know only some ways to log in.
func TestLogInWays(t *testing.T) {
	for _, c := range []struct{ capabilities, want string }{
		{"IMAP4rev1 AUTH=PLAIN AUTH=LOGIN SASL-IR", "AUTHENTICATE PLAIN "},
		{"IMAP4rev1", "LOGIN "},
		{"IMAP4rev1 AUTH=CRAM-MD5", "LOGIN "},
		{"IMAP4rev1 AUTH=LOGIN LOGINDISABLED", "AUTHENTICATE LOGIN"},
	} {
		_, said := (&fakeIMAP{capabilities: c.capabilities}).dial(t)
		if !strings.Contains(said.String(), c.want) {
			t.Errorf("%s: %q", c.capabilities, said)
		}
	}
	address, said := listen(t, (&fakeIMAP{capabilities: "IMAP4rev1 LOGINDISABLED AUTH=GSSAPI"}).serve)
	var auth *mailbox.AuthError
	if err := connect(t, t.Context(), fakeOptions(t, "imap", address)); !errors.As(err, &auth) {
		t.Errorf("no way to log in: %v", err)
	}
	nothingSecret(t, said)

	for _, c := range []struct {
		name      string
		answer    string
		temporary bool
	}{
		{"imap", "NO [AUTHENTICATIONFAILED] no", false},
		{"imap", "NO [UNAVAILABLE] try later", true},
		{"imap", "BAD no", false},
		{"submission", "535 5.7.8 no", false},
		{"submission", "454 4.7.0 try later", true},
	} {
		script := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"AUTHENTICATE": answer(c.answer)}}).serve
		if c.name == "submission" {
			script = (&fakeSMTP{commands: map[string]func(*peer, string) bool{"AUTH": reply(true, c.answer)}}).serve
		}
		address, _ := listen(t, script)
		err := connect(t, t.Context(), fakeOptions(t, mailbox.Scheme(c.name), address))
		if !errors.As(err, &auth) || auth.Temporary != c.temporary || mailbox.Temporary(err) != c.temporary {
			t.Errorf("%s: got error %v", c.answer, err)
		}
	}
	address, said = listen(t, (&fakeSMTP{commands: map[string]func(*peer, string) bool{"EHLO": reply(true, "250-fake", "250 AUTH LOGIN")}}).serve)
	if err := connect(t, t.Context(), fakeOptions(t, "submission", address)); err != nil || !strings.Contains(said.String(), "AUTH LOGIN") {
		t.Errorf("LOGIN: %v, %q", err, said)
	}
	// A submission server that knows of no log-in gets no credentials; and one is not asked of who has none.
	address, said = listen(t, func(p *peer) { p.say("220 hello"); p.line(); p.say("250 fake"); p.silence() })
	if err := connect(t, t.Context(), fakeOptions(t, "submission", address)); !errors.As(err, &auth) {
		t.Errorf("no way to log in: %v", err)
	}
	nothingSecret(t, said)
	address, said = listen(t, new(fakeSMTP).serve)
	if err := connect(t, t.Context(), fakeOptions(t, "submission", address, func(o *mailbox.Options) { o.Credentials = mailbox.Credentials{} })); err != nil {
		t.Error(err)
	}
	nothingSecret(t, said)
	address, _ = listen(t, new(fakeIMAP).serve)
	if err := connect(t, t.Context(), fakeOptions(t, "imap", address, func(o *mailbox.Options) { o.Credentials = mailbox.Credentials{} })); !errors.As(err, &auth) {
		t.Errorf("IMAP without credentials: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []mailbox.Credentials{{User: "a\x00b", Password: "x"}, {User: "a", Password: "x\r\ny"}} {
		for _, scheme := range schemes {
			o := mailbox.Options{Endpoint: mailbox.Endpoint{Scheme: scheme, Host: "127.0.0.1", Port: 1}, Credentials: c}
			if err := connect(t, t.Context(), o); err == nil || strings.Contains(err.Error(), "\x00") {
				t.Errorf("%s with %q: %v", scheme, c.User, err)
			}
		}
	}
	if _, err := mailbox.DialIMAP(t.Context(), mailbox.Options{Endpoint: mailbox.Endpoint{Scheme: "submission"}}); !errors.Is(err, mailbox.ErrEndpoint) {
		t.Errorf("IMAP at a submission server: %v", err)
	}
	if _, err := mailbox.DialSMTP(t.Context(), mailbox.Options{Endpoint: mailbox.Endpoint{Scheme: "imaps"}}); !errors.Is(err, mailbox.ErrEndpoint) {
		t.Errorf("SMTP at an IMAP server: %v", err)
	}
}

// submit sends a message from alice to bob.
func submit(t testing.TB, s mailbox.Submitter, m string) error {
	return within(t, func() error {
		return s.Submit(t.Context(), mailbox.Envelope{From: alice, To: []string{bob}}, int64(len(m)), strings.NewReader(m), nil)
	})
}
