package peertest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Servers are a Dovecot and a Postfix that run for this test process, on loopback. Mail for the users is delivered
// from one to the other; a recipient in another domain is refused, and nothing leaves loopback.
type Servers struct {
	IMAP        string // host:port, STARTTLS offered (Dovecot takes a login in clear text over loopback)
	IMAPS       string // host:port, TLS
	SMTP        string // host:port, as other hosts use it: STARTTLS offered, no login, mail for the users only
	Submission  string // host:port, STARTTLS and login required
	Submissions string // host:port, TLS, login required
	CAFile      string // PEM: the trust anchor of the servers' certificate, which names localhost and 127.0.0.1
	Users       []User // alice, bob and carol
	// Full is a user whose mailbox takes no message of more than about a kilobyte.
	Full User
	// MailDir returns the Maildir folder in which Dovecot keeps a folder ("INBOX", "Sent", ASCII names) of a user,
	// given by address. It exists once something was delivered or the user logged in.
	MailDir func(user, folder string) string

	config string // Dovecot's
	queue  string // Postfix's folder
}

// User is an account on the servers.
type User struct {
	Address  string // also the login name
	Password string
}

// User returns the user with the local part name.
func (s Servers) User(t testing.TB, name string) User {
	t.Helper()
	for _, u := range s.Users {
		if strings.HasPrefix(u.Address, name+"@") {
			return u
		}
	}
	t.Fatalf("the mail servers have no user %s", name)
	return User{}
}

// Empty expunges all messages in all folders of a user, given by address. Tests of one package share the servers;
// those that count messages begin so.
func (s Servers) Empty(t testing.TB, user string) {
	t.Helper()
	Run(t, "doveadm", "-c", s.config, "expunge", "-u", user, "mailbox", "*", "all")
}

// DeleteFolder removes a folder of a user, given by address, with all that is in it. Whoever makes one of the same name
// makes one with another UIDVALIDITY.
func (s Servers) DeleteFolder(t testing.TB, user, folder string) {
	t.Helper()
	Run(t, "doveadm", "-c", s.config, "mailbox", "delete", "-u", user, folder)
}

// Fill puts the messages from to below to, as message makes them, into a folder of a user, given by address, which is made where it
// is missing: as files, faster than any protocol. On the server, lines end as in a Maildir.
func (s Servers) Fill(t testing.TB, user, folder string, from, to int, message func(i int) []byte) {
	t.Helper()
	dir := s.MailDir(user, folder)
	mail := filepath.Dir(filepath.Dir(filepath.Dir(dir)))
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := from; i < to; i++ {
		m := bytes.ReplaceAll(message(i), []byte("\r\n"), []byte("\n"))
		name := fmt.Sprintf("%d.M%dP1.fill,S=%d,W=%d:2,", 1763715731+i, i, len(m), len(m)+bytes.Count(m, []byte("\n")))
		if err := os.WriteFile(filepath.Join(dir, "cur", name), m, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	Run(t, "chown", "-R", "--reference="+mail, filepath.Dir(filepath.Dir(dir)))
}

// settleLimit bounds how long a message may take through the servers.
const settleLimit = 30 * time.Second

// Settle waits until Postfix has delivered all that it took and got rid of all that was broken off, and fails the test
// if that takes too long. What clients still say is not waited for.
func (s Servers) Settle(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(settleLimit); ; time.Sleep(5 * time.Millisecond) {
		n, err := s.queued()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are stuck in the queue", n)
		}
	}
}

// queued counts the messages in Postfix's queue. The folders come in the order in which a message goes through them, so
// that none is missed between two.
func (s Servers) queued() (n int, err error) {
	for _, folder := range []string{"maildrop", "incoming", "active", "deferred"} {
		err := filepath.WalkDir(filepath.Join(s.queue, folder), func(_ string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // delivered meanwhile
			case err != nil:
				return err
			case !e.IsDir():
				n++
			}
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// MailServers returns the mail servers of this test process, which are started when the first test asks. They need
// dovecot (2.3), postfix and root; if these are absent the test is skipped, or fails where peers are required. The
// package must use [Main], which stops them. They end, and their files go, also when the test process is killed.
func MailServers(t testing.TB) Servers {
	t.Helper()
	process.Lock()
	if !process.managed {
		process.Unlock()
		t.Fatal("mail servers need `func TestMain(m *testing.M) { peertest.Main(m) }` in the package")
	}
	if process.mail == nil && process.mailErr == nil {
		process.mail, process.mailErr = startMail()
	}
	stack, err := process.mail, process.mailErr
	process.Unlock()

	var absent *absentError
	if errors.As(err, &absent) {
		missing(t, absent.peer, requirePeers, absent.Error())
	}
	if err != nil {
		t.Fatalf("starting the mail servers: %v", err)
	}
	return stack.servers()
}

// absentError says what the mail servers lack on this machine.
type absentError struct {
	peer   string
	reason string
}

func (e *absentError) Error() string { return "peer " + e.peer + " is absent: " + e.reason }

const mailDomain = "example.test"

func (s *mailStack) servers() Servers {
	user := func(name string) User { return User{Address: name + "@" + mailDomain, Password: "secret"} }
	return Servers{
		IMAP: s.IMAP, IMAPS: s.IMAPS, SMTP: s.SMTP, Submission: s.Submission, Submissions: s.Submissions,
		CAFile: filepath.Join(s.Dir, caFile),
		Users:  []User{user("alice"), user("bob"), user("carol")},
		Full:   user("full"),
		MailDir: func(user, folder string) string {
			dir := filepath.Join(s.Dir, "mail", user, "Maildir")
			if !strings.EqualFold(folder, "INBOX") {
				dir = filepath.Join(dir, "."+strings.ReplaceAll(folder, "/", "."))
			}
			return dir
		},
		config: filepath.Join(s.Dir, dovecotConf),
		queue:  filepath.Join(s.Dir, "queue"),
	}
}
