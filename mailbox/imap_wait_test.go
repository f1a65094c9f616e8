package mailbox_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// near is an end of a pipe that passes for a connection to this machine.
type near struct{ net.Conn }

func (near) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// overPipe has the fake server at the other end of a pipe, where the clock of a test may run as it likes.
func (f *fakeIMAP) overPipe(said *transcript) func(*mailbox.Options) {
	return func(o *mailbox.Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				f.serve(&peer{there, bufio.NewReader(there), said})
			}()
			return near{here}, nil
		}
	}
}

// TestIMAPWait has servers that tell news, or do not, in each way, with a clock that runs as it likes.
func TestIMAPWait(t *testing.T) {
	const (
		withIdle = "IMAP4rev1 AUTH=PLAIN SASL-IR IDLE"
		long     = 40 * time.Minute
	)
	type script = func(p *peer, tag, args string) bool
	idle := func(after time.Duration, lines ...string) script {
		return func(p *peer, tag, _ string) bool {
			p.say("+ idling")
			time.Sleep(after)
			p.say(lines...)
			if line, ok := p.line(); !ok || line != "DONE" {
				return false
			}
			p.say(tag + " OK done")
			return true
		}
	}
	quiet := func(p *peer, tag, _ string) bool {
		p.say("+ idling")
		if line, ok := p.line(); !ok || line != "DONE" {
			return false
		}
		p.say(tag + " OK done")
		return true
	}
	polls := 0
	for _, c := range []struct {
		name     string
		caps     string
		commands map[string]script
		took     time.Duration
		commandN int // of IDLE or NOOP
		check    func(error) bool
	}{
		{"a new message", withIdle, map[string]script{"IDLE": idle(7*time.Minute, "* 4 EXISTS")}, 7 * time.Minute, 1, nil},
		{"one is gone", withIdle, map[string]script{"IDLE": idle(time.Second, "* 2 EXPUNGE")}, time.Second, 1, nil},
		{"a flag", withIdle, map[string]script{"IDLE": idle(time.Second, `* 2 FETCH (FLAGS (\Seen))`)}, time.Second, 1, nil},
		{"a flag, with a text nobody asked for", withIdle, map[string]script{"IDLE": idle(time.Second, "* 2 FETCH (BODY[] {3}\r\nx\r\n FLAGS ())")}, time.Second, 1, nil},
		{"no news, but a sign of life", withIdle, map[string]script{"IDLE": idle(time.Minute, "* OK still here", "* 0 RECENT")}, long, 5, nil},
		{"nothing", withIdle, map[string]script{"IDLE": quiet}, long, 5, nil},
		{"IDLE refused", withIdle, map[string]script{"IDLE": answer("NO not now")}, 0, 1, isType[*mailbox.ServerError]},
		{"no answer to IDLE", withIdle, map[string]script{"IDLE": func(p *peer, _, _ string) bool { p.silence(); return false }}, wait, 1, isType[*mailbox.ConnectError]},
		{"no answer to DONE", withIdle, map[string]script{"IDLE": func(p *peer, _, _ string) bool { p.say("+ idling"); p.silence(); return false }},
			9*time.Minute + wait, 1, isType[*mailbox.ConnectError]},
		{"the line dies", withIdle, map[string]script{"IDLE": func(p *peer, _, _ string) bool { p.say("+ idling"); time.Sleep(time.Second); return false }},
			time.Second, 1, isType[*mailbox.ConnectError]},
		{"talk without end", withIdle, map[string]script{"IDLE": func(p *peer, _, _ string) bool { p.say("+ idling"); flood(p, "", "* OK still here\r\n"); return false }},
			0, 1, isType[*mailbox.ConnectError]},
		{"polled", "", map[string]script{"NOOP": func(p *peer, tag, _ string) bool {
			if polls++; polls == 7 {
				p.say("* 4 EXISTS")
			}
			p.say(tag + " OK done")
			return true
		}}, 6 * time.Minute, 7, nil},
		{"polled, nothing", "", nil, long, 40, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, said := &fakeIMAP{capabilities: c.caps, commands: c.commands}, new(transcript)
				s := dialIMAP(t, fakeOptions(t, mailbox.SchemeIMAP, "127.0.0.1:143", fake.overPipe(said)))
				defer s.Close()
				start := time.Now()
				err := s.Wait(t.Context(), "INBOX", long)
				if c.check == nil && err != nil || c.check != nil && !c.check(err) {
					t.Errorf("got error %v (%T)", err, err)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if n := strings.Count(said.String(), " IDLE\r\n") + strings.Count(said.String(), " NOOP\r\n"); n != c.commandN {
					t.Errorf("%d commands, want %d", n, c.commandN)
				}
			})
		})
	}
}

