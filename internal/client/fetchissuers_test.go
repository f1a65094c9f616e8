package client_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mozilla.org/pkcs7"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
)

// party is somebody with a key and a certificate.
type party struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// certify makes a certificate that says where its issuer's is; without an issuer it is signed by itself.
func certify(t testing.TB, issuer *party, name string, urls ...string) *party {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: now().AddDate(-1, 0, 0),
		NotAfter: now().AddDate(1, 0, 0), IssuingCertificateURL: urls}
	if strings.Contains(name, "@") {
		template.EmailAddresses = []string{name}
	} else {
		template.BasicConstraintsValid, template.IsCA, template.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	signer, above := key, template
	if issuer != nil {
		signer, above = issuer.key, issuer.cert
	}
	der, err := x509.CreateCertificate(rand.Reader, template, above, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{key: key}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return p
}

// publisher serves certificates over HTTP on loopback, and counts what it is asked.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	pages map[string]func(http.ResponseWriter, *http.Request)
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{pages: map[string]func(http.ResponseWriter, *http.Request){}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.URL.Path)
		page := p.pages[r.URL.Path]
		p.mu.Unlock()
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

func (p *publisher) publish(path string, data []byte) {
	p.pages[path] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

func (p *publisher) redirect(path, to string) {
	p.pages[path] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// chainAfter imports a certificate and returns the names in the chain that the store then has.
func chainAfter(t *testing.T, w *world, leaf *party, change func(*client.CertImportParams)) string {
	t.Helper()
	p := client.CertImportParams{Files: []string{w.write("leaf.pem", string(certstore.EncodeCertificates(leaf.cert)))}, FetchIssuers: true, InsecureLoopback: true}
	change(&p)
	if _, err := w.client().CertImport(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	stored, err := certstore.New(w.options().Home.Certificates(), safeio.Disk{}, nil).Correspondent(certstore.Fingerprint(leaf.cert))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range stored.Chain {
		names = append(names, c.Subject.CommonName)
	}
	return strings.Join(names, " < ")
}

// TestFetchIssuers completes chains over HTTP, in each form that a certificate is published in, and keeps nothing that did
// not sign.
func TestFetchIssuers(t *testing.T) {
	p := newPublisher(t)
	root := certify(t, nil, "Root")
	middle := certify(t, root, "Middle", p.URL+"/root.p7c")
	impostor := certify(t, root, "Middle", p.URL+"/root.p7c")
	bag, err := pkcs7.DegenerateCertificate(root.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	p.publish("/root.p7c", bag)
	p.publish("/middle.der", middle.cert.Raw)
	p.publish("/middle.pem", certstore.EncodeCertificates(middle.cert))
	p.publish("/both.pem", certstore.EncodeCertificates(impostor.cert, middle.cert))
	p.publish("/impostor.der", impostor.cert.Raw)
	p.publish("/text", []byte("<html>Not here any more.</html>"))
	p.publish("/large", bytes.Repeat(middle.cert.Raw, 1+(64<<10)/len(middle.cert.Raw)))
	p.redirect("/moved", p.URL+"/middle.der")
	p.redirect("/round", p.URL+"/round")
	p.redirect("/file", "file:///etc/passwd")
	const whole, alone = "leaf@example.org < Middle < Root", "leaf@example.org"
	for name, test := range map[string]struct {
		urls  []string
		chain string
		said  string
	}{
		"DER":                    {[]string{p.URL + "/middle.der"}, whole, ""},
		"PEM":                    {[]string{p.URL + "/middle.pem"}, whole, ""},
		"among others":           {[]string{p.URL + "/both.pem"}, whole, ""},
		"moved":                  {[]string{p.URL + "/moved"}, whole, ""},
		"the second address":     {[]string{p.URL + "/gone", p.URL + "/middle.der"}, whole, ""},
		"LDAP first":             {[]string{"ldap://directory.example.org/", p.URL + "/middle.der"}, whole, ""},
		"LDAP alone":             {[]string{"ldap://directory.example.org/"}, alone, ""},
		"another's key":          {[]string{p.URL + "/impostor.der"}, alone, "did not sign the certificate"},
		"gone":                   {[]string{p.URL + "/gone"}, alone, "404 Not Found"},
		"text":                   {[]string{p.URL + "/text"}, alone, "malformed"},
		"too large":              {[]string{p.URL + "/large"}, alone, "larger than 64 KiB"},
		"round and round":        {[]string{p.URL + "/round"}, alone, "it leads on and on"},
		"to a file":              {[]string{p.URL + "/file"}, alone, "neither http nor https"},
		"a password in the name": {[]string{"http://user:password@" + p.Listener.Addr().String() + "/middle.der"}, alone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t) // another store: what one knows it does not ask for again
			leaf := certify(t, middle, "leaf@example.org", test.urls...)
			before := p.requests()
			if chain := chainAfter(t, w, leaf, func(*client.CertImportParams) {}); chain != test.chain {
				t.Errorf("chain %q, want %q", chain, test.chain)
			}
			said := strings.Join(w.said, "\n")
			if !strings.Contains(said, test.said) || test.said == "" && said != "" {
				t.Errorf("said %q, want %q", said, test.said)
			}
			if asked := p.requests() - before; asked > 6 {
				t.Errorf("%d requests", asked)
			}
		})
	}
}

// TestFetchIssuersOnlyWhenAsked: nothing is asked without the flag, and of this machine not without the other one; nothing
// where the issuer is trusted already.
func TestFetchIssuersOnlyWhenAsked(t *testing.T) {
	p := newPublisher(t)
	root := certify(t, nil, "Root")
	p.publish("/root.der", root.cert.Raw)
	leaf := certify(t, root, "leaf@example.org", p.URL+"/root.der")
	for name, test := range map[string]struct {
		change  func(*client.CertImportParams)
		trusted bool
		said    string
	}{
		"without the flag": {func(p *client.CertImportParams) { p.FetchIssuers = false }, false, "the issuer of \"leaf@example.org\" is missing: `sealmail cert import --fetch-issuers` asks for it at " + p.URL},
		"of this machine":  {func(p *client.CertImportParams) { p.InsecureLoopback = false }, false, "it is on this machine or in a private network"},
		"trusted already":  {func(p *client.CertImportParams) {}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if test.trusted {
				store := certstore.New(w.options().Home.Certificates(), safeio.Disk{}, nil)
				if err := store.Trust(certstore.Anchor{Certificate: root.cert}, certstore.Mail); err != nil {
					t.Fatal(err)
				}
			}
			if chain := chainAfter(t, w, leaf, test.change); chain != "leaf@example.org" || p.requests() > 0 {
				t.Errorf("chain %q, %d requests", chain, p.requests())
			}
			if said := strings.Join(w.said, "\n"); !strings.Contains(said, test.said) || test.said == "" && said != "" {
				t.Errorf("said %q, want %q", said, test.said)
			}
		})
	}
}

// TestFetchIssuersOnce: an issuer that the store knows is not asked for again, and not said to be missing.
func TestFetchIssuersOnce(t *testing.T) {
	p := newPublisher(t)
	root := certify(t, nil, "Root")
	middle := certify(t, root, "Middle", p.URL+"/root.der")
	p.publish("/root.der", root.cert.Raw)
	p.publish("/middle.der", middle.cert.Raw)
	w := newWorld(t)
	for i, fetch := range []bool{true, true, false} {
		leaf := certify(t, middle, "leaf@example.org", p.URL+"/middle.der")
		if chain := chainAfter(t, w, leaf, func(params *client.CertImportParams) { params.FetchIssuers = fetch }); chain != "leaf@example.org < Middle < Root" || p.requests() != 2 || len(w.said) > 0 {
			t.Errorf("import %d: chain %q, %d requests, said %q", i+1, chain, p.requests(), w.said)
		}
	}
}

// TestFetchIssuersBounds: a chain without end, a file full of certificates, and a server that does not answer.
func TestFetchIssuersBounds(t *testing.T) {
	p := newPublisher(t)
	above := certify(t, nil, "A0")
	for i := range 10 { // each names the next one
		p.publish(fmt.Sprintf("/%d", i), above.cert.Raw)
		above = certify(t, above, fmt.Sprintf("A%d", i+1), fmt.Sprintf("%s/%d", p.URL, i))
	}
	p.publish("/10", above.cert.Raw)
	if chain := chainAfter(t, newWorld(t), certify(t, above, "leaf@example.org", p.URL+"/10"), func(*client.CertImportParams) {}); chain != "leaf@example.org < A10 < A9 < A8 < A7" || p.requests() != 4 {
		t.Errorf("chain %q with %d requests", chain, p.requests())
	}

	w, before := newWorld(t), p.requests()
	var many []byte
	for i := range 40 {
		issuer := certify(t, nil, fmt.Sprintf("B%d", i))
		many = append(many, certstore.EncodeCertificates(certify(t, issuer, "leaf@example.org", fmt.Sprintf("%s/b%d", p.URL, i)).cert)...)
	}
	params := client.CertImportParams{Files: []string{w.write("many.pem", string(many))}, FetchIssuers: true, InsecureLoopback: true}
	if lines, err := w.client().CertImport(t.Context(), params); err != nil || len(lines) != 40 {
		t.Fatalf("%d imported, %v", len(lines), err)
	}
	if asked := p.requests() - before; asked != 16 {
		t.Errorf("%d requests for one file", asked)
	}
}

// TestFetchIssuersWithoutAnswer: a server that takes the connection and says nothing is given up after the time that each
// step on the network has, and the import goes on; with the command, it ends.
func TestFetchIssuersWithoutAnswer(t *testing.T) { synctest.Test(t, fetchIssuersWithoutAnswer) }

func fetchIssuersWithoutAnswer(t *testing.T) {
	w := newWorld(t)
	dialed := make(chan struct{}, 1)
	o := w.options()
	o.Timeout = time.Minute // of a clock that runs on when everything waits
	o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialed <- struct{}{}
		silent, _ := net.Pipe()
		return silent, nil
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	root := certify(t, nil, "Root")
	leaf := certify(t, root, "leaf@example.org", "http://192.0.2.1/root.der")
	file := w.write("leaf.pem", string(certstore.EncodeCertificates(leaf.cert)))
	if lines, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{file}, FetchIssuers: true}); err != nil || len(lines) != 1 {
		t.Fatalf("%v, %v", lines, err)
	}
	<-dialed
	if said := strings.Join(w.said, "\n"); !strings.Contains(said, "could not be fetched: http://192.0.2.1/root.der: ") {
		t.Errorf("said %q", said)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if lines, err := c.CertImport(ended, client.CertImportParams{Files: []string{file}, FetchIssuers: true}); err == nil || len(lines) > 0 {
		t.Errorf("after its end: %v, %v", lines, err)
	}
}

// TestFetchIssuersAddresses: only public addresses are asked, and loopback where that is allowed; the address that was looked
// at is the one that is dialled.
func TestFetchIssuersAddresses(t *testing.T) {
	w := newWorld(t)
	for host, want := range map[string]struct{ dialed, withLoopback bool }{
		"192.0.2.1": {true, true}, "[2001:db8::1]": {true, true},
		"127.0.0.1": {false, true}, "[::1]": {false, true}, "[::ffff:127.0.0.1]": {false, true}, "localhost": {false, true},
		"10.0.0.1": {}, "172.16.0.1": {}, "192.168.1.1": {}, "100.64.0.1": {}, "169.254.169.254": {}, "0.0.0.0": {}, "[::]": {},
		"[fe80::1]": {}, "[fd00::1]": {}, "[::ffff:10.0.0.1]": {}, "224.0.0.1": {},
	} {
		for loopback, expected := range map[bool]bool{false: want.dialed, true: want.withLoopback} {
			dialed := 0
			o := w.options()
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				dialed++
				return nil, net.ErrClosed
			}
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			leaf := certify(t, certify(t, nil, "Root"), "leaf@example.org", "http://"+host+"/root.der")
			file := w.write("leaf.pem", string(certstore.EncodeCertificates(leaf.cert)))
			_, err = c.CertImport(t.Context(), client.CertImportParams{Files: []string{file}, FetchIssuers: true, InsecureLoopback: loopback})
			c.Close()
			if err != nil || (dialed > 0) != expected {
				t.Errorf("%s, loopback %v: dialled %d times, %v", host, loopback, dialed, err)
			}
		}
	}
}
