package mailboxtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// Submission is what TestSubmitter needs around a Submitter.
type Submission struct {
	// Open returns a Submitter, which the test closes.
	Open func(t *testing.T) mailbox.Submitter
	// Inbox returns the store where mail for To arrives, in INBOX; the test closes it.
	Inbox func(t *testing.T) mailbox.Store
	// From may send; To and Other exist; Unknown is refused.
	From, To, Other, Unknown string
}

// TestSubmitter tests a Submitter.
func TestSubmitter(t *testing.T, with Submission) {
	for _, c := range []struct {
		name string
		test func(*submitTest)
	}{
		{"octets", (*submitTest).octets},
		{"many", (*submitTest).many},
		{"recipients", (*submitTest).recipients},
		{"commit", (*submitTest).commit},
		{"size", (*submitTest).size},
		{"not canonical", (*submitTest).notCanonical},
		{"broken reader", (*submitTest).brokenReader},
		{"addresses", (*submitTest).addresses},
		{"cancelled", (*submitTest).cancelled},
		{"closed", (*submitTest).closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, inbox := with.Open(t), with.Inbox(t)
			t.Cleanup(func() {
				if err := errors.Join(s.Close(), inbox.Close()); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(&submitTest{T: t, s: s, inbox: inbox, with: with})
		})
	}
}

type submitTest struct {
	*testing.T
	s     mailbox.Submitter
	inbox mailbox.Store
	with  Submission
}

// submit sends a message from With.From to To.
func (t *submitTest) submit(m []byte) error {
	return t.s.Submit(t.Context(), mailbox.Envelope{From: t.with.From, To: []string{t.with.To}}, int64(len(m)), bytes.NewReader(m), nil)
}

func (t *submitTest) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("Submit: %v", err)
	}
}

func (t *submitTest) is(err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

// arrived waits for a message and returns its octets.
func (t *submitTest) arrived(id string) []byte {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		uids, err := t.inbox.Find(t.Context(), "INBOX", id)
		if err != nil {
			t.Fatal(err)
		}
		if len(uids) > 1 {
			t.Errorf("message %s arrived %d times", id, len(uids))
		}
		if len(uids) > 0 {
			return fetch(t.T, t.inbox, "INBOX", uids[0])
		}
	}
	t.Fatalf("message %s did not arrive", id)
	return nil
}

// nothing fails the test if a message arrives that should not have been sent. Another one is sent after it: when that
// is there, the first would be there as well.
func (t *submitTest) nothing(ids ...string) {
	t.Helper()
	marker := newID()
	t.must(t.submit(message(marker, "marker\n")))
	t.arrived(marker)
	for _, id := range ids {
		if uids, err := t.inbox.Find(t.Context(), "INBOX", id); err != nil || len(uids) > 0 {
			t.Errorf("message %s was sent all the same: %v, %v", id, uids, err)
		}
	}
}

func (t *submitTest) octets() {
	for _, body := range []string{
		"x\n",
		".\n..\n.x\n...\n\n.\n",
		"\n\n\n",
		strings.Repeat("x", 998) + "\n" + "." + strings.Repeat("y", 997) + "\n",
		"Größe: 8-bit\n",
		"trailing space \t \n",
		strings.Repeat("twenty-six octets a line\n", 50000),
	} {
		id := newID()
		want := message(id, body)
		t.must(t.submit(want))
		got := t.arrived(id)
		// Servers put trace fields before the message and leave the rest alone.
		if at := bytes.Index(got, want[:30]); at > 0 && got[at-1] == '\n' {
			got = got[at:]
		}
		same(t.T, got, want)
	}
}

func (t *submitTest) many() {
	var ids []string
	for range 20 {
		ids = append(ids, newID())
		t.must(t.submit(message(ids[len(ids)-1], "one of many\n")))
	}
	for _, id := range ids {
		t.arrived(id)
	}
}

func (t *submitTest) recipients() {
	id := newID()
	m := message(id, "to some\n")
	called := false
	to := []string{t.with.To, t.with.Unknown, t.with.Other}
	err := t.s.Submit(t.Context(), mailbox.Envelope{From: t.with.From, To: to}, int64(len(m)), bytes.NewReader(m), func() error {
		called = true
		return nil
	})
	var (
		all *mailbox.RefusedRecipientsError
		one *mailbox.RefusedError
	)
	if !errors.As(err, &all) || !errors.As(err, &one) {
		t.Fatalf("got error %v, want a RefusedRecipientsError", err)
	}
	if len(all.Recipients) != 1 || one.Recipient != t.with.Unknown || one.Code/100 != 5 || !one.Permanent || one.Text == "" || mailbox.Temporary(err) {
		t.Errorf("got %+v", one)
	}
	if called {
		t.Error("commit was called for a message that is not sent")
	}
	t.nothing(id)

	id = newID()
	m = message(id, "to all\n")
	t.must(t.s.Submit(t.Context(), mailbox.Envelope{From: t.with.From, To: []string{t.with.Other, t.with.To}}, int64(len(m)), bytes.NewReader(m), nil))
	t.arrived(id)
}

