package mailbox

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync/atomic"
)

// maxLines bounds what a server may say before it answers STARTTLS.
const maxLines = 100

// link is a connection that is fit to carry credentials.
type link struct {
	*conn                      // what bounds it
	wire  *wire                // what the protocol is spoken over
	tls   *tls.ConnectionState // nil: clear text, on loopback
}

// dial connects to the server of o, up to and including TLS. Everything that a server says before TLS is used to get
// there and then forgotten: greeting stands in for the one that a client library waits for after STARTTLS.
func dial(ctx context.Context, o Options, greeting string, startTLS func(*textproto.Reader, io.Writer) error) (*link, error) {
	fail := func(step string, err error) (*link, error) { return nil, connectError(o.Endpoint, step, err) }

	raw, err := dialTCP(ctx, o)
	if err != nil {
		return fail("connect", err)
	}
	c := newConn(raw, o.Timeout)
	step := func(name string, f func() error) error {
		end := c.begin(ctx, answerBudget)
		defer end()
		if err := f(); err != nil {
			cause := c.failure() // of which err may be a mere consequence
			c.fail(err)
			if cause == nil {
				cause = err
			}
			return connectError(o.Endpoint, name, cause)
		}
		return nil
	}

	if !o.Endpoint.Scheme.implicitTLS() {
		if o.InsecureLoopback && isLoopback(raw) {
			return &link{conn: c, wire: newWire(c, c)}, nil
		}
		if err := step("STARTTLS", func() error { return upgrade(c, startTLS) }); err != nil {
			return nil, err
		}
	}
	secure := tls.Client(c, o.tlsConfig())
	if err := step("TLS handshake", func() error { return handshake(ctx, secure) }); err != nil {
		return nil, err
	}
	l := newWire(secure, c)
	if !o.Endpoint.Scheme.implicitTLS() {
		l.r = io.MultiReader(strings.NewReader(greeting), secure)
	}
	state := secure.ConnectionState()
	return &link{conn: c, wire: l, tls: &state}, nil
}

// dialTCP makes the network connection in one step's time.
func dialTCP(ctx context.Context, o Options) (net.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c, err := o.Dial(bounded, "tcp", o.Endpoint.Address())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if bounded.Err() != nil {
			return nil, reasonError{ReasonTimeout, fmt.Sprintf("no connection within %v", o.Timeout)}
		}
		return nil, err
	}
	return c, nil
}

// upgrade has the server begin TLS. Whoever sits on the line can put words into what is still clear text; so nothing
// from before TLS may be left over to be read as if it came from inside (RFC 3207 section 6, RFC 9051 section 11.1).
func upgrade(c net.Conn, startTLS func(*textproto.Reader, io.Writer) error) error {
	br := bufio.NewReader(c)
	if err := startTLS(textproto.NewReader(br), c); err != nil {
		return err
	}
	if br.Buffered() > 0 {
		return reasonError{ReasonNoSTARTTLS, "somebody put clear text behind the answer to STARTTLS"}
	}
	return nil
}

// handshake does the TLS handshake, and calls by name what is no TLS at all.
func handshake(ctx context.Context, c *tls.Conn) error {
	err := c.HandshakeContext(ctx)
	if reasonOf(err) == ReasonProtocol && err != nil {
		return fmt.Errorf("%w: %w", reasonError{ReasonTLS, "handshake failed"}, err)
	}
	return err
}

// wire is what a protocol library reads and writes: TLS, or clear text on loopback, above the bounds.
type wire struct {
	net.Conn
	r      io.Reader // Conn, perhaps with a greeting before it that was not sent
	bounds *conn
	login  atomic.Bool // while one logs in: see Write
	tail   []byte      // the end of what was read, for afterGoodbye
}

func newWire(over net.Conn, bounds *conn) *wire {
	w := &wire{Conn: over, r: over, bounds: bounds}
	bounds.explain = w.afterGoodbye
	return w
}

// maxGoodbye bounds how much of what was read is kept, in octets.
const maxGoodbye = 512

