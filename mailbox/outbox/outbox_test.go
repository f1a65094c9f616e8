package outbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

func TestAddListGetDrop(t *testing.T) {
	dir := filepath.Join(fastDir(t), "outbox")
	o := openOutbox(t, safeio.Disk{}, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the outbox has mode %v, %v", info.Mode(), err)
	}
	first := addMail(t, o)
	e, write := testMail()
	e.Created = e.Created.Add(time.Millisecond)
	// What the caller says of states does not count.
	e.Messages[0].State, e.Messages[0].Attempts, e.Copy.Done = Sent, 7, true
	second, err := o.Add(t.Context(), e, write)
	if err != nil {
		t.Fatal(err)
	}
	if m := second.Messages[0]; m.State != Queued || m.Attempts != 0 || m.Size != int64(len(toBob)) || second.Copy.Done {
		t.Errorf("accepted as %+v", second)
	}
	if e.Messages[0].State != Sent {
		t.Error("the caller's entry was changed")
	}

	o = openOutbox(t, safeio.Disk{}, dir)
	all, err := o.List()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Entry{first, second}, all); diff != "" {
		t.Error(diff)
	}
	got, err := o.Get(second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(second, got); diff != "" {
		t.Error(diff)
	}
	for i, want := range []string{toBob, toCarol} {
		r, err := o.Open(second, i)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || string(content) != want {
			t.Errorf("message %d: %q, %v", i, content, err)
		}
		_ = r.Close()
	}

	if err := o.Drop(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{first.ID, "", "..", "../" + second.ID, strings.ToUpper(second.ID), newID(time.Now())} {
		if _, err := o.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%q): %v", id, err)
		}
		if err := o.Drop(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Drop(%q): %v", id, err)
		}
		if _, err := o.Deliver(t.Context(), id, Ports{}, DeliverOptions{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("Deliver(%q): %v", id, err)
		}
	}
	if all, err = o.List(); err != nil || len(all) != 1 {
		t.Errorf("after Drop: %v, %v", all, err)
	}
	noLeftovers(t, dir, second.ID)
}

// noLeftovers checks that nothing but the lock and the named entries is in the outbox, and who may read it.
func noLeftovers(t *testing.T, dir string, ids ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != lockFile && !slices.Contains(ids, e.Name()) {
			t.Errorf("%s is left", e.Name())
		}
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAddRefuses(t *testing.T) {
	dir := fastDir(t)
	o := openOutbox(t, safeio.Disk{}, dir)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		change func(e *Entry, write []func(io.Writer) error) []func(io.Writer) error
		want   error
	}{
		"no message": {t.Context(), func(e *Entry, _ []func(io.Writer) error) []func(io.Writer) error {
			e.Messages, e.Copy = nil, nil
			return nil
		}, ErrInvalid},
		"a writer too few": {t.Context(), func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error { return w[:1] }, ErrInvalid},
		"to nobody": {t.Context(), func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error {
			e.Messages[0].Envelope.To, e.Messages[1].Envelope.To = nil, nil
			return w
		}, ErrInvalid},
		"empty message": {t.Context(), func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error {
			return []func(io.Writer) error{w[0], writes("")}
		}, ErrInvalid},
		"copy of nothing": {t.Context(), func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error {
			e.Copy.Message = 2
			return w
		}, ErrInvalid},
		"copy that cannot be found": {t.Context(), func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error {
			e.MessageID = ""
			return w
		}, ErrInvalid},
		"no time": {t.Context(), func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error {
			e.Created = time.Time{}
			return w
		}, ErrInvalid},
		"writer fails": {t.Context(), func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error {
			return []func(io.Writer) error{w[0], func(w io.Writer) error {
				if _, err := io.WriteString(w, "half"); err != nil {
					return err
				}
				return errInjected
			}}
		}, errInjected},
		"cancelled": {cancelled, func(e *Entry, w []func(io.Writer) error) []func(io.Writer) error { return w }, context.Canceled},
	} {
		e, write := testMail()
		write = c.change(&e, write)
		if _, err := o.Add(c.ctx, e, write); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	noLeftovers(t, dir)
}

func TestDeliver(t *testing.T) {
	dir := fastDir(t)
	o := openOutbox(t, safeio.Disk{}, dir)
	s := newFakeServer()
	e := addMail(t, o)
	result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{Now: e.Created})
	if err != nil || result.State != Sent {
		t.Fatalf("%+v, %v", result, err)
	}
	if s.inbox[toBob] != 1 || s.inbox[toCarol] != 1 || !slices.Equal(s.sent["Sent"], []string{toBob}) {
		t.Errorf("inbox %v, sent %v", s.inbox, s.sent)
	}
	noLeftovers(t, dir)
}

