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
	"sync"
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
	"Append":  func(t testing.TB, s mailbox.Store) error { _, err := appendTo(t, s, "INBOX", "x\r\n"); return err },
	"SetFlags": func(t testing.TB, s mailbox.Store) error {
		return s.SetFlags(t.Context(), "INBOX", []mailbox.UID{1}, mailbox.FlagChange{Add: []string{`\Seen`}})
	},
	"Find": func(t testing.TB, s mailbox.Store) error { _, err := s.Find(t.Context(), "INBOX", "<a@b>"); return err },
}

func appendTo(t testing.TB, s mailbox.Store, folder, text string) (mailbox.UID, error) {
	return s.Append(t.Context(), folder, mailbox.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)})
}

// commandsOf says which commands a call uses.
var commandsOf = map[string][]string{
	"Folders": {"LIST"}, "Status": {"STATUS"}, "List": {"EXAMINE", "SEARCH", "FETCH"}, "Fetch": {"EXAMINE", "FETCH"},
	"Append": {"STATUS", "APPEND"}, "SetFlags": {"SELECT", "STORE"}, "Find": {"EXAMINE", "SEARCH"},
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
				{"BYE", func(p *peer, _, _ string) bool { p.say("* BYE going"); return false }, mailbox.ReasonLost, wait},
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
					fake.commands["FETCH"] = answer("OK done", "* 3 FETCH (UID 3 FLAGS () RFC822.SIZE 3 INTERNALDATE \"21-Nov-2025 10:02:11 +0100\" BODY[]<0> {3}\r\nx\r\n)",
						"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 3 INTERNALDATE \"21-Nov-2025 10:02:11 +0100\")")
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

func TestIMAPFetch(t *testing.T) {
	const unit = 4 << 20 // a piece
	whole := strings.Repeat("0123456789abcd\r\n", 3*unit/16) + "end\r\n"
	piece := func(offset, size int) string { return whole[min(offset, len(whole)):min(offset+size, len(whole))] }
	// asked returns the offset that FETCH asks for.
	asked := func(args string) (offset int) {
		fmt.Sscanf(args[strings.Index(args, "<"):], "<%d.", &offset)
		return offset
	}
	honest := func(size int) func(*peer, string, string) bool {
		return func(p *peer, tag, args string) bool {
			more := ""
			if strings.Contains(args, "RFC822.SIZE") {
				more = fmt.Sprintf(" RFC822.SIZE %d", size)
			}
			p.say(body(3, asked(args), piece(asked(args), unit), more), tag+" OK done")
			return true
		}
	}
	for _, c := range []struct {
		name  string
		fetch func(*peer, string, string) bool
		check func(t *testing.T, got string, err error)
	}{
		{"honest", honest(len(whole)), wants(whole)},
		{"size too small", honest(5), wants(whole)},
		{"size a piece too small", honest(2 * unit), wants(whole)},
		{"size too large", honest(len(whole) + 1000), wants(whole)},
		{"size some pieces too large", honest(len(whole) + 5*unit), wants(whole)},
		{"above the limit", honest(25 * unit), func(t *testing.T, got string, err error) {
			var e *mailbox.TooLargeError
			if !errors.As(err, &e) || e.Size != 25*unit || e.Limit != 10*unit {
				t.Errorf("got error %v", err)
			}
		}},
		{"without end", func(p *peer, tag, args string) bool {
			p.say(body(3, asked(args), piece(0, unit), " RFC822.SIZE 5"), tag+" OK done")
			return true
		}, func(t *testing.T, got string, err error) {
			var e *mailbox.TooLargeError
			if !errors.As(err, &e) {
				t.Errorf("got error %v", err)
			}
		}},
		{"vanished", answer("OK done"), fails(mailbox.ErrNotFound)},
		{"vanished, with a code", answer("NO [EXPUNGEISSUED] gone"), fails(mailbox.ErrNotFound)},
		{"vanished, with NIL", answer("OK done", "* 1 FETCH (UID 3 RFC822.SIZE 5 BODY[]<0> NIL)"), fails(mailbox.ErrNotFound)},
		{"vanished after a piece", func(p *peer, tag, args string) bool {
			if asked(args) > 0 {
				p.say("* 1 EXPUNGE", tag+" OK done")
				return true
			}
			return honest(len(whole))(p, tag, args)
		}, fails(mailbox.ErrNotFound)},
		{"empty", answer("OK done", `* 1 FETCH (UID 3 RFC822.SIZE 0 BODY[]<0> "")`), wants("")},
		{"another message", answer("OK done", "* 1 FETCH (UID 4 RFC822.SIZE 3 BODY[]<0> {3}\r\nx\r\n)"), fails(mailbox.ErrNotFound)},
		{"another piece", answer("OK done", "* 1 FETCH (UID 3 RFC822.SIZE 3 BODY[]<5> {3}\r\nx\r\n)"), failsFor(mailbox.ReasonProtocol)},
		{"no piece", answer("OK done", "* 1 FETCH (UID 3 RFC822.SIZE 3 BODY[] {3}\r\nx\r\n)"), failsFor(mailbox.ReasonProtocol)},
		{"two pieces", answer("OK done", "* 1 FETCH (UID 3 RFC822.SIZE 3 BODY[]<0> {3}\r\nx\r\n BODY[]<0> {3}\r\nx\r\n)"), failsFor(mailbox.ReasonProtocol)},
		{"a piece too large", func(p *peer, tag, args string) bool {
			p.say(body(3, 0, whole, " RFC822.SIZE 9"), tag+" OK done")
			return true
		}, failsFor(mailbox.ReasonProtocol)},
		{"no text", answer("OK done", "* 1 FETCH (UID 3 RFC822.SIZE 5)"), failsFor(mailbox.ReasonProtocol)},
		{"no size", answer("OK done", "* 1 FETCH (UID 3 BODY[]<0> {3}\r\nx\r\n)"), failsFor(mailbox.ReasonProtocol)},
		{"cut in the text", func(p *peer, tag, args string) bool {
			p.say("* 1 FETCH (UID 3 RFC822.SIZE 100 BODY[]<0> {100}", "x")
			return false
		}, failsFor(mailbox.ReasonLost)},
		{"cut in the second piece", func(p *peer, tag, args string) bool {
			if asked(args) > 0 {
				p.say(fmt.Sprintf("* 1 FETCH (UID 3 BODY[]<%d> {%d}", asked(args), unit), "x")
				return false
			}
			return honest(len(whole))(p, tag, args)
		}, failsFor(mailbox.ReasonLost)},
		{"NO in the second piece", func(p *peer, tag, args string) bool {
			if asked(args) == unit {
				p.say(tag + " NO not that one")
				return true
			}
			return honest(len(whole))(p, tag, args)
		}, func(t *testing.T, got string, err error) {
			if e := (*mailbox.ServerError)(nil); !errors.As(err, &e) {
				t.Errorf("got error %v", err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, said := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"FETCH": c.fetch}}).dial(t,
				func(o *mailbox.Options) { o.MaxMessage = 10 * unit })
			var got bytes.Buffer
			err := within(t, func() error { return s.Fetch(t.Context(), "INBOX", 3, &got) })
			c.check(t, got.String(), err)
			if strings.Contains(said.String(), "BODY[") {
				t.Error("fetched without PEEK")
			}
			if _, err := s.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	// News of flags in the form of an answer, before the answer, for any piece.
	t.Run("news of flags", func(t *testing.T) {
		n := 0
		s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"FETCH": func(p *peer, tag, args string) bool {
			if n++; n%2 == 1 {
				p.say(`* 1 FETCH (UID 3 FLAGS (\Seen))`)
			}
			return honest(len(whole))(p, tag, args)
		}}}).dial(t)
		var got bytes.Buffer
		err := within(t, func() error { return s.Fetch(t.Context(), "INBOX", 3, &got) })
		wants(whole)(t, got.String(), err)
	})
}

