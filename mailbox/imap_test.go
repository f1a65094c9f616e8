package mailbox_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// storeCalls are the methods of a Store, each as one call.
var storeCalls = map[string]func(testing.TB, mailbox.Store) error{
	"Folders": func(t testing.TB, s mailbox.Store) error { _, err := s.Folders(t.Context()); return err },
	"Status":  func(t testing.TB, s mailbox.Store) error { _, err := s.Status(t.Context(), "INBOX"); return err },
	"List":    func(t testing.TB, s mailbox.Store) error { _, err := s.List(t.Context(), "INBOX", 1); return err },
	"Fetch":   func(t testing.TB, s mailbox.Store) error { return s.Fetch(t.Context(), "INBOX", 3, io.Discard) },
	"UIDs":    func(t testing.TB, s mailbox.Store) error { _, err := s.UIDs(t.Context(), "INBOX"); return err },
	"Flags":   func(t testing.TB, s mailbox.Store) error { _, err := s.Flags(t.Context(), "INBOX", 0); return err },
	"FetchAll": func(t testing.TB, s mailbox.Store) error {
		return s.FetchAll(t.Context(), "INBOX", []mailbox.Info{{UID: 3, Size: 3}}, new(texts))
	},
	"Append": func(t testing.TB, s mailbox.Store) error { _, err := appendTo(t, s, "INBOX", "x\r\n"); return err },
	"SetFlags": func(t testing.TB, s mailbox.Store) error {
		return s.SetFlags(t.Context(), "INBOX", []mailbox.UID{1}, mailbox.FlagChange{Add: []string{`\Seen`}})
	},
	"Move": func(t testing.TB, s mailbox.Store) error {
		_, err := s.Move(t.Context(), "INBOX", []mailbox.UID{1, 2, 3}, "Other")
		return err
	},
	"Delete": func(t testing.TB, s mailbox.Store) error {
		return s.Delete(t.Context(), "INBOX", []mailbox.UID{1, 2, 3})
	},
	"Wait":         func(t testing.TB, s mailbox.Store) error { return s.Wait(t.Context(), "INBOX", 10*time.Millisecond) },
	"CreateFolder": func(t testing.TB, s mailbox.Store) error { return s.CreateFolder(t.Context(), "INBOX") },
	"Find":         func(t testing.TB, s mailbox.Store) error { _, err := s.Find(t.Context(), "INBOX", "<a@b>"); return err },
}

func appendTo(t testing.TB, s mailbox.Store, folder, text string) (mailbox.UID, error) {
	return s.Append(t.Context(), folder, mailbox.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)})
}

// commandsOf says which commands a call uses.
var commandsOf = map[string][]string{
	"Folders": {"LIST"}, "Status": {"STATUS"}, "List": {"EXAMINE", "SEARCH", "FETCH"}, "Fetch": {"EXAMINE", "FETCH"},
	"UIDs": {"EXAMINE", "SEARCH"}, "Flags": {"EXAMINE", "FETCH"}, "FetchAll": {"EXAMINE", "FETCH"},
	"Append": {"STATUS", "APPEND"}, "SetFlags": {"SELECT", "STORE"}, "Find": {"EXAMINE", "SEARCH"},
	"Move": {"SELECT", "SEARCH", "COPY", "STORE", "EXPUNGE"}, "Delete": {"SELECT", "SEARCH", "STORE", "EXPUNGE"}, "CreateFolder": {"STATUS"}, "Wait": {"EXAMINE", "NOOP"},
}

