package peertest_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

const limit = 30 * time.Second

func tlsConfig(t *testing.T, s peertest.Servers) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in ", s.CAFile)
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// imap is a connection to the IMAP server, as much as these tests need.
type imap struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func login(t *testing.T, s peertest.Servers, u peertest.User) *imap {
	t.Helper()
	c, err := tls.Dial("tcp", s.IMAPS, tlsConfig(t, s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	i := &imap{t, c, bufio.NewReader(c)}
	i.until("* OK")
	i.send("a LOGIN %s %s", u.Address, u.Password)
	i.until("a OK")
	return i
}

func (i *imap) send(format string, args ...any) {
	i.t.Helper()
	if _, err := fmt.Fprintf(i.c, format+"\r\n", args...); err != nil {
		i.t.Fatal(err)
	}
}

// until reads lines up to one that contains want, and returns all of them.
func (i *imap) until(want string) string {
	i.t.Helper()
	var all strings.Builder
	for {
		line, err := i.r.ReadString('\n')
		all.WriteString(line)
		if strings.Contains(line, want) {
			return all.String()
		}
		if err != nil || strings.HasPrefix(line, "a ") {
			i.t.Fatalf("waiting for %q: %v\n%s", want, err, all.String())
		}
	}
}

// submit sends a message with a login over STARTTLS.
func submit(t *testing.T, s peertest.Servers, from peertest.User, to, subject string) error {
	t.Helper()
	client, err := smtp.Dial(s.Submission)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.StartTLS(tlsConfig(t, s)); err != nil {
		t.Fatal(err)
	}
	if err := client.Auth(smtp.PlainAuth("", from.Address, from.Password, "127.0.0.1")); err != nil {
		return err
	}
	if err := errors.Join(client.Mail(from.Address), client.Rcpt(to)); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\ntext\r\n", from.Address, to, subject); err != nil {
		return err
	}
	return errors.Join(w.Close(), client.Quit())
}

func TestMailIsDelivered(t *testing.T) {
	s := peertest.MailServers(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	box := login(t, s, bob)
	box.send("a SELECT INBOX")
	box.until("a OK")
	box.send("a IDLE")
	box.until("+ ")
	if err := submit(t, s, alice, bob.Address, "delivered"); err != nil {
		t.Fatal(err)
	}
	box.until("* 1 EXISTS")
	box.send("DONE")
	box.until("a OK")
	box.send("a FETCH 1 BODY.PEEK[HEADER]")
	if got := box.until("a OK"); !strings.Contains(got, "Subject: delivered") {
		t.Errorf("fetched %s", got)
	}
	files, err := filepath.Glob(filepath.Join(s.MailDir(bob.Address, "INBOX"), "*", "*,S=*"))
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
	s.Empty(t, bob.Address)
	box.send("a NOOP")
	if got := box.until("a OK"); !strings.Contains(got, "EXPUNGE") {
		t.Errorf("after Empty: %s", got)
	}
}

func TestNothingLeaves(t *testing.T) {
	s := peertest.MailServers(t)
	err := submit(t, s, s.User(t, "carol"), "someone@example.com", "outside")
	if err == nil || !strings.Contains(err.Error(), "delivers to example.test only") {
		t.Errorf("mail for another domain: %v", err)
	}
}

func TestLoginIsRequired(t *testing.T) {
	s := peertest.MailServers(t)
	alice := s.User(t, "alice")
	wrong := peertest.User{Address: alice.Address, Password: "wrong"}
	if err := submit(t, s, wrong, alice.Address, "x"); err == nil || !strings.Contains(err.Error(), "535") {
		t.Errorf("submission with a wrong password: %v", err)
	}
	client, err := smtp.Dial(s.Submission)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Mail(alice.Address); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("submission in clear text: %v", err)
	}
}

func TestFullMailbox(t *testing.T) {
	s := peertest.MailServers(t)
	box := login(t, s, s.Full)
	const size = 4000
	box.send("a APPEND INBOX {%d}", size)
	if got := box.until("\n"); strings.HasPrefix(got, "+") {
		box.send("Subject: x\r\n\r\n%s", strings.Repeat("y", size-len("Subject: x\r\n\r\n")))
		box.until("a NO [OVERQUOTA]")
	} else if !strings.Contains(got, "a NO [OVERQUOTA]") {
		t.Errorf("APPEND: %s", got)
	}
}

func TestServersAreShared(t *testing.T) {
	s := peertest.MailServers(t)
	if again := peertest.MailServers(t); again.IMAP != s.IMAP {
		t.Error("a second start for the same process")
	}
}

// killedEnv tells the test binary to be the process that is killed while its servers run.
const killedEnv = "PEERTEST_TEST_KILLED"

// TestServersEndWithTheProcess kills a test process that has started servers of its own, beside those of this one.
func TestServersEndWithTheProcess(t *testing.T) {
	s := peertest.MailServers(t)
	if os.Getenv(killedEnv) != "" {
		fmt.Printf("%s %s\n", filepath.Dir(s.CAFile), s.IMAPS)
		select {}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestServersEndWithTheProcess$")
	cmd.Env = append(os.Environ(), killedEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir, addr string
	_, scanErr := fmt.Fscanln(out, &dir, &addr)
	if err := errors.Join(scanErr, cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		_, statErr := os.Stat(dir)
		conn, dialErr := net.Dial("tcp", addr)
		if statErr != nil && dialErr != nil {
			break
		}
		if dialErr == nil {
			conn.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s after the kill: %v; connecting to %s: %v", limit, statErr, addr, dialErr)
		}
	}
}
