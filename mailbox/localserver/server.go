package localserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-smtp"
	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

const (
	serverName = "localhost"
	lockFile   = ".lock"
	// idleTimeout ends SMTP connections; RFC 5321 section 4.5.3.2.7 wants five minutes at least. The library counts it
	// from the last command, so it bounds the time that a message may take, too.
	idleTimeout = 15 * time.Minute
	// DefaultMaxMessageBytes is the size limit of a message unless Options say otherwise.
	DefaultMaxMessageBytes = 2 << 30
)

// ErrInUse says that another server works in the same folder.
var ErrInUse = errors.New("another server is using the folder")

// Options say what a server serves.
type Options struct {
	// Dir holds the mail. It is made if it is missing, and kept when the server ends.
	Dir string
	// TLS has the server's certificate. Versions below TLS 1.2 are refused whatever it says.
	TLS *tls.Config
	// Users are the mail addresses that the server delivers to, which are also the names to log in with. Letter case
	// does not count in them.
	Users map[string]mailbox.Password
	// Quotas bound what users may store, in octets; a user without one has no bound.
	Quotas map[string]int64
	// MaxMessageBytes bounds a single message; zero is DefaultMaxMessageBytes.
	MaxMessageBytes int64

	// IMAPS and Submissions are the addresses (host:port) for TLS from the first octet; empty is a free port of
	// 127.0.0.1. Any other than a loopback address is an error.
	IMAPS, Submissions string
	// IMAP and Submission are the addresses for STARTTLS; empty is none.
	IMAP, Submission string

	// Disk does the writing; the zero value is the real disk.
	Disk safeio.Disk
	// Clock tells the time for internal dates, Received fields and UIDVALIDITY. It is required.
	Clock func() time.Time
	// Hook, unless nil, is called before the step that it names: imap.login, imap.select, imap.append,
	// imap.append.end (the message is stored, the answer not yet sent), imap.fetch, imap.store, imap.search, imap.copy,
	// imap.move, imap.expunge, smtp.auth, smtp.mail, smtp.rcpt, smtp.data.begin, smtp.data.received (all octets are
	// here, nothing is delivered), smtp.data.end (delivered, the answer not yet sent). An error that is an *imap.Error
	// or *smtp.SMTPError (see Answer) becomes the answer; any other cuts the line without one. Connections call it side by side.
	Hook func(event string) error
	// Logf, unless nil, is told of errors that the server survives.
	Logf func(format string, args ...any)
}

// Addresses are where a server listens (host:port); empty where it does not.
type Addresses struct {
	IMAPS, Submissions, IMAP, Submission string
}

// Message is a stored message, for a look from outside the protocols.
type Message struct {
	UID   uint32
	Flags []string
	Date  time.Time
	Size  int64
	// Path is the file with the message's octets. Nobody should write to it.
	Path string
}

// Server is a mail server on loopback addresses.
type Server struct {
	accounts   map[string]*account
	passwords  map[string][sha256.Size]byte
	maxMessage int64
	clock      func() time.Time
	hookFunc   func(event string) error
	logFunc    func(format string, args ...any)

	lock      *flock.Flock
	services  []service
	addresses Addresses
	smtp      *smtp.Server
	imap      *imapserver.Server

	sessions sync.WaitGroup // of IMAP; the SMTP library counts its own
	serving  sync.WaitGroup // loops that accept connections
	closing  chan struct{}
	ended    chan struct{}
	mu       sync.Mutex
	closed   bool
}

type service struct {
	listener *listener
	serve    func() error
}

