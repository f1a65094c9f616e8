package mailbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// SMTP is a Submitter to a submission server (RFC 6409, RFC 5321). One connection serves many messages; one that was
// lost is made again by the next call.
type SMTP struct {
	options Options
	lock    chan struct{} // holds one token: calls wait for each other, and for no longer than their context
	session *smtpSession  // nil: not connected
	closed  bool
}

var _ Submitter = (*SMTP)(nil)

// smtpSession is one connection, logged in.
type smtpSession struct {
	endpoint Endpoint
	conn     *conn
	client   *smtp.Client
	used     bool // for a message before this one

	localName     string
	answerTimeout time.Duration
}

// DialSMTP connects to a submission server and logs in; without credentials it does not log in. Errors are a
// ConnectError, an AuthError, or one that wraps ErrEndpoint.
func DialSMTP(ctx context.Context, o Options) (*SMTP, error) {
	o, err := o.withDefaults(SchemeSubmissions, SchemeSubmission)
	if err != nil {
		return nil, err
	}
	s := &SMTP{options: o, lock: make(chan struct{}, 1)}
	if s.session, err = dialSubmission(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// dialSubmission connects and logs in.
func dialSubmission(ctx context.Context, o Options) (*smtpSession, error) {
	var err error
	if o.Credentials, err = o.Credentials.withToken(ctx, o.Endpoint); err != nil {
		return nil, err
	}
	l, err := dial(ctx, o, "220 after STARTTLS\r\n", smtpStartTLS(o.LocalName))
	if err != nil {
		return nil, err
	}
	s := &smtpSession{endpoint: o.Endpoint, conn: l.conn, client: smtp.NewClient(l.wire), localName: o.LocalName, answerTimeout: o.AnswerTimeout}
	if err := s.start(ctx, o, l); err != nil {
		l.conn.fail(err)
		return nil, err
	}
	return s, nil
}

// start reads the greeting and logs in.
func (s *smtpSession) start(ctx context.Context, o Options, l *link) error {
	err := s.do(ctx, "greeting", func() error { return s.client.Hello(o.LocalName) })
	var answer *smtp.SMTPError
	if errors.As(err, &answer) {
		err = smtpGreetingError(answer.Code, answer.Message, err)
		return connectError(s.endpoint, "greeting", err)
	}
	if err != nil || o.Credentials.none() {
		return err
	}
	var more error
	err = s.do(ctx, "log in", func() error {
		more = s.logIn(o.Credentials, l)
		return more
	})
	if errors.As(err, &answer) {
		return &AuthError{Endpoint: s.endpoint, User: o.Credentials.User, Temporary: answer.Code < 500, // RFC 4954 section 6
			Text: o.Credentials.addMore(cleanText(fmt.Sprintf("%d %s", answer.Code, answer.Message)), more)}
	}
	return err
}

// logIn presents the credentials by the best way that the server knows.
func (s *smtpSession) logIn(c Credentials, l *link) error {
	way, ok := newLogin(c, l, s.endpoint, s.client.SupportsAuth)
	switch {
	case ok:
	case c.Token != nil:
		return &AuthError{Endpoint: s.endpoint, User: c.User, Text: "the server knows neither OAUTHBEARER nor XOAUTH2"}
	case s.client.SupportsAuth(sasl.Login):
		way = &login{Client: sasl.NewLoginClient(c.User, string(c.Password))}
	default:
		return &AuthError{Endpoint: s.endpoint, User: c.User, Text: "the server knows neither SCRAM nor PLAIN nor LOGIN"}
	}
	return way.run(s.client.Auth, s.endpoint, c.User)
}

// do runs one step: f, in bounded time, with a short answer. A reply with an error code, and an error of ours, pass;
// anything else ends the session.
func (s *smtpSession) do(ctx context.Context, name string, f func() error) error {
	end := s.conn.begin(ctx, answerBudget)
	defer end()
	return s.judge(name, f())
}

// judge tells the errors that end a session from those that do not.
func (s *smtpSession) judge(name string, err error) error {
	var (
		answer *smtp.SMTPError
		auth   *AuthError
		local  *localError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &local):
		s.conn.fail(err) // inside a message, and the protocol has no way to take it back
		return local.err
	case errors.As(err, &answer):
		if answer.Code == 421 { // RFC 5321 section 3.8: the server closes the connection
			s.conn.fail(net.ErrClosed)
		}
		return answer
	case errors.As(err, &auth):
		return auth
	}
	if cause := s.conn.failure(); cause != nil && !errors.Is(cause, net.ErrClosed) {
		err = cause // of which err is a consequence
	} else if malformed := textproto.ProtocolError(""); errors.As(err, &malformed) {
		err = reasonError{ReasonProtocol, cleanText(malformed.Error())}
	}
	s.conn.fail(err)
	return connectError(s.endpoint, name, err)
}

// acquire waits for its turn.
func (s *SMTP) acquire(ctx context.Context) error {
	select {
	case s.lock <- struct{}{}:
	case <-ctx.Done():
		return connectError(s.options.Endpoint, "wait", ctx.Err())
	}
	if s.closed {
		s.release()
		return fmt.Errorf("%s: %w", s.options.Endpoint, ErrClosed)
	}
	return nil
}

func (s *SMTP) release() { <-s.lock }

// connect returns a session, making a new one if there is none that stands.
func (s *SMTP) connect(ctx context.Context) (*smtpSession, error) {
	if s.session != nil && s.session.conn.failure() == nil {
		return s.session, nil
	}
	session, err := dialSubmission(ctx, s.options)
	if err != nil {
		return nil, err
	}
	s.session = session
	return session, nil
}

// Close says goodbye, in bounded time, and ends the connection.
func (s *SMTP) Close() error {
	s.lock <- struct{}{}
	defer s.release()
	s.closed = true
	session := s.session
	if s.session = nil; session == nil || session.conn.failure() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	// An answer to QUIT is a courtesy that changes nothing.
	_ = session.do(ctx, "quit", session.client.Quit)
	session.conn.fail(net.ErrClosed)
	return nil
}
