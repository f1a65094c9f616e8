package mailbox_test

import (
	"crypto/x509"
	"os"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
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

func TestDovecot(t *testing.T) {
	servers := peertest.MailServers(t)
	for _, scheme := range []mailbox.Scheme{mailbox.SchemeIMAPS, mailbox.SchemeIMAP} {
		t.Run(string(scheme), func(t *testing.T) {
			mailboxtest.TestStore(t, func(t *testing.T) mailbox.Store {
				return dialIMAP(t, peerOptions(t, servers, servers.User(t, "alice"), scheme))
			})
		})
	}
}

func TestPostfix(t *testing.T) {
	servers := peertest.MailServers(t)
	alice, bob, carol := servers.User(t, "alice"), servers.User(t, "bob"), servers.User(t, "carol")
	for _, scheme := range []mailbox.Scheme{mailbox.SchemeSubmissions, mailbox.SchemeSubmission} {
		t.Run(string(scheme), func(t *testing.T) {
			mailboxtest.TestSubmitter(t, mailboxtest.Submission{
				Open: func(t *testing.T) mailbox.Submitter {
					return dialSMTP(t, peerOptions(t, servers, alice, scheme))
				},
				Inbox: func(t *testing.T) mailbox.Store {
					return dialIMAP(t, peerOptions(t, servers, bob, mailbox.SchemeIMAPS))
				},
				From: alice.Address, To: bob.Address, Other: carol.Address, Unknown: "nobody@example.test",
			})
		})
	}
}
