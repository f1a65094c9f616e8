//go:build unix

package outbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// The environment of the process that is killed.
const (
	envDir  = "OUTBOX_KILL_DIR"
	envStep = "OUTBOX_KILL_STEP" // of the disk, before which it kills itself; -1: never
	envIMAP = "OUTBOX_KILL_IMAP"
	envSMTP = "OUTBOX_KILL_SMTP"
	envCA   = "OUTBOX_KILL_CA"
	envID   = "OUTBOX_KILL_MESSAGE_ID"
)

const password = "a secret"

// servers is a mail server on real sockets, and the means to send through it from this process or from another.
type servers struct {
	*localserver.Server
	ca []byte

	mu   sync.Mutex
	hook func(event string) error
}

func startServers(t *testing.T) *servers {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	s := &servers{ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})}
	server, err := localserver.Open(t.Context(), localserver.Options{
		Dir: fastDir(t), TLS: &tls.Config{Certificates: web.TLS.Certificates}, Clock: time.Now,
		Users: map[string]mailbox.Password{"alice@example.org": password, "bob@example.org": "b", "carol@example.org": "c"},
		Hook: func(event string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.hook == nil {
				return nil
			}
			return s.hook(event)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = server
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *servers) setHook(hook func(event string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// count returns how many messages of a folder have the Message-ID.
func (s *servers) count(t *testing.T, user, folder, id string) int {
	t.Helper()
	all, err := s.Messages(user, folder)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range all {
		content, err := os.ReadFile(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(content), id)
	}
	return n
}

// networkPorts are ports to servers at these addresses.
func networkPorts(imaps, submissions string, ca []byte) (p Ports, closeAll func(), err error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return p, nil, errors.New("no certificate")
	}
	options := func(scheme, address string) (mailbox.Options, error) {
		endpoint, err := mailbox.ParseEndpoint(scheme + "://" + address)
		return mailbox.Options{
			Endpoint: endpoint, Credentials: mailbox.Credentials{User: "alice@example.org", Password: password}, TLSRoots: roots,
		}, err
	}
	var open []io.Closer
	return Ports{
			Submitter: func(ctx context.Context) (mailbox.Submitter, error) {
				o, err := options("submissions", submissions)
				if err != nil {
					return nil, err
				}
				s, err := mailbox.DialSMTP(ctx, o)
				if err != nil {
					return nil, err
				}
				open = append(open, s)
				return s, nil
			},
			Store: func(ctx context.Context) (mailbox.Store, error) {
				o, err := options("imaps", imaps)
				if err != nil {
					return nil, err
				}
				s, err := mailbox.DialIMAP(ctx, o)
				if err != nil {
					return nil, err
				}
				open = append(open, s)
				return s, nil
			},
		}, func() {
			for _, c := range open {
				_ = c.Close()
			}
		}, nil
}

func mailWithID(id string) (Entry, []func(io.Writer) error) {
	e, _ := testMail()
	e.MessageID = id
	text := fmt.Sprintf("Message-ID: %s\r\nSubject: sealed\r\n\r\n%s\r\n", id, strings.Repeat("sealed octets\r\n", 5000))
	return e, []func(io.Writer) error{writes(text), writes(text)}
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv(envDir) == "" {
		os.Exit(m.Run())
	}
	if err := victim(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// victim accepts a mail and delivers it, and kills itself before the given step of the disk.
func victim(ctx context.Context) error {
	step, err := strconv.Atoi(os.Getenv(envStep))
	if err != nil {
		return err
	}
	count := 0
	disk := safeio.Disk{Before: func(op, path string) error {
		if count == step {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			select {} // the signal comes
		}
		count++
		return nil
	}}
	o, err := Open(disk, os.Getenv(envDir))
	if err != nil {
		return err
	}
	e, write := mailWithID(os.Getenv(envID))
	if e, err = o.Add(ctx, e, write); err != nil {
		return err
	}
	fmt.Println("accepted", e.ID)
	ports, closeAll, err := networkPorts(os.Getenv(envIMAP), os.Getenv(envSMTP), []byte(os.Getenv(envCA)))
	if err != nil {
		return err
	}
	defer closeAll()
	_, err = o.Deliver(ctx, e.ID, ports, DeliverOptions{Now: e.Created})
	return err
}

// run starts a victim. started, unless nil, gets its process as soon as there is one.
func (s *servers) run(t *testing.T, dir, id string, step int, started func(*os.Process)) (accepted, killed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envDir+"="+dir, envStep+"="+strconv.Itoa(step), envID+"="+id,
		envIMAP+"="+s.Addresses().IMAPS, envSMTP+"="+s.Addresses().Submissions, envCA+"="+string(s.ca))
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if started != nil {
		started(cmd.Process)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		killed = true
	default:
		t.Fatalf("the victim failed by itself: %v\n%s", err, errs.String())
	}
	return strings.Contains(out.String(), "accepted"), killed
}

// afterKill flushes what a killed process left behind, and checks the promises. It returns the state before anybody
// decided about what is uncertain.
func (s *servers) afterKill(t *testing.T, name, dir, id string, accepted bool) State {
	t.Helper()
	o := openOutbox(t, safeio.Disk{}, dir)
	all, err := o.List()
	if err != nil || len(all) > 1 {
		t.Fatalf("%s: %v, %v", name, all, err)
	}
	inboxes := func() [2]int {
		return [2]int{s.count(t, "bob@example.org", "INBOX", id), s.count(t, "carol@example.org", "INBOX", id)}
	}
	if len(all) == 0 {
		want := 0
		if accepted {
			want = 1
		}
		if n := s.count(t, "alice@example.org", "Sent", id); inboxes() != [2]int{want, want} || n != want {
			t.Errorf("%s: nothing in the outbox, accepted %v, inboxes %v, copies %d", name, accepted, inboxes(), n)
		}
		return Sent
	}
	ports, closeAll, err := networkPorts(s.Addresses().IMAPS, s.Addresses().Submissions, s.ca)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	result, err := o.Deliver(t.Context(), all[0].ID, ports, DeliverOptions{Now: time.Now()})
	if err != nil {
		t.Fatalf("%s: flush: %v", name, err)
	}
	state := result.State
	got := inboxes()
	for i, n := range got {
		if m := result.Entry.Messages[i].State; n > 1 || m == Queued || m == Sent && n != 1 {
			t.Errorf("%s: message %d is %s, and %d times in the inbox", name, i, m, n)
		}
	}
	if state == Uncertain {
		before := got
		if result, err = o.Deliver(t.Context(), all[0].ID, ports, DeliverOptions{ResendUncertain: true}); err != nil || result.State != Sent {
			t.Errorf("%s: resending: %s, %v", name, result.State, err)
		}
		for i, n := range inboxes() {
			resent := result.Entry.Messages[i].Attempts == 2
			if n != 1 && !(n == 2 && before[i] == 1 && resent) {
				t.Errorf("%s: message %d is %d times in the inbox after resending", name, i, n)
			}
		}
	}
	if n := s.count(t, "alice@example.org", "Sent", id); n != 1 {
		t.Errorf("%s: %d copies", name, n)
	}
	noLeftovers(t, dir)
	return state
}

// TestKillAtEachDiskStep kills a process before each step of its disk.
func TestKillAtEachDiskStep(t *testing.T) {
	s := startServers(t)
	stride := 1
	if testing.Short() {
		stride = 7
	}
	uncertain := 0
	for step, killed := 0, true; killed; step += stride {
		name, id := fmt.Sprint("kill before disk step ", step), fmt.Sprintf("<disk-%d@example.org>", step)
		dir := filepath.Join(fastDir(t), "outbox")
		var accepted bool
		accepted, killed = s.run(t, dir, id, step, nil)
		if s.afterKill(t, name, dir, id, accepted) == Uncertain {
			uncertain++
		}
	}
	if uncertain == 0 && stride == 1 {
		t.Error("no kill left a message uncertain: the steps are not those that they should be")
	}
}

// TestKillAtEachNetworkStep kills the process while the server is at each step in turn, and lets the server come no
// further with it.
func TestKillAtEachNetworkStep(t *testing.T) {
	s := startServers(t)
	want := map[string]State{ // where the step alone decides
		"smtp.auth": Sent, "smtp.mail": Sent, "smtp.rcpt": Sent,
		"smtp.data.received": Uncertain, "smtp.data.end": Uncertain,
	}
	for step, killed := 0, true; killed; step++ {
		id := fmt.Sprintf("<network-%d@example.org>", step)
		process := make(chan *os.Process, 1)
		count, at := -1, ""
		s.setHook(func(event string) error {
			if count++; count != step {
				return nil
			}
			at = event
			p := <-process
			process <- p
			if err := p.Kill(); err != nil {
				return err
			}
			return errors.New("the client is dead")
		})
		dir := filepath.Join(fastDir(t), "outbox")
		var accepted bool
		accepted, killed = s.run(t, dir, id, -1, func(p *os.Process) { process <- p })
		s.setHook(nil)
		name := fmt.Sprintf("kill at network step %d (%s)", step, at)
		state := s.afterKill(t, name, dir, id, accepted)
		if w, ok := want[at]; ok && state != w {
			t.Errorf("%s: %s, want %s", name, state, w)
		}
	}
}

// TestCutAtEachNetworkStep lets the line break, with the process alive.
func TestCutAtEachNetworkStep(t *testing.T) {
	s := startServers(t)
	ports, closeAll, err := networkPorts(s.Addresses().IMAPS, s.Addresses().Submissions, s.ca)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	for last, step := false, 0; !last; step++ {
		count, at := -1, ""
		s.setHook(func(event string) error {
			if count++; count == step {
				at = event
				return errors.New("cut")
			}
			return nil
		})
		dir := fastDir(t)
		o := openOutbox(t, safeio.Disk{}, dir)
		id := fmt.Sprintf("<cut-%d@example.org>", step)
		e, write := mailWithID(id)
		e, err := o.Add(t.Context(), e, write)
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.Deliver(t.Context(), e.ID, ports, DeliverOptions{Now: time.Now()})
		s.setHook(nil)
		last = at == ""
		if last && err != nil {
			t.Error(err)
		}
		s.afterKill(t, fmt.Sprintf("line cut at step %d (%s)", step, at), dir, id, true)
	}
}
