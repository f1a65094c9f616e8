package putback_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
	"github.com/sealmail/sealmail/mailbox/maildir"
	"github.com/sealmail/sealmail/mailbox/mbox"
)

func TestMain(m *testing.M) { peertest.Main(m) }

const (
	bob      = "bob@example.test"
	password = "correct horse battery staple"
)

// place is where mail is kept, and how to come to it; what is opened has to be closed.
type place func(t testing.TB) mailbox.Store

// places are empty ones of each kind.
func places(t *testing.T) map[string]place {
	return map[string]place{"embedded server": embedded(t), "Maildir": inMaildir(t), "mbox": inMbox(t)}
}

func dial(t testing.TB, o mailbox.Options) mailbox.Store {
	t.Helper()
	s, err := mailbox.DialIMAP(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func imapOptions(t testing.TB, address, user, password string, roots *x509.CertPool) mailbox.Options {
	t.Helper()
	e, err := mailbox.ParseEndpoint("imaps://" + address)
	if err != nil {
		t.Fatal(err)
	}
	return mailbox.Options{Endpoint: e, TLSRoots: roots, Credentials: mailbox.Credentials{User: user, Password: mailbox.Password(password)}}
}

func embedded(t *testing.T) place {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	s, err := localserver.Open(t.Context(), localserver.Options{Dir: t.TempDir(), Clock: time.Now, IMAPS: "127.0.0.1:0",
		TLS: &tls.Config{Certificates: web.TLS.Certificates}, Users: map[string]mailbox.Password{bob: password}})
	if err != nil {
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
	return func(t testing.TB) mailbox.Store {
		return dial(t, imapOptions(t, s.Addresses().IMAPS, bob, password, roots))
	}
}

func inMaildir(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return func(t testing.TB) mailbox.Store {
		t.Helper()
		s, err := maildir.Open(maildir.Options{Path: dir, Disk: safeio.Disk{}, Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func inMbox(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	return func(t testing.TB) mailbox.Store {
		t.Helper()
		s, err := mbox.Open(mbox.Options{Path: dir, Disk: safeio.Disk{}, Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// octetsIn returns the messages in a folder of a place, by their UIDs.
func octetsIn(t *testing.T, at place, folder string) map[mailbox.UID]string {
	t.Helper()
	s := at(t)
	defer s.Close()
	uids, err := s.UIDs(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	found := map[mailbox.UID]string{}
	for _, uid := range uids {
		var b bytes.Buffer
		if err := s.Fetch(t.Context(), folder, uid, &b); err != nil {
			t.Fatal(err)
		}
		found[uid] = b.String()
	}
	return found
}
