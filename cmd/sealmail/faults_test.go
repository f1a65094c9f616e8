//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

const (
	faultWait  = "30s"   // --timeout where nothing is to time out
	faultShort = "250ms" // --timeout where something does
	// faultLimit is how long a command may take with that: it tries several servers, and says goodbye to others.
	faultLimit = 20 * time.Second
	// faultTries bounds how many commands are stalled, where the machine is too busy for the short timeout.
	faultTries = 20
	// faultsAtOnce is how many tests of faults run side by side: they wait for servers most of the time.
	faultsAtOnce = 8
)

// faultLab is what the tests of faults on the line begin from: alice's home, whose servers are Dovecot and Postfix in clear text
// on loopback, so that what is on the line can be tampered with.
type faultLab struct {
	*killLab
	servers peertest.Servers
	smtp    string // speaks clear text to who submits, and TLS to Postfix
	roots   *x509.CertPool

	certificates map[string]tls.Certificate // see newCertificates
}

func newFaultLab(t *testing.T) *faultLab {
	t.Helper()
	l := &faultLab{servers: peertest.MailServers(t)}
	l.killLab = newKillLab(t)
	pem, err := os.ReadFile(l.servers.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	l.roots = x509.NewCertPool()
	l.roots.AppendCertsFromPEM(pem)
	l.smtp = peertest.StartProxy(t, l.servers.Submissions, peertest.Tamper{ServerTLS: l.tlsConfig()})
	l.setUp(t, "clear", "--imap", "imap://"+l.servers.IMAP, "--smtp", "submission://"+l.servers.Submission, "--insecure-loopback")
	return l
}

// setUp makes a home of alice without asking the servers. It is copied for each command.
func (l *faultLab) setUp(t *testing.T, name string, servers ...string) {
	t.Helper()
	l.sealmail(t, l.file(name), append(l.initArgs(servers...), "--no-check")...).mustBe(t, exitGood)
	l.sealmail(t, l.file(name), "cert", "import", l.file(killBob+".pem"), l.file(killCarol+".pem")).mustBe(t, exitGood)
}

func (l *faultLab) initArgs(servers ...string) []string {
	return append([]string{"init", killAlice, "--server-ca", l.servers.CAFile, "--password-file", l.file("password"), "--p12", l.file(killAlice + ".p12"),
		"--p12-password-file", l.file("password"), "--trust", l.file("ca/root.pem"), "--unprotected"}, servers...)
}

func (l *faultLab) tlsConfig() *tls.Config {
	return &tls.Config{RootCAs: l.roots, ServerName: "127.0.0.1"}
}

// direct is a person's mail at the server, by a line of its own that nobody tampers with.
func (l *faultLab) direct(t *testing.T, person string) mailbox.Store {
	t.Helper()
	e, err := mailbox.ParseEndpoint("imaps://" + l.servers.IMAPS)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mailbox.DialIMAP(t.Context(), mailbox.Options{Endpoint: e, TLSRoots: l.roots, Credentials: mailbox.Credentials{User: person, Password: killPassword}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// faultWorld is a copy of a home, with folders that nobody else uses.
type faultWorld struct {
	*faultLab
	home     string
	store    mailbox.Store // alice's mail, directly
	folder   string        // of hers, with three messages
	uids     []mailbox.UID
	receiver mailbox.Store           // bob's mail, directly; nil where nothing is sent
	wrap     func(net.Conn) net.Conn // what becomes of connections; nil: nothing

	mu    sync.Mutex
	leads map[string]string // where connections to an address go in truth
}

// faultText is the nth message in the folder.
func faultText(n int) string {
	return fmt.Sprintf("From: carol@example.test\r\nSubject: message %d\r\nMessage-ID: <%d@faults.test>\r\n\r\n%s", n, n, strings.Repeat("a line of the message\r\n", 50))
}

// world begins from a home that setUp made.
func (l *faultLab) world(t *testing.T, store mailbox.Store, name string) *faultWorld {
	t.Helper()
	w := &faultWorld{
		faultLab: l, home: filepath.Join(killDir(t), "home"), store: store, folder: "faults-" + rand.Text(),
		leads: map[string]string{l.servers.Submission: l.smtp},
	}
	if name != "clear" {
		w.leads = map[string]string{}
	}
	copyTree(t, l.file(name), w.home)
	config := filepath.Join(w.home, "config.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("\nimap = "), fmt.Appendf(nil, "\nsent = %q\ndrafts = %q\ntrash = %q\nimap = ", w.folder+"-sent", w.folder+"-drafts", w.folder+"-trash"), 1)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// clear removes the folders: servers take their time to list many.
func (w *faultWorld) clear(t *testing.T) {
	t.Helper()
	if _, err := w.store.UIDs(t.Context(), "INBOX"); err != nil { // whoever has a folder open that goes is sent away
		t.Fatal(err)
	}
	folders, err := filepath.Glob(w.servers.MailDir(killAlice, w.folder) + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	}
}

// fill puts messages into the folder.
func (w *faultWorld) fill(t *testing.T) {
	t.Helper()
	for n := range 3 {
		uid, err := w.store.Append(t.Context(), w.folder, mailbox.NewMessage{Size: int64(len(faultText(n))), Body: strings.NewReader(faultText(n))})
		if err != nil {
			t.Fatal(err)
		}
		w.uids = append(w.uids, uid)
	}
}

// uid is the number of the nth message, as a word.
func (w *faultWorld) uid(n int) string { return fmt.Sprint(w.uids[n]) }

// lead has connections to a server go elsewhere.
func (w *faultWorld) lead(server, to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leads[server] = to
}

func (w *faultWorld) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	if to := w.leads[address]; to != "" {
		address = to
	}
	w.mu.Unlock()
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil && w.wrap != nil {
		c = w.wrap(c)
	}
	return c, err
}

// run runs a command inside this process, in bounded time, and looks at how it speaks of what failed.
func (w *faultWorld) run(t *testing.T, timeout, input string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	e := environment{
		in: strings.NewReader(input), out: &out, err: &errs, now: time.Now, dial: w.dial, getenv: func(string) string { return "" },
	}
	args = append([]string{"--home", w.home, "--timeout", timeout}, args...)
	begun := time.Now()
	code := run(t.Context(), e, args)
	if took := time.Since(begun); took > faultLimit {
		t.Errorf("%s took %v", strings.Join(args, " "), took)
	}
	o := outcome{args: args[4:], code: code, out: out.String(), err: errs.String()}
	if broken := checkPromises(o.args, code, o.out, o.err); broken != "" {
		t.Errorf("%s: %s\n%s%s", strings.Join(o.args, " "), broken, o.out, o.err)
	}
	if soup := faultSoup.FindString(o.out + o.err); soup != "" {
		t.Errorf("%s: exit %d, says %q in\n%s%s", strings.Join(o.args, " "), code, soup, o.out, o.err)
	}
	return o
}

// faultSoup is what no person should be shown: words of libraries and of the system, addresses of connections, secrets.
var faultSoup = regexp.MustCompile(`(read|write|dial) tcp|->|use of closed|goroutine|runtime error|\bEOF\b|i/o timeout|context deadline|%!|` +
	`in literal|imapwire|imapclient|textproto|` + killPassword + `|<nil>|errors\.`)

// mustFail checks a command that could not do what it was asked for, and what it blames.
func (o outcome) mustFail(t *testing.T, blames string) outcome {
	t.Helper()
	if o.code != exitFailed || !strings.Contains(o.err, blames) {
		t.Errorf("%s: exit %d, want %d and %q\n%s%s", strings.Join(o.args, " "), o.code, exitFailed, blames, o.out, o.err)
	}
	return o
}

// texts are the messages of a folder at the server, by text, with their flags.
func (w *faultWorld) texts(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	folders, err := w.store.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.Name != folder {
			continue
		}
		list, err := w.store.List(t.Context(), folder, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			var b bytes.Buffer
			if err := w.store.Fetch(t.Context(), folder, m.UID, &b); err != nil {
				t.Fatal(err)
			}
			if _, twice := all[b.String()]; twice {
				t.Errorf("a message is in %s twice", folder)
			}
			all[b.String()] = strings.Join(m.Flags, " ")
		}
	}
	return all
}

// agree checks that after another fetch, which nobody harms, the index has what is in the folder at the server.
func (w *faultWorld) agree(t *testing.T, folder string) {
	t.Helper()
	w.run(t, faultWait, "", "fetch", folder).mustBe(t, exitGood)
	lines := killLines[client.ListLine](t, w.run(t, faultWait, "", "--json", "list", folder).mustBe(t, exitGood))
	there, err := w.store.List(t.Context(), folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	var here, want []string
	for _, l := range lines {
		here = append(here, fmt.Sprint(l.UID, l.Flags))
	}
	for _, m := range there {
		want = append(want, fmt.Sprint(m.UID, m.Flags))
	}
	if strings.Join(here, ", ") != strings.Join(want, ", ") {
		t.Errorf("the index has %v, the server %v", here, want)
	}
}

// slow is a connection on which each octet comes and goes alone, the first of them with pauses.
type slow struct {
	net.Conn
	octets int // so many more with a pause
}

func (s *slow) pause() {
	if s.octets--; s.octets >= 0 {
		<-time.After(time.Millisecond)
	}
}

func (s *slow) Read(p []byte) (int, error) {
	s.pause()
	return s.Conn.Read(p[:min(len(p), 1)])
}

func (s *slow) Write(p []byte) (n int, err error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// listen serves each connection on loopback by f, until the test ends.
func listen(t *testing.T, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// silent reads until the other side gives up.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// harmEach runs a test for each fault and each of its harms, some side by side. left says of the nth line that another harm
// befalls it.
func harmEach[F any](t *testing.T, faults []F, of func(F) (name string, harms []peertest.Harm), test func(t *testing.T, f F, harm peertest.Harm, left func(nth int) bool)) {
	type job struct {
		fault F
		name  string
		harm  peertest.Harm
	}
	var jobs []job
	for _, f := range faults {
		name, harms := of(f)
		for _, harm := range harms {
			jobs = append(jobs, job{f, name, harm})
		}
	}
	atOnce(len(jobs), faultsAtOnce, func(i int) {
		t.Run(jobs[i].name+"/"+string(jobs[i].harm), func(t *testing.T) {
			test(t, jobs[i].fault, jobs[i].harm, func(nth int) bool { return (nth+i)%2 == 1 && !everyStep() })
		})
	})
}
