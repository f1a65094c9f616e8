package mailbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

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
		{"vanished, as Dovecot says it", answer("OK [EXPUNGEISSUED] done", "* 1 FETCH (UID 3 RFC822.SIZE 0 BODY[]<0> NIL)", "* 1 EXPUNGE"), fails(mailbox.ErrNotFound)},
		{"vanished after a piece, with NIL", func(p *peer, tag, args string) bool {
			if asked(args) > 0 {
				p.say(fmt.Sprintf("* 1 FETCH (UID 3 BODY[]<%d> NIL)", asked(args)), tag+" OK done")
				return true
			}
			return honest(len(whole))(p, tag, args)
		}, fails(mailbox.ErrNotFound)},
		{"NIL behind the end", func(p *peer, tag, args string) bool {
			if asked(args) == unit {
				p.say(fmt.Sprintf("* 1 FETCH (UID 3 BODY[]<%d> NIL)", unit), tag+" OK done")
			} else {
				p.say(body(3, 0, whole[:unit], fmt.Sprintf(" RFC822.SIZE %d", unit)), tag+" OK done")
			}
			return true
		}, wants(whole[:unit])},
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
