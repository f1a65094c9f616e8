package client_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/ca/server"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime"
)

// online makes alice.pem, of an authority that answers, in a bubble, to whoever asks about revocation. It returns its folder.
func (p *post) online() (dir string) {
	p.t.Helper()
	dir = p.in("online")
	if _, err := client.CAInit(p.t.Context(), p.world.options(), client.CAInitParams{
		Dir: dir, Name: "Online", Key: "p256", Days: 3650, Unprotected: true, BaseURL: "http://pki.example.test/pki",
	}); err != nil {
		p.t.Fatal(err)
	}
	if _, err := client.CAIssue(p.t.Context(), p.world.options(), client.CAIssueParams{
		Dir: dir, Purpose: "mail", Key: "p256", Email: []string{"alice@example.org"}, Name: "Alice", Output: client.Output{Name: p.in("alice.pem")},
	}); err != nil {
		p.t.Fatal(err)
	}
	p.run(func(c *client.Client) error {
		anchors, err := c.CertAnchors(p.in("online/root.pem"))
		if err == nil {
			_, err = c.CertTrust(anchors, "mail")
		}
		return err
	})
	return dir
}

// pipes is a listener whose connections are in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// answering has an authority answer until it is closed, in the bubble of the test.
func answering(t *testing.T, dir string, clock func() time.Time) (dial func(context.Context, string, string) (net.Conn, error), stop func()) {
	t.Helper()
	authority, err := ca.Open(dir, safeio.Disk{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(pipes)
	s := &http.Server{Handler: server.New(server.Options{Authority: authority, Clock: clock, Prefix: "/pki"})}
	go func() { _ = s.Serve(lines) }()
	dial = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		lines <- there
		return here, nil
	}
	return dial, func() { close(lines); _ = s.Close() }
}

// TestWatchRevoked: a certificate that is revoked while its owner's mail is watched is found out with their next message, as soon
// as what is known is out of date; that it is a correspondent's is told once beside. Nothing is left behind by the questions.
func TestWatchRevoked(t *testing.T) {
	p := newPost(t)
	dir := p.online()
	p.sign("alice", "", smime.SignOptions{})
	signed := p.folder.messages[0]
	l := newLive(signed)
	synctest.Test(t, func(t *testing.T) {
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := p.options
		began := time.Now()
		o.DialStore, o.Now = l.dial, func() time.Time { return now().Add(time.Since(began)) }
		var stop func()
		o.Dial, stop = answering(t, dir, o.Now)
		defer stop()

		run := watch(t, o, client.WatchParams{})
		run.want(t, "a certificate that is good", "connected, message 1")
		time.Sleep(2 * time.Hour)
		l.deliver(signed)
		run.want(t, "asked anew", "message 2")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		before := runtime.NumGoroutine()
		revoke := client.CARevokeParams{Dir: dir, Cert: p.in("alice.pem"), Reason: "superseded",
			Passphrase: func() ([]byte, error) { return nil, nil }, Confirm: func(string, bool) error { return nil }}
		if _, err := client.CARevoke(t.Context(), o, revoke); err != nil {
			t.Fatal(err)
		}
		l.deliver(signed)
		run.want(t, "what is known is not out of date", "message 3")
		time.Sleep(time.Hour)
		l.deliver(signed)
		run.want(t, "it is", "message 4, alert certificate-revoked 4")
		l.deliver(signed)
		run.want(t, "each message", "message 5, alert certificate-revoked 5")
		const asked = 10
		for n := range asked {
			time.Sleep(2 * time.Hour)
			l.deliver(signed)
			run.want(t, "each message", fmt.Sprintf("message %d, alert certificate-revoked %[1]d", n+6))
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after-before > asked/2 { // the system has some of its own
			t.Errorf("%d goroutines, %d before", after, before)
		}
		time.Sleep(24 * time.Hour)
		run.want(t, "a correspondent's certificate", "alert certificate-revoked alice@example.org")
		time.Sleep(48 * time.Hour)
		run.want(t, "the days after", "")
		if err := run.stop(); err != nil {
			t.Error(err)
		}
		time.Sleep(48 * time.Hour)
		run = watch(t, o, client.WatchParams{})
		run.want(t, "another run", "connected")
		time.Sleep(48 * time.Hour)
		run.want(t, "its days", "")
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}
