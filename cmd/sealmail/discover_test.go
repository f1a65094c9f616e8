package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// neighbourhood is a network of one's own: names lead to servers of this machine, or nowhere.
type neighbourhood struct {
	dir     string
	names   map[string]string     // host:port to the address on this machine
	records map[string][]*net.SRV // by name
	page    string                // that each web server has

	mu    sync.Mutex
	asked []string // pages that were
}

func (n *neighbourhood) dial(ctx context.Context, network, address string) (net.Conn, error) {
	target, found := n.names[address]
	if !found {
		return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
	}
	return new(net.Dialer).DialContext(ctx, network, target)
}

func (n *neighbourhood) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if list := n.records["_"+service+"._"+proto+"."+strings.TrimSuffix(name, ".")]; len(list) > 0 {
		return "", list, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// newNeighbourhood has a mail server and a web server, whose certificate is for all names that lead to them. The anchor is
// in root.pem, the password "correct horse" in the file password.
func newNeighbourhood(t *testing.T) *neighbourhood {
	t.Helper()
	n := &neighbourhood{dir: t.TempDir(), names: map[string]string{}, records: map[string][]*net.SRV{}}
	hosts := []string{"localhost", "imap.example.test", "smtp.example.test", "mail.provider.test", "autoconfig.example.test", "autoconfig.thunderbird.net"}
	authority, err := ca.Init(t.Context(), ca.InitOptions{
		Dir: filepath.Join(n.dir, "ca"), Name: "Example", Key: ca.P256, Protection: vault.Protection{Unprotected: true}, Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	issue := func(p ca.Profile) certstore.KeyPair {
		p.Key, p.Now = ca.P256, time.Now()
		issued, err := authority.Issue(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return issued.KeyPair()
	}
	pair := issue(ca.Profile{Purpose: ca.TLS, Name: "server", DNS: hosts})
	certificate := tls.Certificate{PrivateKey: pair.Key}
	for _, c := range pair.Chain {
		certificate.Certificate = append(certificate.Certificate, c.Raw)
	}
	p12, err := certstore.EncodePKCS12(issue(ca.Profile{Purpose: ca.Mail, Name: "Alice", Emails: []string{"alice@example.test"}}), "p12 word")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"password": "correct horse\n", "passphrase": "vault word\n", "alice.p12": string(p12)} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := &mailServer{}
	if err := server.start(localserver.Options{Dir: filepath.Join(n.dir, "mail"), TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, Clock: time.Now,
		Users: map[string]mailbox.Password{"alice@example.test": "correct horse", "alice@login.test": "correct horse"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.end(); err != nil {
			t.Error(err)
		}
	})
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.asked = append(n.asked, r.Host+r.URL.RequestURI())
		_, _ = out.Write([]byte(n.page))
	}))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	web.StartTLS()
	t.Cleanup(web.Close)
	n.names["autoconfig.example.test:443"] = web.Listener.Addr().String()
	n.names["autoconfig.thunderbird.net:443"] = web.Listener.Addr().String()
	for _, host := range hosts[:4] {
		n.names[host+":993"], n.names[host+":465"] = server.addresses.IMAPS, server.addresses.Submissions
	}
	return n
}

// init runs `init alice@example.test` in a home of its own, and returns what came of it and the configuration.
func (n *neighbourhood) init(t *testing.T, p *terminal, args ...string) (code int, output, config string) {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	words := append([]string{"--home", home, "init", "alice@example.test", "--server-ca", filepath.Join(n.dir, "ca/root.pem")}, args...)
	if p != nil {
		code, output = p.runIn(t, n, words...)
	} else {
		var out bytes.Buffer
		words = append(words, "--password-file", filepath.Join(n.dir, "password"), "--unprotected")
		code = run(t.Context(), environment{in: strings.NewReader(""), out: &out, err: &out, getenv: func(string) string { return "" }, now: time.Now, dial: n.dial, resolver: n}, words)
		output = out.String()
	}
	text, _ := os.ReadFile(filepath.Join(home, "config.toml"))
	return code, output, string(text)
}

const autoconfigPage = `<clientConfig version="1.1"><emailProvider id="x">
<incomingServer type="imap"><hostname>mail.provider.test</hostname><port>993</port><socketType>SSL</socketType>
<username>%%EMAILLOCALPART%%@login.test</username><authentication>%[1]s</authentication></incomingServer>
<outgoingServer type="smtp"><hostname>mail.provider.test</hostname><port>465</port><socketType>SSL</socketType>
<username>%%EMAILLOCALPART%%@login.test</username><authentication>%[1]s</authentication></outgoingServer>
</emailProvider></clientConfig>`

// TestInitFindsServers: each way to servers, and what is asked of a script before a password goes there.
func TestInitFindsServers(t *testing.T) {
	n := newNeighbourhood(t)
	outside := map[string][]*net.SRV{"_imaps._tcp.example.test": {{Target: "mail.provider.test.", Port: 993}}, "_submissions._tcp.example.test": {{Target: "mail.provider.test.", Port: 465}}}
	inside := map[string][]*net.SRV{"_imaps._tcp.example.test": {{Target: "imap.example.test.", Port: 993}}, "_submissions._tcp.example.test": {{Target: "smtp.example.test.", Port: 465}}}
	page := fmt.Sprintf(autoconfigPage, "password-cleartext")
	for _, test := range []struct {
		name    string
		records map[string][]*net.SRV
		page    string
		hide    []string // names that lead nowhere
		flags   []string
		code    int
		output  []string
		config  []string // none: there is none afterwards
	}{
		{name: "records of the domain", records: inside, code: exitGood, output: []string{"found IMAP imaps://imap.example.test:993 (from the SRV record _imaps._tcp.example.test)"},
			config: []string{"imap = 'imaps://imap.example.test:993'", "smtp = 'submissions://smtp.example.test:465'", "user = 'alice@example.test'"}},
		{name: "records that lead elsewhere", records: outside, code: exitUsage, output: []string{
			"sealmail: init: servers outside of the address's domain were found, and nothing vouches for them: IMAP imaps://mail.provider.test:993 (outside the domain;",
			"hint: name those that you know to be yours with --imap and --smtp, or confirm these with --yes"}},
		{name: "confirmed", records: outside, flags: []string{"--yes"}, code: exitGood, config: []string{"imap = 'imaps://mail.provider.test:993'"}},
		{name: "the domain's own page", page: page, code: exitGood, config: []string{"imap = 'imaps://mail.provider.test:993'", "user = 'alice@login.test'"}},
		{name: "one server is named", page: page, flags: []string{"--imap", "imaps://imap.example.test", "--user", "alice@example.test"}, code: exitGood,
			config: []string{"imap = 'imaps://imap.example.test:993'", "smtp = 'submissions://mail.provider.test:465'", "user = 'alice@example.test'"}},
		{name: "tokens", page: fmt.Sprintf(autoconfigPage, "OAuth2"), code: exitUsage,
			output: []string{"the server takes OAuth 2.0 tokens only, and no password", "hint: --oauth-token-command COMMAND"}},
		{name: "database, not asked", page: page, hide: []string{"autoconfig.example.test:443"}, code: exitGood, config: []string{"imap = 'imaps://imap.example.test:993'"}},
		{name: "database", page: page, hide: []string{"autoconfig.example.test:443"}, flags: []string{"--ispdb", "--yes"}, code: exitGood, config: []string{"imap = 'imaps://mail.provider.test:993'"}},
		{name: "guesses", flags: []string{"-v"}, code: exitGood, output: []string{"no SRV record _imaps._tcp.example.test", "a guess that has a certificate for its name"},
			config: []string{"imap = 'imaps://imap.example.test:993'", "smtp = 'submissions://smtp.example.test:465'"}},
		{name: "nothing", hide: []string{"imap.example.test:993", "smtp.example.test:465"}, code: exitFailed,
			output: []string{"sealmail: init: no server for IMAP or submission was found for example.test", "hint: name it: --imap imaps://HOST and --smtp submissions://HOST"}},
		{name: "without trying", flags: []string{"--no-check"}, code: exitFailed, output: []string{"no server for IMAP or submission was found"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n.records, n.page = test.records, test.page
			all := n.names
			defer func() { n.names = all }()
			n.names = maps.Clone(all)
			for _, name := range test.hide {
				delete(n.names, name)
			}
			code, output, config := n.init(t, nil, test.flags...)
			if code != test.code || (config == "") != (len(test.config) == 0) {
				t.Errorf("exit code %d, want %d: %s", code, test.code, output)
			}
			for _, want := range test.output {
				if !strings.Contains(output, want) {
					t.Errorf("%q is not in %s", want, output)
				}
			}
			for _, want := range test.config {
				if !strings.Contains(config, want) {
					t.Errorf("%q is not in %s", want, config)
				}
			}
		})
	}
	if asked := strings.Join(n.asked, " "); len(n.asked) == 0 || strings.Contains(asked, "alice") {
		t.Errorf("a server was told who asks: %s", asked)
	}
}

// TestInitAsks: at a terminal, what is missing is asked, what was given is not, and wrong secrets are asked for again.
func TestInitAsks(t *testing.T) {
	n := newNeighbourhood(t)
	p12 := filepath.Join(n.dir, "alice.p12")
	for _, test := range []struct {
		name           string
		typed, secrets []string
		flags          []string
		hide           bool // the servers, and with them all guesses
		token          bool // the server takes nothing else
		code           int
		questions      []string // for secrets
		output         []string
		not            string
	}{
		{name: "everything", typed: []string{"n", "y", p12 + "x", p12}, secrets: []string{"correct horse", "p12 word", "v", "v"}, code: exitGood,
			questions: []string{"The password for the servers: ", "The password of the PKCS#12 file: ", "New passphrase for the vault: ", "Once more: "},
			output: []string{"Ask the public database of Thunderbird, which learns the domain? [y/N]", "Log in as alice@example.test at IMAP imaps://imap.example.test:993 (from a guess) and submission submissions://smtp.example.test:465 (from a guess)? [y/N]",
				"PKCS#12 file with your certificate and key", "is set up in", "  certificate "}},
		{name: "no certificate yet", typed: []string{"n", "y", ""}, secrets: []string{"correct horse", "v", "v"}, code: exitGood,
			output: []string{"there is no certificate for alice@example.test yet", "`sealmail cert request alice@example.test -o request.csr`", "`sealmail ca issue --help`", "`sealmail cert import FILE.p12`"}},
		{name: "wrong secrets", flags: []string{"--imap", "imaps://imap.example.test", "--smtp", "submissions://smtp.example.test", "--p12", p12, "--unprotected"},
			secrets: []string{"wrong", "no", "p12 word", "battery", "correct horse"}, code: exitGood,
			output: []string{"alice.p12: PKCS#12: wrong password; once more:", "log-in refused for alice@example.test"}, not: "[y/N]"},
		{name: "wrong three times", flags: []string{"--imap", "imaps://imap.example.test", "--smtp", "submissions://smtp.example.test", "--unprotected"},
			typed: []string{""}, secrets: []string{"a", "b", "c", "correct horse"}, code: exitFailed, output: []string{"sealmail: imaps://imap.example.test:993: log-in refused"}},
		{name: "a wrong one that was given", flags: []string{"--imap", "imaps://imap.example.test", "--smtp", "submissions://smtp.example.test", "--unprotected", "--password-file", filepath.Join(n.dir, "passphrase")},
			typed: []string{""}, code: exitFailed, output: []string{"log-in refused"}, not: "once more"},
		{name: "the servers are not wanted", typed: []string{"n", "no"}, code: exitUsage, output: []string{"not confirmed; nothing was done", "--imap and --smtp"}},
		{name: "none found, one named", hide: true, typed: []string{"", "imaps://mail.provider.test", ""}, code: exitFailed,
			output: []string{"The IMAP server was not found. Its address, like imaps://HOST: ", "no server for submission was found for example.test"}},
		{name: "token, not named", token: true, typed: []string{"y", ""}, code: exitUsage, output: []string{"The command that prints one: ", "hint: --oauth-token-command"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := n.names
			defer func() { n.names, n.page = all, "" }()
			if test.hide {
				n.names = map[string]string{"mail.provider.test:993": n.names["mail.provider.test:993"]}
			}
			if test.token {
				n.page = fmt.Sprintf(autoconfigPage, "OAuth2")
			}
			p := &terminal{typed: strings.Join(append(test.typed, ""), "\n"), secrets: test.secrets}
			code, output, config := n.init(t, p, test.flags...)
			if code != test.code || (config == "") == (code == exitGood) {
				t.Errorf("exit code %d, want %d: %s", code, test.code, output)
			}
			for _, want := range test.output {
				if !strings.Contains(output, want) {
					t.Errorf("%q is not in %s", want, output)
				}
			}
			if test.questions != nil && !slices.Equal(p.questions, test.questions) {
				t.Errorf("asked %q", p.questions)
			}
			if test.not != "" && strings.Contains(output, test.not) {
				t.Errorf("%q is in %s", test.not, output)
			}
			for _, secret := range test.secrets {
				if len(secret) > 3 && strings.Contains(config, secret) {
					t.Errorf("%q is in %s", secret, config)
				}
			}
		})
	}
}
