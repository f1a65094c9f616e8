package peertest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Fate is what becomes of a connection after a line.
type Fate int

// What may become of it.
const (
	Pass  Fate = iota
	Cut        // both ends are closed
	Stall      // nothing passes any more, and nothing is closed
	Blind      // everything passes unseen: after STARTTLS
)

// Tamper is what somebody on the line does. Lines come without their end; what is inside an IMAP literal is no line. The
// functions are called by one goroutine each, for each connection.
type Tamper struct {
	// Client sees what the client says. An answer is given to the client in the place of the server's, who is not told
	// of the line; it may have several lines, or be Swallow. Nil passes everything.
	Client func(line string) (answer string, fate Fate)
	// Server sees what the server says and returns what the client is to get; it may have several lines, or be
	// Swallow. Nil passes everything.
	Server func(line string) (instead string, fate Fate)
	// ServerTLS, unless nil, is how the server is spoken to: the client still speaks in clear text.
	ServerTLS *tls.Config
}

// dial connects to the server.
func (t Tamper) dial(server string) (net.Conn, error) {
	if t.ServerTLS != nil {
		return tls.Dial("tcp", server, t.ServerTLS)
	}
	return net.Dial("tcp", server)
}

// Swallow is for a line of which the other side gets nothing.
const Swallow = "\x00"

// StartProxy listens on loopback, in clear text, passes what comes on to a server, and tampers with it. It ends with the
// test.
func StartProxy(t testing.TB, server string, tamper Tamper) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		open  = make(map[net.Conn]bool)
		ended bool
	)
	keep := func(c net.Conn) bool {
		mu.Lock()
		defer mu.Unlock()
		open[c] = true
		return !ended
	}
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := tamper.dial(server)
			if err != nil || !keep(client) || !keep(upstream) {
				_ = client.Close()
				if upstream != nil {
					_ = upstream.Close()
				}
				continue
			}
			p := &proxied{client: client, server: upstream}
			wg.Go(func() { p.pump(client, upstream, p.fromClient(tamper.Client)) })
			wg.Go(func() { p.pump(upstream, client, fromServer(tamper.Server)) })
		}
	})
	t.Cleanup(func() {
		mu.Lock()
		ended = true
		_ = l.Close()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// proxied is one connection through the proxy.
type proxied struct {
	client, server net.Conn
	mu             sync.Mutex // held while a line goes to the client: both directions may say something to it
	stalled        bool
}

// fromClient returns what a line of the client becomes on the way to the server.
func (p *proxied) fromClient(see func(string) (string, Fate)) func(string) (string, Fate) {
	return func(line string) (string, Fate) {
		if see == nil {
			return line, Pass
		}
		answer, fate := see(line)
		switch answer {
		case "":
			return line, fate
		case Swallow:
			return Swallow, fate
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.stalled {
			_, _ = io.WriteString(p.client, strings.ReplaceAll(answer, "\n", "\r\n")+"\r\n")
		}
		return Swallow, fate
	}
}

func fromServer(see func(string) (string, Fate)) func(string) (string, Fate) {
	if see == nil {
		return func(line string) (string, Fate) { return line, Pass }
	}
	return see
}

var literalEnd = regexp.MustCompile(`\{(\d+)\+?\}$`)

// pump passes lines, and literals behind them, until the connection ends.
func (p *proxied) pump(from, to net.Conn, see func(string) (string, Fate)) {
	r := bufio.NewReader(from)
	defer to.Close()
	for blind := false; ; {
		if blind {
			_, _ = io.Copy(to, r)
			return
		}
		raw, err := r.ReadString('\n')
		if err != nil {
			_, _ = io.WriteString(to, raw)
			return
		}
		line, fate := see(strings.TrimRight(raw, "\r\n"))
		if line != Swallow && !p.write(to, strings.ReplaceAll(line, "\n", "\r\n")+"\r\n") {
			return
		}
		if m := literalEnd.FindStringSubmatch(line); m != nil && line != Swallow {
			n, _ := strconv.ParseInt(m[1], 10, 64)
			if !p.literal(to, io.LimitReader(r, n)) {
				return
			}
		}
		switch fate {
		case Cut:
			_ = p.client.Close()
			_ = p.server.Close()
			return
		case Stall:
			p.mu.Lock()
			p.stalled = true
			p.mu.Unlock()
			_, _ = io.Copy(io.Discard, r)
			return
		case Blind:
			blind = true
		}
	}
}

// write writes unless nothing may pass any more.
func (p *proxied) write(to net.Conn, text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled {
		return true
	}
	_, err := io.WriteString(to, text)
	return err == nil
}

// literal copies octets that are no lines.
func (p *proxied) literal(to net.Conn, r io.Reader) bool {
	if to == p.client { // the client's own wait for a line of the server
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stalled {
			to = discardConn{}
		}
	}
	_, err := io.Copy(to, r)
	return err == nil
}

// discardConn takes what nobody gets.
type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error) { return len(p), nil }
