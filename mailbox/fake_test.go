package mailbox_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// wait bounds what should not take long at all, so that a hang fails instead of hanging.
const wait = 2 * time.Minute

// peer is the server's side of a connection, for servers that misbehave.
type peer struct {
	net.Conn
	r   *bufio.Reader
	log *transcript
}

// transcript is what clients said.
type transcript struct {
	sync.Mutex
	b strings.Builder
}

func (l *transcript) String() string {
	l.Lock()
	defer l.Unlock()
	return l.b.String()
}

// line reads a line, without its end; at the end of the connection it ends the goroutine's script.
func (p *peer) line() (string, bool) {
	s, err := p.r.ReadString('\n')
	p.log.Lock()
	p.log.b.WriteString(s)
	p.log.Unlock()
	return strings.TrimRight(s, "\r\n"), err == nil
}

// say writes lines, each with CRLF.
func (p *peer) say(lines ...string) {
	_, _ = io.WriteString(p, strings.Join(lines, "\r\n")+"\r\n")
}

// upgrade begins TLS.
func (p *peer) upgrade(config *tls.Config) {
	p.Conn = tls.Server(p.Conn, config)
	p.r = bufio.NewReader(p.Conn)
}

// silence waits until the client goes away.
func (p *peer) silence() { _, _ = io.Copy(io.Discard, p.r) }

// listen runs script for each connection and returns where, and what was said.
func listen(t testing.TB, script func(*peer)) (address string, said *transcript) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said = new(transcript)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				// A script that is wrong about its client should not block the test for ever.
				_ = c.SetDeadline(time.Now().Add(wait))
				defer c.Close()
				script(&peer{c, bufio.NewReader(c), said})
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String(), said
}

// fakeIMAP answers as a server with one folder, INBOX, would; commands takes over commands by name ("FETCH", "APPEND",
// with "UID" left out). It returns false where the connection is to end.
type fakeIMAP struct {
	capabilities string
	validity     int
	commands     map[string]func(p *peer, tag, args string) bool
}

var literal = regexp.MustCompile(`\{(\d+)\+?\}$`)

func (f *fakeIMAP) serve(p *peer) {
	p.say("* OK [CAPABILITY " + f.caps() + "] hello")
	f.serveGreeted(p)
}

// serveGreeted is serve after the greeting.
func (f *fakeIMAP) serveGreeted(p *peer) {
	for {
		line, ok := p.line()
		if !ok {
			return
		}
		tag, rest, _ := strings.Cut(line, " ")
		name, args, _ := strings.Cut(strings.TrimPrefix(rest, "UID "), " ")
		if command := f.commands[name]; command != nil {
			if !command(p, tag, args) {
				return
			}
			continue
		}
		if !f.one(p, tag, name, args) {
			return
		}
	}
}

// one answers one command as a good server would.
func (f *fakeIMAP) one(p *peer, tag, name, args string) bool {
	switch name {
	case "CAPABILITY":
		p.say("* CAPABILITY "+f.caps(), tag+" OK done")
	case "LOGIN", "AUTHENTICATE":
		p.say(tag + " OK [CAPABILITY " + f.caps() + "] in")
	case "SELECT", "EXAMINE":
		p.say("* 3 EXISTS", "* OK [UIDVALIDITY "+strconv.Itoa(f.validity+1)+"] ok", "* OK [UIDNEXT 10] ok", tag+" OK [READ-ONLY] done")
	case "STATUS":
		p.say("* STATUS "+strings.Fields(args)[0]+" (MESSAGES 3 UIDNEXT 10 UIDVALIDITY "+strconv.Itoa(f.validity+1)+")", tag+" OK done")
	case "LIST":
		p.say("* LIST () NIL INBOX", "* LIST () NIL Other", tag+" OK done")
	case "STARTTLS":
		p.say(tag + " BAD what?")
	case "LOGOUT":
		p.say("* BYE", tag+" OK bye")
		return false
	default:
		p.say(tag + " OK done")
	}
	return true
}

func (f *fakeIMAP) caps() string {
	if f.capabilities != "" {
		return f.capabilities
	}
	return "IMAP4rev1 AUTH=PLAIN SASL-IR"
}

// readLiteral reads the literal that ends a command's line.
func readLiteral(p *peer, line string, accept bool) string {
	m := literal.FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	if accept {
		p.say("+ go on")
	}
	n, _ := strconv.Atoi(m[1])
	b := make([]byte, n)
	_, _ = io.ReadFull(p.r, b)
	p.line()
	return string(b)
}