// Write writes. The library writes "=" for an empty answer to a challenge, which is right in a command only; what follows
// a challenge is an empty line (RFC 9051 section 6.2.2).
func (w *wire) Write(p []byte) (int, error) {
	if w.login.Load() && string(p) == "=\r\n" {
		if _, err := w.Conn.Write(p[1:]); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return w.Conn.Write(p)
}

// Read reads, and notes the end of TLS as what it is: the library would make mere text of it.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.tail = append(w.tail, p[max(0, n-maxGoodbye):n]...)
		w.tail = w.tail[max(0, len(w.tail)-maxGoodbye):]
	}
	if err != nil {
		w.bounds.fail(w.afterGoodbye(err))
	}
	return n, err
}

// afterGoodbye returns why a connection ended, while reading from it: where the last line that an IMAP server said is BYE
// (RFC 9051 section 7.1.5), the reason that it gave, of which the library keeps nothing.
func (w *wire) afterGoodbye(err error) error {
	lines := strings.Split(strings.TrimSuffix(string(w.tail), "\r\n"), "\r\n")
	if status, text := imapStatus(lines[len(lines)-1], "*"); status == "BYE" && reasonOf(err) == ReasonLost {
		return reasonError{ReasonUnavailable, cleanText(text)}
	}
	return err
}

// isLoopback reports whether a connection leads to this machine.
func isLoopback(c net.Conn) bool {
	addr, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// imapStartTLS speaks IMAP up to STARTTLS (RFC 9051 section 6.2.1).
func imapStartTLS(r *textproto.Reader, w io.Writer) error {
	line, err := r.ReadLine()
	if err != nil {
		return err
	}
	switch status, text := imapStatus(line, "*"); status {
	case "OK":
	case "BYE":
		return reasonError{ReasonUnavailable, text}
	case "PREAUTH":
		// RFC 9051 section 7.1.4: a session that is already logged in can have no STARTTLS.
		return reasonError{ReasonNoSTARTTLS, "the server greets with PREAUTH"}
	default:
		return reasonError{ReasonProtocol, "the greeting is not IMAP"}
	}
	if _, err := io.WriteString(w, "a STARTTLS\r\n"); err != nil {
		return err
	}
	for range maxLines {
		line, err := r.ReadLine()
		if err != nil {
			return err
		}
		switch status, text := imapStatus(line, "a"); status {
		case "OK":
			return nil
		case "NO", "BAD":
			return reasonError{ReasonNoSTARTTLS, "the server answered: " + cleanText(text)}
		}
		if status, text := imapStatus(line, "*"); status == "BYE" {
			return reasonError{ReasonUnavailable, text}
		}
	}
	return reasonError{ReasonProtocol, "no answer to STARTTLS among many lines"}
}

// imapStatus takes the status and the text from a line that begins with tag; the status is "" if it does not.
func imapStatus(line, tag string) (status, text string) {
	first, rest, _ := strings.Cut(line, " ")
	if first != tag {
		return "", ""
	}
	status, text, _ = strings.Cut(rest, " ")
	return strings.ToUpper(status), text
}

// smtpStartTLS speaks SMTP up to STARTTLS (RFC 3207 section 4).
func smtpStartTLS(localName string) func(*textproto.Reader, io.Writer) error {
	return func(r *textproto.Reader, w io.Writer) error {
		if code, text, err := r.ReadResponse(220); err != nil {
			return smtpGreetingError(code, text, err)
		}
		if _, err := io.WriteString(w, "EHLO "+localName+"\r\n"); err != nil {
			return err
		}
		code, text, err := r.ReadResponse(250)
		if code == 0 && err != nil {
			return err
		}
		offered := false
		for line := range strings.Lines(text) {
			offered = offered || strings.EqualFold(strings.TrimSpace(line), "STARTTLS")
		}
		if err != nil || !offered {
			return reasonError{ReasonNoSTARTTLS, "the server does not offer it"}
		}
		if _, err := io.WriteString(w, "STARTTLS\r\n"); err != nil {
			return err
		}
		if code, text, err := r.ReadResponse(220); code != 0 && err != nil {
			return reasonError{ReasonNoSTARTTLS, fmt.Sprintf("the server answered: %d %s", code, cleanText(text))}
		} else if err != nil {
			return err
		}
		return nil
	}
}

// smtpGreetingError tells a server that does not want to serve from one that makes no sense.
func smtpGreetingError(code int, text string, err error) error {
	if code >= 400 && code < 600 {
		return reasonError{ReasonUnavailable, fmt.Sprintf("%d %s", code, cleanText(text))}
	}
	return err
}