func TestMessageForTheCopyAlone(t *testing.T) {
	o := openOutbox(t, safeio.Disk{}, fastDir(t))
	s := newFakeServer()
	e, write := testMail()
	e.Messages[0].Envelope.To = nil
	added, err := o.Add(t.Context(), e, write)
	if err != nil {
		t.Fatal(err)
	}
	if result, err := o.Deliver(t.Context(), added.ID, s.ports(), DeliverOptions{}); err != nil || result.State != Sent {
		t.Fatalf("%+v, %v", result, err)
	}
	if s.inbox[toBob] != 0 || s.inbox[toCarol] != 1 || !slices.Equal(s.sent["Sent"], []string{toBob}) {
		t.Errorf("inbox %v, sent %v", s.inbox, s.sent)
	}
}

// TestSentFolder: the copy goes where the server keeps what was sent, and once it is begun there, stays there.
func TestSentFolder(t *testing.T) {
	for name, c := range map[string]struct{ marked, want string }{
		"marked": {"Gesendet", "Gesendet"}, "the same": {"Sent", "Sent"}, "not marked": {"", "Sent"},
	} {
		dir := fastDir(t)
		o := openOutbox(t, safeio.Disk{}, dir)
		s := newFakeServer()
		s.sentName = c.marked
		s.fail = func(step string) error {
			if step == "appended" {
				return errInjected
			}
			return nil
		}
		e, write := testMail()
		e.Copy.Use = `\Sent`
		e, err := o.Add(t.Context(), e, write)
		if err != nil {
			t.Fatal(err)
		}
		if result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{}); !errors.Is(err, errInjected) || result.State != Sent {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
		s.fail = func(string) error { return nil }
		if result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{}); err != nil || result.State != Sent {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
		if len(s.sent) != 1 || len(s.sent[c.want]) != 1 {
			t.Errorf("%s: %v, want one copy in %s", name, s.sent, c.want)
		}
		noLeftovers(t, dir)
	}
}

// TestStates follows the first message through one failure and what comes after.
func TestStates(t *testing.T) {
	at := func(want string) func(string) error {
		return func(step string) error {
			if step == want {
				return errInjected
			}
			return nil
		}
	}
	first := func(want string) func(string) error {
		done := false
		return func(step string) error {
			if step == want && !done {
				done = true
				return errInjected
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		fail         func(string) error
		states       [2]State
		entry        State
		copies       int
		later        State // after an undisturbed flush
		bob          int   // copies in Bob's inbox then
		resent       int   // copies after a flush that resends
		failedResend bool
	}{
		"no connection":      {at("connect"), [2]State{Queued, Queued}, Queued, 0, Sent, 1, 1, false},
		"refused at RCPT":    {first("rcpt"), [2]State{Refused, Sent}, Refused, 1, Refused, 0, 1, false},
		"line dies in DATA":  {first("data"), [2]State{Queued, Queued}, Queued, 0, Sent, 1, 1, false},
		"refused at the dot": {first("refuse"), [2]State{Queued, Sent}, Queued, 1, Sent, 1, 1, false},
		"dot is lost":        {first("dot"), [2]State{Uncertain, Queued}, Uncertain, 1, Uncertain, 0, 1, false},
		"answer is lost":     {first("took"), [2]State{Uncertain, Queued}, Uncertain, 1, Uncertain, 1, 2, false},
		"no store":           {at("store"), [2]State{Sent, Sent}, Sent, 0, Sent, 1, 1, false},
		"append refused":     {at("append"), [2]State{Sent, Sent}, Sent, 0, Sent, 1, 1, false},
		"append's answer":    {at("appended"), [2]State{Sent, Sent}, Sent, 1, Sent, 1, 1, false},
		"then a bad resend":  {first("took"), [2]State{Uncertain, Queued}, Uncertain, 1, Uncertain, 1, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fastDir(t)
			o := openOutbox(t, safeio.Disk{}, dir)
			s := newFakeServer()
			s.fail = c.fail
			e := addMail(t, o)
			result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{Now: e.Created})
			if !errors.Is(err, errInjected) && err == nil {
				t.Error("no error")
			}
			kept, err := o.Get(e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(result.Entry, kept); diff != "" {
				t.Errorf("told differs from kept: %s", diff)
			}
			for i, want := range c.states {
				m := kept.Messages[i]
				if m.State != want || (m.Error != "") != (m.Attempts > 0 && want != Sent) {
					t.Errorf("message %d: %+v, want %s", i, m, want)
				}
			}
			if result.State != c.entry || len(s.sent["Sent"]) != c.copies {
				t.Errorf("state %s, %d copies; want %s, %d", result.State, len(s.sent["Sent"]), c.entry, c.copies)
			}

			s.fail = func(string) error { return nil }
			o = openOutbox(t, safeio.Disk{}, dir)
			result, err = o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{Now: e.Created})
			if err != nil || result.State != c.later {
				t.Errorf("later: %s, %v; want %s", result.State, err, c.later)
			}
			if s.inbox[toBob] != c.bob || s.inbox[toCarol] != 1 || len(s.sent["Sent"]) != 1 {
				t.Errorf("later: inbox %v, sent %v", s.inbox, s.sent)
			}
			if c.later == Sent {
				noLeftovers(t, dir)
				return
			}
			if c.failedResend {
				// The second attempt is known to have failed. What became of the first is as unknown as before.
				s.fail = at("refuse")
				result, err = o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{ResendUncertain: true})
				if err == nil || result.State != Uncertain {
					t.Errorf("bad resend: %s, %v", result.State, err)
				}
				s.fail = func(string) error { return nil }
			}
			result, err = o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{ResendUncertain: true, RetryRefused: true})
			if err != nil || result.State != Sent || s.inbox[toBob] != c.resent || len(s.sent["Sent"]) != 1 {
				t.Errorf("resent: %s, %v, inbox %v, sent %v", result.State, err, s.inbox, s.sent)
			}
			noLeftovers(t, dir)
		})
	}
}