// Open takes the folder into use and begins to listen; connections are answered once Serve runs. The caller closes
// the server. Errors: ErrNotLoopback, ErrInUse, or what the disk or the network says.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.TLS == nil || o.Clock == nil || o.Dir == "" {
		return nil, errors.New("local server: a folder, a TLS configuration and a clock are required")
	}
	s := &Server{
		accounts: map[string]*account{}, passwords: map[string][sha256.Size]byte{},
		maxMessage: o.MaxMessageBytes, clock: o.Clock, hookFunc: o.Hook, logFunc: o.Logf,
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
	if s.maxMessage == 0 {
		s.maxMessage = DefaultMaxMessageBytes
	}
	err := s.openStore(o)
	if err == nil {
		err = s.listen(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("local server: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

// userKey is the form of an address in which letter case does not count.
func userKey(address string) string { return strings.ToLower(address) }

func (s *Server) openStore(o Options) error {
	if err := o.Disk.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(o.Dir, lockFile), flock.SetPermissions(0o600))
	if ok, err := lock.TryLock(); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("%s: %w", o.Dir, ErrInUse)
	}
	s.lock = lock
	for _, user := range slices.Sorted(maps.Keys(o.Users)) {
		key := userKey(user)
		if !validFolder(key) || !strings.Contains(key, "@") {
			return fmt.Errorf("user %q: not a mail address", user)
		}
		if _, ok := s.accounts[key]; ok {
			return fmt.Errorf("user %q is given twice", user)
		}
		a, err := openAccount(o.Disk, filepath.Join(o.Dir, encodeName(key)), key, o.Quotas[user], o.Clock)
		if err != nil {
			return err
		}
		s.accounts[key] = a
		s.passwords[key] = sha256.Sum256([]byte(o.Users[user]))
	}
	return nil
}

func (s *Server) listen(ctx context.Context, o Options) error {
	config := o.TLS.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	s.imap = imapserver.New(&imapserver.Options{
		NewSession: s.newIMAPSession, Caps: imapCaps(), TLSConfig: config, Logger: logger{s},
	})
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &smtpSession{server: s, conn: c}, nil
	}))
	s.smtp.Domain = serverName
	s.smtp.TLSConfig = config
	s.smtp.MaxMessageBytes = s.maxMessage
	s.smtp.MaxRecipients = maxRecipients
	s.smtp.ErrorLog = logger{s}
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = idleTimeout, idleTimeout

	const free = "127.0.0.1:0"
	for _, l := range []struct {
		address  string
		bound    *string
		implicit bool // TLS from the first octet
		smtp     bool
	}{
		{address: defaultTo(o.IMAPS, free), bound: &s.addresses.IMAPS, implicit: true},
		{address: defaultTo(o.Submissions, free), bound: &s.addresses.Submissions, implicit: true, smtp: true},
		{address: o.IMAP, bound: &s.addresses.IMAP},
		{address: o.Submission, bound: &s.addresses.Submission, smtp: true},
	} {
		if l.address == "" {
			continue
		}
		plain, err := listen(ctx, l.address)
		if err != nil {
			return err
		}
		*l.bound = plain.Addr().String()
		outer := net.Listener(plain)
		if l.implicit {
			outer = tls.NewListener(plain, config)
		}
		serve := func() error { return s.imap.Serve(outer) }
		if l.smtp {
			serve = func() error { return s.smtp.Serve(outer) }
		}
		s.services = append(s.services, service{plain, serve})
	}
	return nil
}

func defaultTo(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func (s *Server) newIMAPSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, &imap.Error{Type: imap.StatusResponseTypeBye, Text: "Shutting down"}
	}
	s.sessions.Add(1)
	return &imapSession{server: s, conn: c}, nil, nil
}

// authenticate returns the account of a user who gave the right password.
func (s *Server) authenticate(user, password string) (*account, bool) {
	key := userKey(user)
	given := sha256.Sum256([]byte(password))
	want := s.passwords[key] // of an unknown user: zeros, which no password hashes to
	a, known := s.accounts[key]
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 || !known {
		return nil, false
	}
	return a, true
}

func (s *Server) hook(event string) error {
	if s.hookFunc == nil {
		return nil
	}
	return s.hookFunc(event)
}

func (s *Server) logf(format string, args ...any) {
	if s.logFunc != nil {
		s.logFunc(format, args...)
	}
}

// logger is logf as the libraries want it.
type logger struct{ s *Server }

func (l logger) Printf(format string, args ...any) { l.s.logf(format, args...) }
func (l logger) Println(args ...any)               { l.s.logf("%s", fmt.Sprintln(args...)) }

// Addresses returns where the server listens.
func (s *Server) Addresses() Addresses { return s.addresses }

// Serve answers connections until ctx is done or the server is closed, and closes it. It returns nil when it ended for
// one of these reasons.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.services))
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	for _, service := range s.services {
		s.serving.Go(func() { failed <- service.serve() })
	}
	s.mu.Unlock()
	var err error
	select {
	case <-ctx.Done():
	case <-s.closing:
	case err = <-failed:
		select {
		case <-s.closing: // a listener that was closed fails, and should
			err = nil
		default:
		}
	}
	return errors.Join(err, s.Close())
}

// Close cuts all connections, waits for what they were doing, and lets go of the folder. It may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.ended
		return nil
	}
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	defer close(s.ended)

	var err error
	for _, service := range s.services {
		err = errors.Join(err, service.listener.Close())
	}
	s.serving.Wait()
	// All lines are cut and no new ones come: what remains is to wait for those who were storing a message.
	if s.smtp != nil {
		_ = s.smtp.Shutdown(context.Background()) // tells that listeners are closed already
	}
	s.sessions.Wait()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Unlock())
	}
	return err
}

// Messages returns what is in a user's folder, by UID. The error wraps fs.ErrNotExist if there is no such folder.
func (s *Server) Messages(user, folder string) ([]Message, error) {
	a, ok := s.accounts[userKey(user)]
	if !ok {
		return nil, fmt.Errorf("user %s: %w", user, os.ErrNotExist)
	}
	f, err := a.folder(folder)
	if err != nil {
		return nil, fmt.Errorf("folder %s of %s: %w", folder, user, os.ErrNotExist)
	}
	var out []Message
	now := f.snapshot()
	for _, m := range now.messages {
		flags := make([]string, len(m.Flags))
		for i, flag := range m.Flags {
			flags[i] = string(flag)
		}
		out = append(out, Message{UID: uint32(m.uid), Flags: flags, Date: m.Date, Size: m.size, Path: messagePath(now.dir, m.uid)})
	}
	return out, nil
}
