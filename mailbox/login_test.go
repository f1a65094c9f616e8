package mailbox_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

// scramServer is the server's side of SCRAM, which changes what it says as a test wants.
type scramServer struct {
	t        testing.TB
	hash     scram.HashGeneratorFcn
	password string
	binding  *tls.ConnectionState // nil: none
	offered  bool                 // the client could have seen that binding is offered
	change   func(string) string  // what the server says, nil: nothing
	silent   bool                 // says yes without its last message
}

// talk answers challenges until the server has come to a decision.
func (s *scramServer) talk(first string, challenge func(string) (string, bool)) (yes bool) {
	client, err := s.hash.NewClient(alice, s.password, "")
	if err != nil {
		s.t.Error(err)
		return false
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	if err != nil {
		s.t.Error(err)
		return false
	}
	server, err := s.hash.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		s.t.Error(err)
		return false
	}
	conversation := server.NewConversation()
	if s.binding != nil {
		binding, err := scram.NewTLSServerEndpointBinding(s.binding)
		if s.binding.Version >= tls.VersionTLS13 {
			binding, err = scram.NewTLSExporterBinding(s.binding)
		}
		if err != nil {
			s.t.Error(err)
			return false
		}
		if conversation = server.NewConversationWithChannelBinding(binding); s.offered {
			conversation = server.NewConversationWithChannelBindingRequired(binding)
		}
	}
	for text := first; ; {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return false
		}
		answer, err := conversation.Step(string(raw))
		if err != nil || s.silent && conversation.Done() {
			return s.silent && err == nil
		}
		if s.change != nil {
			answer = s.change(answer)
		}
		said, ok := challenge(base64.StdEncoding.EncodeToString([]byte(answer)))
		if conversation.Done() || !ok {
			return ok && conversation.Valid() && said == ""
		}
		text = said
	}
}

// imap is AUTHENTICATE with an initial answer.
func (s *scramServer) imap(p *peer, tag, args string) bool {
	_, first, _ := strings.Cut(args, " ")
	if s.talk(first, func(c string) (string, bool) { p.say("+ " + c); return p.line() }) {
		p.say(tag + " OK in")
	} else {
		p.say(tag + " NO [AUTHENTICATIONFAILED] not you")
	}
	return true
}

// smtp is AUTH with an initial answer.
func (s *scramServer) smtp(p *peer, args string) bool {
	_, first, _ := strings.Cut(args, " ")
	if s.talk(first, func(c string) (string, bool) { p.say("334 " + c); return p.line() }) {
		p.say("235 in")
	} else {
		p.say("535 5.7.8 not you")
	}
	return true
}