// TestRefusals: who was refused is kept with the message, and what is refused for good waits for a person, while what is
// refused for now waits for its time. Other messages of the entry are sent, once.
func TestRefusals(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	bob := func(permanent bool) *mailbox.RefusedError {
		r := &mailbox.RefusedError{Recipient: "bob@example.org", Step: "RCPT", Code: 450, EnhancedCode: "4.2.1", Text: "busy"}
		if permanent {
			r.Code, r.EnhancedCode, r.Text, r.Permanent = 550, "5.1.1", "nobody", true
		}
		return r
	}
	for name, c := range map[string]struct {
		err   error
		state State
		list  []Refusal
	}{
		"for now": {bob(false), Queued, []Refusal{{Recipient: "bob@example.org", Code: 450, EnhancedCode: "4.2.1", Text: "busy"}}},
		"for good": {
			bob(true), Refused,
			[]Refusal{{Recipient: "bob@example.org", Code: 550, EnhancedCode: "5.1.1", Text: "nobody", Permanent: true}},
		},
		"one of two for good": {
			&mailbox.RefusedRecipientsError{Recipients: []*mailbox.RefusedError{{Recipient: "dora@example.org", Code: 451}, bob(true)}}, Refused,
			[]Refusal{{Recipient: "dora@example.org", Code: 451}, {Recipient: "bob@example.org", Code: 550, EnhancedCode: "5.1.1", Text: "nobody", Permanent: true}},
		},
		"too large":           {&mailbox.TooLargeError{Size: 3, Limit: 2}, Refused, nil},
		"no SMTPUTF8":         {&mailbox.UnsupportedError{Extension: "SMTPUTF8"}, Refused, nil},
		"not canonical":       {mailbox.ErrNotCanonical, Refused, nil},
		"not an address":      {mailbox.ErrAddress, Refused, nil},
		"wrong password":      {&mailbox.AuthError{}, Queued, nil},
		"untrusted server":    {&mailbox.ConnectError{Reason: mailbox.ReasonUntrusted}, Queued, nil},
		"server goes":         {&mailbox.RefusedError{Step: "MAIL", Code: 421}, Queued, []Refusal{{Code: 421}}},
		"the file is damaged": {ErrDamaged, Queued, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := openOutbox(t, safeio.Disk{}, fastDir(t))
			s := newFakeServer()
			e := addMail(t, o)
			s.submit = func(to string) error {
				if to == "bob@example.org" {
					return c.err
				}
				return nil
			}
			result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{Now: at})
			if !errors.Is(err, c.err) {
				t.Fatal(err)
			}
			kept, err := o.Get(e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(result.Entry, kept); diff != "" {
				t.Errorf("told differs from kept: %s", diff)
			}
			if diff := cmp.Diff(c.list, kept.Messages[0].Refusals); diff != "" || kept.Messages[0].State != c.state || result.State != c.state {
				t.Errorf("%+v, %s", kept.Messages[0], diff)
			}
			if kept.Failures != 1 || kept.Due(at.Add(time.Minute-1)) || kept.Due(at.Add(time.Hour)) != (c.state == Queued) {
				t.Errorf("next at %v after %d failures, and it is %s", kept.NextAttempt, kept.Failures, c.state)
			}
			carol := s.inbox[toCarol] // not, where it is the way that failed

			// Without a person, what is refused stays as it is.
			s.log = nil
			result, err = o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{Now: at})
			if c.state == Refused && (err != nil || result.State != Refused || len(s.log) > 0) {
				t.Errorf("tried again: %s, %v, %v", result.State, err, s.log)
			}
			s.submit = nil
			result, err = o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{Now: at, RetryRefused: true})
			if err != nil || result.State != Sent || s.inbox[toBob] != 1 || s.inbox[toCarol] != 1 || len(s.sent["Sent"]) != 1 {
				t.Errorf("%s, %v; Carol had %d; inbox %v, sent %v", result.State, err, carol, s.inbox, s.sent)
			}
			if result.Entry.Messages[0].Refusals != nil || result.Entry.Messages[0].Error != "" {
				t.Errorf("sent, and %+v", result.Entry.Messages[0])
			}
		})
	}
}

