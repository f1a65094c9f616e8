package localserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/sealmail/sealmail/mailbox"
)

const (
	alice = "alice@example.org"
	bob   = "bob@example.org"
)

// testTLS returns matching configurations for both sides; the certificate is the standard library's own for tests.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates}, &tls.Config{RootCAs: roots}
}

// fastDir is a folder in memory, where there is such a thing: a test that injects hundreds of faults need not wait for a
// disk each time.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "localserver-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// testServer is a running server with the means to talk to it.
type testServer struct {
	*Server
	t      testing.TB
	client *tls.Config
}

// start runs a server in dir. Options that are zero get values for tests.
func start(t testing.TB, o Options) *testServer {
	t.Helper()
	if o.Dir == "" {
		o.Dir = fastDir(t)
	}
	var client *tls.Config
	o.TLS, client = testTLS(t)
	if o.Users == nil {
		o.Users = map[string]mailbox.Password{alice: "a secret", bob: "b secret"}
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &testServer{s, t, client}
}

// imap returns a logged-in connection.
func (s *testServer) imap(user string, o *imapclient.Options) *imapclient.Client {
	s.t.Helper()
	if o == nil {
		o = &imapclient.Options{}
	}
	o.TLSConfig = s.client
	c, err := imapclient.DialTLS(s.Addresses().IMAPS, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	if err := c.Login(user, user[:1]+" secret").Wait(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// smtp returns an authenticated connection.
func (s *testServer) smtp(user string) *smtp.Client {
	s.t.Helper()
	c, err := smtp.DialTLS(s.Addresses().Submissions, s.client)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	if err := c.Auth(sasl.NewPlainClient("", user, user[:1]+" secret")); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *testServer) append(c *imapclient.Client, folder, raw string, flags ...imap.Flag) imap.UID {
	s.t.Helper()
	data, err := tryAppend(c, folder, raw, flags...)
	if err != nil {
		s.t.Fatal(err)
	}
	return data.UID
}

func tryAppend(c *imapclient.Client, folder, raw string, flags ...imap.Flag) (*imap.AppendData, error) {
	cmd := c.Append(folder, int64(len(raw)), &imap.AppendOptions{Flags: flags})
	_, werr := cmd.Write([]byte(raw))
	cerr := cmd.Close()
	data, err := cmd.Wait()
	return data, errors.Join(err, werr, cerr)
}

func (s *testServer) contents(user, folder string) []string {
	s.t.Helper()
	all, err := s.Messages(user, folder)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, m := range all {
		b, err := os.ReadFile(m.Path)
		if err != nil {
			s.t.Fatal(err)
		}
		if int64(len(b)) != m.Size {
			s.t.Errorf("size of message %d is told as %d, is %d", m.UID, m.Size, len(b))
		}
		out = append(out, string(b))
	}
	return out
}

func message1(id, subject string) string {
	return fmt.Sprintf("From: alice@example.org\r\nTo: bob@example.org\r\nSubject: %s\r\nMessage-ID: <%s>\r\n\r\nHello %s\r\n",
		subject, id, id)
}

func TestRefusesOtherThanLoopback(t *testing.T) {
	config, _ := testTLS(t)
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.org:0"} {
		_, err := Open(t.Context(), Options{Dir: t.TempDir(), TLS: config, Clock: time.Now, IMAPS: address})
		if !errors.Is(err, ErrNotLoopback) {
			t.Errorf("Open on %s: %v, want ErrNotLoopback", address, err)
		}
	}
	s := start(t, Options{IMAPS: "localhost:0"})
	host, _, err := net.SplitHostPort(s.Addresses().IMAPS)
	if err != nil || host != "127.0.0.1" {
		t.Errorf("localhost is %s, %v", host, err)
	}
}

func TestOneServerPerFolder(t *testing.T) {
	dir := filepath.Join(fastDir(t), "mail")
	s := start(t, Options{Dir: dir})
	config, _ := testTLS(t)
	if _, err := Open(t.Context(), Options{Dir: dir, TLS: config, Clock: time.Now}); !errors.Is(err, ErrInUse) {
		t.Errorf("second server: %v, want ErrInUse", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir})
}

func TestNoPasswordWithoutTLS(t *testing.T) {
	s := start(t, Options{IMAP: "127.0.0.1:0", Submission: "127.0.0.1:0"})

	c, err := imapclient.DialInsecure(s.Addresses().IMAP, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(alice, "a secret").Wait(); err == nil {
		t.Error("IMAP login in clear text succeeded")
	}
	upgraded, err := imapclient.DialStartTLS(s.Addresses().IMAP, &imapclient.Options{TLSConfig: s.client})
	if err != nil {
		t.Fatal(err)
	}
	defer upgraded.Close()
	if err := upgraded.Login(alice, "a secret").Wait(); err != nil {
		t.Error(err)
	}

	m, err := smtp.Dial(s.Addresses().Submission)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Auth(sasl.NewPlainClient("", alice, "a secret")); err == nil {
		t.Error("SMTP AUTH in clear text succeeded")
	}
	if err := m.Mail(alice, nil); smtpCode(err) != 530 {
		t.Errorf("MAIL in clear text: %v, want 530", err)
	}
	tm, err := smtp.DialStartTLS(s.Addresses().Submission, s.client)
	if err != nil {
		t.Fatal(err)
	}
	defer tm.Close()
	if err := tm.Mail(alice, nil); smtpCode(err) != 530 {
		t.Errorf("MAIL without AUTH: %v, want 530", err)
	}
	for _, mechanism := range []sasl.Client{
		sasl.NewPlainClient("", alice, "wrong"),
		sasl.NewPlainClient(bob, alice, "a secret"),
		sasl.NewPlainClient("", "nobody@example.org", ""),
		sasl.NewLoginClient(alice, ""),
	} {
		other, err := smtp.DialStartTLS(s.Addresses().Submission, s.client)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Auth(mechanism); smtpCode(err) != 535 {
			t.Errorf("AUTH with wrong credentials: %v, want 535", err)
		}
		_ = other.Close()
	}
	if err := tm.Auth(sasl.NewLoginClient(strings.ToUpper(alice), "a secret")); err != nil {
		t.Errorf("AUTH LOGIN: %v", err)
	}
	if err := tm.Mail(alice, nil); err != nil {
		t.Error(err)
	}
}

func smtpCode(err error) int {
	var e *smtp.SMTPError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestDelivery(t *testing.T) {
	s := start(t, Options{})
	c := s.smtp(alice)
	raw := message1("1@x", "one") + ".\r\n..dots\r\n"
	if err := c.SendMail(alice, []string{bob, strings.ToUpper(bob), alice}, strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{alice, bob} {
		got := s.contents(user, "INBOX")
		if len(got) != 1 {
			t.Fatalf("%s has %d messages", user, len(got))
		}
		trace, ok := strings.CutSuffix(got[0], raw)
		if !ok || !strings.HasPrefix(trace, "Return-Path: <"+alice+">\r\nReceived: from ") ||
			!strings.Contains(trace, "for <"+user+">") || strings.Count(trace, "example.org") != 2 {
			t.Errorf("delivered to %s:\n%s", user, got[0])
		}
	}

	if err := c.Mail(alice, nil); err != nil {
		t.Fatal(err)
	}
	err := c.Rcpt("carol@example.org", nil)
	var refused *smtp.SMTPError
	if !errors.As(err, &refused) || refused.Code != 550 || refused.EnhancedCode != (smtp.EnhancedCode{5, 1, 1}) {
		t.Errorf("unknown recipient: %v", err)
	}
}

func TestDeliveryRefusesBareLineEnds(t *testing.T) {
	s := start(t, Options{})
	for _, raw := range []string{"a: b\r\n\r\nx\ny\r\n", "a: b\r\n\r\nx\ry\r\n"} {
		// Past the client library, which would mend the line ends.
		conn, err := tls.Dial("tcp", s.Addresses().Submissions, s.client)
		if err != nil {
			t.Fatal(err)
		}
		reply := rawSMTP(t, conn, raw)
		if !strings.HasPrefix(reply, "550 5.6.0") {
			t.Errorf("%q: %s", raw, reply)
		}
		_ = conn.Close()
	}
	if got := s.contents(bob, "INBOX"); len(got) != 0 {
		t.Errorf("%d messages were delivered", len(got))
	}
}

// rawSMTP sends a message octet by octet and returns the reply to it.
func rawSMTP(t *testing.T, conn net.Conn, message string) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var reply []byte
	read := func() {
		buf := make([]byte, 4096)
		reply = nil
		for {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			reply = append(reply, buf[:n]...)
			lines := bytes.Split(bytes.TrimSpace(reply), []byte("\r\n"))
			if last := lines[len(lines)-1]; bytes.HasSuffix(reply, []byte("\r\n")) && len(last) > 3 && last[3] == ' ' {
				return
			}
		}
	}
	read()
	for _, line := range []string{
		"EHLO test", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAGEgc2VjcmV0", "MAIL FROM:<" + alice + ">", "RCPT TO:<" + bob + ">",
		"DATA", message + ".",
	} {
		if _, err := conn.Write([]byte(line + "\r\n")); err != nil {
			t.Fatal(err)
		}
		read()
	}
	return string(reply)
}

func TestQuota(t *testing.T) {
	s := start(t, Options{Quotas: map[string]int64{bob: 1000}})
	c := s.imap(bob, nil)
	_, err := tryAppend(c, "INBOX", strings.Repeat("x", 1001))
	var refused *imap.Error
	if !errors.As(err, &refused) || refused.Code != imap.ResponseCodeOverQuota {
		t.Errorf("APPEND over quota: %v", err)
	}
	s.append(c, "INBOX", strings.Repeat("x", 900))

	m := s.smtp(alice)
	// The message is for both, so neither gets it.
	err = m.SendMail(alice, []string{alice, bob}, strings.NewReader(message1("1@x", strings.Repeat("y", 200))))
	if smtpCode(err) != 552 || !strings.Contains(err.Error(), "full") {
		t.Errorf("delivery over quota: %v", err)
	}
	if got := len(s.contents(alice, "INBOX")) + len(s.contents(bob, "INBOX")); got != 1 {
		t.Errorf("%d messages, want that of bob alone", got)
	}

	// Deleting makes room, after a restart as well.
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Expunge().Close(); err != nil {
		t.Fatal(err)
	}
	s.append(c, "INBOX", strings.Repeat("x", 1000))
}

func TestMessageSizeLimit(t *testing.T) {
	s := start(t, Options{MaxMessageBytes: 1000})
	_, err := tryAppend(s.imap(bob, nil), "INBOX", strings.Repeat("x", 1001))
	var refused *imap.Error
	if !errors.As(err, &refused) || refused.Code != imap.ResponseCodeTooBig {
		t.Errorf("APPEND: %v", err)
	}
	err = s.smtp(alice).SendMail(alice, []string{bob}, strings.NewReader(strings.Repeat("xxxxxxxx\r\n", 101)))
	if smtpCode(err) != 552 {
		t.Errorf("SMTP: %v", err)
	}
	if got := s.contents(bob, "INBOX"); len(got) != 0 {
		t.Errorf("%d messages were stored", len(got))
	}
}

func TestHooks(t *testing.T) {
	cut := errors.New("cut")
	hooks := make(chan func(event string) error, 1)
	s := start(t, Options{Hook: func(event string) error {
		hook := <-hooks
		defer func() { hooks <- hook }()
		return hook(event)
	}})
	hooks <- func(string) error { return nil }
	var events []string
	set := func(at string, err error) {
		<-hooks
		events = nil
		hooks <- func(event string) error {
			events = append(events, event)
			if event == at {
				return err
			}
			return nil
		}
	}
	seen := func() string {
		hook := <-hooks
		defer func() { hooks <- hook }()
		return strings.Join(events, " ")
	}
	raw := message1("1@x", "one")
	send := func() error {
		return s.smtp(alice).SendMail(alice, []string{bob}, strings.NewReader(raw))
	}
	for _, c := range []struct {
		at        string
		err       error
		code      int
		delivered bool
	}{
		{"", nil, 0, true},
		{"smtp.mail", cut, 0, false},
		{"smtp.rcpt", &smtp.SMTPError{Code: 450, Message: "later"}, 450, false},
		{"smtp.data.begin", cut, 0, false},
		{"smtp.data.received", cut, 0, false},
		{"smtp.data.received", &smtp.SMTPError{Code: 451, Message: "later"}, 451, false},
		{"smtp.data.end", cut, 0, true},
	} {
		before := len(s.contents(bob, "INBOX"))
		set(c.at, c.err)
		err := send()
		if (err == nil) != (c.err == nil) || smtpCode(err) != c.code {
			t.Errorf("hook at %q: %v", c.at, err)
		}
		if delivered := len(s.contents(bob, "INBOX")) > before; delivered != c.delivered {
			t.Errorf("hook at %q: delivered is %v", c.at, delivered)
		}
		if c.at == "" {
			if want := "smtp.auth smtp.mail smtp.rcpt smtp.data.begin smtp.data.received smtp.data.end"; seen() != want {
				t.Errorf("events %q, want %q", seen(), want)
			}
		}
	}
	set("", nil)
	c := s.imap(bob, nil)
	set("imap.append.end", cut)
	before := len(s.contents(bob, "Sent"))
	if _, err := tryAppend(c, "Sent", raw); err == nil {
		t.Error("APPEND with a cut line succeeded")
	}
	if got := len(s.contents(bob, "Sent")); got != before+1 {
		t.Error("the message was not stored before the line was cut")
	}
}

func TestFilesAreForTheirOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	s := start(t, Options{Dir: dir})
	s.append(s.imap(bob, nil), "INBOX", message1("1@x", "one"))
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
