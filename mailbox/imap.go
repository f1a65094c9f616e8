package mailbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// IMAP is a Store on an IMAP server (RFC 9051, RFC 3501). A connection that was lost is made again by the next call;
// the call during which it was lost fails.
type IMAP struct {
	options Options
	lock    chan struct{} // holds one token: calls wait for each other, and for no longer than their context
	session *imapSession  // nil: not connected
	closed  bool
	// validity is the UIDVALIDITY that UIDs of a folder belong to, over all connections.
	validity map[string]uint32
	// seen is the state of a folder when it was last looked at, over all connections.
	seen map[string]Status
	// serverID is what the server said of itself; dumb is set where it is not asked any more.
	serverID ServerID
	dumb     bool
}

var _ Store = (*IMAP)(nil)

// imapSession is one connection, logged in.
type imapSession struct {
	endpoint Endpoint
	conn     *conn
	client   *imapclient.Client
	caps     imap.CapSet
	selected string // folder, "" if none
	writable bool   // selected for changes
	modSeqs  bool   // the selected folder keeps mod-sequences
	known    map[string]bool
	serverID ServerID
	news     chan struct{} // holds one where the server told something of the selected folder
}

// DialIMAP connects to an IMAP server and logs in. Errors are a ConnectError, an AuthError, or one that wraps
// ErrEndpoint.
func DialIMAP(ctx context.Context, o Options) (*IMAP, error) {
	o, err := o.withDefaults(SchemeIMAPS, SchemeIMAP)
	if err != nil {
		return nil, err
	}
	s := &IMAP{options: o, lock: make(chan struct{}, 1), validity: make(map[string]uint32), seen: make(map[string]Status)}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// connect makes a session.
func (s *IMAP) connect(ctx context.Context) error {
	session, err := dialSession(ctx, s.options, !s.dumb)
	if mistookID(err) && !s.dumb {
		s.dumb = true
		session, err = dialSession(ctx, s.options, false)
	}
	if err != nil {
		return err
	}
	s.session, s.serverID = session, session.serverID
	return nil
}

// dialSession connects and logs in, and tells the server who it is if so wanted.
func dialSession(ctx context.Context, o Options, identify bool) (*imapSession, error) {
	credentials, err := o.Credentials.withToken(ctx, o.Endpoint)
	if err != nil {
		return nil, err
	}
	l, err := dial(ctx, o, "* OK after STARTTLS\r\n", imapStartTLS)
	if err != nil {
		return nil, err
	}
	s := &imapSession{endpoint: o.Endpoint, conn: l.conn, known: make(map[string]bool), news: make(chan struct{}, 1)}
	err = s.start(ctx, l, credentials)
	if err == nil && identify {
		err = s.identify(ctx)
	}
	if err != nil {
		l.conn.fail(err)
		return nil, err
	}
	return s, nil
}

// start reads the greeting and logs in.
func (s *imapSession) start(ctx context.Context, l *link, c Credentials) error {
	err := s.do(ctx, "greeting", answerBudget, func() error {
		s.client = imapclient.New(l.wire, &imapclient.Options{UnilateralDataHandler: s.newsHandler()})
		if err := waitGreeting(s.client); err != nil {
			return err
		}
		return s.learn()
	})
	if err != nil {
		return err
	}
	if s.client.State() == imap.ConnStateAuthenticated { // PREAUTH, inside TLS
		return nil
	}
	var more error
	err = s.do(ctx, "log in", answerBudget, func() error {
		more = s.logIn(c, l)
		return more
	})
	var refused *ServerError
	if errors.As(err, &refused) {
		return &AuthError{Endpoint: s.endpoint, User: c.User, Text: c.addMore(refused.Text, more),
			Temporary: refused.Code == string(imap.ResponseCodeUnavailable)} // RFC 5530 section 3
	}
	if err != nil {
		return err
	}
	// What a server can do may differ once one is logged in (RFC 9051 section 6.2).
	return s.do(ctx, "log in", answerBudget, s.learn)
}

// waitGreeting returns what the server greeted with, if it did. After a greeting of BYE the library knows both that and
// the end of the connection, and says either, by chance; the former is what the person should know.
func waitGreeting(c *imapclient.Client) (err error) {
	for range 64 {
		var greeting *imap.Error
		if err = c.WaitGreeting(); err == nil || errors.As(err, &greeting) {
			return err
		}
	}
	return err
}

// learn notes what the server can do.
func (s *imapSession) learn() error {
	if s.caps = s.client.Caps(); s.caps == nil {
		return reasonError{ReasonProtocol, "the server does not tell its capabilities"}
	}
	return nil
}

// logIn presents the credentials by the best way that the server knows.
func (s *imapSession) logIn(c Credentials, l *link) error {
	if c.none() {
		return &AuthError{Endpoint: s.endpoint, Text: "no user name and password were given"}
	}
	way, ok := newLogin(c, l, s.endpoint, func(mechanism string) bool { return s.caps.Has(imap.AuthCap(mechanism)) })
	switch {
	case ok:
	case c.Token != nil:
		return &AuthError{Endpoint: s.endpoint, User: c.User, Text: "the server knows neither OAUTHBEARER nor XOAUTH2"}
	case !s.caps.Has(imap.CapLoginDisabled): // RFC 9051 section 6.2.3
		return s.client.Login(c.User, string(c.Password)).Wait()
	case s.caps.Has(imap.AuthCap(sasl.Login)):
		way = &login{Client: sasl.NewLoginClient(c.User, string(c.Password))}
	default:
		return &AuthError{Endpoint: s.endpoint, User: c.User, Text: "the server knows neither SCRAM nor PLAIN nor LOGIN"}
	}
	l.wire.login.Store(true)
	err := way.run(s.client.Authenticate, s.endpoint, c.User)
	l.wire.login.Store(false)
	return err
}

// do runs one step: f, in bounded time, with an answer of at most budget octets. An answer of NO or BAD leaves the
// session as it is; an error of ours passes; anything else ends the session.
func (s *imapSession) do(ctx context.Context, name string, budget int64, f func() error) error {
	end := s.conn.begin(ctx, budget)
	defer end()
	err := f()
	var (
		answer *imap.Error
		auth   *AuthError
		local  *localError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &local):
		return local.err
	case errors.As(err, &auth):
		return err
	case errors.As(err, &answer) && answer.Type == imap.StatusResponseTypeBye:
		err = reasonError{ReasonUnavailable, cleanText(answer.Text)}
	case errors.As(err, &answer):
		return s.refusal(name, answer)
	}
	if cause := s.conn.failure(); cause != nil && !errors.Is(cause, net.ErrClosed) {
		err = cause // of which err is a consequence; ErrClosed is the library's own giving up
	}
	s.conn.fail(err)
	return connectError(s.endpoint, name, err)
}

