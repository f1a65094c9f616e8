package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

const (
	worldDomain = "example.test"
	worldPolicy = "1.3.6.1.4.1.32473.1" // under the arc for documentation (RFC 5612)
)

// world is what the stories find when they begin: an authority (ca), certificates with keys for alice, bob and carol, for
// servers, for timestamps and for archives (NAME.p12, NAME.pem), one password for all (password), and a timestamp authority that
// runs. No story changes it.
type world struct {
	dir, tsa    string
	certificate tls.Certificate // of servers
	password    mailbox.Password
}

func (w *world) in(name string) string { return filepath.Join(w.dir, name) }

// newWorld makes a world that ends with the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), password: "correct horse"}
	w.write(t, "password", []byte(w.password+"\n"))
	authority, err := ca.Init(t.Context(), ca.InitOptions{
		Dir: w.in("ca"), Name: "Example", Organization: "Example GmbH", Key: ca.P256, Protection: vault.Protection{Unprotected: true}, Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, profile := range map[string]ca.Profile{
		"alice":   {Purpose: ca.Mail, Name: "Alice Adams", Organization: "Example GmbH", Emails: []string{"alice@" + worldDomain}},
		"bob":     {Purpose: ca.Mail, Name: "Bob Brown", Organization: "Example GmbH", Emails: []string{"bob@" + worldDomain}},
		"carol":   {Purpose: ca.Mail, Name: "Carol Clark", Emails: []string{"carol@" + worldDomain}},
		"tsa":     {Purpose: ca.TSA, Name: "Example TSA"},
		"archive": {Purpose: ca.Archive, Name: "Example Archive", Organization: "Example GmbH"},
		"server":  {Purpose: ca.TLS, Name: "localhost", DNS: []string{"localhost", "127.0.0.1"}},
	} {
		profile.Key, profile.Now = ca.P256, time.Now()
		issued, err := authority.Issue(t.Context(), profile)
		if err != nil {
			t.Fatal(err)
		}
		pair := issued.KeyPair()
		w.write(t, name+".pem", certstore.EncodeCertificates(pair.Chain[:2]...))
		// As other programs write it: sealmail's own files take some hundred times longer to open, which a story has no time for.
		p12, err := pkcs12.Modern2023.WithIterations(2048).Encode(pair.Key, pair.Chain[0], pair.Chain[1:], string(w.password))
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, name+".p12", p12)
		if name == "server" {
			w.certificate.PrivateKey = pair.Key
			for _, c := range pair.Chain {
				w.certificate.Certificate = append(w.certificate.Certificate, c.Raw)
			}
		}
	}
	w.startTSA(t)
	return w
}

