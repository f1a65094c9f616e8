package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime"
)

// TestWatchAlerts: what a person should look at is told, and what is to be told once is, by a later run neither.
func TestWatchAlerts(t *testing.T) {
	p := newPost(t)
	p.issue("alice", "p256")
	p.issue("carol", "p256")
	for name, address := range map[string]string{"new": "alice", "mine": "bob"} {
		issue := client.CAIssueParams{Dir: p.in("ca"), Purpose: "mail", Key: "p256", Email: []string{address + "@example.org"}, Name: name,
			Output: client.Output{Name: p.in(name + ".pem")}}
		if name == "mine" {
			issue.NotAfter = now().AddDate(0, 0, 40)
		}
		if _, err := client.CAIssue(t.Context(), p.world.options(), issue); err != nil {
			t.Fatal(err)
		}
	}
	p.run(func(c *client.Client) error {
		_, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{p.in("mine.pem")}})
		return err
	})
	for range 3 {
		p.sign("alice", "", smime.SignOptions{})
	}
	signed := p.folder.messages[0]
	p.folder.messages = p.folder.messages[:3]
	p.sign("new", "", smime.SignOptions{})
	changed := p.folder.messages[3]
	unsigned := strings.Replace(mail("plain", ""), "a@example.org", "Alice <Alice@example.org>", 1)
	p.run(func(c *client.Client) error {
		return c.Encrypt(t.Context(), client.EncryptParams{To: []string{p.in("carol.pem")}}, p.write("plain", mailHeader+"\r\ntext\r\n"), client.Output{Name: p.in("sealed")})
	})
	altered := strings.Replace(signed, "turbine", "Turbine", 1)
	sealed := p.read("sealed")

	l := newLive(p.folder.messages[:3]...)
	synctest.Test(t, func(t *testing.T) {
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := p.options
		o.DialStore = l.dial
		var mu sync.Mutex
		began, passed := time.Now(), time.Duration(0)
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now().Add(time.Since(began) + passed)
		}
		later := func(d time.Duration) {
			mu.Lock()
			passed += d
			mu.Unlock()
			time.Sleep(2 * time.Minute)
		}
		run := watch(t, o, client.WatchParams{})
		run.want(t, "good mail", "connected, message 1, message 2, message 3")
		for _, step := range []struct{ about, message, want string }{
			{"unsigned mail of who signs", unsigned, "message 4, alert unsigned-sender 4"},
			{"unsigned mail of a stranger", mail("plain", ""), "message 5"},
			{"an altered message", altered, "message 6, alert signature-failed 6"},
			{"another key", changed, "message 7, alert changed-key 7"},
			{"the other key again", changed, "message 8"},
			{"the key of before", signed, "message 9"},
			{"no key for it", sealed, "message 10, alert decryption-failed 10"},
		} {
			l.deliver(step.message)
			run.want(t, step.about, step.want)
		}
		later(11 * 24 * time.Hour)
		run.want(t, "30 days before the end", "disconnected, connected, alert certificate-expires bob@example.org")
		later(24 * time.Hour)
		run.want(t, "a day later", "disconnected, connected")
		if err := run.stop(); err != nil {
			t.Error(err)
		}
		later(22 * 24 * time.Hour)
		run = watch(t, o, client.WatchParams{})
		run.want(t, "a week before the end, another run", "connected, alert certificate-expires bob@example.org")
		later(24 * time.Hour)
		l.deliver(changed)
		run.want(t, "the other key, another run", "disconnected, connected, message 11")
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
	// What watch has said is no reason not to say it again where the message is read.
	p.folder.messages = l.folder.messages
	p.options.DialStore = l.dial
	if said := p.contact("8", false); said != "passed changed" {
		t.Errorf("reading says %q", said)
	}
}

// issueAs makes name.pem for an address, until a time; the zero time leaves that to the authority.
func (p *post) issueAs(name, address string, until time.Time) {
	p.t.Helper()
	_, err := client.CAIssue(p.t.Context(), p.world.options(), client.CAIssueParams{Dir: p.in("ca"), Purpose: "mail", Key: "p256", Email: []string{address},
		Name: name, Output: client.Output{Name: p.in(name + ".pem")}, NotAfter: until})
	if err != nil {
		p.t.Fatal(err)
	}
}

// signedBy are messages as from alice, signed with the key in each file.
func (p *post) signedBy(names ...string) []string {
	p.t.Helper()
	p.folder.messages = nil
	for _, name := range names {
		p.sign(name, "", smime.SignOptions{})
	}
	return p.folder.messages
}