// TestIMAPEachCommandFails answers each command of each call in each wrong way.
func TestIMAPEachCommandFails(t *testing.T) {
	const short = 150 * time.Millisecond
	const rude = "no\x1b[31m \u202ewith " + "all of it" // what should not reach a terminal
	for call, commands := range commandsOf {
		for _, command := range commands {
			for _, c := range []struct {
				name    string
				fail    func(*peer, string, string) bool
				want    mailbox.Reason // 0: a ServerError
				timeout time.Duration
			}{
				{"NO", answer("NO " + rude), 0, wait},
				{"BAD", answer("BAD " + rude), 0, wait},
				{"NO with a code", answer("NO [NOPERM] " + rude), 0, wait},
				{"BYE", func(p *peer, _, _ string) bool { p.say("* BYE going"); return false }, mailbox.ReasonUnavailable, wait},
				{"cut", func(*peer, string, string) bool { return false }, mailbox.ReasonLost, wait},
				{"cut in a line", func(p *peer, tag, _ string) bool { p.Write([]byte(tag + " O")); return false }, mailbox.ReasonLost, wait},
				{"silence", func(p *peer, _, _ string) bool { p.silence(); return false }, mailbox.ReasonTimeout, short},
				{"silence in a line", func(p *peer, tag, _ string) bool { p.Write([]byte("* OK")); p.silence(); return false }, mailbox.ReasonTimeout, short},
				{"another tag", answer("OK", "X99 OK done"), mailbox.ReasonProtocol, wait},
				{"nonsense", answer("OK", "\x00\x01\x02 {}{}"), mailbox.ReasonProtocol, wait},
				{"a line without end", func(p *peer, _, _ string) bool { flood(p, "* OK ", "x"); return false }, mailbox.ReasonProtocol, wait},
				{"lines without end", func(p *peer, _, _ string) bool { flood(p, "", "* OK still here\r\n"); return false }, mailbox.ReasonProtocol, wait},
				{"a literal without end", func(p *peer, _, _ string) bool {
					flood(p, "* LIST () NIL {99999999999}\r\n", "x")
					return false
				}, mailbox.ReasonProtocol, wait},
			} {
				t.Run(call+"/"+command+"/"+c.name, func(t *testing.T) {
					t.Parallel()
					var failed atomic.Bool
					fake := &fakeIMAP{commands: map[string]func(*peer, string, string) bool{}}
					fake.commands["SEARCH"] = answer("OK done", "* SEARCH 1 2 3")
					fake.commands["FETCH"] = func(p *peer, tag, args string) bool {
						section := "BODY[]<0>"
						if strings.Contains(args, "[])") {
							section = "BODY[]"
						}
						p.say("* 3 FETCH (UID 3 FLAGS () RFC822.SIZE 3 INTERNALDATE \"21-Nov-2025 10:02:11 +0100\" "+section+" {3}\r\nx\r\n)",
							"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 3 INTERNALDATE \"21-Nov-2025 10:02:11 +0100\")", tag+" OK done")
						return true
					}
					fake.commands["APPEND"] = func(p *peer, tag, args string) bool { readLiteral(p, args, true); p.say(tag + " OK done"); return true }
					good := fake.commands[command]
					fake.commands[command] = func(p *peer, tag, args string) bool {
						if failed.CompareAndSwap(false, true) {
							return c.fail(p, tag, args)
						}
						if good != nil {
							return good(p, tag, args)
						}
						return (&fakeIMAP{}).one(p, tag, command, args)
					}
					s, _ := fake.dial(t, func(o *mailbox.Options) { o.Timeout = c.timeout; o.MaxMessages = 100 })
					err := within(t, func() error { return storeCalls[call](t, s) })
					var refused *mailbox.ServerError
					switch {
					case c.want != 0:
						reason(t, err, c.want)
					case call == "FetchAll" && command == "FETCH" && err == nil: // asked again, for each message by itself
					case !errors.As(err, &refused) || !strings.HasPrefix(c.name, refused.Status):
						t.Errorf("got error %v, want a ServerError of %s", err, c.name)
					default:
						oneLine(t, err)
					}
					// One failure is no reason for another.
					if c.want == mailbox.ReasonTimeout {
						return // nor is a second answer sure to come in so short a time
					}
					if err := within(t, func() error { return storeCalls[call](t, s) }); err != nil {
						t.Errorf("again: %v", err)
					}
				})
			}
		}
	}
}