func wants(want string) func(*testing.T, string, error) {
	return func(t *testing.T, got string, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("got %d octets and error %v, want %d octets", len(got), err, len(want))
		}
	}
}

func fails(want error) func(*testing.T, string, error) {
	return func(t *testing.T, _ string, err error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
}

func failsFor(want mailbox.Reason) func(*testing.T, string, error) {
	return func(t *testing.T, _ string, err error) {
		t.Helper()
		reason(t, err, want)
	}
}

func TestIMAPList(t *testing.T) {
	info := func(uid int) string {
		return fmt.Sprintf(`* %d FETCH (UID %d FLAGS (\Seen \Recent) RFC822.SIZE %d INTERNALDATE "21-Nov-2025 10:02:11 +0100")`, uid, uid, 100+uid)
	}
	all := answer("OK done", info(1), info(2), info(3))
	for _, c := range []struct {
		name   string
		search string
		fetch  func(*peer, string, string) bool
		first  mailbox.UID
		want   []mailbox.UID
		err    error
	}{
		{name: "all", search: "* SEARCH 1 2 3", fetch: all, want: []mailbox.UID{1, 2, 3}},
		{name: "ranges", search: `* ESEARCH (TAG "T3") UID ALL 1:3`, fetch: all, want: []mailbox.UID{1, 2, 3}},
		{name: "out of order", search: "* SEARCH 3 1 2 1", fetch: answer("OK done", info(3), info(1), info(2), info(3)), want: []mailbox.UID{1, 2, 3}},
		{name: "the last below the first", search: "* SEARCH 3", fetch: all, first: 5},
		{name: "none", search: "* SEARCH", fetch: all},
		{name: "some vanished", search: "* SEARCH 1 2 3", fetch: answer("OK done", info(1), "* 2 EXPUNGE", info(3)), want: []mailbox.UID{1, 3}},
		{name: "some more", search: "* SEARCH 1 3", fetch: all, want: []mailbox.UID{1, 3}},
		{name: "too many", search: `* ESEARCH (TAG "T3") UID ALL 1:4294967295`, fetch: all, err: mailbox.ErrTooMany},
		{name: "too many numbers", search: "* SEARCH " + strings.Repeat("1 ", 50) + "2 3 4 5 6 7 8 9 10 11", fetch: all, err: mailbox.ErrTooMany},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"FETCH": c.fetch, "SEARCH": func(p *peer, tag, _ string) bool {
				p.say(strings.ReplaceAll(c.search, "T3", tag), tag+" OK done")
				return true
			}}}).dial(t, func(o *mailbox.Options) { o.MaxMessages = 10 })
			var list []mailbox.Info
			err := within(t, func() (err error) { list, err = s.List(t.Context(), "INBOX", c.first); return err })
			var got []mailbox.UID
			for _, m := range list {
				got = append(got, m.UID)
				if m.Size != 100+int64(m.UID) || !slices.Equal(m.Flags, []string{`\Seen`}) || m.InternalDate.Unix() != 1763715731 {
					t.Errorf("got %+v", m)
				}
			}
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v, %v", got, err, c.want, c.err)
			}
			if _, err := s.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	t.Run("news of flags", func(t *testing.T) {
		n := 0
		s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"SEARCH": answer("OK done", "* SEARCH 1 2 3"), "FETCH": func(p *peer, tag, _ string) bool {
			if n++; n == 1 {
				p.say(`* 2 FETCH (UID 2 FLAGS (\Answered))`)
			}
			return all(p, tag, "")
		}}}).dial(t)
		list, err := s.List(t.Context(), "INBOX", 1)
		if err != nil || len(list) != 3 || list[1].UID != 2 || list[1].Size != 102 {
			t.Errorf("got %+v, %v", list, err)
		}
	})
	t.Run("never a size", func(t *testing.T) {
		s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{
			"SEARCH": answer("OK done", "* SEARCH 1"), "FETCH": answer("OK done", `* 1 FETCH (UID 1 FLAGS ())`)}}).dial(t)
		_, err := s.List(t.Context(), "INBOX", 1)
		reason(t, err, mailbox.ReasonProtocol)
	})
	for _, search := range []string{"* SEARCH x", "* SEARCH 99999999999", `* ESEARCH (TAG "T3") ALL 1:3`, `* ESEARCH (TAG "T3") UID ALL 1:*`} {
		s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"SEARCH": func(p *peer, tag, _ string) bool {
			p.say(strings.ReplaceAll(search, "T3", tag), tag+" OK done")
			return true
		}}}).dial(t)
		_, err := s.List(t.Context(), "INBOX", 1)
		reason(t, err, mailbox.ReasonProtocol)
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

