package client_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
)

// TestTrustSystem takes the roots that come with NSS, twice; what a person decided stays.
func TestTrustSystem(t *testing.T) {
	peertest.Command(t, "certutil") // which comes with the module
	w := newWorld(t)
	o := w.options()
	o.System = os.DirFS("/")
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	store := certstore.New(o.Home.Certificates(), o.Disk, nil)
	public := func() (list []certstore.Anchor) {
		t.Helper()
		anchors, problems, err := store.Anchors(certstore.Mail, "")
		if err != nil || len(problems) > 0 {
			t.Fatal(err, problems)
		}
		return slices.DeleteFunc(anchors, func(a certstore.Anchor) bool { return a.Origin != certstore.Public })
	}
	first, err := c.CertTrustSystem()
	if err != nil {
		t.Fatal(err)
	}
	if first.Added < 20 || first.Kept != 0 || first.Removed != 0 || len(public()) != first.Added || !strings.HasSuffix(first.Source, "/libnssckbi.so") {
		t.Fatalf("%+v, %d anchors", first, len(public()))
	}
	// One that a person trusts, and one that the module has no more.
	decided, gone := public()[0], public()[1]
	decided.Origin = certstore.Private
	if err := store.Trust(decided, certstore.Mail); err != nil {
		t.Fatal(err)
	}
	if err := store.Distrust(certstore.Fingerprint(gone.Certificate), certstore.Mail); err != nil {
		t.Fatal(err)
	}
	roots, err := certstore.ParseCertificates([]byte(w.read("ca/root.pem")))
	if err != nil {
		t.Fatal(err)
	}
	gone.Certificate = roots[0]
	if err := store.Trust(gone, certstore.Mail); err != nil {
		t.Fatal(err)
	}
	second, err := c.CertTrustSystem()
	if err != nil {
		t.Fatal(err)
	}
	if second.Added != 1 || second.Removed != 1 || second.Kept != first.Added-1 || len(public()) != first.Added-1 {
		t.Errorf("%+v, %d public anchors", second, len(public()))
	}
}

// TestTrustSystemOfAccount takes the roots for one account, for which alone they count, and later for all.
func TestTrustSystemOfAccount(t *testing.T) {
	peertest.Command(t, "certutil")
	w := newWorld(t)
	if err := os.MkdirAll(w.in("home"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("home/config.toml", "[account.work]\naddress = 'me@example.org'\nimap = 'imaps://127.0.0.1:1'\nsmtp = 'submissions://127.0.0.1:1'\n")
	trust := func(account string) *client.SystemTrustResult {
		t.Helper()
		o := w.options()
		o.System, o.Account = os.DirFS("/"), account
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r, err := c.CertTrustSystem()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	o := w.options()
	store := certstore.New(o.Home.Certificates(), o.Disk, nil)
	public := func(account string) (n int) {
		t.Helper()
		anchors, _, err := store.Anchors(certstore.Mail, account)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range anchors {
			if a.Origin == certstore.Public {
				n++
			}
		}
		return n
	}
	first := trust("work")
	if first.Added < 20 || public("work") != first.Added || public("") != 0 {
		t.Fatalf("%+v; %d for the account, %d for all", first, public("work"), public(""))
	}
	if again := trust("work"); again.Kept != first.Added || again.Added+again.Removed != 0 {
		t.Errorf("again: %+v", again)
	}
	if all := trust(""); all.Added != first.Added || all.Removed != 0 || public("") != first.Added {
		t.Errorf("for all: %+v, %d", all, public(""))
	}
	if after := trust("work"); after.Kept != first.Added || public("") != first.Added {
		t.Errorf("for the account, when all have them: %+v, %d for all", after, public(""))
	}
}

// TestTrustSystemWithoutModule says what is missing, and trusts nobody.
func TestTrustSystemWithoutModule(t *testing.T) {
	w := newWorld(t)
	for name, files := range map[string]fstest.MapFS{"none": {}, "damaged": {"usr/lib/libnssckbi.so": {Data: []byte("\x7fELF"), Mode: 0o644}}} {
		o := w.options()
		o.System = files
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if r, err := c.CertTrustSystem(); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
