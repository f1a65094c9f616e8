package localserver

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/sealmail/sealmail/internal/safeio"
)

// model is what a user was told: what must be there after a crash, whatever happened.
type model struct {
	// stored maps a place (folder, UIDVALIDITY, UID) to the content that it was acknowledged with.
	stored map[string]string
	// removed are places that were acknowledged as empty; used are all that were ever given out.
	removed, used map[string]bool
	// moving is the message on its way between two folders, if any.
	moving string
}

func place(f *folder, uid imap.UID) string {
	now := f.snapshot()
	return fmt.Sprint(now.name, " ", now.UIDValidity, " ", uid)
}

func (m *model) store(f *folder, uid imap.UID, content string) {
	m.stored[place(f, uid)], m.used[place(f, uid)] = content, true
}

func (m *model) remove(p string) {
	delete(m.stored, p)
	m.removed[p] = true
}

func put(a *account, folder, content string) (*folder, imap.UID, error) {
	f, err := a.folder(folder)
	if err != nil {
		return nil, 0, err
	}
	r, err := a.receive(f, details{})
	if err != nil {
		return nil, 0, err
	}
	if _, err := r.Write([]byte(content)); err != nil {
		return nil, 0, err
	}
	uids, err := deliver([]*arrival{r})
	if err != nil {
		return nil, 0, err
	}
	return f, uids[0], nil
}

// live does some of everything, and stops at the first error. inFlight is the message that the step under way touches.
func live(a *account, m *model) (inFlight string, err error) {
	for i := range 3 {
		content := fmt.Sprint("message ", i)
		f, uid, err := put(a, inbox, content)
		if err != nil {
			return content, err
		}
		m.store(f, uid, content)
	}
	in, err := a.folder(inbox)
	if err != nil {
		return "", err
	}
	archive, err := a.folder("Archive")
	if err != nil {
		return "", err
	}
	if _, _, err := in.setFlags(1, imap.StoreFlagsAdd, []imap.Flag{imap.FlagSeen}, nil); err != nil {
		return "", err
	}
	// The highest number goes first, by deletion and by moving.
	delete(m.stored, place(in, 3))
	if err := a.expunge(in, []imap.UID{3}); err != nil {
		return "message 2", err
	}
	m.remove(place(in, 3))
	delete(m.stored, place(in, 2))
	m.moving = "message 1"
	uid, _, err := in.moveTo(archive, 2)
	if err != nil {
		return "message 1", err
	}
	m.moving = ""
	m.remove(place(in, 2))
	m.store(archive, uid, "message 1")

	if err := a.create("Work", "", false); err != nil {
		return "", err
	}
	f, uid, err := put(a, "Work", "at work")
	if err != nil {
		return "at work", err
	}
	if err := a.rename("Work", "Old"); err != nil {
		m.used = map[string]bool{} // the place has either of two names
		m.stored = map[string]string{place(in, 1): "message 0", place(archive, 1): "message 1"}
		return "at work", err
	}
	m.store(f, uid, "at work")
	delete(m.stored, place(f, uid))
	if err := a.delete("Old"); err != nil {
		return "at work", err
	}
	return "", nil
}

func TestCrashAtEachStep(t *testing.T) {
	clock := func() time.Time { return time.Unix(1_800_000_000, 0) }
	failure := errors.New("injected")
	template := filepath.Join(t.TempDir(), "bob")
	if _, err := openAccount(safeio.Disk{}, template, bob, 0, clock); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []struct {
		name  string
		fresh bool // begin without an account
		fails func(count, step int) bool
	}{
		// Nothing reaches the disk from the step on: as after a kill.
		{"kill", false, func(count, step int) bool { return count >= step }},
		{"kill of a new account", true, func(count, step int) bool { return count >= step }},
		// The step alone fails, and the server goes on.
		{"fault", false, func(count, step int) bool { return count == step }},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			for last, step := false, 0; !last; step++ {
				dir := filepath.Join(fastDir(t), "bob")
				if !mode.fresh {
					if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
						t.Fatal(err)
					}
				}
				count := -1
				disk := safeio.Disk{Before: func(op, path string) error {
					if count++; mode.fails(count, step) {
						return failure
					}
					return nil
				}}
				m := &model{stored: map[string]string{}, removed: map[string]bool{}, used: map[string]bool{}}
				a, err := openAccount(disk, dir, bob, 0, clock)
				inFlight := ""
				if err == nil && !mode.fresh {
					inFlight, err = live(a, m)
				}
				last = err == nil
				if err != nil && !errors.Is(err, failure) {
					t.Fatalf("step %d: %v", step, err)
				}
				a, err = openAccount(safeio.Disk{}, dir, bob, 0, clock)
				if err != nil {
					t.Fatalf("step %d: not opened again: %v", step, err)
				}
				checkAfterCrash(t, fmt.Sprint("step ", step), a, m, inFlight)
			}
		})
	}
}

func checkAfterCrash(t *testing.T, name string, a *account, m *model, inFlight string) {
	t.Helper()
	missing := maps.Clone(m.stored)
	copies := map[string]int{}
	for _, f := range a.list() {
		for _, msg := range f.snapshot().messages {
			content, err := os.ReadFile(messagePath(f.dir, msg.uid))
			if err != nil {
				t.Fatal(err)
			}
			copies[string(content)]++
			p := place(f, msg.uid)
			if m.removed[p] {
				t.Errorf("%s: %s is back", name, p)
			}
			want, known := m.stored[p]
			if known && want != string(content) || !known && string(content) != inFlight {
				t.Errorf("%s: %s holds %q, acknowledged was %q, in flight %q", name, p, content, want, inFlight)
			}
			delete(missing, p)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%s: lost %v", name, missing)
	}
	for content, n := range copies {
		if n > 1 {
			t.Errorf("%s: %q is there %d times", name, content, n)
		}
	}
	if m.moving != "" && copies[m.moving] == 0 {
		t.Errorf("%s: a message was lost on its way between folders", name)
	}
	names := make([]string, 0, 5)
	for _, f := range a.list() {
		names = append(names, f.snapshot().name)
	}
	for _, first := range firstFolders() {
		if !slices.Contains(names, first.name) {
			t.Errorf("%s: %s is missing", name, first.name)
		}
	}
	// No number comes twice.
	for _, folder := range []string{inbox, "Archive"} {
		f, uid, err := put(a, folder, "afterwards")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.used[place(f, uid)] {
			t.Errorf("%s: %s is given out again", name, place(f, uid))
		}
	}
	for _, pattern := range []string{incomingDir + "/*", ".[dns]*", "*/.sealmail*"} {
		left, err := filepath.Glob(filepath.Join(a.dir, pattern))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", name, left, err)
		}
	}
}