// TestIMAPWaitMissesNothing: what changed since a folder was last looked at is news, however it was told.
func TestIMAPWaitMissesNothing(t *testing.T) {
	for _, c := range []struct {
		name     string
		commands func(f *fakeIMAP) map[string]func(*peer, string, string) bool
		between  func(context.Context, mailbox.Store) error
		at       time.Duration
	}{
		{"told during another command", func(*fakeIMAP) map[string]func(*peer, string, string) bool {
			return map[string]func(*peer, string, string) bool{"SEARCH": answer("OK done", "* SEARCH 1 2 3", "* 4 EXISTS")}
		}, func(context.Context, mailbox.Store) error { return nil }, 0},
		{"not open meanwhile", func(f *fakeIMAP) map[string]func(*peer, string, string) bool {
			n := 2
			return map[string]func(*peer, string, string) bool{"SEARCH": answer("OK done", "* SEARCH 1 2 3"), "EXAMINE": func(p *peer, tag, args string) bool {
				n++
				p.say("* "+string(rune('0'+n))+" EXISTS", "* OK [UIDVALIDITY 1] ok", tag+" OK done")
				return true
			}}
		}, func(ctx context.Context, s mailbox.Store) error { _, err := s.Flags(ctx, "Other", 0); return err }, 0},
		{"not open meanwhile, and nothing changed", func(f *fakeIMAP) map[string]func(*peer, string, string) bool {
			return map[string]func(*peer, string, string) bool{"SEARCH": answer("OK done", "* SEARCH 1 2 3")}
		}, func(ctx context.Context, s mailbox.Store) error { _, err := s.Flags(ctx, "Other", 0); return err }, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &fakeIMAP{}
				fake.commands = c.commands(fake)
				s := dialIMAP(t, fakeOptions(t, mailbox.SchemeIMAP, "127.0.0.1:143", fake.overPipe(new(transcript))))
				defer s.Close()
				if _, err := s.UIDs(t.Context(), "INBOX"); err != nil {
					t.Fatal(err)
				}
				if err := c.between(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if err := s.Wait(t.Context(), "INBOX", time.Hour); err != nil || time.Since(start) != c.at {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

// TestIMAPWaitGivenUp: who gives up waiting leaves the server in good order, as fast as it answers.
func TestIMAPWaitGivenUp(t *testing.T) {
	const withIdle = "IMAP4rev1 AUTH=PLAIN SASL-IR IDLE"
	type script = func(p *peer, tag, args string) bool
	for name, c := range map[string]struct {
		caps string
		idle script
		took time.Duration
		said string // by us, at the end
	}{
		"idle": {withIdle, func(p *peer, tag, _ string) bool {
			p.say("+ idling")
			if line, ok := p.line(); !ok || line != "DONE" {
				return false
			}
			p.say(tag + " OK done")
			return true
		}, 0, "LOGOUT"},
		"idle, and no answer": {withIdle, func(p *peer, _, _ string) bool { p.say("+ idling"); p.silence(); return false }, 2 * time.Second, "IDLE"},
		"polled":              {"", nil, 0, "LOGOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, said := &fakeIMAP{capabilities: c.caps, commands: map[string]script{}}, new(transcript)
				if c.idle != nil {
					fake.commands["IDLE"] = c.idle
				}
				s := dialIMAP(t, fakeOptions(t, mailbox.SchemeIMAP, "127.0.0.1:143", fake.overPipe(said)))
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				defer cancel()
				start := time.Now()
				if err := s.Wait(ctx, "INBOX", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got error %v", err)
				}
				if took := time.Since(start) - 90*time.Second; took != c.took {
					t.Errorf("it ended %v late, want %v", took, c.took)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if lines := strings.Split(strings.TrimSpace(said.String()), "\r\n"); !strings.Contains(lines[len(lines)-1], c.said) {
					t.Errorf("said last: %q", lines)
				}
			})
		})
	}
}