// TestWatchUnsigned: what a forger writes into From beside the address of who signs silences no alert, and mail of others whose
// addresses hold that address does not either.
func TestWatchUnsigned(t *testing.T) {
	p := newPost(t)
	p.issue("alice", "p256")
	l := newLive(p.signedBy("alice", "alice", "alice")...)
	as := func(from string) string { return strings.Replace(mail("plain", ""), "a@example.org", from, 1) }
	synctest.Test(t, func(t *testing.T) {
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := p.options
		o.DialStore = l.dial
		run := watch(t, o, client.WatchParams{})
		run.want(t, "good mail", "connected, message 1, message 2, message 3")
		for i, from := range []string{
			"alice@example.org, a@example.org", "a@example.org, <Alice@example.org>", "alice@example.org,", "Alice <alice@example.org> <>",
		} {
			l.deliver(as(from))
			run.want(t, from, fmt.Sprintf("message %d, alert unsigned-sender %[1]d", 4+i))
		}
		var others, want []string
		for i := range 200 {
			others = append(others, as("alice@example.org.example.net"))
			want = append(want, fmt.Sprint("message ", 8+i))
		}
		l.deliver(others...)
		run.want(t, "mail of others", strings.Join(want, ", "))
		l.deliver(as("alice@example.org"))
		run.want(t, "after it", "message 208, alert unsigned-sender 208")
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestWatchCheckFails: where certificates cannot be checked, that is said once an hour and not each minute.
func TestWatchCheckFails(t *testing.T) {
	l := newLive()
	inBubble(t, l, func(t *testing.T, w *world, o client.Options) {
		if err := os.MkdirAll(o.Home.Certificates(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.Home.Certificates(), "correspondents"), nil, 0o600); err != nil { // no directory
			t.Fatal(err)
		}
		run := watch(t, o, client.WatchParams{})
		time.Sleep(3*time.Hour - time.Minute)
		if err := run.stop(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(strings.Join(w.said, "\n"), "certificates could not be checked"); n != 3 {
			t.Errorf("said %d times, want 3: %q", n, w.said)
		}
	})
}

// TestWatchKeysAtOnce: of keys that come in one batch each is told that is another than before, also where the first is in it.
func TestWatchKeysAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		there  int // messages, before it is watched
		first  string
		second string
	}{
		"of somebody who is known": {1, "connected, message 1", "message 2, alert changed-key 2, message 3, alert changed-key 3, message 4"},
		"of a stranger":            {0, "connected", "message 1, message 2, alert changed-key 2, message 3, alert changed-key 3, message 4"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			for _, key := range []string{"first", "second", "third"} {
				p.issueAs(key, "alice@example.org", time.Time{})
			}
			mails := p.signedBy("first", "second", "third", "first")
			l := newLive(mails[:test.there]...)
			synctest.Test(t, func(t *testing.T) {
				l.news, l.broken = make(chan struct{}, 1), make(chan error)
				o := p.options
				o.DialStore = l.dial
				run := watch(t, o, client.WatchParams{})
				run.want(t, "at first", test.first)
				l.deliver(mails[test.there:]...)
				run.want(t, "all at once", test.second)
				if err := run.stop(); err != nil {
					t.Error(err)
				}
			})
			p.folder.messages = l.folder.messages
			for id, want := range map[string]string{"2": "passed changed", "3": "passed changed", "4": "passed known"} {
				if said := p.contact(id, false); said != want {
					t.Errorf("reading message %s says %q, want %q", id, said, want)
				}
			}
		})
	}
}

// TestWatchExpiry: 30 days, 7 days and a day before a certificate ends it is told once, of one's own and of those of others,
// by later runs neither.
func TestWatchExpiry(t *testing.T) {
	p := newPost(t)
	day := func(n int) time.Time { return now().AddDate(0, 0, n).Add(time.Hour) }
	p.issueAs("alice", "alice@example.org", day(31))
	p.issueAs("bob", "bob@example.org", day(32))
	p.run(func(c *client.Client) error {
		_, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{p.in("bob.pem")}})
		return err
	})
	l := newLive(p.signedBy("alice")...)
	synctest.Test(t, func(t *testing.T) {
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := p.options
		began := time.Now()
		o.DialStore, o.Now = l.dial, func() time.Time { return now().Add(time.Since(began)) }
		run := watch(t, o, client.WatchParams{})
		run.want(t, "at first", "connected, message 1")
		alice, bob := "alert certificate-expires alice@example.org", "alert certificate-expires bob@example.org"
		told := map[int]string{2: alice, 3: bob, 25: alice, 26: bob, 31: alice, 32: bob}
		for n := 1; n <= 34; n++ {
			time.Sleep(24*time.Hour + 2*time.Minute - time.Second)
			run.want(t, "day "+o.Now().Format(time.DateOnly), told[n])
			if n%10 == 3 {
				if err := run.stop(); err != nil {
					t.Error(err)
				}
				run = watch(t, o, client.WatchParams{})
				run.want(t, "another run", "connected")
			}
		}
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}

// file is what is in a file, or nothing.
func (p *post) file(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		p.t.Error(err)
	}
	return data
}

