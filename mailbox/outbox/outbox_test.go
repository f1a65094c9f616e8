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
		"refused at RCPT":    {first("rcpt"), [2]State{Queued, Sent}, Queued, 1, Sent, 1, 1, false},
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
			result, err = o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{ResendUncertain: true})
			if err != nil || result.State != Sent || s.inbox[toBob] != c.resent || len(s.sent["Sent"]) != 1 {
				t.Errorf("resent: %s, %v, inbox %v, sent %v", result.State, err, s.inbox, s.sent)
			}
			noLeftovers(t, dir)
		})
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
			return replaceInFile(filepath.Join(path, entryFile), `"version":1`, `"version":2`)
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
