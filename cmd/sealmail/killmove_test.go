//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

// shelf are two folders of bob's, and what is in the first one.
type shelf struct {
	from, to string
	held     []heldMessage
}

// picked are those of the messages that a command is about; the others stay as they are.
func (s *shelf) picked(i int) bool { return i == 0 || i == 2 }

func (s *shelf) ids() (ids []string) {
	for i, m := range s.held {
		if s.picked(i) {
			ids = append(ids, fmt.Sprint(m.UID))
		}
	}
	return ids
}

// shelve puts messages into one folder of bob's and one into another, whatever was in them before, and has him fetch both.
func (w *killWorld) shelve(t *testing.T, name string) {
	t.Helper()
	w.shelf = &shelf{from: name, to: name + "-to"}
	store := w.store(t, killBob)
	put := func(folder, subject string, flags ...string) {
		t.Helper()
		text := "From: " + killAlice + "\r\nDate: Thu, 05 Mar 2026 14:02:11 +0000\r\nMessage-ID: <" + subject + "@example.test>\r\nSubject: " + subject +
			"\r\n\r\nText of " + subject + ".\r\n"
		message := mailbox.NewMessage{Flags: flags, Date: time.Unix(1772719331, 0), Size: int64(len(text)), Body: strings.NewReader(text)}
		if _, err := store.Append(t.Context(), folder, message); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{w.shelf.from, w.shelf.to} {
		if err := store.CreateFolder(t.Context(), folder); err != nil {
			t.Fatal(err)
		}
		uids, err := store.UIDs(t.Context(), folder)
		if err == nil && len(uids) > 0 {
			err = store.Delete(t.Context(), folder, uids)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(w.shelf.from, "one", `\Seen`, `\Flagged`)
	put(w.shelf.from, "two", `\Answered`)
	put(w.shelf.from, "three", "$Work")
	put(w.shelf.from, "four")
	put(w.shelf.to, "there")
	w.configure(t, killBob, func(config string) string { return config + fmt.Sprintf("trash = %q\n", w.shelf.to) })
	for _, folder := range []string{w.shelf.from, w.shelf.to} {
		w.run(t, killBob, "fetch", folder).mustBe(t, exitGood)
	}
	w.shelf.held = w.held(t, killBob, w.shelf.from)
}

// configure changes the only account in somebody's configuration.
func (w *killWorld) configure(t *testing.T, person string, change func(config string) string) {
	t.Helper()
	path := filepath.Join(w.home(person), "config.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shelving is what can be done to messages on a shelf.
type shelving struct {
	args           func(s *shelf) []string
	elsewhere      bool // the messages are in the other folder afterwards
	gone           bool // they are gone
	added, removed []string
}

var shelvings = map[string]shelving{
	"move":        {args: func(s *shelf) []string { return slices.Concat([]string{"move"}, s.ids(), []string{s.to}) }, elsewhere: true},
	"delete":      {args: func(s *shelf) []string { return slices.Concat([]string{"delete"}, s.ids()) }, elsewhere: true},
	"permanently": {args: func(s *shelf) []string { return slices.Concat([]string{"delete", "--permanently", "--yes"}, s.ids()) }, gone: true},
	"flag": {
		args: func(s *shelf) []string {
			return slices.Concat([]string{"flag", "--add", "forwarded,flagged", "--remove", "seen"}, s.ids())
		},
		added: []string{"$Forwarded", `\Flagged`}, removed: []string{`\Seen`},
	},
}

// killShelved kills a command that does something to messages. atomic says that the server moves in one step.
func (l *killLab) killShelved(command string, atomic bool, begin func(t *testing.T) *killWorld) killCase {
	s := shelvings[command]
	args := func(w *killWorld) []string { return append(s.args(w.shelf), "--folder", w.shelf.from) }
	return killCase{
		lab: l, person: killBob, args: args, begin: begin, shortStride: 5, only: some(6),
		check: func(t *testing.T, w *killWorld, _ killed, before map[string][]string) {
			if list := w.run(t, killBob, "cert", "list").mustBe(t, exitGood); list.err != "" {
				t.Errorf("cert list says\n%s", list.err)
			}
			w.onShelf(t, s, atomic, false)
			// What was done is not there any more, and that is said.
			if o := w.run(t, killBob, args(w)...); o.code != exitGood && !(o.code == exitFailed && strings.Contains(o.out, mailbox.ErrNotFound.Error())) {
				t.Errorf("again: exit %d\n%s%s", o.code, o.out, o.err)
			}
			w.onShelf(t, s, atomic, true)
			for _, folder := range []string{w.shelf.from, w.shelf.to} {
				w.run(t, killBob, "fetch", folder).mustBe(t, exitGood)
				w.agrees(t, killBob, folder)
				if again := w.run(t, killBob, "fetch", folder).mustBe(t, exitGood); again.out != "" {
					t.Errorf("fetched again: %s", again.out)
				}
			}
			w.tidy(t, killBob)
			w.untouched(t, before)
		},
	}
}

// onShelf checks where each message is, and its flags. done says that nothing of the command is left to do.
func (w *killWorld) onShelf(t *testing.T, s shelving, atomic, done bool) {
	t.Helper()
	here, there := w.held(t, killBob, w.shelf.from), w.held(t, killBob, w.shelf.to)
	for i, m := range w.shelf.held {
		inHere, inThere := sameText(here, m), sameText(there, m)
		places := len(inHere) + len(inThere)
		left := places == 1 && len(inHere) == 1
		wrong := ""
		switch {
		case !w.shelf.picked(i):
			if !left || !slices.Equal(inHere[0], m.Flags) {
				wrong = "nobody asked for it"
			}
			inHere = nil
		case s.gone:
			if !left && places > 0 || done && places > 0 {
				wrong = "not deleted"
			}
		case s.elsewhere:
			if len(inHere) > 1 || len(inThere) > 1 || places == 0 || atomic && places > 1 || done && len(inHere) > 0 {
				wrong = "not moved once"
			}
		case !left || done && !slices.Equal(inHere[0], flagged(m.Flags, s.added, s.removed)):
			wrong = "not marked"
		}
		// One change comes after the other.
		may := slices.Concat(m.Flags, s.added)
		if !done && (s.gone || s.elsewhere && !atomic) {
			may = append(may, `\Deleted`)
		}
		must := flagged(m.Flags, nil, s.removed)
		for _, flags := range inHere {
			if len(flagged(flags, nil, may)) > 0 || len(flagged(must, nil, flags)) > 0 {
				wrong += " its flags"
			}
		}
		for _, flags := range inThere {
			if !slices.Equal(flags, m.Flags) {
				wrong += " its flags there"
			}
		}
		if wrong != "" {
			t.Errorf("message %d, done %t: %s: here %v, there %v, and it had %v", i, done, wrong, inHere, inThere, m.Flags)
		}
	}
}

// flagged is what flags come to, sorted.
func flagged(flags, added, removed []string) []string {
	rest := slices.DeleteFunc(slices.Concat(flags, added), func(f string) bool { return slices.Contains(removed, f) })
	slices.Sort(rest)
	return slices.Compact(rest)
}

// sameText are the flags of the messages that have the text of one.
func sameText(list []heldMessage, m heldMessage) (flags [][]string) {
	for _, h := range list {
		if h.Text == m.Text {
			flags = append(flags, h.Flags)
		}
	}
	return flags
}

func (l *killLab) killMove(t *testing.T) {
	w := l.world(t, stageNew)
	w.shelve(t, "shelf")
	w.keep(t, stageShelf)
	kept := w.shelf
	for command := range shelvings {
		t.Run(command, l.killShelved(command, true, func(t *testing.T) *killWorld {
			w := l.world(t, stageShelf)
			w.shelf = kept
			return w
		}).atEachStep)
	}
}

// killMove kills what changes messages on Dovecot, as it is and as servers are that lack some extension. A few runs go side by
// side, each on a shelf of its own.
func (p *killPeers) killMove(t *testing.T) {
	shelves := make(chan string, 2*runtime.GOMAXPROCS(0)) // see sideBySide
	for i := range cap(shelves) {
		shelves <- fmt.Sprintf("shelf-%02d", i)
	}
	for name, server := range map[string]struct {
		hide []string
		only []string // commands
	}{
		"all":                      {only: []string{"move", "permanently"}},
		"without MOVE":             {hide: []string{"MOVE"}, only: []string{"move"}},
		"without MOVE and UIDPLUS": {hide: []string{"MOVE", "UIDPLUS", "CONDSTORE", "QRESYNC"}, only: []string{"move", "permanently"}},
	} {
		begin := func(t *testing.T) *killWorld {
			w := p.world(t, stagePeers)
			name := <-shelves
			t.Cleanup(func() { shelves <- name })
			w.shelve(t, name)
			if len(server.hide) > 0 {
				w.hide(t, killBob, p.servers.IMAP, server.hide)
			}
			return w
		}
		for _, command := range server.only {
			c := p.killShelved(command, len(server.hide) == 0, begin)
			c.only = func(steps []string, i int) bool { return some(6)(steps, i) && i > len(steps)/3 } // before, it logs in and looks
			t.Run(command+" "+name, c.atEachStep)
		}
	}
}

// hide has somebody's account see a server that lacks some capabilities.
func (w *killWorld) hide(t *testing.T, person, server string, hidden []string) {
	t.Helper()
	known := regexp.MustCompile(` (` + strings.Join(hidden, "|") + `)\b`)
	secure := w.imap.address()
	w.imap = newRelay(t, server)
	proxy := peertest.StartProxy(t, w.imap.address(), peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if strings.Contains(line, "CAPABILITY") {
			line = known.ReplaceAllString(line, "")
		}
		return line, peertest.Pass
	}})
	w.configure(t, person, func(config string) string {
		return strings.Replace(config, "imaps://"+secure, "imap://"+proxy, 1) + "insecure_loopback = true\n"
	})
}
