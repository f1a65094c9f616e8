package localserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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