// TestWatchMemory: what was told is not lost with the file in which it is remembered, and a disk that takes none ends it.
func TestWatchMemory(t *testing.T) {
	p := newPost(t)
	p.issueAs("first", "alice@example.org", time.Time{})
	p.issueAs("second", "alice@example.org", time.Time{})
	p.issueAs("third", "alice@example.org", time.Time{})
	p.issueAs("bob", "bob@example.org", now().AddDate(0, 0, 20))
	p.run(func(c *client.Client) error {
		_, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{p.in("bob.pem")}})
		return err
	})
	mails := p.signedBy("first", "second", "third")
	l := newLive()
	synctest.Test(t, func(t *testing.T) {
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := p.options
		began := time.Now()
		o.DialStore, o.Now = l.dial, func() time.Time { return now().Add(time.Since(began)) }
		path := o.Home.Alerts("bob")
		const once, not = "connected, alert certificate-expires bob@example.org", "connected"
		for _, step := range []struct{ about, file, want string }{
			{"none", "", once},
			{"good", "-", not},
			{"damaged", "{\"said\":{\"a", once},
			{"made anew", "-", not},
			{"of another kind", "[]", once},
			{"half of it of another kind", `{"checked":"2050-01-01T00:00:00Z","next":"zz","said":7}`, once},
			{"from the future", `{"checked":"2050-01-01T00:00:00Z","next":"zz","said":null}`, once},
			{"too large", strings.Repeat(" ", 5<<20) + "NOW", once},
		} {
			if step.file != "-" && step.file != "" {
				file := strings.Replace(step.file, "NOW", string(p.file(path)), 1)
				if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run := watch(t, o, client.WatchParams{})
			time.Sleep(2 * time.Minute)
			run.want(t, step.about, step.want)
			if err := run.stop(); err != nil {
				t.Errorf("%s: %v", step.about, err)
			}
		}
		run := watch(t, o, client.WatchParams{})
		l.deliver(mails[0])
		run.want(t, "before the disk is full", "connected, message 1")
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Dir(path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		l.deliver(mails[1])
		run.want(t, "it takes nothing", "message 2, alert changed-key 2")
		if err := run.stop(); client.KindOf(err) != client.Failed || !strings.Contains(err.Error(), "alerts") {
			t.Errorf("the end: %v", err)
		}
	})
}

// TestWatchClock: a clock that goes back and forth repeats no alert, and stops nothing.
func TestWatchClock(t *testing.T) {
	p := newPost(t)
	p.issueAs("bob", "bob@example.org", now().AddDate(0, 0, 20))
	p.run(func(c *client.Client) error {
		_, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{p.in("bob.pem")}})
		return err
	})
	l := newLive()
	synctest.Test(t, func(t *testing.T) {
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := p.options
		var mu sync.Mutex
		began, off := time.Now(), time.Duration(0)
		o.DialStore, o.Now = l.dial, func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now().Add(time.Since(began) + off)
		}
		run := watch(t, o, client.WatchParams{})
		run.want(t, "at first", "connected, alert certificate-expires bob@example.org")
		for i, step := range []struct {
			about string
			by    time.Duration
			want  string
		}{
			{"back", -72 * time.Hour, ""}, {"further back", -20 * 365 * 24 * time.Hour, ""}, {"forth again", 20*365*24*time.Hour + 72*time.Hour, "disconnected, connected, "},
			{"forth", 48 * time.Hour, "disconnected, connected, "}, {"a little", 20 * time.Second, ""},
		} {
			mu.Lock()
			off += step.by
			mu.Unlock()
			time.Sleep(3 * time.Minute)
			l.deliver(mail(step.about, ""))
			run.want(t, step.about, fmt.Sprint(step.want, "message ", i+1))
		}
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}
