package mailbox

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

const (
	// minIterations is what RFC 7677 section 4 wants at least; maxIterations bounds what a server may have this side
	// reckon: some seconds' worth.
	minIterations = 4096
	maxIterations = 2_000_000
	// maxToken bounds an access token, in octets; a command line holds no more.
	maxToken = 8 << 10
)

// none reports whether there is nothing to log in with.
func (c Credentials) none() bool { return c.User == "" && c.Password == "" && c.Token == nil }

// withToken asks for an access token, if there is one to ask for, and puts it in the place of the password.
func (c Credentials) withToken(ctx context.Context, e Endpoint) (Credentials, error) {
	if c.Token == nil {
		return c, nil
	}
	var err error
	if c.Password, err = c.Token(ctx); err != nil {
		return c, fmt.Errorf("%s: no access token for %s: %w", e, cleanText(c.User), err)
	}
	// RFC 6750 section 2.1: a token consists of such letters; others would end its place.
	if c.Password == "" || len(c.Password) > maxToken || strings.ContainsFunc(string(c.Password), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return c, fmt.Errorf("%s: no access token for %s: what was given is empty, too long, or has letters that no token has", e, cleanText(c.User))
	}
	return c, nil
}

// login is one way to log in.
type login struct {
	sasl.Client
	// problem says, after the server said yes, why that cannot be believed, and after it said no, what else it said.
	problem func(yes bool) string
}

// newLogin returns the best of the ways that the server offers, or false where none is known. A mechanism that the server
// refuses is no reason for a weaker one: whoever sits on the line could refuse, too, to see a password.
func newLogin(c Credentials, l *link, e Endpoint, offered func(mechanism string) bool) (*login, bool) {
	if c.Token != nil {
		for _, name := range []string{sasl.OAuthBearer, "XOAUTH2"} {
			if offered(name) {
				o := &oauth{name: name, user: c.User, token: c.Password, endpoint: e}
				return &login{o, o.problem}, true
			}
		}
		return nil, false
	}
	// RFC 5802 section 6: one that is bound to the TLS connection comes first.
	for _, m := range []struct {
		name string
		hash scram.HashGeneratorFcn
	}{
		{"SCRAM-SHA-256-PLUS", scram.SHA256}, {"SCRAM-SHA-1-PLUS", scram.SHA1}, {"SCRAM-SHA-256", scram.SHA256}, {"SCRAM-SHA-1", scram.SHA1},
	} {
		bound := strings.HasSuffix(m.name, "-PLUS")
		if !offered(m.name) || bound && l.tls == nil {
			continue
		}
		s := &scramClient{name: m.name, hash: m.hash, credentials: c, tls: l.tls, bound: bound}
		return &login{s, s.noProof}, true
	}
	if offered(sasl.Plain) {
		return &login{sasl.NewPlainClient("", c.User, string(c.Password)), nil}, true
	}
	return nil, false
}

// run logs in. A yes that cannot be believed is an AuthError; of a no, addMore tells all.
func (l *login) run(authenticate func(sasl.Client) error, e Endpoint, user string) error {
	err := authenticate(l)
	var auth *AuthError
	if errors.As(err, &auth) { // of one of the clients here
		auth.Endpoint, auth.User = e, user
		return auth
	}
	if l.problem == nil {
		return err
	}
	switch problem := l.problem(err == nil); {
	case problem == "":
		return err
	case err == nil:
		return &AuthError{Endpoint: e, User: user, Text: problem}
	default:
		return &saidMore{err, problem}
	}
}

// saidMore is an answer with what the server said before it.
type saidMore struct {
	error
	more string
}

func (e *saidMore) Unwrap() error { return e.error }

// addMore appends to the text of a refusal what the server said before it.
func (c Credentials) addMore(text string, err error) string {
	if c.Token != nil {
		text = hideToken(text, c.Password)
	}
	var more *saidMore
	if errors.As(err, &more) {
		text = cleanText(text + "; " + more.more)
	}
	return text
}

// hideToken takes an access token out of a server's text, in case that the server repeats it, also where the text was cut within it.
func hideToken(text string, token Password) string {
	const enough = 16 // octets, to know it by
	begin := string(token[:min(len(token), enough)])
	if begin == "" {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, begin)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(redacted)
		i := 0
		for tail := token[len(begin):]; i < len(rest) && i < len(tail) && rest[i] == tail[i]; i++ {
		}
		text = rest[i:]
	}
}

