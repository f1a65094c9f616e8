package localserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// maxRecipients is how many recipients one message may have; RFC 5321 section 4.5.3.1.8 wants 100 at least.
const maxRecipients = 100

// smtpSession is one SMTP connection.
type smtpSession struct {
	server *Server
	conn   *smtp.Conn

	account *account // nil before AUTH
	from    string
	to      []recipient
}

type recipient struct {
	address string
	inbox   *folder
}

var _ smtp.AuthSession = (*smtpSession)(nil)

func refusal(code int, enhanced smtp.EnhancedCode, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
}

// Answer returns an error for Options.Hook that becomes the answer at an event of SMTP (RFC 5321 section 4.2, RFC 3463).
func Answer(code int, enhanced [3]int, text string) error {
	return refusal(code, smtp.EnhancedCode(enhanced), text)
}

// hook runs the caller's hook. An error that is not an answer of its own cuts the line.
func (s *smtpSession) hook(event string) error {
	err := s.server.hook(event)
	var answer *smtp.SMTPError
	if errors.As(err, &answer) {
		return answer
	}
	if err != nil {
		_ = s.conn.Conn().Close()
	}
	return err
}

func (s *smtpSession) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

func (s *smtpSession) Auth(mechanism string) (sasl.Server, error) {
	if err := s.hook("smtp.auth"); err != nil {
		return nil, err
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(identity, user, password string) error {
			if identity != "" && identity != user {
				return smtp.ErrAuthFailed
			}
			return s.login(user, password)
		}), nil
	case sasl.Login:
		return &loginServer{login: s.login}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *smtpSession) login(user, password string) error {
	a, ok := s.server.authenticate(user, password)
	if !ok {
		return smtp.ErrAuthFailed
	}
	s.account = a
	return nil
}

// loginServer is the server's side of AUTH LOGIN, which has no RFC but is still in use: it asks for the name, then
// for the password.
type loginServer struct {
	login func(user, password string) error
	asked bool   // for the name
	user  []byte // nil until it is known
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.user == nil:
		l.user = response
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.login(string(l.user), string(response))
	}
}

func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if err := s.hook("smtp.mail"); err != nil {
		return err
	}
	if _, encrypted := s.conn.TLSConnectionState(); !encrypted {
		return refusal(530, smtp.EnhancedCode{5, 7, 0}, "Must issue a STARTTLS command first") // RFC 3207 section 4
	}
	if s.account == nil {
		return refusal(530, smtp.EnhancedCode{5, 7, 0}, "Authentication required") // RFC 4954 section 6
	}
	s.from, s.to = from, nil
	return nil
}

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.hook("smtp.rcpt"); err != nil {
		return err
	}
	a, ok := s.server.accounts[userKey(to)]
	if !ok {
		return refusal(550, smtp.EnhancedCode{5, 1, 1}, "No such user here")
	}
	f, err := a.folder(inbox)
	if err != nil {
		return err
	}
	if a.room() == 0 {
		return refusalFull()
	}
	for _, known := range s.to {
		if known.inbox == f {
			return nil // named twice, delivered once
		}
	}
	s.to = append(s.to, recipient{to, f})
	return nil
}

func refusalFull() error { return refusal(552, smtp.EnhancedCode{5, 2, 2}, "Mailbox full") }

// Data takes a message for all its recipients: it arrives at each of them, or at none.
func (s *smtpSession) Data(r io.Reader) error {
	if err := s.hook("smtp.data.begin"); err != nil {
		return err
	}
	if err := s.data(r); err != nil {
		var answer *smtp.SMTPError
		switch {
		case errors.As(err, &answer):
			return answer
		case errors.Is(err, errFull):
			return refusalFull()
		}
		s.server.logf("smtp: message not delivered: %v", err)
		return refusal(451, smtp.EnhancedCode{4, 3, 0}, "Could not be stored")
	}
	return s.hook("smtp.data.end")
}

func (s *smtpSession) data(r io.Reader) (err error) {
	now := s.server.clock()
	var arrivals []*arrival
	defer func() {
		if err != nil {
			for _, a := range arrivals {
				a.abort()
			}
		}
	}()
	var all []io.Writer
	for _, to := range s.to {
		a, err := to.inbox.account.receive(to.inbox, details{Date: now})
		if err != nil {
			return err
		}
		arrivals = append(arrivals, a)
		if _, err := io.WriteString(a, s.trace(to.address, now)); err != nil {
			return err
		}
		all = append(all, a)
	}
	if _, err := io.Copy(io.MultiWriter(all...), &lineEndReader{r: r}); err != nil {
		return err
	}
	if err := s.hook("smtp.data.received"); err != nil {
		return err
	}
	_, err = deliver(arrivals)
	return err
}

// trace returns the fields that final delivery puts on top (RFC 5321 section 4.4). Each copy names its own recipient
// and no other, so that those of Bcc stay unknown.
func (s *smtpSession) trace(to string, now time.Time) string {
	host, _, err := net.SplitHostPort(s.conn.Conn().RemoteAddr().String())
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("Return-Path: <%s>\r\nReceived: from %s ([%s])\r\n\tby %s with ESMTPSA id %s\r\n\tfor <%s>; %s\r\n",
		s.from, s.conn.Hostname(), host, serverName, strings.ToLower(rand.Text()[:12]), to, now.Format(time.RFC1123Z))
}

func (s *smtpSession) Reset() { s.from, s.to = "", nil }

func (s *smtpSession) Logout() error { return nil }

// lineEndReader refuses a message with CR or LF alone: RFC 5321 section 2.3.8 forbids them, and servers that let them
// pass make smuggled messages possible.
type lineEndReader struct {
	r  io.Reader
	cr bool // the last octet was CR
}

func (l *lineEndReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for _, c := range p[:n] {
		if l.cr != (c == '\n') {
			return 0, refusal(550, smtp.EnhancedCode{5, 6, 0}, "Bare CR or LF in message")
		}
		l.cr = c == '\r'
	}
	return n, err
}