// TestRefusedAfterUncertain: a refusal of the second attempt says nothing of the first.
func TestRefusedAfterUncertain(t *testing.T) {
	o := openOutbox(t, safeio.Disk{}, fastDir(t))
	s := newFakeServer()
	e := addMail(t, o)
	s.submit = func(string) error { return &mailbox.RefusedError{Code: 550, Permanent: true} }
	kept, err := o.Get(e.ID)
	if err != nil {
		t.Fatal(err)
	}
	kept.Messages[0].State = Uncertain
	if err := o.save(kept); err != nil {
		t.Fatal(err)
	}
	result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{ResendUncertain: true})
	if err == nil || result.Entry.Messages[0].State != Uncertain || result.Entry.Messages[1].State != Refused || result.State != Uncertain {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestCancelledIsNotPutOff: who breaks off a delivery does not wait longer for the next.
func TestCancelledIsNotPutOff(t *testing.T) {
	o := openOutbox(t, safeio.Disk{}, fastDir(t))
	s := newFakeServer()
	e := addMail(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	s.submit = func(string) error {
		cancel()
		return &mailbox.ConnectError{Reason: mailbox.ReasonCancelled, Err: ctx.Err()}
	}
	result, err := o.Deliver(ctx, e.ID, s.ports(), DeliverOptions{Now: e.Created})
	if !errors.Is(err, context.Canceled) || result.State != Queued || !result.Entry.Due(e.Created) {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestOneDelivererAtATime(t *testing.T) {
	dir := fastDir(t)
	o := openOutbox(t, safeio.Disk{}, dir)
	s := newFakeServer()
	e := addMail(t, o)
	s.fail = func(step string) error {
		if step != "data" {
			return nil
		}
		other := openOutbox(t, safeio.Disk{}, dir)
		if _, err := other.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{}); !errors.Is(err, ErrBusy) {
			t.Errorf("second Deliver: %v", err)
		}
		if err := other.Drop(t.Context(), e.ID); !errors.Is(err, ErrBusy) {
			t.Errorf("Drop: %v", err)
		}
		return nil
	}
	if result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{}); err != nil || result.State != Sent {
		t.Fatalf("%+v, %v", result, err)
	}
	if s.inbox[toBob] != 1 {
		t.Errorf("inbox %v", s.inbox)
	}
	noLeftovers(t, dir)
}

// TestOpenDuringAdd opens the outbox while an entry is being prepared: it is not a leftover.
func TestOpenDuringAdd(t *testing.T) {
	dir := fastDir(t)
	o := openOutbox(t, safeio.Disk{}, dir)
	e, write := testMail()
	inner := write[1]
	write[1] = func(w io.Writer) error {
		openOutbox(t, safeio.Disk{}, dir)
		return inner(w)
	}
	added, err := o.Add(t.Context(), e, write)
	if err != nil {
		t.Fatal(err)
	}
	noLeftovers(t, dir, added.ID)
}

func TestDamagedEntries(t *testing.T) {
	dir := fastDir(t)
	o := openOutbox(t, safeio.Disk{}, dir)
	good := addMail(t, o)
	s := newFakeServer()
	for name, damage := range map[string]func(path string) error{
		"no description": func(path string) error { return os.Remove(filepath.Join(path, entryFile)) },
		"half a description": func(path string) error {
			return os.Truncate(filepath.Join(path, entryFile), 100)
		},
		"newer version": func(path string) error {
			return replaceInFile(filepath.Join(path, entryFile), `"version":2`, `"version":3`)
		},
		"unknown field": func(path string) error {
			return replaceInFile(filepath.Join(path, entryFile), `"account"`, `"hold_until":1,"account"`)
		},
		"unknown state": func(path string) error {
			return replaceInFile(filepath.Join(path, entryFile), `"queued"`, `"sending"`)
		},
		"copy of nothing": func(path string) error {
			return replaceInFile(filepath.Join(path, entryFile), `"message":0`, `"message":9`)
		},
		"message cut short": func(path string) error { return os.Truncate(filepath.Join(path, "0.eml"), 3) },
	} {
		bad := addMail(t, o)
		if err := damage(o.path(bad.ID)); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Deliver(t.Context(), bad.ID, s.ports(), DeliverOptions{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Deliver: %v", name, err)
		}
		if s.inbox[toBob] != 0 {
			t.Fatalf("%s: it was sent", name)
		}
		all, err := o.List()
		if name != "message cut short" {
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), bad.ID) {
				t.Errorf("%s: List: %v", name, err)
			}
			if len(all) != 1 || all[0].ID != good.ID {
				t.Errorf("%s: the good entry is not listed: %v", name, all)
			}
		}
		if err := o.Drop(t.Context(), bad.ID); err != nil {
			t.Errorf("%s: Drop: %v", name, err)
		}
	}
	noLeftovers(t, dir, good.ID)
}

func replaceInFile(path, old, replacement string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(data), old) {
		return errors.New(old + " is not in " + path)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(data), old, replacement, 1)), 0o600)
}