// TestSCRAM: the strongest way is taken, the server has to prove that it knows the password, and a refusal is no reason to
// show the password by a weaker way.
func TestSCRAM(t *testing.T) {
	for _, c := range []struct {
		name   string
		offer  string // mechanisms
		want   string // the one that is taken
		server scramServer
		text   string // of the AuthError; "" for success
	}{
		{"SHA-256", "PLAIN SCRAM-SHA-1 SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: password}, ""},
		{"SHA-1", "LOGIN PLAIN SCRAM-SHA-1", "SCRAM-SHA-1", scramServer{hash: scram.SHA1, password: password}, ""},
		{"no binding in clear text", "SCRAM-SHA-256-PLUS SCRAM-SHA-1", "SCRAM-SHA-1", scramServer{hash: scram.SHA1, password: password}, ""},
		{"wrong password", "PLAIN SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: "another"}, "not you"},
		{"a yes without proof", "PLAIN SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: password, silent: true}, "did not prove"},
		{"a wrong proof", "PLAIN SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: password, change: func(s string) string {
			if strings.HasPrefix(s, "v=") {
				return "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
			}
			return s
		}}, "validation failed"},
		{"another nonce", "PLAIN SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: password, change: func(s string) string {
			return strings.Replace(s, "r=", "r=x", 1)
		}}, "nonce"},
		{"too few iterations", "PLAIN SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: password, change: func(s string) string {
			return strings.Replace(s, "i=4096", "i=1", 1)
		}}, "too few"},
		{"too many iterations", "PLAIN SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: password, change: func(s string) string {
			return strings.Replace(s, "i=4096", "i=2000000000", 1)
		}}, "more iterations"},
		{"nonsense", "PLAIN SCRAM-SHA-256", "SCRAM-SHA-256", scramServer{hash: scram.SHA256, password: password, change: func(string) string { return "\x1b[31m" }}, "SCRAM-SHA-256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := c.server
			server.t = t
			imap := &fakeIMAP{capabilities: "IMAP4rev1 SASL-IR", commands: map[string]func(*peer, string, string) bool{"AUTHENTICATE": server.imap}}
			for m := range strings.FieldsSeq(c.offer) {
				imap.capabilities += " AUTH=" + m
			}
			smtp := &fakeSMTP{extensions: []string{"AUTH " + c.offer}, commands: map[string]func(*peer, string) bool{"AUTH": server.smtp}}
			for scheme, serve := range map[mailbox.Scheme]func(*peer){mailbox.SchemeIMAP: imap.serve, mailbox.SchemeSubmission: smtp.serve} {
				address, said := listen(t, serve)
				err := connect(t, t.Context(), fakeOptions(t, scheme, address))
				checkLogin(t, err, c.text)
				if got := said.String(); strings.Count(got, "AUTH") != 1 || !strings.Contains(got, " "+c.want+" ") {
					t.Errorf("%s: the client said %q, want %s", scheme, got, c.want)
				}
			}
		})
	}
}

// checkLogin fails the test unless the log-in went well, or failed with an AuthError of this text in one line.
func checkLogin(t *testing.T, err error, text string) {
	t.Helper()
	if text == "" {
		if err != nil {
			t.Errorf("got error %v", err)
		}
		return
	}
	var auth *mailbox.AuthError
	if !errors.As(err, &auth) || !strings.Contains(auth.Text, text) || auth.User != alice || auth.Endpoint == (mailbox.Endpoint{}) {
		t.Errorf("got error %v (%T), want an AuthError with %q", err, err, text)
		return
	}
	oneLine(t, err)
}

// TestSCRAMBinding: inside TLS the log-in is bound to the connection, and where somebody hides that it could be, the server
// is told.
func TestSCRAMBinding(t *testing.T) {
	config, roots := testTLS(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name, offer string
			bound       bool // what the server does
			other       bool // the server's end of the connection is another: somebody is between
			text        string
		}{
			{"bound", "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN", true, false, ""},
			{"bound, SHA-1", "AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-256", true, false, ""},
			{"somebody is between", "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256", true, true, "not you"},
			{"not offered", "AUTH=SCRAM-SHA-256 AUTH=PLAIN", false, false, ""},
			{"hidden", "AUTH=SCRAM-SHA-256 AUTH=PLAIN", true, false, "not you"},
		} {
			t.Run(fmt.Sprintf("%s/%s", tls.VersionName(version), c.name), func(t *testing.T) {
				address, _ := listen(t, func(p *peer) {
					server := config.Clone()
					server.MaxVersion = version
					p.upgrade(server)
					fake := &fakeIMAP{capabilities: "IMAP4rev1 SASL-IR " + c.offer, commands: map[string]func(*peer, string, string) bool{
						"AUTHENTICATE": func(p *peer, tag, args string) bool {
							state := p.Conn.(*tls.Conn).ConnectionState()
							// The server's own certificate is what the client saw.
							state.PeerCertificates = nil
							if leaf := config.Certificates[0].Leaf; leaf != nil {
								state.PeerCertificates = append(state.PeerCertificates, leaf)
							}
							s := scramServer{t: t, hash: scram.SHA256, password: password, offered: c.name != "hidden"}
							if strings.Contains(args, "SHA-1") {
								s.hash = scram.SHA1
							}
							if s.binding = &state; !c.bound {
								s.binding = nil
							}
							if c.other {
								if version == tls.VersionTLS13 {
									s.binding = otherConnection(t, config)
								} else {
									changed := *state.PeerCertificates[0]
									changed.Raw = append([]byte{0}, changed.Raw...)
									state.PeerCertificates[0] = &changed
								}
							}
							return s.imap(p, tag, args)
						}}}
					fake.serve(p)
				})
				o := fakeOptions(t, mailbox.SchemeIMAPS, address, func(o *mailbox.Options) { o.TLSRoots = roots })
				checkLogin(t, connect(t, t.Context(), o), c.text)
			})
		}
	}
}