// TestIMAPRenumbered: UIDs of another numbering are not taken for those that are known.
func TestIMAPRenumbered(t *testing.T) {
	fake := &fakeIMAP{}
	fetched := false
	fake.commands = map[string]func(*peer, string, string) bool{
		"FETCH": func(p *peer, tag, args string) bool {
			fetched = true
			p.say(body(3, 0, "x\r\n", " RFC822.SIZE 3"), tag+" OK done")
			return true
		},
		"NOOP": func(*peer, string, string) bool { return false },
	}
	s, _ := fake.dial(t)
	if err := s.Fetch(t.Context(), "INBOX", 3, io.Discard); err != nil {
		t.Fatal(err)
	}
	// While the connection stands, and the folder is open, it keeps its numbering. Another opening shows the new one.
	fake.validity = 7
	fetched = false
	if _, err := s.List(t.Context(), "INBOX", 1); !errors.Is(err, mailbox.ErrRenumbered) {
		t.Errorf("List: %v", err)
	}
	if err := s.Fetch(t.Context(), "INBOX", 3, io.Discard); !errors.Is(err, mailbox.ErrRenumbered) || fetched {
		t.Errorf("Fetch: %v", err)
	}
	if err := s.SetFlags(t.Context(), "INBOX", []mailbox.UID{3}, mailbox.FlagChange{Add: []string{`\Deleted`}}); !errors.Is(err, mailbox.ErrRenumbered) {
		t.Errorf("SetFlags: %v", err)
	}
	if status, err := s.Status(t.Context(), "INBOX"); err != nil || status.UIDValidity != 8 {
		t.Errorf("Status: %+v, %v", status, err)
	}
	if err := s.Fetch(t.Context(), "INBOX", 3, io.Discard); err != nil || !fetched {
		t.Errorf("Fetch after Status: %v", err)
	}
}

// TestIMAPReconnects: a server that ended an idle connection is called again.
func TestIMAPReconnects(t *testing.T) {
	address, _ := listen(t, (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"LIST": func(p *peer, tag, _ string) bool {
		p.say(tag+" OK done", "* BYE you were idle for too long")
		return false
	}}}).serve)
	gone := make(chan struct{}, 10)
	s := dialIMAP(t, fakeOptions(t, "imap", address, noticing(gone)))
	defer s.Close()
	for range 3 {
		if _, err := s.Folders(t.Context()); err != nil {
			t.Error(err)
		}
		<-gone // nothing can be done before the end of the connection arrives
	}
}

// TestIMAPTalksIdly: a server that never stops talking is not listened to for ever.
func TestIMAPTalksIdly(t *testing.T) {
	gone := make(chan struct{}, 10)
	address, _ := listen(t, (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"LIST": func(p *peer, tag, _ string) bool {
		p.say(tag + " OK done")
		flood(p, "* OK ", "x")
		return false
	}}}).serve)
	s := dialIMAP(t, fakeOptions(t, "imap", address, noticing(gone)))
	defer s.Close()
	if _, err := s.Folders(t.Context()); err != nil {
		t.Error(err)
	}
	<-gone
}

