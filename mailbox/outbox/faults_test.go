package outbox

import (
	"fmt"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

// TestFaultAtEachStep lets each step of a mail's way fail in turn, those of the disk and those on the network, and
// looks at what is left: with the step alone failing, and with nothing working any more from the step on, as after a
// kill. Then the outbox is opened again, with all in order, and flushed.
func TestFaultAtEachStep(t *testing.T) {
	for _, mode := range []struct {
		name  string
		fails func(count, step int) bool
	}{
		{"fault", func(count, step int) bool { return count == step }},
		{"kill", func(count, step int) bool { return count >= step }},
	} {
		t.Run(mode.name, func(t *testing.T) {
			uncertain := 0
			for last, step := false, 0; !last; step++ {
				name := fmt.Sprintf("%s at step %d", mode.name, step)
				count, at := -1, ""
				fails := func(what string) error {
					if count++; mode.fails(count, step) {
						if at == "" {
							at = what
						}
						return errInjected
					}
					return nil
				}
				disk := safeio.Disk{Before: func(op, path string) error { return fails(op + " " + path) }}
				dir := fastDir(t)
				s := newFakeServer()
				s.fail = fails
				accepted, err := oneLife(t, disk, dir, s)
				last = err == nil
				name += " (" + at + ")"
				if flushAfterFault(t, name, dir, s, accepted, mode.name == "fault") == Uncertain {
					uncertain++
				}
			}
			if uncertain == 0 {
				t.Error("no fault left a message uncertain: the steps are not those that they should be")
			}
		})
	}
}

// oneLife accepts a mail and delivers it.
func oneLife(t *testing.T, disk safeio.Disk, dir string, s *fakeServer) (accepted bool, err error) {
	t.Helper()
	o, err := Open(disk, dir)
	if err != nil {
		return false, err
	}
	e, write := testMail()
	e.Copy.Folder, e.Copy.Use = "Outgoing", `\Sent`
	s.sentName = "Sent"
	if e, err = o.Add(t.Context(), e, write); err != nil {
		return false, err
	}
	_, err = o.Deliver(t.Context(), e.ID, s.ports(), DeliverOptions{Now: e.Created})
	return true, err
}

// flushAfterFault opens the outbox as the next process would, sends what is there, and checks the promises. told is
// whether somebody was told of an error of Add: a killed process tells nobody.
func flushAfterFault(t *testing.T, name, dir string, s *fakeServer, accepted, told bool) State {
	t.Helper()
	s.fail = func(string) error { return nil }
	o := openOutbox(t, safeio.Disk{}, dir)
	all, err := o.List()
	if err != nil || len(all) > 1 {
		t.Fatalf("%s: %v, %v", name, all, err)
	}
	switch {
	case len(all) == 0 && accepted:
		// It must be done, then.
		if s.inbox[toBob] != 1 || s.inbox[toCarol] != 1 || len(s.sent["Sent"]) != 1 {
			t.Errorf("%s: the entry is gone; inbox %v, sent %v", name, s.inbox, s.sent)
		}
		return Sent
	case len(all) == 0:
		if len(s.inbox) > 0 {
			t.Errorf("%s: not accepted, but sent: %v", name, s.inbox)
		}
		return Queued
	case !accepted && told:
		t.Errorf("%s: refused, but in the outbox", name)
	}
	id := all[0].ID
	for i, content := range []string{toBob, toCarol} {
		if all[0].Messages[i].State == Refused && s.inbox[content] != 0 {
			t.Errorf("%s: message %d is refused, and was sent", name, i)
		}
	}
	// Some steps refuse a message for good, which only a person overrules.
	result, err := o.Deliver(t.Context(), id, s.ports(), DeliverOptions{RetryRefused: true})
	if err != nil {
		t.Errorf("%s: flush: %v", name, err)
	}
	if len(s.sent["Sent"]) != 1 {
		t.Errorf("%s: %d copies", name, len(s.sent["Sent"]))
	}
	for i, content := range []string{toBob, toCarol} {
		n, state := s.inbox[content], result.Entry.Messages[i].State
		switch {
		case n > 1:
			t.Errorf("%s: message %d was sent %d times", name, i, n)
		case state == Queued || state == Refused:
			t.Errorf("%s: message %d is still %s", name, i, state)
		case state == Sent && n != 1:
			t.Errorf("%s: message %d is lost", name, i)
		}
	}
	if result.State != Uncertain {
		noLeftovers(t, dir)
		return result.State
	}
	// A person decides. Each message that arrived is there at most twice now, as he was told, and the others once.
	result, err = o.Deliver(t.Context(), id, s.ports(), DeliverOptions{ResendUncertain: true})
	if err != nil || result.State != Sent || len(s.sent["Sent"]) != 1 {
		t.Errorf("%s: resending: %s, %v, sent %v", name, result.State, err, s.sent)
	}
	for _, content := range []string{toBob, toCarol} {
		if n := s.inbox[content]; n < 1 || n > 2 {
			t.Errorf("%s: resent, a message is there %d times", name, n)
		}
	}
	noLeftovers(t, dir)
	return Uncertain
}

// TestUncertainOnlyWhereTrue lets each step of the disk fail while the network works. Nothing may be called uncertain
// then but a message that the server took and whose answer could not be recorded.
func TestUncertainOnlyWhereTrue(t *testing.T) {
	for last, step := false, 0; !last; step++ {
		count := -1
		disk := safeio.Disk{Before: func(op, path string) error {
			if count++; count == step {
				return errInjected
			}
			return nil
		}}
		dir := fastDir(t)
		s := newFakeServer()
		_, err := oneLife(t, disk, dir, s)
		last = err == nil
		all, err := openOutbox(t, safeio.Disk{}, dir).List()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			for i, content := range []string{toBob, toCarol} {
				if e.Messages[i].State == Uncertain && s.inbox[content] == 0 {
					t.Errorf("disk fault at step %d: message %d is uncertain, and was certainly not sent", step, i)
				}
			}
		}
	}
}
