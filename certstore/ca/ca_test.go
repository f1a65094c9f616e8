package ca_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/cms"
)

func TestMain(m *testing.M) { peertest.Main(m) }

func now() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

func initOptions(dir string) ca.InitOptions {
	return ca.InitOptions{Dir: dir, Name: "Example CA", Organization: "Example GmbH",
		Protection: vault.Protection{Unprotected: true}, Now: now()}
}

func newAuthority(t testing.TB, change func(*ca.InitOptions)) (*ca.Authority, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "CA")
	o := initOptions(dir)
	if change != nil {
		change(&o)
	}
	a, err := ca.Init(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func issue(t testing.TB, a *ca.Authority, p ca.Profile) *ca.Issued {
	t.Helper()
	p.Now = now()
	issued, err := a.Issue(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func TestInit(t *testing.T) {
	a, dir := newAuthority(t, func(o *ca.InitOptions) {
		o.Protection = vault.Protection{Passphrase: []byte("secret"), Scrypt: vault.Scrypt{N: 1 << 10, R: 8, P: 1}}
	})
	root, issuing := a.Root(), a.Issuing()
	switch {
	case root.Subject.CommonName != "Example CA", issuing.Subject.CommonName != "Example CA Issuing CA":
		t.Errorf("names %q and %q", root.Subject, issuing.Subject)
	case !root.IsCA, !issuing.IsCA, root.MaxPathLen != -1, issuing.MaxPathLen != 0, !issuing.MaxPathLenZero:
		t.Error("basic constraints")
	case root.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign:
		t.Error("key usage")
	case root.SerialNumber.BitLen() < 64, root.SerialNumber.BitLen() > 128:
		t.Errorf("serial number of %d bits", root.SerialNumber.BitLen())
	case !bytes.Equal(issuing.AuthorityKeyId, root.SubjectKeyId), len(root.SubjectKeyId) != 20:
		t.Error("key identifiers")
	}
	services := a.Certificate(ca.ServicesIssuer)
	for name, want := range map[string][]*x509.Certificate{"root.pem": {root}, "issuing.pem": {issuing}, "services.pem": {services},
		"chain.pem": {issuing, services, root}} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := certstore.ParseCertificates(data); err != nil || !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ca.Init(t.Context(), initOptions(dir)); !errors.Is(err, ca.ErrExist) {
		t.Errorf("a second authority in the folder: %v", err)
	}
	if _, err := ca.Open(dir, safeio.Disk{}, []byte("wrong")); !errors.Is(err, vault.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	// Issuing does without the root's key.
	if err := os.RemoveAll(filepath.Join(dir, "keys", "root")); err != nil {
		t.Fatal(err)
	}
	a, err := ca.Open(dir, safeio.Disk{}, []byte("secret"))
	if err != nil || !a.Protected() {
		t.Fatal(err)
	}
	issue(t, a, ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{"alice@example.org"}})
	if _, err := ca.Open(t.TempDir(), safeio.Disk{}, nil); !errors.Is(err, ca.ErrNotExist) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no authority: %v", err)
	}
}

func TestPrivateKeysAreEncrypted(t *testing.T) {
	_, dir := newAuthority(t, nil)
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("PRIVATE")) {
			t.Errorf("%s holds a private key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestInitRefuses(t *testing.T) {
	for name, change := range map[string]func(*ca.InitOptions){
		"no name":        func(o *ca.InitOptions) { o.Name = " " },
		"Ed25519":        func(o *ca.InitOptions) { o.Key = ca.Ed25519 },
		"RSA 2048":       func(o *ca.InitOptions) { o.Key = ca.RSA2048 },
		"negative days":  func(o *ca.InitOptions) { o.Days = -1 },
		"base URL":       func(o *ca.InitOptions) { o.BaseURL = "ftp://example.org" },
		"base URL, bare": func(o *ca.InitOptions) { o.BaseURL = "example.org" },
		"base URL, TLS":  func(o *ca.InitOptions) { o.BaseURL = "https://example.org" },
		"long name":      func(o *ca.InitOptions) { o.Name = strings.Repeat("x", 60) }, // an issuer's is longer
		"no time":        func(o *ca.InitOptions) { o.Now = time.Time{} },
	} {
		o := initOptions(filepath.Join(t.TempDir(), "CA"))
		change(&o)
		if _, err := ca.Init(t.Context(), o); !errors.Is(err, ca.ErrProfile) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(o.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the folder was made all the same", name)
		}
	}
}

// TestInitInterrupted makes each step fail that changes what can be seen. There is then no authority, or a whole one,
// and trying again works.
func TestInitInterrupted(t *testing.T) {
	errFault := errors.New("no space left")
	for step := 1; ; step++ {
		dir := filepath.Join(t.TempDir(), "CA")
		o := initOptions(dir)
		count := 0
		o.Disk = safeio.Disk{Before: func(op, _ string) error {
			if op != safeio.OpRename && op != safeio.OpMkdir && op != safeio.OpRemove {
				return nil
			}
			if count++; count == step {
				return errFault
			}
			return nil
		}}
		_, err := ca.Init(t.Context(), o)
		if count < step {
			if step < 20 {
				t.Fatalf("only %d steps", step)
			}
			return
		}
		if err != nil && !errors.Is(err, errFault) { // to clear up may fail
			t.Fatalf("step %d: %v", step, err)
		}
		o.Disk = safeio.Disk{}
		if _, err := ca.Init(t.Context(), o); err != nil && !errors.Is(err, ca.ErrExist) {
			t.Fatalf("step %d, again: %v", step, err)
		}
		a, err := ca.Open(dir, safeio.Disk{}, nil)
		if err != nil {
			t.Fatalf("step %d, opened: %v", step, err)
		}
		issue(t, a, ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{"alice@example.org"}})
	}
}

// TestProfiles: every purpose with every kind of key, judged by our own path validation.
func TestProfiles(t *testing.T) {
	a, _ := newAuthority(t, func(o *ca.InitOptions) { o.BaseURL = "http://ca.example.org/x/" })
	v := certstore.Validator{Anchors: []*x509.Certificate{a.Root()}}
	tests := []struct {
		purpose   ca.Purpose
		key       ca.KeyType
		good, bad []certstore.Use
		usages    string
		refused   bool
	}{
		{ca.Mail, ca.P256, uses(certstore.SignMail, certstore.EncryptMail), uses(certstore.TimeStamp, certstore.ServeTLS), "digitalSignature keyAgreement emailProtection", false},
		{ca.Mail, ca.P384, uses(certstore.SignMail, certstore.EncryptMail), nil, "digitalSignature keyAgreement emailProtection", false},
		{ca.Mail, ca.RSA2048, uses(certstore.SignMail, certstore.EncryptMail), nil, "digitalSignature keyEncipherment emailProtection", false},
		{ca.Mail, ca.Ed25519, nil, nil, "", true},
		{ca.Sign, ca.Ed25519, uses(certstore.SignMail), uses(certstore.EncryptMail), "digitalSignature nonRepudiation emailProtection", false},
		{ca.Sign, ca.P256, uses(certstore.SignMail), uses(certstore.EncryptMail), "digitalSignature nonRepudiation emailProtection", false},
		{ca.Encrypt, ca.P256, uses(certstore.EncryptMail), uses(certstore.SignMail), "keyAgreement emailProtection", false},
		{ca.Encrypt, ca.RSA2048, uses(certstore.EncryptMail), uses(certstore.SignMail), "keyEncipherment emailProtection", false},
		{ca.Encrypt, ca.Ed25519, nil, nil, "", true},
		{ca.TSA, ca.P256, uses(certstore.TimeStamp), uses(certstore.SignMail, certstore.ServeTLS), "digitalSignature timeStamping", false},
		{ca.Archive, ca.P256, uses(certstore.SignMail), uses(certstore.EncryptMail, certstore.TimeStamp), "digitalSignature nonRepudiation emailProtection 1.3.6.1.5.5.7.3.36", false},
		{ca.TLS, ca.P256, uses(certstore.ServeTLS), uses(certstore.SignMail, certstore.TimeStamp), "digitalSignature serverAuth", false},
		{ca.TLS, ca.RSA2048, uses(certstore.ServeTLS), nil, "digitalSignature keyEncipherment serverAuth", false},
	}
	for _, test := range tests {
		t.Run(string(test.purpose)+" "+string(test.key), func(t *testing.T) {
			p := ca.Profile{Purpose: test.purpose, Key: test.key, Organization: "Example GmbH", Now: now()}
			if test.purpose == ca.TLS {
				p.DNS = []string{"mail.example.org", "*.example.org", "127.0.0.1", "::1"}
			} else {
				p.Emails = []string{"alice@example.org", "a.adams@example.org"}
			}
			issued, err := a.Issue(t.Context(), p)
			if test.refused {
				if !errors.Is(err, ca.ErrProfile) {
					t.Fatalf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c := issued.Certificate()
			for _, use := range test.good {
				if _, err := v.Path(c, issued.Chain, use, now()); err != nil {
					t.Errorf("%s: %v", use, err)
				}
			}
			for _, use := range test.bad {
				if _, err := v.Path(c, issued.Chain, use, now()); err == nil {
					t.Errorf("%s is allowed", use)
				}
			}
			d := certstore.Describe(c)
			if got := strings.Join(d.Usages, " "); got != test.usages {
				t.Errorf("usages %q", got)
			}
			if test.purpose == ca.TLS {
				for _, host := range []string{"mail.example.org", "imap.example.org", "127.0.0.1", "[::1]"} {
					if err := c.VerifyHostname(host); err != nil {
						t.Error(err)
					}
				}
			} else if !slices.Equal(d.Addresses, p.Emails) {
				t.Errorf("addresses %q", d.Addresses)
			}
			capabilities, ok := cms.CertificateCapabilities(c)
			if want := test.purpose == ca.Mail || test.purpose == ca.Encrypt; ok != want || ok && !capabilities.Supports(cms.AES256GCM) {
				t.Errorf("capabilities %v, %v", capabilities, ok)
			}
			issuer := ca.MailIssuer
			if test.purpose == ca.TSA || test.purpose == ca.TLS {
				issuer = ca.ServicesIssuer
			}
			if c.IsCA || !bytes.Equal(c.AuthorityKeyId, a.Certificate(issuer).SubjectKeyId) || len(c.SubjectKeyId) != 20 {
				t.Error("basic constraints or key identifiers")
			}
			if !slices.Equal(c.CRLDistributionPoints, []string{"http://ca.example.org/x/" + string(issuer) + ".crl"}) ||
				!slices.Equal(c.IssuingCertificateURL, []string{"http://ca.example.org/x/" + string(issuer) + ".cer"}) || !slices.Equal(c.OCSPServer, []string{"http://ca.example.org/x/ocsp"}) {
				t.Errorf("%q %q %q", c.CRLDistributionPoints, c.IssuingCertificateURL, c.OCSPServer)
			}
		})
	}
}

func uses(list ...certstore.Use) []certstore.Use { return list }

func TestNames(t *testing.T) {
	a, _ := newAuthority(t, nil)
	c := issue(t, a, ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{"jörg@bücher.example", "info@BÜCHER.example"}}).Certificate()
	if want := []string{"jörg@xn--bcher-kva.example", "info@xn--bcher-kva.example"}; !slices.Equal(certstore.Addresses(c), want) {
		t.Errorf("addresses %q", certstore.Addresses(c))
	}
	if c.Subject.CommonName != "jörg@bücher.example" {
		t.Errorf("name %q", c.Subject.CommonName)
	}
	long := strings.Repeat("x", 60) + "@example.org"
	c = issue(t, a, ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{long}}).Certificate()
	if c.Subject.String() != "" || !certstore.MatchAddress(c, long) {
		t.Errorf("%q, %q", c.Subject, certstore.Addresses(c))
	}
	if _, err := (certstore.Validator{Anchors: []*x509.Certificate{a.Root()}}).Path(c, []*x509.Certificate{a.Issuing()}, certstore.SignMail, now()); err != nil {
		t.Errorf("without a subject: %v", err)
	}
	for name, p := range map[string]ca.Profile{
		"no address":         {Purpose: ca.Mail, Key: ca.P256, Name: "Alice"},
		"no host":            {Purpose: ca.TLS, Key: ca.P256, Emails: []string{"a@example.org"}},
		"nobody":             {Purpose: ca.TSA, Key: ca.P256},
		"not an address":     {Purpose: ca.Mail, Key: ca.P256, Emails: []string{"alice"}},
		"two @":              {Purpose: ca.Mail, Key: ca.P256, Emails: []string{"a@b@example.org"}},
		"NUL":                {Purpose: ca.Mail, Key: ca.P256, Emails: []string{"a\x00@example.org"}},
		"host with a space":  {Purpose: ca.TLS, Key: ca.P256, DNS: []string{"a b"}},
		"host with a path":   {Purpose: ca.TLS, Key: ca.P256, DNS: []string{"a/b"}},
		"control characters": {Purpose: ca.TSA, Key: ca.P256, Name: "TSA\x1b[2J"},
		"long name":          {Purpose: ca.TSA, Key: ca.P256, Name: strings.Repeat("x", 65)},
		"many names":         {Purpose: ca.Mail, Key: ca.P256, Emails: slices.Repeat([]string{"a@example.org"}, 101)},
		"unknown purpose":    {Purpose: "other", Key: ca.P256, Name: "x"},
		"unknown key":        {Purpose: ca.TSA, Key: "p224", Name: "x"},
		"no key":             {Purpose: ca.TSA, Name: "x"},
		"validity backwards": {Purpose: ca.TSA, Key: ca.P256, Name: "x", NotBefore: now(), NotAfter: now().Add(-time.Hour)},
		"negative days":      {Purpose: ca.TSA, Key: ca.P256, Name: "x", Days: -1},
	} {
		p.Now = now()
		if _, err := a.Issue(t.Context(), p); !errors.Is(err, ca.ErrProfile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if records, err := a.Records(); err != nil || len(records) != 2 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestValidity(t *testing.T) {
	a, _ := newAuthority(t, func(o *ca.InitOptions) { o.Days = 100 })
	begin, end := a.Issuing().NotBefore, a.Issuing().NotAfter
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		p           ca.Profile
		from, until time.Time
	}{
		"default, clipped": {ca.Profile{}, begin, end},
		"days":             {ca.Profile{Days: 10}, begin, begin.AddDate(0, 0, 10)},
		"stated":           {ca.Profile{NotBefore: now().Add(day), NotAfter: now().Add(2 * day)}, now().Add(day), now().Add(2 * day)},
		"until":            {ca.Profile{NotAfter: now().Add(time.Minute)}, begin, now().Add(time.Minute)},
		"both clipped":     {ca.Profile{NotBefore: now().Add(-day), NotAfter: now().AddDate(5, 0, 0)}, begin, end},
		"expired":          {ca.Profile{NotBefore: now().Add(-9 * day), NotAfter: now().Add(-8 * day)}, now().Add(-9 * day), now().Add(-8 * day)},
		"expired, no from": {ca.Profile{NotAfter: now().Add(-8 * day)}, now().Add(-9 * day), now().Add(-8 * day)},
	} {
		p := test.p
		p.Purpose, p.Key, p.Emails = ca.Mail, ca.P256, []string{"alice@example.org"}
		c := issue(t, a, p).Certificate()
		if !c.NotBefore.Equal(test.from) || !c.NotAfter.Equal(test.until) {
			t.Errorf("%s: %v to %v, want %v to %v", name, c.NotBefore, c.NotAfter, test.from, test.until)
		}
	}
}

func TestIssuedPEM(t *testing.T) {
	a, _ := newAuthority(t, nil)
	issued := issue(t, a, ca.Profile{Purpose: ca.TSA, Key: ca.P256, Name: "TSA"})
	data, err := issued.PEM()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := certstore.ParsePEM(data)
	if err != nil {
		t.Fatal(err)
	}
	if pairs, rest := bundle.KeyPairs(); len(pairs) != 1 || len(pairs[0].Chain) != 3 || len(rest) != 0 {
		t.Errorf("%d pairs, %d left", len(pairs), len(rest))
	}
	if first, _ := pem.Decode(data); first == nil || !bytes.Equal(first.Bytes, issued.Certificate().Raw) {
		t.Error("the leaf does not come first")
	}
}
