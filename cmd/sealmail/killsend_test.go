//go:build unix

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/outbox"
)

// fates counts in which states kills left messages, to see that the steps are those that they should be.
type fates struct {
	mu sync.Mutex
	n  map[string]int
}

func (f *fates) add(fate string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == nil {
		f.n = map[string]int{}
	}
	f.n[fate]++
}

func (f *fates) mustHave(t *testing.T, all ...string) {
	t.Helper()
	t.Logf("%v", f.n)
	for _, fate := range all {
		if f.n[fate] == 0 && !t.Failed() {
			t.Errorf("no kill left a message %s", fate)
		}
	}
}

func (l *killLab) killSend(t *testing.T) {
	var f fates
	c := killCase{
		lab: l, stage: stageOld, person: killAlice,
		args: func(w *killWorld) []string { return w.sendArgs("new") },
		check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
			w.sent(t, k, before, &f, w.sendArgs("new"))
		},
	}
	t.Run("client", c.atEachStep)
	t.Run("server", c.atEachEvent)
	f.mustHave(t, "refused", "queued", "uncertain and lost", "uncertain and arrived", "sent")
}

// sent checks what a killed send left behind. What was not accepted is sent again; what was, is brought to its end.
func (w *killWorld) sent(t *testing.T, k killed, before map[string][]string, f *fates, again []string) {
	t.Helper()
	w.unharmed(t, killAlice)
	if accepted(k) {
		w.delivered(t, before, f)
	} else {
		f.add("refused")
		if lines := w.waiting(t); len(lines) > 0 {
			t.Errorf("in the outbox: %v", lines)
		}
		w.mustHaveArrived(t, before, 0)
		w.run(t, killAlice, again...).mustBe(t, exitGood)
		w.mustHaveArrived(t, before, 1)
	}
	w.readable(t, k)
	w.tidy(t, killAlice)
}

func (l *killLab) killFlush(t *testing.T) {
	for stage, args := range map[string][]string{
		stageQueued:    {"outbox", "flush"},
		stageUncertain: {"outbox", "flush", "--resend-uncertain"},
	} {
		t.Run(stage, func(t *testing.T) {
			var f fates
			killCase{
				lab: l, stage: stage, person: killAlice,
				args: func(*killWorld) []string { return args },
				check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
					w.unharmed(t, killAlice)
					w.delivered(t, before, &f)
					w.readable(t, k)
					w.tidy(t, killAlice)
				},
			}.atEachStep(t)
			f.mustHave(t, "uncertain and lost", "uncertain and arrived", "sent")
		})
	}
}

// accepted reports whether send came as far as to put the message into the outbox, which is one rename.
func accepted(k killed) bool {
	return slices.ContainsFunc(k.steps[:len(k.steps)-1], func(step string) bool {
		path, ok := strings.CutPrefix(step, "rename ")
		return ok && filepath.Base(filepath.Dir(path)) == "outbox" && !strings.HasPrefix(filepath.Base(path), ".")
	})
}

// waiting is what `outbox list` shows.
func (w *killWorld) waiting(t *testing.T) []client.OutboxLine {
	t.Helper()
	return killLines[client.OutboxLine](t, w.run(t, killAlice, "outbox", "list").mustBe(t, exitGood))
}

func (w *killWorld) mustHaveArrived(t *testing.T, before map[string][]string, want int) {
	t.Helper()
	now := w.arrivals(t, before)
	for _, place := range w.places {
		if now[place] != want {
			t.Errorf("%s: %d times, want %d", place, now[place], want)
		}
	}
}

// delivered brings a message that was accepted to its end, and checks on the way that nothing is lost and nothing is
// doubled unasked.
func (w *killWorld) delivered(t *testing.T, before map[string][]string, f *fates) {
	t.Helper()
	lines := w.waiting(t)
	if len(lines) == 0 {
		f.add("sent")
		w.mustHaveArrived(t, before, 1)
		return
	}
	box, err := outbox.Open(safeio.Disk{}, filepath.Join(w.home(killAlice), "outbox"))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := box.Get(lines[0].ID)
	if err != nil || len(lines) != 1 || lines[0].State != string(entry.State()) {
		t.Fatalf("%d lines, state %s and %s, %v", len(lines), lines[0].State, entry.State(), err)
	}
	// What the outbox says is what the recipients see, each message being for one audience.
	arrived := w.arrivals(t, before)
	want := map[string]int{killAlice + " Sent": 1}
	uncertain := map[string]bool{}
	for _, m := range entry.Messages {
		for _, to := range m.Envelope.To {
			place, n := to+" INBOX", arrived[to+" INBOX"]
			want[place] = 1
			switch {
			case n == 0 && m.State == outbox.Queued, n == 1 && m.State == outbox.Sent:
				f.add(string(m.State))
			case n < 2 && m.State == outbox.Uncertain:
				f.add("uncertain and " + []string{"lost", "arrived"}[n])
				uncertain[place], want[place] = true, n
			default:
				t.Errorf("%s: %d times, and %s", place, n, m.State)
			}
		}
	}
	check := func(when string) {
		t.Helper()
		if now := w.arrivals(t, before); fmt.Sprint(nonzero(now)) != fmt.Sprint(nonzero(want)) {
			t.Errorf("%s there are %v, want %v", when, now, want)
		}
	}
	if len(uncertain) > 0 {
		for range 2 { // not at the first time, and not when asked again
			w.run(t, killAlice, "outbox", "flush").mustBe(t, exitFailed)
			check("after flush")
			if lines := w.waiting(t); len(lines) != 1 || lines[0].State != string(outbox.Uncertain) {
				t.Errorf("in the outbox: %v", lines)
			}
		}
		for place := range uncertain {
			want[place]++
		}
		w.run(t, killAlice, "outbox", "flush", "--resend-uncertain").mustBe(t, exitGood)
	} else {
		w.run(t, killAlice, "outbox", "flush").mustBe(t, exitGood)
	}
	check("at the end")
	if lines := w.waiting(t); len(lines) > 0 {
		t.Errorf("in the outbox at the end: %v", lines)
	}
}

func nonzero(n map[string]int) map[string]int {
	out := map[string]int{}
	for key, value := range n {
		if value != 0 {
			out[key] = value
		}
	}
	return out
}

// readable checks that one of the recipients, or the sender, can open what there is, and that its signature holds. Whose
// turn it is goes by the number of the step.
func (w *killWorld) readable(t *testing.T, k killed) {
	t.Helper()
	person, folder, _ := strings.Cut(w.places[len(k.steps)%len(w.places)], " ")
	w.run(t, person, "fetch", folder, "--strict").mustBe(t, exitGood)
}