func TestIMAPAppend(t *testing.T) {
	take := func(lines ...string) func(*peer, string, string) bool {
		return func(p *peer, tag, args string) bool {
			readLiteral(p, args, true)
			for _, line := range lines {
				p.say(strings.ReplaceAll(line, "TAG", tag))
			}
			return len(lines) > 0
		}
	}
	text := strings.Repeat("Subject: x\r\n", 1000)
	for _, c := range []struct {
		name   string
		caps   string
		append func(*peer, string, string) bool
		check  func(error) bool
		uid    mailbox.UID
	}{
		{"with UID", "", take("TAG OK [APPENDUID 1 42] done"), func(err error) bool { return err == nil }, 42},
		{"without UID", "", take("TAG OK done"), func(err error) bool { return err == nil }, 0},
		{"over quota at once", "", answer("NO [OVERQUOTA] full"), isType[*mailbox.QuotaError], 0},
		{"over quota afterwards", "", take("TAG NO [OVERQUOTA] full"), isType[*mailbox.QuotaError], 0},
		{"too big at once", "", answer("NO [TOOBIG] no"), isType[*mailbox.TooLargeError], 0},
		{"above the limit", "IMAP4rev1 AUTH=PLAIN APPENDLIMIT=100", take("TAG OK done"), isType[*mailbox.TooLargeError], 0},
		{"folder gone", "", answer("NO [TRYCREATE] gone"), func(err error) bool { return errors.Is(err, mailbox.ErrNoFolder) }, 0},
		{"folder gone afterwards", "", take("TAG NO [TRYCREATE] gone"), func(err error) bool { return errors.Is(err, mailbox.ErrNoFolder) }, 0},
		{"cut before the text", "", func(*peer, string, string) bool { return false }, certain, 0},
		{"cut in the text", "", func(p *peer, _, _ string) bool { p.say("+ go on"); p.line(); return false }, isType[*mailbox.ConnectError], 0},
		{"cut after the text", "", take(), isType[*mailbox.UncertainError], 0},
		{"BYE after the text", "", take("* BYE going", "* BYE gone"), isType[*mailbox.ConnectError], 0},
		{"nonsense after the text", "", take("TAG MAYBE"), isType[*mailbox.UncertainError], 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			commands := map[string]func(*peer, string, string) bool{"APPEND": c.append}
			s, said := (&fakeIMAP{capabilities: c.caps, commands: commands}).dial(t, func(o *mailbox.Options) {
				if strings.HasPrefix(c.name, "BYE") {
					o.Timeout = 200 * time.Millisecond
				}
			})
			var uid mailbox.UID
			err := within(t, func() (err error) { uid, err = appendTo(t, s, "INBOX", text); return err })
			if !c.check(err) || uid != c.uid {
				t.Errorf("got %d, %v (%T)", uid, err, err)
			}
			if err != nil {
				oneLine(t, err)
			}
			if strings.Contains(said.String(), "CREATE") {
				t.Error("made a folder that is there")
			}
			if _, err := s.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestIMAPMakesFolder: a missing folder is made before a message is sent to it, however the server says that it is missing.
func TestIMAPMakesFolder(t *testing.T) {
	for _, c := range []struct {
		name              string
		status, list      string
		create, subscribe string
		check             func(error) bool
		commands          string
	}{
		{"with a code", "NO [NONEXISTENT] no", "", "OK done", "OK done", func(err error) bool { return err == nil }, "STATUS CREATE SUBSCRIBE APPEND"},
		{"without a code", "NO no", "", "OK done", "NO no", func(err error) bool { return err == nil }, "STATUS LIST CREATE SUBSCRIBE APPEND"},
		{"made meanwhile", "NO no", "* LIST () NIL other", "NO [ALREADYEXISTS] no", "OK done", func(err error) bool { return err == nil }, "STATUS LIST CREATE SUBSCRIBE APPEND"},
		{"there, but not for us", "NO no", "* LIST () NIL fresh", "OK done", "OK done", isType[*mailbox.ServerError], "STATUS LIST"},
		{"not to be made", "NO [NONEXISTENT] no", "", "NO [NOPERM] no", "OK done", isType[*mailbox.ServerError], "STATUS CREATE"},
		{"cut", "NO [NONEXISTENT] no", "", "cut", "OK done", certain, "STATUS CREATE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var (
				mu       sync.Mutex
				commands []string
			)
			say := func(name string, lines ...string) func(*peer, string, string) bool {
				return func(p *peer, tag, args string) bool {
					mu.Lock()
					commands = append(commands, name)
					mu.Unlock()
					readLiteral(p, args, true)
					if lines[len(lines)-1] == "cut" {
						return false
					}
					if lines[0] == "" {
						lines = lines[1:]
					}
					lines[len(lines)-1] = tag + " " + lines[len(lines)-1]
					p.say(lines...)
					return true
				}
			}
			s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{
				"STATUS": say("STATUS", c.status), "LIST": say("LIST", c.list, "OK done"), "CREATE": say("CREATE", c.create),
				"SUBSCRIBE": say("SUBSCRIBE", c.subscribe), "APPEND": say("APPEND", "OK done"),
			}}).dial(t)
			_, err := appendTo(t, s, "fresh", "x\r\n")
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(commands, " "); !c.check(err) || got != c.commands {
				t.Errorf("got error %v after %s, want %s", err, got, c.commands)
			}
		})
	}
}

func isType[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// certain is an error of the connection after which it is clear that nothing was done.
func certain(err error) bool {
	return isType[*mailbox.ConnectError](err) && !isType[*mailbox.UncertainError](err)
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
	dir := servers.MailDir(carol.Address, folder)
	owner, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	const n = 9000
	for i := 1; i < n; i++ {
		name := filepath.Join(dir, "cur", fmt.Sprintf("%d.M%dP1.test:2,", 1763715731+i, i))
		if err := os.WriteFile(name, fmt.Appendf(nil, "Subject: %d\n\n", i), 0o600); err != nil {
			t.Fatal(err)
		}
		chown(t, name, owner)
	}
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
