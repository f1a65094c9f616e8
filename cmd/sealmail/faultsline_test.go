//go:build unix

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
)

// lineFault is something that is wrong with the line to a server as a whole.
type lineFault struct {
	name string
	// serve is what listens in the place of the server; nil: nobody does.
	serve func(t *testing.T, l *faultLab, smtp bool) string
	home  string // see setUp
	says  string // what a person is told
	hint  string
	slow  bool // it ends by --timeout
}

// served is a listener in the place of a server.
func served(f func(net.Conn)) func(*testing.T, *faultLab, bool) string {
	return func(t *testing.T, _ *faultLab, _ bool) string { return listen(t, f) }
}

// saying greets, whatever the protocol, and says no more.
func saying(imap, smtp string) func(*testing.T, *faultLab, bool) string {
	return func(t *testing.T, _ *faultLab, submission bool) string {
		return listen(t, func(c net.Conn) {
			text := imap
			if submission {
				text = smtp
			}
			_, _ = fmt.Fprint(c, text)
			silent(c)
		})
	}
}

func lineFaults() []lineFault {
	endless := strings.Repeat("x", 1<<20)
	return []lineFault{
		{name: "nobody listens", home: "clear", says: "cannot be reached: connection refused", hint: "check the host, the port and the network"},
		{name: "closed at once", home: "clear", serve: served(func(net.Conn) {}), says: "the connection was lost", hint: "try again"},
		{name: "silent", home: "clear", serve: served(silent), slow: true, says: "no answer in time: the server was silent for " + faultShort, hint: "--timeout"},
		{name: "greets with a refusal", home: "clear", serve: saying("* BYE too many\r\n", "421 too many\r\n"), says: "the server does not serve now: ", hint: "try again later"},
		{name: "another protocol", home: "clear", serve: saying("HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"), says: "the server's answer makes no sense", hint: "check the host and the port"},
		{name: "an endless line", home: "clear", serve: saying("* OK "+endless, "220 "+endless), says: "the server's answer makes no sense", hint: "check the host and the port"},
		{name: "no TLS", home: "tls", serve: saying("* OK hello\r\n", "220 hello\r\n"), says: "no TLS connection", hint: "check the port"},
		{name: "another's certificate", home: "tls", serve: certified("wrong"), says: "the server's certificate is not trusted", hint: "check the host"},
		{name: "an expired certificate", home: "tls", serve: certified("expired"), says: "the server's certificate is not trusted", hint: "needs a new certificate"},
		{name: "an authority nobody trusts", home: "untrusting", serve: certified("server"), says: "the server's certificate is not trusted", hint: "cert trust"},
		{name: "STARTTLS taken away", home: "starttls", serve: stripped, says: "no STARTTLS, and nothing is sent in the clear", hint: "use imaps:// or submissions://"},
		{name: "words before TLS", home: "starttls", serve: injected, says: "somebody put clear text behind the answer to STARTTLS", hint: "use imaps:// or submissions://"},
		{name: "PREAUTH", home: "starttls", serve: saying("* PREAUTH be welcome\r\n", "220 hello\r\n250 hello\r\n"), says: "no STARTTLS, and nothing is sent in the clear"},
	}
}

// certified is a server with a certificate that newCertificates made.
func certified(name string) func(*testing.T, *faultLab, bool) string {
	return func(t *testing.T, l *faultLab, _ bool) string {
		return listen(t, func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{l.certificates[name]}}).Handshake() // which the client breaks off
		})
	}
}

// stripped is a server without STARTTLS, as somebody on the line makes it look.
func stripped(t *testing.T, l *faultLab, smtp bool) string {
	if smtp {
		return peertest.StartProxy(t, l.servers.Submission, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
			return strings.Replace(line, "STARTTLS", "X-NOTHING", 1), peertest.Pass
		}})
	}
	return peertest.StartProxy(t, l.servers.IMAP, peertest.Tamper{Client: func(line string) (string, peertest.Fate) {
		if tag, ok := strings.CutSuffix(line, " STARTTLS"); ok {
			return tag + " BAD unknown command", peertest.Pass
		}
		return "", peertest.Pass
	}})
}

// injected puts words that look like the server's behind its answer to STARTTLS, where they would be read as if from inside TLS.
func injected(t *testing.T, l *faultLab, smtp bool) string {
	begins, words, server := "a OK", "\n* CAPABILITY IMAP4rev1 AUTH=PLAIN", l.servers.IMAP
	if smtp {
		begins, words, server = "220 2.0.0", "\n250 AUTH PLAIN", l.servers.Submission
	}
	return peertest.StartProxy(t, server, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if strings.HasPrefix(line, begins) {
			return line + words, peertest.Blind
		}
		return line, peertest.Pass
	}})
}

// overheard is a connection that keeps what the client says on it.
type overheard struct {
	net.Conn
	to *transcript
}

type transcript struct {
	sync.Mutex
	said bytes.Buffer
}