// dial returns a store on the fake server, over clear text on loopback.
func (f *fakeIMAP) dial(t testing.TB, change ...func(*mailbox.Options)) (mailbox.Store, *transcript) {
	t.Helper()
	address, said := listen(t, f.serve)
	s := dialIMAP(t, fakeOptions(t, mailbox.SchemeIMAP, address, change...))
	t.Cleanup(func() { _ = s.Close() })
	return s, said
}

// answer makes a command that says lines and then the tagged rest.
func answer(tagged string, lines ...string) func(*peer, string, string) bool {
	return func(p *peer, tag, _ string) bool {
		p.say(append(lines, tag+" "+tagged)...)
		return true
	}
}

func fakeOptions(t testing.TB, scheme mailbox.Scheme, address string, change ...func(*mailbox.Options)) mailbox.Options {
	t.Helper()
	o := mailbox.Options{
		Endpoint: endpoint(t, scheme, address), InsecureLoopback: true, Timeout: wait,
		Credentials: mailbox.Credentials{User: alice, Password: password},
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

// fakeSMTP answers as a submission server would; commands takes over commands by name, "." being the end of a message.
type fakeSMTP struct {
	extensions []string
	commands   map[string]func(p *peer, args string) bool
}

func (f *fakeSMTP) serve(p *peer) {
	p.say("220 hello")
	f.serveGreeted(p)
}

// serveGreeted is serve after the greeting.
func (f *fakeSMTP) serveGreeted(p *peer) {
	for {
		line, ok := p.line()
		if !ok {
			return
		}
		name, args, _ := strings.Cut(line, " ")
		goOn := false
		if command := f.commands[name]; command != nil {
			goOn = command(p, args)
		} else {
			goOn = f.one(p, name)
		}
		if !goOn {
			return
		}
	}
}

// one answers one command as a good server would.
func (f *fakeSMTP) one(p *peer, name string) bool {
	switch name {
	case "EHLO":
		lines := append([]string{"fake", "AUTH PLAIN LOGIN", "8BITMIME"}, f.extensions...)
		for i, line := range lines {
			lines[i] = "250-" + line
		}
		p.say(append(lines, "250 HELP")...)
	case "AUTH":
		p.say("235 in")
	case "DATA":
		p.say("354 go on")
		for line := ""; line != "."; {
			var ok bool
			if line, ok = p.line(); !ok {
				return false
			}
		}
		if end := f.commands["."]; end != nil {
			return end(p, "")
		}
		p.say("250 taken")
	case "QUIT":
		p.say("221 bye")
		return false
	default:
		p.say("250 ok")
	}
	return true
}

// reply makes a command that says lines and goes on, or ends the connection.
func reply(goOn bool, lines ...string) func(*peer, string) bool {
	return func(p *peer, _ string) bool {
		if len(lines) > 0 {
			p.say(lines...)
		}
		return goOn
	}
}

func (f *fakeSMTP) dial(t testing.TB, change ...func(*mailbox.Options)) (mailbox.Submitter, *transcript) {
	t.Helper()
	address, said := listen(t, f.serve)
	s := dialSMTP(t, fakeOptions(t, mailbox.SchemeSubmission, address, change...))
	t.Cleanup(func() { _ = s.Close() })
	return s, said
}

// within fails the test if f takes too long.
func within(t testing.TB, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(wait):
		t.Fatal("it hangs")
		return nil
	}
}

// reason fails the test if err is not a ConnectError for that reason, in one clean line.
func reason(t testing.TB, err error, want mailbox.Reason) {
	t.Helper()
	var e *mailbox.ConnectError
	if !errors.As(err, &e) {
		t.Errorf("got error %v, want a ConnectError", err)
		return
	}
	if e.Reason != want {
		t.Errorf("got reason %q, want %q: %v", e.Reason, want, err)
	}
	oneLine(t, err)
}

// oneLine fails the test if an error's text is not fit for a terminal, or holds the password.
func oneLine(t testing.TB, err error) {
	t.Helper()
	s := err.Error()
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }) || len(s) > 1000 {
		t.Errorf("not fit for a line: %q", s)
	}
	if strings.Contains(s, password) {
		t.Errorf("a secret in an error: %q", s)
	}
}

// body is a message in the form of an answer to FETCH.
func body(uid int, offset int, text string, more string) string {
	return fmt.Sprintf("* 1 FETCH (UID %d%s BODY[]<%d> {%d}\r\n%s)", uid, more, offset, len(text), text)
}

// noticing lets a test wait for the client's end of each connection being closed.
func noticing(gone chan<- struct{}) func(*mailbox.Options) {
	return func(o *mailbox.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return &noticed{Conn: c, gone: gone}, err
		}
	}
}

type noticed struct {
	net.Conn
	once sync.Once
	gone chan<- struct{}
}

func (n *noticed) Close() error {
	err := n.Conn.Close()
	n.once.Do(func() { n.gone <- struct{}{} })
	return err
}
