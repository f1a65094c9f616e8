package mailbox_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
	"github.com/sealmail/sealmail/mailbox/mailboxtest"
)

func TestMain(m *testing.M) { peertest.Main(m) }

// endpoint reads an address of a test server.
func endpoint(t testing.TB, scheme mailbox.Scheme, address string) mailbox.Endpoint {
	t.Helper()
	e, err := mailbox.ParseEndpoint(string(scheme) + "://" + address)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func dialIMAP(t testing.TB, o mailbox.Options) mailbox.Store {
	t.Helper()
	s, err := mailbox.DialIMAP(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dialSMTP(t testing.TB, o mailbox.Options) mailbox.Submitter {
	t.Helper()
	s, err := mailbox.DialSMTP(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testTLS returns a server's configuration, with a certificate for 127.0.0.1, and the anchor that it leads to.
func testTLS(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates}, roots
}

const (
	alice    = "alice@example.test"
	bob      = "bob@example.test"
	carol    = "carol@example.test"
	password = "correct horse battery staple"
)

// local is the embedded server.
type local struct {
	*localserver.Server
	roots *x509.CertPool
}

func startLocal(t testing.TB, o localserver.Options) local {
	t.Helper()
	var s local
	o.Dir, o.Clock = t.TempDir(), time.Now
	o.TLS, s.roots = testTLS(t)
	o.Users = map[string]mailbox.Password{alice: password, bob: password, carol: password}
	o.IMAP, o.Submission = "127.0.0.1:0", "127.0.0.1:0"
	var err error
	if s.Server, err = localserver.Open(t.Context(), o); err != nil {
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
	return s
}

func (s local) options(t testing.TB, user string, scheme mailbox.Scheme) mailbox.Options {
	t.Helper()
	address := map[mailbox.Scheme]string{
		mailbox.SchemeIMAPS: s.Addresses().IMAPS, mailbox.SchemeIMAP: s.Addresses().IMAP,
		mailbox.SchemeSubmissions: s.Addresses().Submissions, mailbox.SchemeSubmission: s.Addresses().Submission,
	}[scheme]
	return mailbox.Options{
		Endpoint: endpoint(t, scheme, address), TLSRoots: s.roots,
		Credentials: mailbox.Credentials{User: user, Password: password},
	}
}

// peerOptions are Options for a user of the real servers.
func peerOptions(t testing.TB, s peertest.Servers, user peertest.User, scheme mailbox.Scheme) mailbox.Options {
	t.Helper()
	address := map[mailbox.Scheme]string{
		mailbox.SchemeIMAPS: s.IMAPS, mailbox.SchemeIMAP: s.IMAP,
		mailbox.SchemeSubmissions: s.Submissions, mailbox.SchemeSubmission: s.Submission,
	}[scheme]
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return mailbox.Options{
		Endpoint: endpoint(t, scheme, address), TLSRoots: roots,
		Credentials: mailbox.Credentials{User: user.Address, Password: mailbox.Password(user.Password)},
	}
}

// The suites run over TLS here and over STARTTLS on the real servers: how the connection came about makes no difference
// afterwards. TestAllSchemes has the four ways to connect, everywhere.

func TestStoreOnLocalServer(t *testing.T) {
	server := startLocal(t, localserver.Options{})
	mailboxtest.TestStore(t, func(t *testing.T) mailbox.Store { return dialIMAP(t, server.options(t, alice, "imaps")) })
}

func TestStoreOnDovecot(t *testing.T) {
	servers := peertest.MailServers(t)
	mailboxtest.TestStore(t, func(t *testing.T) mailbox.Store {
		return dialIMAP(t, peerOptions(t, servers, servers.User(t, "alice"), "imap"))
	})
}

func TestSubmitterOnLocalServer(t *testing.T) {
	server := startLocal(t, localserver.Options{})
	mailboxtest.TestSubmitter(t, mailboxtest.Submission{
		Open:  func(t *testing.T) mailbox.Submitter { return dialSMTP(t, server.options(t, alice, "submissions")) },
		Inbox: func(t *testing.T) mailbox.Store { return dialIMAP(t, server.options(t, bob, "imaps")) },
		From:  alice, To: bob, Other: carol, Unknown: "nobody@example.test",
	})
}

func TestSubmitterOnPostfix(t *testing.T) {
	servers := peertest.MailServers(t)
	from, to, other := servers.User(t, "alice"), servers.User(t, "bob"), servers.User(t, "carol")
	mailboxtest.TestSubmitter(t, mailboxtest.Submission{
		Open:  func(t *testing.T) mailbox.Submitter { return dialSMTP(t, peerOptions(t, servers, from, "submission")) },
		Inbox: func(t *testing.T) mailbox.Store { return dialIMAP(t, peerOptions(t, servers, to, "imaps")) },
		From:  from.Address, To: to.Address, Other: other.Address, Unknown: "nobody@example.test",
	})
}

func TestAllSchemes(t *testing.T) {
	for name, options := range map[string]func(*testing.T) func(mailbox.Scheme) mailbox.Options{
		"local server": func(t *testing.T) func(mailbox.Scheme) mailbox.Options {
			server := startLocal(t, localserver.Options{})
			return func(scheme mailbox.Scheme) mailbox.Options { return server.options(t, alice, scheme) }
		},
		"Dovecot and Postfix": func(t *testing.T) func(mailbox.Scheme) mailbox.Options {
			servers := peertest.MailServers(t)
			return func(scheme mailbox.Scheme) mailbox.Options {
				return peerOptions(t, servers, servers.User(t, "alice"), scheme)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			options := options(t)
			for _, scheme := range schemes {
				o := options(scheme)
				if err := connect(t, t.Context(), o); err != nil {
					t.Errorf("%s: %v", scheme, err)
				}
				o.Credentials.Password = "wrong " + password
				err := connect(t, t.Context(), o)
				var auth *mailbox.AuthError
				if !errors.As(err, &auth) || auth.Temporary || auth.User != o.Credentials.User || auth.Text == "" {
					t.Errorf("%s: got error %v, want an AuthError", scheme, err)
					continue
				}
				oneLine(t, err)
			}
		})
	}
}