// TestWrites counts for what the disk is waited for while an entry is delivered, which is what a message costs: a mark before
// the final dot of each message, a record (a file and its folder) after all but the last, or where the copy begins, and
// the end of the entry.
func TestWrites(t *testing.T) {
	for name, c := range map[string]struct {
		copy bool
		want int
	}{"with a copy": {true, 2 + 2*2 + 1}, "without": {false, 2 + 1*2 + 1}} {
		waits := 0
		disk := safeio.Disk{Before: func(op, path string) error {
			if op == safeio.OpSync || op == safeio.OpSyncDir {
				waits++
			}
			return nil
		}}
		o := openOutbox(t, disk, fastDir(t))
		e, write := testMail()
		if !c.copy {
			e.Copy = nil
		}
		e, err := o.Add(t.Context(), e, write)
		if err != nil {
			t.Fatal(err)
		}
		waits = 0
		if _, err := o.Deliver(t.Context(), e.ID, newFakeServer().ports(), DeliverOptions{}); err != nil || waits != c.want {
			t.Errorf("%s: the disk was waited for %d times, want %d; %v", name, waits, c.want, err)
		}
	}
}

// TestMarks: a mark makes its message uncertain until the entry tells of the attempt, and an entry of a version that knows no
// marks gets none.
func TestMarks(t *testing.T) {
	for _, version := range []string{`"version":1`, `"version":2`} {
		dir := fastDir(t)
		o := openOutbox(t, safeio.Disk{}, dir)
		e, write := testMail()
		e, err := o.Add(t.Context(), e, write)
		if err != nil {
			t.Fatal(err)
		}
		if err := replaceInFile(filepath.Join(o.path(e.ID), entryFile), `"version":2`, version); err != nil {
			t.Fatal(err)
		}
		s := newFakeServer()
		s.fail = func(step string) error {
			if step != "dot" {
				return nil
			}
			// As the next process finds it after a kill at this moment.
			found, err := o.Get(e.ID)
			if err != nil || found.Messages[0].State != Uncertain || found.Messages[0].Attempts != 1 || found.Messages[1].State != Queued {
				t.Errorf("%s: %+v, %v", version, found, err)
			}
			if _, err := os.Lstat(filepath.Join(o.path(e.ID), markFile(0, 1))); (err == nil) != (version == `"version":2`) {
				t.Errorf("%s: the mark: %v", version, err)
			}
			return nil
		}
		s.fail = func(fail func(string) error) func(string) error {
			once := true
			return func(step string) error {
				if step == "refuse" {
					return errInjected // for now
				}
				if step == "dot" && once {
					once = false
					return fail(step)
				}
				return nil
			}
		}(s.fail)
		if result, err := o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{}); err == nil || result.State != Queued {
			t.Errorf("%s: %s, %v", version, result.State, err)
		}
		if found, err := o.Get(e.ID); err != nil || found.State() != Queued || found.Messages[0].Attempts != 1 {
			t.Errorf("%s, refused for now: %+v, %v", version, found, err)
		}
	}
}