func (o overheard) Write(p []byte) (int, error) {
	o.to.Lock()
	defer o.to.Unlock()
	o.to.said.Write(p)
	return o.Conn.Write(p)
}

var loggingIn = regexp.MustCompile(`(?i)\b(auth|authenticate|login|mail from)\b|` + killPassword)

// TestFaultsLine has something in the place of the servers that is none, or that cannot be trusted: each command says so, nothing
// is sent, no password is shown, what was to be sent waits in the outbox, and no account is set up.
func TestFaultsLine(t *testing.T) {
	l := newFaultLab(t)
	l.newCertificates(t)
	s := l.servers
	homes := map[string][]string{
		"clear":      {"--imap", "imap://" + s.IMAP, "--smtp", "submission://" + s.Submission, "--insecure-loopback"},
		"starttls":   {"--imap", "imap://" + s.IMAP, "--smtp", "submission://" + s.Submission},
		"tls":        {"--imap", "imaps://" + s.IMAPS, "--smtp", "submissions://" + s.Submissions, "--server-ca", l.file("ca/root.pem")},
		"untrusting": {"--imap", "imaps://" + s.IMAPS, "--smtp", "submissions://" + s.Submissions},
	}
	for name, servers := range homes {
		if name != "clear" {
			l.setUp(t, name, servers...)
		}
	}
	faults := lineFaults()
	atOnce(len(faults), faultsAtOnce, func(i int) {
		f := faults[i]
		t.Run(f.name, func(t *testing.T) {
			w := l.world(t, nil, f.home)
			var heard transcript
			w.wrap = func(c net.Conn) net.Conn { return overheard{c, &heard} }
			imap, smtp := unused(t), unused(t)
			if f.serve != nil {
				imap, smtp = f.serve(t, l, false), f.serve(t, l, true)
			}
			for _, server := range []string{s.IMAP, s.IMAPS} {
				w.lead(server, imap)
			}
			for _, server := range []string{s.Submission, s.Submissions} {
				w.lead(server, smtp)
			}
			timeout := faultWait
			if f.slow {
				timeout = faultShort
			}
			for _, args := range [][]string{
				{"fetch"}, {"list", "--refresh"}, {"read", "1"}, {"folders"}, {"move", "1", "archive"}, {"delete", "1"}, {"flag", "1", "--add", "seen"},
				{"draft", "--to", killBob, "--body", l.file("letter.txt")}, {"send", "--to", killBob, "--subject", "x", "--body", l.file("letter.txt")}, {"outbox", "flush"},
			} {
				o := w.run(t, timeout, "", args...).mustFail(t, f.says)
				if !strings.Contains(o.err, f.hint) || !strings.Contains(o.err, "://127.0.0.1:") {
					t.Errorf("%s does not name the server, or give the hint %q\n%s", args[0], f.hint, o.err)
				}
			}
			if o := w.run(t, timeout, "Subject: x\n\ntext\n", "sendmail", killBob); o.code != exitGood || !strings.Contains(o.err, f.says) {
				t.Errorf("sendmail: exit %d\n%s", o.code, o.err)
			}
			lines := killLines[client.OutboxLine](t, w.run(t, timeout, "", "--json", "outbox", "list").mustBe(t, exitGood))
			if len(lines) != 2 || lines[0].State != "queued" || lines[1].State != "queued" {
				t.Errorf("the outbox has %+v", lines)
			}
			o := w.run(t, timeout, "", "doctor").mustBe(t, exitNo)
			if n := strings.Count(strings.Join(strings.Fields(o.out), " "), f.says); n < 2 {
				t.Errorf("doctor says it %d times\n%s", n, o.out)
			}
			w.home += "-new"
			w.run(t, timeout, "", l.initArgs(homes[f.home]...)...).mustFail(t, f.says)
			if entries, err := os.ReadDir(w.home); err == nil && len(entries) > 0 {
				t.Errorf("init left %v", entries)
			}
			if word := loggingIn.Find(heard.said.Bytes()); word != nil {
				t.Errorf("the client said %q", word)
			}
		})
	})
}

// newCertificates makes certificates that are good for no server, or no more.
func (l *faultLab) newCertificates(t *testing.T) {
	t.Helper()
	l.certificates = map[string]tls.Certificate{"server": l.tls.Certificates[0]}
	for name, flags := range map[string][]string{
		"wrong":   {"--dns", "elsewhere.example"},
		"expired": {"--dns", "127.0.0.1", "--not-before", "2026-01-01T00:00:00Z", "--not-after", "2026-01-02T00:00:00Z"},
	} {
		args := append([]string{"ca", "issue", "--dir", l.file("ca"), "--key", "p256", "--purpose", "tls", "-o", l.file(name + ".p12"), "--p12-password-file", l.file("password")}, flags...)
		l.sealmail(t, l.file("nowhere"), args...).mustBe(t, exitGood)
		l.certificates[name] = l.cheapen(t, name)
	}
}

// unused is an address on which nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
