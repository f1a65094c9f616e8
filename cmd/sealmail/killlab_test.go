//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// The people of the kill tests: alice writes to bob, with a copy to carol, and to dave, of whom the others see nothing.
const (
	killAlice = "alice@example.test"
	killBob   = "bob@example.test"
	killCarol = "carol@example.test"
	killDave  = "dave@example.test"

	killPassword = "secret"
)

func killPeople() []string { return []string{killAlice, killBob, killCarol, killDave} }

// killLab is what all runs of the kill tests begin from: certificates, a timestamp authority, and stages: homes and
// mailboxes as they are at some point of the story.
type killLab struct {
	dir string
	tsa string // URL
	tls *tls.Config
}

// killDir returns a folder in memory where the system has such a thing: a kill, other than a loss of power, leaves in
// the files what was written, synced or not.
func killDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sealmail-kill-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newKillLab makes certificates and starts the timestamp authority.
func newKillLab(t *testing.T) *killLab {
	t.Helper()
	l := &killLab{dir: killDir(t)}
	l.write(t, "password", killPassword+"\n")
	l.write(t, "letter.txt", "Dear all,\n\nsee the plan.\n")
	l.write(t, "plan.csv", "item,quantity\nturbine,4\n")

	must := func(args ...string) { l.sealmail(t, l.file("nowhere"), args...).mustBe(t, exitGood) }
	must("ca", "init", "--dir", l.file("ca"), "--name", "Kill", "--unprotected")
	issue := func(name string, args ...string) tls.Certificate {
		must(append([]string{"ca", "issue", "--dir", l.file("ca"), "--key", "p256", "-o", l.file(name + ".p12"), "--p12-password-file", l.file("password")}, args...)...)
		return l.cheapen(t, name)
	}
	server := issue("server", "--purpose", "tls", "--dns", "127.0.0.1")
	l.tls = &tls.Config{Certificates: []tls.Certificate{server}}
	issue("tsa", "--purpose", "tsa", "--name", "Kill TSA")
	for _, person := range killPeople() {
		issue(person, "--purpose", "mail", "--email", person, "--name", person)
	}
	l.startTSA(t)
	return l
}

// cheapen has a PKCS#12 file cost next to nothing to open, which is done a thousand times here, and writes its
// certificate with its issuer's to a file of their own. It returns both with the key.
func (l *killLab) cheapen(t testing.TB, name string) tls.Certificate {
	t.Helper()
	data, err := os.ReadFile(l.file(name + ".p12"))
	if err != nil {
		t.Fatal(err)
	}
	key, leaf, issuers, err := pkcs12.DecodeChain(data, killPassword)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = pkcs12.Modern.WithIterations(1).Encode(key, leaf, issuers, killPassword); err != nil {
		t.Fatal(err)
	}
	l.write(t, name+".p12", string(data))
	l.write(t, name+".pem", string(certstore.EncodeCertificates(leaf, issuers[0])))
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, issuers[0].Raw}, PrivateKey: key}
}

func (l *killLab) file(name string) string { return filepath.Join(l.dir, name) }

func (l *killLab) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(l.file(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (l *killLab) startTSA(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	o := client.Options{Home: config.HomeAt(l.file("nowhere")), Timeout: time.Minute, Now: time.Now, Say: func(string) {}}
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- client.TSAServe(ctx, o, client.TSAServeParams{
			Listen: "127.0.0.1:0", P12: l.file("tsa.p12"), P12Password: []byte(killPassword), Policy: []string{"1.3.6.1.4.1.32473.1"}, State: l.file("tsa-state"),
		}, func(url string) error {
			ready <- url
			return nil
		})
	}()
	select {
	case l.tsa = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// outcome is what a command came to.
type outcome struct {
	args     []string
	code     int
	out, err string
}

func (o outcome) mustBe(t testing.TB, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("%s: exit %d, want %d\n%s%s", strings.Join(o.args, " "), o.code, code, o.out, o.err)
	}
	return o
}

// lines reads output that is a JSON object a line.
func killLines[T any](t testing.TB, o outcome) []T {
	t.Helper()
	var all []T
	for d := json.NewDecoder(strings.NewReader(o.out)); ; {
		var v T
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, o.out)
		}
		all = append(all, v)
	}
}

// sealmail runs a command inside this process: for what is done before a kill and after it.
func (l *killLab) sealmail(t testing.TB, home string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	e := environment{
		in: strings.NewReader(""), out: &out, err: &errs, now: time.Now, dial: (&net.Dialer{}).DialContext,
		getenv: func(string) string { return "" },
	}
	args = append([]string{"--home", home, "--json"}, args...)
	return outcome{args: args, code: run(t.Context(), e, args), out: out.String(), err: errs.String()}
}

