package localserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-smtp"
)

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
	o := Options{Dir: filepath.Join(fastDir(t), "mail"), Quotas: map[string]int64{bob: 1000}}
	s := start(t, o)
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

	// What is there counts after a restart as well, and deleting makes room.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start(t, o)
	c = s.imap(bob, nil)
	if _, err := tryAppend(c, "Sent", strings.Repeat("x", 101)); !errors.As(err, &refused) || refused.Code != imap.ResponseCodeOverQuota {
		t.Errorf("APPEND over quota after a restart: %v", err)
	}
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