func (w *world) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(w.in(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) startTSA(t *testing.T) {
	t.Helper()
	o := client.Options{Now: time.Now, Timeout: 30 * time.Second, Say: func(string) {}}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	p := client.TSAServeParams{Listen: "127.0.0.1:0", P12: w.in("tsa.p12"), P12Password: []byte(w.password), Policy: []string{worldPolicy}, State: w.in("tsa")}
	go func() {
		ended <- client.TSAServe(ctx, o, p, func(url string) error { ready <- url; return nil })
	}()
	select {
	case w.tsa = <-ready:
	case err := <-ended:
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// mailServer is a story's own mail server. It keeps its mail in the folder mail, and its addresses when it starts again.
type mailServer struct {
	addresses localserver.Addresses
	stop      func() error // nil: it does not run
}

// mailserver [quota=USER:OCTETS] [cut=EVENT] [answer=EVENT:CODE]: starts the story's mail server, for alice, bob and carol,
// and sets $IMAP and $SMTP; cut makes it drop the line at that event, once; answer makes it answer so at an event of
// SMTP, once. mailserver stop: ends it.
func (s *stories) mailServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: mailserver [stop | quota=USER:OCTETS | cut=EVENT | answer=EVENT:CODE]…")
	}
	own := storyOf(ts)
	if own.mail == nil {
		own.mail = &mailServer{}
	}
	if len(args) == 1 && args[0] == "stop" {
		ts.Check(own.mail.end())
		return
	}
	o := localserver.Options{
		Dir: ts.MkAbs("mail"), TLS: &tls.Config{Certificates: []tls.Certificate{s.world.certificate}}, Clock: time.Now,
		Users: map[string]mailbox.Password{}, Quotas: map[string]int64{},
	}
	if own.mail.addresses == (localserver.Addresses{}) {
		for _, address := range []*string{&own.mail.addresses.IMAPS, &own.mail.addresses.Submissions} {
			port, err := quietPort()
			ts.Check(err)
			*address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	o.IMAPS, o.Submissions = own.mail.addresses.IMAPS, own.mail.addresses.Submissions
	for _, name := range []string{"alice", "bob", "carol"} {
		o.Users[name+"@"+worldDomain] = s.world.password
	}
	for _, arg := range args {
		word, value, _ := strings.Cut(arg, "=")
		switch word {
		case "quota":
			user, octets, _ := strings.Cut(value, ":")
			n, err := strconv.ParseInt(octets, 10, 64)
			ts.Check(err)
			o.Quotas[user+"@"+worldDomain] = n
		case "cut":
			o.Hook = failOnce(value, errors.New("cut"))
		case "answer":
			event, word, _ := strings.Cut(value, ":")
			code, err := strconv.Atoi(word)
			ts.Check(err)
			o.Hook = failOnce(event, localserver.Answer(code, [3]int{code / 100, 9, 9}, "Not today"))
		default:
			ts.Fatalf("mailserver: unknown word %q", arg)
		}
	}
	ts.Check(own.mail.start(o))
	ts.Setenv("IMAP", "imaps://"+own.mail.addresses.IMAPS)
	ts.Setenv("SMTP", "submissions://"+own.mail.addresses.Submissions)
}

// failOnce is a hook that fails at the first such event.
func failOnce(event string, failure error) func(string) error {
	once := make(chan struct{}, 1)
	once <- struct{}{}
	return func(e string) error {
		if e != event {
			return nil
		}
		select {
		case <-once:
			return failure
		default:
			return nil
		}
	}
}

func (m *mailServer) start(o localserver.Options) error {
	if m.stop != nil {
		return errors.New("the mail server is running")
	}
	ctx, cancel := context.WithCancel(context.Background())
	server, err := localserver.Open(ctx, o)
	if err != nil {
		cancel()
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	m.addresses = server.Addresses()
	m.stop = func() error {
		cancel()
		return errors.Join(server.Close(), <-served)
	}
	return nil
}

func (m *mailServer) end() error {
	if m == nil || m.stop == nil {
		return nil
	}
	stop := m.stop
	m.stop = nil
	return stop()
}

// freePort NAME: puts a port that nobody listens on into $NAME, for who must name an address before a server is there.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port NAME")
	}
	port, err := quietPort()
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// quietPort finds a port that nobody listens on, and that no connection is given by chance, as those are that the system
// chooses: it is still free when a server comes back to it.
func quietPort() (port string, err error) {
	const first, last = 20000, 32000 // below the ports of outgoing connections on Linux, macOS and Windows
	for range 100 {
		port = strconv.Itoa(first + rand.IntN(last-first))
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			return port, l.Close()
		}
	}
	return "", err
}

// background is a sealmail that serves.
type background struct {
	cmd    *exec.Cmd
	stderr strings.Builder
	rest   chan struct{} // closed when stdout has ended
	lines  chan string   // of stdout that nobody waited for yet, as far as there is room
	said   strings.Builder
}

// serve NAME WORDS…: runs the program beside the story, until it says that it is ready. What the first line on stdout has
// as "key" becomes $NAME_KEY.
func (s *stories) serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serve NAME WORDS…")
	}
	own := storyOf(ts)
	b := &background{cmd: exec.Command(s.exe, args[1:]...), rest: make(chan struct{}), lines: make(chan string, 1000)}
	b.cmd.Env, b.cmd.Dir, b.cmd.Stderr = own.env, ts.MkAbs("."), &b.stderr
	stdout, err := b.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(b.cmd.Start())
	own.running[args[0]] = b
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		close(b.rest)
		_ = b.cmd.Wait() // what it wrote tells more
		delete(own.running, args[0])
		ts.Fatalf("it ended without being ready: %s", b.stderr.String())
	}
	ready := lines.Text()
	go func() {
		defer close(b.rest)
		for lines.Scan() {
			select {
			case b.lines <- lines.Text():
			default:
			}
		}
	}()
	var values map[string]string
	ts.Check(json.Unmarshal([]byte(ready), &values))
	for key, value := range values {
		ts.Setenv(strings.ToUpper(args[0]+"_"+key), value)
	}
}

// await NAME PATTERN: waits until what serve has started prints a line that matches. What it has printed up to there, without
// its first line, is in the file NAME.
func (s *stories) await(ts *testscript.TestScript, neg bool, args []string) {
	own := storyOf(ts)
	if neg || len(args) != 2 || own.running[args[0]] == nil {
		ts.Fatalf("usage: await NAME PATTERN")
	}
	b := own.running[args[0]]
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	for found := false; !found; {
		select {
		case line := <-b.lines:
			b.said.WriteString(line + "\n")
			found = pattern.MatchString(line)
		case <-b.rest:
			ts.Fatalf("it has ended: %s%s", b.said.String(), b.stderr.String())
		case <-timer.C:
			ts.Fatalf("no such line came: %s", b.said.String())
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.said.String()), 0o600))
}

// end NAME: ends what serve has started, by SIGTERM; it must end with 0. (The word stop is testscript's own: it ends the story.)
func (s *stories) end(ts *testscript.TestScript, neg bool, args []string) {
	own := storyOf(ts)
	if neg || len(args) != 1 || own.running[args[0]] == nil {
		ts.Fatalf("usage: end NAME")
	}
	b := own.running[args[0]]
	delete(own.running, args[0])
	if err := b.end(); err != nil {
		ts.Fatalf("%v: %s", err, b.stderr.String())
	}
}

func (b *background) end() error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-b.rest
	return b.cmd.Wait()
}

// end ends all that a story has left running.
func (s *story) end() {
	_ = s.mail.end() // the story is over, and has said what it had to say
	for _, b := range s.running {
		_ = b.end()
	}
}