// killWorld is one run: homes, and a mail server, that nobody else uses.
type killWorld struct {
	*killLab
	dir        string
	imap, smtp *relay
	// mail describes what is in a folder at the server: a line a message, with all that must not change.
	mail func(t testing.TB, person, folder string) []string
	// mayFlag is a flag that a message may get; empty: none.
	mayFlag string
	// recipients are the words by which alice names those whom she writes to, and places where her message belongs then,
	// as "ADDRESS FOLDER".
	recipients, places []string
	// direct is the way to the messages that leads past the program, without somebody's name.
	direct mailbox.Options
	shelf  *shelf // nil: there is none
	// gone are messages that bob has fetched, and that are no longer in his inbox.
	gone []mailbox.UID
	// queue, unless nil, waits until nothing is on its way inside the server.
	queue func(t testing.TB)

	mu   sync.Mutex
	hook func(event string)
}

// addresses names the servers of a stage, whoever they were when it was made, and killWorld.gone.
type addresses struct {
	IMAP, SMTP string
	Gone       []mailbox.UID
}

// world begins from a stage; the empty stage has neither homes nor mail.
func (l *killLab) world(t testing.TB, stage string) *killWorld {
	t.Helper()
	w := &killWorld{
		killLab: l, dir: killDir(t),
		recipients: []string{"--to", killBob, "--cc", killCarol, "--bcc", killDave},
		places:     []string{killBob + " INBOX", killCarol + " INBOX", killDave + " INBOX", killAlice + " Sent"},
	}
	if stage != "" {
		copyTree(t, l.file(stage), w.dir)
	}
	people := map[string]mailbox.Password{}
	for _, person := range killPeople() {
		people[person] = killPassword
	}
	server, err := localserver.Open(t.Context(), localserver.Options{
		Dir: filepath.Join(w.dir, "mail"), TLS: l.tls, Users: people, Clock: time.Now,
		Hook: func(event string) error {
			w.mu.Lock()
			hook := w.hook
			w.mu.Unlock()
			if hook != nil {
				hook(event)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	w.imap, w.smtp = newRelay(t, server.Addresses().IMAPS), newRelay(t, server.Addresses().Submissions)
	w.mail = func(t testing.TB, person, folder string) []string {
		return localMail(t, server, person, folder, w.mayFlag)
	}
	w.direct = directOptions(t, server.Addresses().IMAPS, l.file("ca/root.pem"))
	if stage != "" {
		w.move(t)
	}
	return w
}

// keep makes a stage of the world as it is.
func (w *killWorld) keep(t testing.TB, stage string) {
	t.Helper()
	w.settle(t)
	text, err := json.Marshal(addresses{w.imap.address(), w.smtp.address(), w.gone})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "addresses"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	copyTree(t, w.dir, w.file(stage))
}

// move tells the homes of a stage where the servers are now.
func (w *killWorld) move(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "addresses"))
	if err != nil {
		t.Fatal(err)
	}
	var old addresses
	if err := json.Unmarshal(text, &old); err != nil {
		t.Fatal(err)
	}
	w.gone = old.Gone
	for _, person := range killPeople() {
		path := filepath.Join(w.home(person), "config.toml")
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		moved := strings.NewReplacer(old.IMAP, w.imap.address(), old.SMTP, w.smtp.address()).Replace(string(text))
		if err := os.WriteFile(path, []byte(moved), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *killWorld) home(person string) string { return filepath.Join(w.dir, "home", person) }

// run runs a command as somebody, to its end.
func (w *killWorld) run(t testing.TB, person string, args ...string) outcome {
	t.Helper()
	return w.sealmail(t, w.home(person), args...)
}

// setHook has the server tell of each step before it takes it.
func (w *killWorld) setHook(hook func(event string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

// settle waits until the server is done with all that was said to it by those who are gone.
func (w *killWorld) settle(t testing.TB) {
	t.Helper()
	w.imap.settle()
	w.smtp.settle()
	if w.queue != nil {
		w.queue(t)
	}
}

// killed is a run of the program in a process of its own.
type killed struct {
	outcome
	steps  []string // all that were begun; of a process that killed itself the last was not
	killed bool
}

// kill runs a command as somebody in a process of its own, which kills itself before a step (0: it does not). started,
// unless nil, gets the process.
func (w *killWorld) kill(t testing.TB, person string, step int, started func(*os.Process), args ...string) killed {
	t.Helper()
	log := filepath.Join(t.TempDir(), "steps")
	args = append([]string{"--home", w.home(person), "--json"}, args...)
	cmd := program(t, []string{killSteps + "=" + log, killAt + "=" + strconv.Itoa(step)}, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if started != nil {
		started(cmd.Process)
	}
	err := cmd.Wait()
	k := killed{outcome: outcome{args: args, code: cmd.ProcessState.ExitCode(), out: out.String(), err: errs.String()}}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		k.killed = exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	}
	text, err := os.ReadFile(log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	k.steps = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("killed %v, exit %d, after the steps\n%s\n%s%s", k.killed, k.code, strings.Join(k.steps, "\n"), k.out, k.err)
		}
	})
	return k
}