// ended reports whether the session is of no more use.
func (s *imapSession) ended() bool {
	select {
	case <-s.client.Closed():
		return true
	default:
		return s.conn.failure() != nil || s.client.State() == imap.ConnStateLogout
	}
}

// refusal gives an answer of NO or BAD the type that speaks for it.
func (s *imapSession) refusal(step string, e *imap.Error) error {
	switch e.Code {
	case imap.ResponseCodeNonExistent, imap.ResponseCodeTryCreate:
		return ErrNoFolder
	case "EXPUNGEISSUED": // RFC 5530 section 3
		return ErrNotFound
	}
	return &ServerError{Endpoint: s.endpoint, Step: step, Status: string(e.Type), Code: cleanText(string(e.Code)), Text: cleanText(e.Text)}
}

// localError is an error of this side, which says nothing of the connection.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }

// acquire waits for its turn and returns a session, connecting anew if there is none.
func (s *IMAP) acquire(ctx context.Context) (*imapSession, error) {
	select {
	case s.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, connectError(s.options.Endpoint, "wait", ctx.Err())
	}
	if s.closed {
		s.release()
		return nil, fmt.Errorf("%s: %w", s.options.Endpoint, ErrClosed)
	}
	if s.session != nil && s.session.ended() {
		s.session.conn.fail(net.ErrClosed)
		s.session = nil
	}
	if s.session == nil {
		if err := s.connect(ctx); err != nil {
			s.release()
			return nil, err
		}
	}
	return s.session, nil
}

// open acquires the session with a folder open in it, and returns the folder's name as servers know it. Unless there is an error,
// the caller releases the session.
func (s *IMAP) open(ctx context.Context, folder string, write, anew bool) (session *imapSession, name string, err error) {
	if name, err = folderName(folder); err != nil {
		return nil, "", err
	}
	if session, err = s.acquire(ctx); err != nil {
		return nil, "", err
	}
	if _, err = s.choose(ctx, session, name, write, anew); err != nil {
		s.release()
		return nil, "", err
	}
	return session, name, nil
}

func (s *IMAP) release() { <-s.lock }

// Close logs out, in bounded time, and ends the connection.
func (s *IMAP) Close() error {
	s.lock <- struct{}{}
	defer s.release()
	s.closed = true
	session := s.session
	if s.session = nil; session == nil || session.ended() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	// An answer to LOGOUT is a courtesy that changes nothing.
	_ = session.do(ctx, "log out", answerBudget, func() error { return session.client.Logout().Wait() })
	session.conn.fail(net.ErrClosed)
	return nil
}

// choose selects a folder, for changes or for reading only; anew, if its present state is asked for. The state is nil
// if the folder was selected already.
func (s *IMAP) choose(ctx context.Context, session *imapSession, folder string, write, anew bool) (*imap.SelectData, error) {
	if session.selected == folder && (session.writable || !write) && !anew {
		return nil, nil
	}
	session.selected = ""
	session.forgetNews()
	var data *imap.SelectData
	err := session.do(ctx, "open folder", answerBudget, func() (err error) {
		data, err = session.client.Select(folder, &imap.SelectOptions{
			ReadOnly: !write, CondStore: session.caps.Has(imap.CapCondStore), // RFC 7162 section 3.1.8
		}).Wait()
		return err
	})
	if err != nil {
		return nil, inFolder(folder, session.explain(ctx, folder, err))
	}
	if v, ok := s.validity[folder]; ok && v != data.UIDValidity {
		return nil, inFolder(folder, ErrRenumbered)
	}
	s.validity[folder] = data.UIDValidity
	session.selected, session.writable, session.known[folder] = folder, write, true
	// RFC 7162 section 3.1.2.2: some folders keep none, and refuse commands that speak of them.
	s.seen[folder] = stateOf(data)
	session.modSeqs = session.caps.Has(imap.CapCondStore) && data.HighestModSeq > 0
	return data, nil
}

// stateOf is what opening a folder told of it.
func stateOf(d *imap.SelectData) Status {
	return Status{UIDValidity: d.UIDValidity, UIDNext: UID(d.UIDNext), Messages: d.NumMessages, HighestModSeq: d.HighestModSeq}
}

// folderName gives a name the form in which it is compared, and refuses one that no folder can have.
func folderName(name string) (string, error) {
	if strings.EqualFold(name, "INBOX") { // RFC 9051 section 5.1
		return "INBOX", nil
	}
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", inFolder(name, ErrNoFolder)
	}
	return name, nil
}

// inFolder says which folder an error is about, where its text does not.
func inFolder(folder string, err error) error {
	return fmt.Errorf("folder %q: %w", cleanText(folder), err)
}