// otherConnection returns the state of a TLS connection that has nothing to do with any other.
func otherConnection(t *testing.T, config *tls.Config) *tls.ConnectionState {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	server := tls.Server(there, config)
	done := make(chan error, 1)
	go func() { done <- tls.Client(here, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		t.Error(err)
	}
	state := server.ConnectionState()
	return &state
}

// TestOAuth: a token is asked for at each log-in, presented by the way that the server knows, and shown nowhere.
func TestOAuth(t *testing.T) {
	token := "ya29.a-token-that-nobody-should-see" + strings.Repeat("-nor-a-part-of-it", 30) // more than is kept of a server's text
	refusal := `{"status":"invalid_token","scope":"mail \u001b[31m ` + token + `"}`
	for _, c := range []struct {
		name, offer string
		token       string
		refuse      bool
		first       string // the client's message, with the port left out
		check       func(*testing.T, error)
	}{
		{"OAUTHBEARER", "PLAIN XOAUTH2 OAUTHBEARER", token, false, "OAUTHBEARER n,a=" + alice + ",\x01host=127.0.0.1\x01port=\x01auth=Bearer " + token + "\x01\x01",
			func(t *testing.T, err error) { checkLogin(t, err, "") }},
		{"XOAUTH2", "SCRAM-SHA-256 PLAIN XOAUTH2", token, false, "XOAUTH2 user=" + alice + "\x01auth=Bearer " + token + "\x01\x01",
			func(t *testing.T, err error) { checkLogin(t, err, "") }},
		{"refused", "XOAUTH2 OAUTHBEARER PLAIN", token, true, "OAUTHBEARER n,a=" + alice + ",\x01host=127.0.0.1\x01port=\x01auth=Bearer " + token + "\x01\x01",
			func(t *testing.T, err error) { checkLogin(t, err, "status invalid_token, it needs the scope mail") }},
		{"XOAUTH2 refused", "XOAUTH2", token, true, "XOAUTH2 user=" + alice + "\x01auth=Bearer " + token + "\x01\x01",
			func(t *testing.T, err error) { checkLogin(t, err, "status invalid_token") }},
		{"not known", "PLAIN LOGIN SCRAM-SHA-256", token, false, "", func(t *testing.T, err error) { checkLogin(t, err, "neither OAUTHBEARER nor XOAUTH2") }},
		{"a token that would end its place", "XOAUTH2", "x\x01auth=Bearer y", false, "", func(t *testing.T, err error) {
			if err == nil || !strings.Contains(err.Error(), "letters that no token has") {
				t.Errorf("got error %v", err)
			}
		}},
		{"no token", "XOAUTH2", "", false, "", func(t *testing.T, err error) {
			if !errors.Is(err, errNoToken) {
				t.Errorf("got error %v", err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var (
				mu    sync.Mutex
				first string
			)
			got := func(args, address string) bool {
				mechanism, text, _ := strings.Cut(args, " ")
				raw, _ := base64.StdEncoding.DecodeString(text)
				_, port, _ := net.SplitHostPort(address)
				mu.Lock()
				defer mu.Unlock()
				first = strings.Replace(mechanism+" "+string(raw), "port="+port, "port=", 1)
				return c.refuse
			}
			challenge := base64.StdEncoding.EncodeToString([]byte(refusal))
			imap := &fakeIMAP{capabilities: "IMAP4rev1 SASL-IR", commands: map[string]func(*peer, string, string) bool{
				"AUTHENTICATE": func(p *peer, tag, args string) bool {
					if got(args, p.LocalAddr().String()) {
						p.say("+ " + challenge)
						p.line()
						p.say(tag + " NO [AUTHENTICATIONFAILED] no " + token)
						return true
					}
					p.say(tag + " OK in")
					return true
				}}}
			for m := range strings.FieldsSeq(c.offer) {
				imap.capabilities += " AUTH=" + m
			}
			smtp := &fakeSMTP{extensions: []string{"AUTH " + c.offer}, commands: map[string]func(*peer, string) bool{"AUTH": func(p *peer, args string) bool {
				if got(args, p.LocalAddr().String()) {
					p.say("334 " + challenge)
					p.line()
					p.say("535 5.7.8 no " + token)
					return true
				}
				p.say("235 in")
				return true
			}}}
			for scheme, serve := range map[mailbox.Scheme]func(*peer){mailbox.SchemeIMAP: imap.serve, mailbox.SchemeSubmission: smtp.serve} {
				address, said := listen(t, serve)
				asked := 0
				o := fakeOptions(t, scheme, address, func(o *mailbox.Options) {
					o.Credentials.Token = func(context.Context) (mailbox.Password, error) {
						if asked++; c.token == "" {
							return "", errNoToken
						}
						return mailbox.Password(c.token), nil
					}
				})
				for range 2 {
					err := connect(t, t.Context(), o)
					c.check(t, err)
					if err != nil && strings.Contains(err.Error(), token[:min(16, len(token))]) {
						t.Errorf("the token is in %q", err)
					}
				}
				mu.Lock()
				if first != c.first {
					t.Errorf("%s: the client said %q, want %q", scheme, first, c.first)
				}
				first = ""
				mu.Unlock()
				if asked != 2 || strings.Contains(said.String(), password) {
					t.Errorf("asked %d times for a token; the client said %q", asked, said)
				}
			}
		})
	}
}

var errNoToken = errors.New("the token command failed")

// TestLogInToDovecot: a server that nobody here wrote takes what this side says.
func TestLogInToDovecot(t *testing.T) {
	servers := peertest.MailServers(t)
	user := servers.User(t, "alice")
	for _, c := range []struct{ hidden, want string }{
		{"", "SCRAM-SHA-256"}, {" AUTH=SCRAM-SHA-256", "SCRAM-SHA-1"}, {" AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1", "PLAIN"},
	} {
		t.Run(c.want, func(t *testing.T) {
			said := new(transcript)
			proxy := peertest.StartProxy(t, servers.IMAP, peertest.Tamper{
				Server: func(line string) (string, peertest.Fate) {
					for word := range strings.FieldsSeq(c.hidden) {
						line = strings.Replace(line, " "+word+" ", " ", 1)
						line = strings.Replace(line, " "+word+"]", "]", 1)
					}
					return line, peertest.Pass
				},
				Client: func(line string) (string, peertest.Fate) {
					said.Lock()
					defer said.Unlock()
					said.b.WriteString(line + "\n")
					return "", peertest.Pass
				},
			})
			o := peerOptions(t, servers, user, mailbox.SchemeIMAP)
			o.Endpoint, o.InsecureLoopback = endpoint(t, mailbox.SchemeIMAP, proxy), true
			if err := connect(t, t.Context(), o); err != nil {
				t.Error(err)
			}
			if !strings.Contains(said.String(), "AUTHENTICATE "+c.want+" ") {
				t.Errorf("the client said %q, want %s", said, c.want)
			}
			o.Credentials.Password = "another"
			if err := connect(t, t.Context(), o); !isType[*mailbox.AuthError](err) {
				t.Errorf("a wrong password: %v", err)
			}
		})
	}
}