func TestIMAPQuota(t *testing.T) {
	big := "Subject: big\r\n\r\n" + strings.Repeat("x\r\n", 10000)
	check := func(t *testing.T, s mailbox.Store) {
		t.Helper()
		defer s.Close()
		_, err := appendTo(t, s, "INBOX", big)
		if !isType[*mailbox.QuotaError](err) {
			t.Errorf("got error %v, want a QuotaError", err)
		}
		oneLine(t, err)
		if _, err := s.Status(t.Context(), "INBOX"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
	t.Run("local server", func(t *testing.T) {
		server := startLocal(t, localserver.Options{Quotas: map[string]int64{alice: 1000}})
		check(t, dialIMAP(t, server.options(t, alice, "imaps")))
	})
	t.Run("Dovecot", func(t *testing.T) {
		servers := peertest.MailServers(t)
		check(t, dialIMAP(t, peerOptions(t, servers, servers.Full, "imaps")))
	})
}

// fill puts messages into a folder of the real server that is there.
func fill(t testing.TB, servers peertest.Servers, user peertest.User, folder string, n int, text string) {
	t.Helper()
	dir := servers.MailDir(user.Address, folder)
	owner, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m := fmt.Appendf(nil, "Subject: %d\n\n%s", i, text)
		name := filepath.Join(dir, "cur", fmt.Sprintf("%d.M%dP1.test,S=%d,W=%d:2,", 1763715731+i, i, len(m), len(m)+bytes.Count(m, []byte("\n"))))
		if err := os.WriteFile(name, m, 0o600); err != nil {
			t.Fatal(err)
		}
		chown(t, name, owner)
	}
}

// BenchmarkFetchAll gets 10,000 messages of 8 KB from a real server.
func BenchmarkFetchAll(b *testing.B) {
	servers := peertest.MailServers(b)
	carol := servers.User(b, "carol")
	s := dialIMAP(b, peerOptions(b, servers, carol, "imaps"))
	defer s.Close()
	folder := "bench-" + rand.Text()
	if _, err := appendTo(b, s, folder, note); err != nil {
		b.Fatal(err)
	}
	const n = 10000
	fill(b, servers, carol, folder, n-1, strings.Repeat("a line of a message that is neither short nor long at all\n", 8000/59))
	list, err := s.List(b.Context(), folder, 1)
	if err != nil || len(list) != n {
		b.Fatalf("%d messages, %v", len(list), err)
	}
	b.ResetTimer()
	for b.Loop() {
		if err := s.FetchAll(b.Context(), folder, list, discard{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "messages/s")
}

// discard is a Receiver that keeps nothing.
type discard struct{}

func (discard) Message(mailbox.Info) (io.Writer, error) { return io.Discard, nil }
func (discard) Done(_ mailbox.Info, err error) error    { return err }

// TestIMAPManyMessages lists more messages than are asked for at once, with gaps, on a real server.
func TestIMAPManyMessages(t *testing.T) {
	servers := peertest.MailServers(t)
	carol := servers.User(t, "carol")
	s := dialIMAP(t, peerOptions(t, servers, carol, "imaps"))
	defer s.Close()
	folder := "many-" + rand.Text()
	if _, err := appendTo(t, s, folder, "Subject: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	const n = 9000
	fill(t, servers, carol, folder, n-1, "")
	list, err := s.List(t.Context(), folder, 1)
	if err != nil || len(list) != n {
		t.Fatalf("%d messages, %v; want %d", len(list), err, n)
	}
	if !slices.IsSortedFunc(list, func(a, b mailbox.Info) int { return int(a.UID) - int(b.UID) }) {
		t.Error("not in ascending order")
	}
	if list, err = s.List(t.Context(), folder, list[n-3].UID); err != nil || len(list) != 3 {
		t.Errorf("the last three: %v, %v", list, err)
	}
}

// TestIMAPVanished: messages that somebody else deleted are not found, and nothing else goes wrong.
func TestIMAPVanished(t *testing.T) {
	servers := peertest.MailServers(t)
	carol := servers.User(t, "carol")
	s := dialIMAP(t, peerOptions(t, servers, carol, "imaps"))
	defer s.Close()
	folder := "vanished-" + rand.Text()
	for range 3 {
		if _, err := appendTo(t, s, folder, note); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List(t.Context(), folder, 1)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	servers.Empty(t, carol.Address)
	for _, m := range list {
		var got bytes.Buffer
		if err := s.Fetch(t.Context(), folder, m.UID, &got); !errors.Is(err, mailbox.ErrNotFound) || got.Len() > 0 {
			t.Errorf("Fetch: %q, %v", got.Bytes(), err)
		}
		if err := s.SetFlags(t.Context(), folder, []mailbox.UID{m.UID}, mailbox.FlagChange{Add: []string{`\Seen`}}); err != nil {
			t.Errorf("SetFlags: %v", err)
		}
	}
	if list, err := s.List(t.Context(), folder, 1); err != nil || len(list) > 0 {
		t.Errorf("List: %v, %v", list, err)
	}
	if uids, err := s.Find(t.Context(), folder, "<x@y>"); err != nil || len(uids) > 0 {
		t.Errorf("Find: %v, %v", uids, err)
	}
}