func (t *submitTest) commit() {
	id := newID()
	m := message(id, strings.Repeat("commit\n", 20000))
	r, calls := bytes.NewReader(m), 0
	envelope := mailbox.Envelope{From: t.with.From, To: []string{t.with.To}}
	t.must(t.s.Submit(t.Context(), envelope, int64(len(m)), r, func() error {
		if calls++; r.Len() > 0 {
			t.Errorf("commit was called with %d octets to go", r.Len())
		}
		return nil
	}))
	t.arrived(id)
	if calls != 1 {
		t.Errorf("commit was called %d times", calls)
	}
	id = newID()
	m = message(id, "not to be sent\n")
	no := errors.New("no")
	t.is(t.s.Submit(t.Context(), envelope, int64(len(m)), bytes.NewReader(m), func() error { return no }), no)
	t.nothing(id)
}

func (t *submitTest) size() {
	id := newID()
	m := message(id, "x\n")
	for _, size := range []int{-1, 0, 1, len(m) - 1, len(m) + 1, len(m) + 100000} {
		err := t.s.Submit(t.Context(), mailbox.Envelope{From: t.with.From, To: []string{t.with.To}}, int64(size), bytes.NewReader(m), nil)
		t.is(err, mailbox.ErrSize)
	}
	t.nothing(id)
}

func (t *submitTest) notCanonical() {
	var ids []string
	for _, body := range []string{"bare LF\n", "bare CR\r x\r\n", "no end", "CR CR\r\r\n", "cut\r", "NUL\x00\r\n", strings.Repeat("x", 999) + "\r\n"} {
		ids = append(ids, newID())
		t.is(t.submit(append(message(ids[len(ids)-1], ""), body...)), mailbox.ErrNotCanonical)
	}
	t.nothing(ids...)
}

func (t *submitTest) brokenReader() {
	id, broken := newID(), errors.New("the disk is gone")
	m := large(id, 200000)
	for _, good := range []int{0, 10, 100000, 200000} {
		r := io.MultiReader(bytes.NewReader(m[:good]), iotest.ErrReader(broken))
		t.is(t.s.Submit(t.Context(), mailbox.Envelope{From: t.with.From, To: []string{t.with.To}}, 200000, r, nil), broken)
	}
	t.nothing(id)
}

func (t *submitTest) addresses() {
	id := newID()
	m := message(id, "x\n")
	try := func(e mailbox.Envelope) {
		t.Helper()
		t.is(t.s.Submit(t.Context(), e, int64(len(m)), bytes.NewReader(m), nil), mailbox.ErrAddress)
	}
	try(mailbox.Envelope{From: t.with.From})
	for _, bad := range []string{"", "x", "@", "x@", "@x", "a b@example.test", "a>\r\nRCPT TO:<b@example.test", "<" + t.with.To + ">",
		t.with.To + "> SIZE=1 <", strings.Repeat("x", 250) + "@example.test", "\xff@example.test"} {
		try(mailbox.Envelope{From: t.with.From, To: []string{t.with.To, bad}})
		if bad != "" {
			try(mailbox.Envelope{From: bad, To: []string{t.with.To}})
		}
	}
	t.nothing(id)
}

func (t *submitTest) cancelled() {
	id := newID()
	m := large(id, 1<<20)
	envelope := mailbox.Envelope{From: t.with.From, To: []string{t.with.To}}
	ctx, cancel := context.WithCancel(t.Context())
	half := io.MultiReader(bytes.NewReader(m[:1<<19]), readFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }), bytes.NewReader(m[1<<19:]))
	t.is(t.s.Submit(ctx, envelope, int64(len(m)), half, nil), context.Canceled)
	t.is(t.s.Submit(ctx, envelope, int64(len(m)), bytes.NewReader(m), nil), context.Canceled)

	// Cancelled in the last moment at which it is certain that nothing was sent.
	ctx, cancel = context.WithCancel(t.Context())
	err := t.s.Submit(ctx, envelope, int64(len(m)), bytes.NewReader(m), func() error { cancel(); return nil })
	t.is(err, context.Canceled)
	if uncertain := (*mailbox.UncertainError)(nil); errors.As(err, &uncertain) {
		t.Error("uncertain, but the final dot was not sent")
	}
	t.nothing(id)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func (t *submitTest) closed() {
	for range 2 {
		if err := t.s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.is(t.submit(message(newID(), "x\n")), mailbox.ErrClosed)
}