// scramClient is SCRAM (RFC 5802, RFC 7677): the server never sees the password, and proves that it knows it.
type scramClient struct {
	name        string
	hash        scram.HashGeneratorFcn
	credentials Credentials
	tls         *tls.ConnectionState // nil: clear text
	bound       bool                 // by channel binding

	talk *scram.ClientConversation
}

// Start returns the client's first message.
func (s *scramClient) Start() (mechanism string, first []byte, err error) {
	client, err := s.hash.NewClient(s.credentials.User, string(s.credentials.Password), "")
	if err != nil {
		// RFC 5802 section 5.1. The error may quote what it is about.
		return "", nil, &AuthError{Text: "user name or password have letters that " + s.name + " does not allow"}
	}
	client = client.WithMinIterations(minIterations)
	switch {
	case s.bound:
		binding, err := channelBinding(s.tls)
		if err != nil {
			return "", nil, &AuthError{Text: "the log-in cannot be bound to the TLS connection: " + cleanText(err.Error())}
		}
		s.talk = client.NewConversationWithChannelBinding(binding)
	case s.tls != nil:
		// Says that it could be bound: a server that would have offered that, and was kept from it, knows then
		// (RFC 5802 section 6).
		s.talk = client.NewConversationAdvertisingChannelBinding()
	default:
		s.talk = client.NewConversation()
	}
	text, err := s.talk.Step("")
	return s.name, []byte(text), err
}

// channelBinding ties a log-in to its TLS connection (RFC 9266 section 4.2, RFC 5929 section 4).
func channelBinding(state *tls.ConnectionState) (scram.ChannelBinding, error) {
	if state.Version >= tls.VersionTLS13 {
		return scram.NewTLSExporterBinding(state)
	}
	return scram.NewTLSServerEndpointBinding(state)
}

// Next answers the server's messages.
func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	// RFC 5802 section 7, server-first-message. What it takes to answer grows with this number.
	for field := range strings.SplitSeq(string(challenge), ",") {
		if n, ok := strings.CutPrefix(field, "i="); ok {
			if i, err := strconv.Atoi(n); err != nil || i > maxIterations {
				return nil, s.nonsense("the server wants more iterations than can be right")
			}
		}
	}
	text, err := s.talk.Step(string(challenge))
	if err != nil {
		return nil, s.nonsense(err.Error())
	}
	return []byte(text), nil
}

func (s *scramClient) nonsense(text string) error {
	return &AuthError{Text: cleanText(s.name + ": " + text)}
}

// noProof is for a server that says yes without having proved that it knows the password.
func (s *scramClient) noProof(yes bool) string {
	if !yes || s.talk.Valid() {
		return ""
	}
	return s.name + ": the server did not prove that it knows the password"
}

// oauth presents an access token: OAUTHBEARER (RFC 7628 section 3.1), or XOAUTH2, which is older and in no RFC.
type oauth struct {
	name     string
	user     string
	token    Password
	endpoint Endpoint
	status   string // what the server says is wrong
}

// Start returns all there is to say.
func (o *oauth) Start() (mechanism string, first []byte, err error) {
	bearer := "auth=Bearer " + string(o.token) + "\x01\x01"
	if o.name != sasl.OAuthBearer {
		return o.name, []byte("user=" + o.user + "\x01" + bearer), nil
	}
	user := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(o.user) // RFC 5801 section 4
	return o.name, fmt.Appendf(nil, "n,a=%s,\x01host=%s\x01port=%d\x01%s", user, o.endpoint.Host, o.endpoint.Port, bearer), nil
}

// Next takes the reason for a refusal, which is JSON, and answers so that the refusal itself follows (RFC 7628 section
// 3.2.3).
func (o *oauth) Next(challenge []byte) ([]byte, error) {
	var reason struct{ Status, Scope string }
	if err := json.Unmarshal(challenge, &reason); err != nil || reason.Status == "" {
		o.status = "the token was refused"
	} else {
		o.status = "the token was refused with status " + reason.Status
	}
	if reason.Scope != "" {
		o.status += ", it needs the scope " + reason.Scope
	}
	o.status = hideToken(cleanText(o.status), o.token)
	return []byte{1}, nil
}

// problem is what the server said is wrong, even if it said yes after that.
func (o *oauth) problem(bool) string { return o.status }
