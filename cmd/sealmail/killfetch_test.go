//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

func (l *killLab) killFetch(t *testing.T) {
	for _, stage := range []string{stageOld, stageNew, stageMany, stageChanged} {
		t.Run(stage, func(t *testing.T) {
			c := l.fetchKilled(stage, nil)
			if stage == stageMany {
				c.only = func(steps []string, i int) bool { return strings.Contains(steps[i], "/index/") }
				c.atEachStep(t)
				return
			}
			if stage == stageOld { // the next stage takes the same steps, and more
				c.only = some(6)
			}
			t.Run("client", c.atEachStep)
			t.Run("server", c.atEachEvent)
		})
	}
}

// fetchKilled is bob's fetch, and what holds after it was killed: what is in the list is so once, the next fetch brings the rest,
// and no mailbox changes.
func (l *killLab) fetchKilled(stage string, begin func(t *testing.T) *killWorld) killCase {
	return killCase{
		lab: l, stage: stage, person: killBob, begin: begin,
		args: func(*killWorld) []string { return []string{"fetch"} },
		check: func(t *testing.T, w *killWorld, _ killed, before map[string][]string) {
			w.unharmed(t, killBob)
			w.listed(t)
			w.run(t, killBob, "fetch", "--strict").mustBe(t, exitGood)
			w.agrees(t, killBob, "INBOX")
			if again := w.run(t, killBob, "fetch").mustBe(t, exitGood); again.out != "" {
				t.Errorf("fetched again: %s", again.out)
			}
			if n := w.certificates(t, killBob)["correspondent"]; n != 1 {
				t.Errorf("%d correspondents", n)
			}
			w.unharmed(t, killBob)
			w.tidy(t, killBob)
			w.untouched(t, before)
		},
	}
}

// untouched checks that no mailbox changed.
func (w *killWorld) untouched(t *testing.T, before map[string][]string) {
	t.Helper()
	if n := nonzero(w.arrivals(t, before)); len(n) > 0 {
		t.Errorf("arrived: %v", n)
	}
}

// listed checks that `list` shows no message of the inbox twice, and none that was never there; it says nothing else but, where it
// shows none, that the folder was never fetched.
func (w *killWorld) listed(t *testing.T) {
	t.Helper()
	list := w.run(t, killBob, "list", "--strict").mustBe(t, exitGood)
	lines := killLines[client.ListLine](t, list)
	unfetched := len(lines) == 0 && strings.HasPrefix(list.err, "note: INBOX was never fetched")
	if list.err != "" && !unfetched {
		t.Errorf("list says\n%s", list.err)
	}
	there := w.held(t, killBob, "INBOX")
	last := mailbox.UID(0)
	for _, line := range lines {
		uid := mailbox.UID(line.UID)
		known := slices.Contains(w.gone, uid) || slices.ContainsFunc(there, func(m heldMessage) bool { return m.UID == uid })
		if uid <= last || !known {
			t.Errorf("the list has message %d after %d; at the server there are %v, and %v were", uid, last, there, w.gone)
		}
		last = uid
	}
}

// agrees checks that `list` shows what is in a folder at the server, each once, with its flags.
func (w *killWorld) agrees(t *testing.T, person, folder string) {
	t.Helper()
	var have, want []string
	list := w.run(t, person, "list", folder).mustBe(t, exitGood)
	for _, line := range killLines[client.ListLine](t, list) {
		have = append(have, fmt.Sprint(line.UID, slices.Sorted(slices.Values(line.Flags))))
	}
	for _, m := range w.held(t, person, folder) {
		want = append(want, fmt.Sprint(m.UID, m.Flags))
	}
	if !slices.Equal(have, want) || list.err != "" {
		t.Errorf("%s here: %v\nat the server: %v\n%s", folder, have, want, list.err)
	}
}

// killRead kills what only reads: nothing changes at all.
func (l *killLab) killRead(t *testing.T) {
	for name, args := range map[string][]string{
		"list": {"list"}, "read": {"read", "last"}, "outbox list": {"outbox", "list"},
	} {
		t.Run(name, func(t *testing.T) {
			killCase{
				lab: l, stage: stageNew, person: killBob, shortStride: 5,
				args: func(*killWorld) []string { return args },
				check: func(t *testing.T, w *killWorld, _ killed, before map[string][]string) {
					w.unharmed(t, killBob)
					w.run(t, killBob, args...).mustBe(t, exitGood)
					w.tidy(t, killBob)
					w.untouched(t, before)
				},
			}.atEachStep(t)
		})
	}
}
