package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

func numbers(t testing.TB, text string) (s archive.NumberSet) {
	t.Helper()
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

var because = archive.Why{Reason: "asked for by its sender", By: "records"}

// shred destroys messages, which must work, and has the Keeper forget what it is to forget.
func (w *world) shred(which string) *archive.Shredded {
	w.t.Helper()
	var s *archive.Shredded
	w.do(func(writer *archive.Writer) (err error) {
		s, err = writer.Shred(w.t.Context(), numbers(w.t, which), because)
		return err
	})
	for _, name := range s.Forget {
		delete(w.kept.(memory), name)
	}
	return s
}

// readable returns which messages can be read. Those that cannot have been shredded, and all have their commitments.
func (w *world) readable() string {
	w.t.Helper()
	var set archive.NumberSet
	a := w.open()
	for n := archive.Number(1); n <= a.Messages(); n++ {
		s, err := a.SegmentOf(w.t.Context(), n)
		if err != nil {
			w.t.Fatal(err)
		}
		if line, err := s.Commitment(n); err != nil || len(line) == 0 {
			w.t.Errorf("commitment of %d: %v", n, err)
		}
		if _, err := s.Contents(w.t.Context()); err != nil {
			w.t.Error(err)
		}
		r, err := s.Record(w.t.Context(), n)
		var shredded *archive.ShreddedError
		if errors.As(err, &shredded) {
			if shredded.Number != n || !shredded.At.Equal(now()) {
				w.t.Errorf("message %d: %+v", n, shredded)
			}
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		var got bytes.Buffer
		if err := s.Octets(w.t.Context(), r, &got); err != nil {
			w.t.Fatalf("message %d: %v", n, err)
		}
		if want := octets(int(max(r.OctetsIn, 0))); r.OctetsIn != 0 && got.String() != want || r.OctetsIn == 0 && got.String() != octets(int(n)) {
			w.t.Errorf("message %d: %q", n, &got)
		}
		set.Add(n)
	}
	return set.String()
}

// keyObjects returns the names of the objects with keys.
func (w *world) keyObjects() string {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(w.dir, "keys", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range list {
		list[i] = filepath.Base(list[i])
	}
	return strings.Join(list, " ")
}

func TestShred(t *testing.T) {
	w := house(t)
	before := w.open()
	id := before.ID()
	s := w.shred("2,6")
	if s.Messages.String() != "2,6" || s.Statement != 1 || !slices.Equal(s.Forget, []string{"archive:" + id + ":000001.k01", "archive:" + id + ":000003.k01"}) {
		t.Errorf("%+v", s)
	}
	if got := w.readable(); got != "1,3-5,7-9" {
		t.Errorf("readable: %s", got)
	}
	if got := w.keyObjects(); got != "000001.k02 000002.k01 000003.k02 000004.k01" {
		t.Errorf("objects: %s", got)
	}
	a := w.open()
	for _, n := range []archive.Number{2, 6} {
		if text, err := a.KeysText(t.Context(), n); err != nil || text != fmt.Sprintf(`{"number":%d,"shredded":"2026-11-21T10:00:00Z"}`, n) {
			t.Errorf("what is left of the keys: %s, %v", text, err)
		}
	}
	list, err := statements(t.Context(), a)
	if err != nil || len(list) != 1 || list[0].Kind != archive.StatementShredded || list[0].Scope.Messages.String() != "2,6" || list[0].Reason != because.Reason || list[0].By != because.By {
		t.Errorf("%+v, %v", list, err)
	}
	// Again, with one that is gone already.
	if s := w.shred("1-2"); s.Messages.String() != "1" || !slices.Equal(s.Forget, []string{"archive:" + id + ":000001.k02"}) {
		t.Errorf("%+v", s)
	}
	h, _ := w.open().Head()
	if s := w.shred("1-2"); s.Messages.Len() != 0 || s.Statement != 0 || len(s.Forget) != 0 {
		t.Errorf("of what is gone: %+v", s)
	}
	if s := w.shred(""); s.Messages.Len() != 0 || s.Statement != 0 {
		t.Errorf("of nothing: %+v", s)
	}
	if after, _ := w.open().Head(); after.Sequence != h.Sequence {
		t.Error("nothing was destroyed, and the head moved")
	}
	if got := w.readable(); got != "3-5,7-9" {
		t.Errorf("readable: %s", got)
	}
	w.archive(mail{folder: "INBOX"})
	if got := w.readable(); got != "3-5,7-10" {
		t.Errorf("readable after one more: %s", got)
	}
}

// TestShredOldCopy: a copy of the archive from before opens what was destroyed until the Keeper forgets, and not after.
func TestShredOldCopy(t *testing.T) {
	w := house(t)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	old := *w
	old.dir = copied
	w.do(func(writer *archive.Writer) error {
		s, err := writer.Shred(t.Context(), numbers(t, "2"), because)
		if err != nil {
			return err
		}
		if got := old.readable(); got != "1-9" {
			t.Errorf("not forgotten yet: %s", got)
		}
		names := slices.Sorted(maps.Keys(w.kept.(memory)))
		if stale := writer.Stale(append(names, "archive:x:000001.k01", "other")); !slices.Equal(stale, s.Forget) {
			t.Errorf("stale: %q, want %q", stale, s.Forget)
		}
		for _, name := range s.Forget {
			delete(w.kept.(memory), name)
		}
		return nil
	})
	a := old.open()
	s, err := a.Segment(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Record(t.Context(), 2); !errors.Is(err, archive.ErrNoKey) {
		t.Errorf("forgotten: %+v, %v", r, err)
	}
	// The old head says nothing about keys that are newer than it.
	oldWriter, err := a.Write(t.Context(), w.write)
	if err != nil {
		t.Fatal(err)
	}
	if stale := oldWriter.Stale(slices.Sorted(maps.Keys(w.kept.(memory)))); len(stale) != 0 {
		t.Errorf("keys that are needed: %q", stale)
	}
	if err := oldWriter.Close(); err != nil {
		t.Error(err)
	}
	if got := w.readable(); got != "1,3-9" {
		t.Errorf("readable: %s", got)
	}
}

func TestShredRefused(t *testing.T) {
	w := newWorld(t)
	w.create()
	w.archive(mail{folder: "a"}, mail{folder: "b"}, mail{folder: "c"}, mail{folder: "a", duplicate: 3})
	w.archive(mail{folder: "a"}, mail{folder: "a", duplicate: 3}, mail{folder: "d"})
	stamp := w.write.Stamp
	w.write.Stamp = nil
	w.archive(mail{folder: "d"})
	w.write.Stamp = stamp
	w.say(archive.Statement{Kind: archive.StatementHold, Name: "matter", Scope: folder("b")})
	w.say(hold("other", 2, 5))
	w.say(retain(archive.Period{Years: 10, Days: 1}, folder("a", "d"))) // from 2016: a day more than there was
	w.say(retain(archive.Period{Years: 1}, archive.Scope{All: true}))
	h, _ := w.open().Head()
	for which, want := range map[string][]string{
		"1":     {"message 1 must be kept until 2026-11-22"},
		"2":     {`message 2 is held by "matter", and is held by "other"`},
		"3":     {"message 3 has the same octets as 4,6"},
		"3-4,6": {"message 4 must be kept until 2026-11-22", "message 6 must be kept until 2027-11-22"},
		"4,6":   {"message 4 must be kept until 2026-11-22, and has the same octets as 3", "message 6 must be kept until 2027-11-22, and has the same octets as 3"},
		"6":     {"message 6 must be kept until 2027-11-22, and has the same octets as 3-4"},
		"5":     {`message 5 is held by "other", and must be kept until 2027-11-22`},
		"6-7":   {"message 6 must be kept until 2027-11-22, and has the same octets as 3-4", "message 7 must be kept until 2027-11-22"},
		"8":     {"message 8 must be kept for 10y1d from its time-stamp, which it has not yet"},
	} {
		err := w.change(t.Context(), safeio.Disk{}, func(writer *archive.Writer) error {
			s, err := writer.Shred(t.Context(), numbers(t, which), because)
			if s != nil {
				t.Errorf("%s: %+v", which, s)
			}
			return err
		})
		var refused *archive.RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", which, err)
			continue
		}
		var got []string
		for _, r := range refused.Refusals {
			got = append(got, r.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", which, got, want)
		}
		if !strings.HasPrefix(err.Error(), want[0]) || strings.Contains(err.Error(), "1 more") != (len(want) == 2) {
			t.Errorf("%s: %v", which, err)
		}
	}
	if after, _ := w.open().Head(); after.Sequence != h.Sequence || w.readable() != "1-8" {
		t.Error("something was destroyed")
	}
	// The content keys of what is held or to be kept are, as well.
	err := w.change(t.Context(), safeio.Disk{}, func(writer *archive.Writer) error {
		_, err := writer.ShredContentKeys(t.Context(), because, func(n archive.Number, r [32]byte) bool { return r == recipient(105) || r == recipient(3) })
		return err
	})
	var refused *archive.RefusedError
	if !errors.As(err, &refused) || len(refused.Refusals) != 1 || refused.Refusals[0].Number != 5 {
		t.Errorf("content keys: %v", err)
	}
	for name, test := range map[string]struct {
		f    func(*archive.Writer) error
		want error
	}{
		"not there": {func(writer *archive.Writer) error {
			_, err := writer.Shred(t.Context(), numbers(t, "3,9"), because)
			return err
		}, archive.ErrMissing},
		"number 0": {func(writer *archive.Writer) error {
			_, err := writer.Shred(t.Context(), archive.Numbers(0, 1), because)
			return err
		}, archive.ErrMissing},
		"reason of two lines": {func(writer *archive.Writer) error {
			_, err := writer.Shred(t.Context(), numbers(t, "3"), archive.Why{Reason: "a\nb"})
			if errors.As(err, &refused) {
				return archive.ErrStatement // it shares its octets, which is asked first
			}
			return err
		}, archive.ErrStatement},
		"open segment": {func(writer *archive.Writer) error {
			if _, err := writer.Add(t.Context(), archive.Message{}, strings.NewReader("x")); err != nil {
				return err
			}
			_, err := writer.Shred(t.Context(), numbers(t, "3"), because)
			return err
		}, archive.ErrUnsealed},
	} {
		if err := w.change(t.Context(), safeio.Disk{}, test.f); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// When the hold is over, and with all that share their octets.
	w.say(archive.Statement{Kind: archive.StatementRelease, Name: "matter"})
	w.say(archive.Statement{Kind: archive.StatementRelease, Name: "other"})
	w.shred("2")
	if got := w.readable(); got != "1,3-8" {
		t.Errorf("readable: %s", got)
	}
}

// TestShredTogether destroys all that have the same octets, in several segments.
func TestShredTogether(t *testing.T) {
	w := newWorld(t)
	w.create()
	w.archive(mail{folder: "a"}, mail{folder: "b"}, mail{folder: "c", duplicate: 1})
	w.archive(mail{folder: "a"})
	w.archive(mail{folder: "a", duplicate: 1}, mail{folder: "a", duplicate: 2})
	if s := w.shred("1,3,5"); len(s.Forget) != 2 {
		t.Errorf("%+v", s)
	}
	if got := w.readable(); got != "2,4,6" {
		t.Errorf("readable: %s", got)
	}
	// What has these octets comes again: nobody can share them any more.
	w.do(func(writer *archive.Writer) error {
		message := archive.Message{Duplicate: 1, Origin: archive.Origin{Account: "work", Folder: "a", UIDValidity: 7, UID: 9}}
		var shredded *archive.ShreddedError
		if _, err := writer.Add(t.Context(), message, strings.NewReader(octets(1))); !errors.As(err, &shredded) || shredded.Number != 1 || !shredded.At.Equal(now()) {
			t.Errorf("a duplicate of what is gone: %v", err)
		}
		message.Duplicate = 2
		if _, err := writer.Add(t.Context(), message, strings.NewReader(octets(2))); err != nil {
			t.Error(err)
		}
		message.Duplicate = 0
		if _, err := writer.Add(t.Context(), message, strings.NewReader(octets(8))); err != nil {
			t.Error(err)
		}
		_, err := writer.Seal(t.Context())
		return err
	})
	if got := w.readable(); got != "2,4,6-8" {
		t.Errorf("readable: %s", got)
	}
	// And within one writer, which has looked what is gone already.
	w.do(func(writer *archive.Writer) error {
		if _, err := writer.Add(t.Context(), archive.Message{Duplicate: 2, Origin: archive.Origin{Account: "work", Folder: "a", UIDValidity: 7, UID: 10}}, strings.NewReader(octets(2))); err != nil {
			return err
		}
		if _, err := writer.Seal(t.Context()); err != nil {
			return err
		}
		if _, err := writer.Shred(t.Context(), numbers(t, "4"), because); err != nil {
			return err
		}
		var shredded *archive.ShreddedError
		if _, err := writer.Add(t.Context(), archive.Message{Duplicate: 4}, strings.NewReader(octets(4))); !errors.As(err, &shredded) {
			t.Errorf("a duplicate of what was just destroyed: %v", err)
		}
		return nil
	})
}

func TestShredContentKeys(t *testing.T) {
	w := house(t)
	keys := func() (list []string) {
		a := w.open()
		for n := archive.Number(1); n <= 9; n++ {
			s, err := a.SegmentOf(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := s.ContentKeys(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range kept {
				list = append(list, fmt.Sprintf("%d:%d", n, k.Recipient[0]))
			}
		}
		return list
	}
	all := keys()
	shred := func(match func(n archive.Number, r [32]byte) bool) (s *archive.Shredded) {
		w.do(func(writer *archive.Writer) (err error) {
			s, err = writer.ShredContentKeys(t.Context(), because, match)
			return err
		})
		return s
	}
	s := shred(func(n archive.Number, r [32]byte) bool { return r == recipient(102) || r == recipient(6) || n == 9 })
	if s.Messages.String() != "2,6,9" || len(s.Forget) != 3 || s.Statement != 1 {
		t.Errorf("%+v", s)
	}
	left := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return k == "2:102" || k == "6:6" || strings.HasPrefix(k, "9:") })
	if got := keys(); !slices.Equal(got, left) || len(left) != len(all)-4 {
		t.Errorf("%q of %q", got, all)
	}
	if got := w.readable(); got != "1-9" {
		t.Errorf("readable: %s", got)
	}
	if list, err := statements(t.Context(), w.open()); err != nil || list[0].Kind != archive.StatementContentKeysShredded || list[0].Scope.Messages.String() != "2,6,9" {
		t.Errorf("%+v, %v", list, err)
	}
	if s := shred(func(n archive.Number, r [32]byte) bool { return n == 9 }); s.Messages.Len() != 0 || s.Statement != 0 {
		t.Errorf("again: %+v", s)
	}
	// The message can be destroyed later, and others can be duplicates of it until then.
	w.do(func(writer *archive.Writer) error {
		_, err := writer.Add(t.Context(), archive.Message{Duplicate: 2}, strings.NewReader(octets(2)))
		return err
	})
	w.shred("2")
	if got := w.readable(); got != "1,3-9" {
		t.Errorf("readable: %s", got)
	}
}

// TestKillShred ends one at each step: before the head moved nothing is destroyed, after it all is, and what is left over is
// removed by the next writer, which can tell what the Keeper is to forget.
func TestKillShred(t *testing.T) {
	killed := errors.New("killed")
	gone := 0
	for step, done := 0, false; !done; step++ {
		w := newWorld(t)
		w.fill(5)
		n := 0
		disk := safeio.Disk{Before: func(string, string) error {
			if n++; n > step {
				return killed
			}
			return nil
		}}
		var result *archive.Shredded
		err := w.change(t.Context(), disk, func(writer *archive.Writer) (err error) {
			result, err = writer.Shred(t.Context(), numbers(t, "2,4"), because)
			return err
		})
		if done = err == nil; !done && !errors.Is(err, killed) {
			t.Fatalf("step %d: %v", step, err)
		}
		got := w.readable()
		list, err := statements(t.Context(), w.open())
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		switch {
		case got == "1-5" && result == nil && len(list) == 0:
		case got == "1,3,5" && len(list) == 1:
			gone++
		default:
			t.Fatalf("step %d: %s, %+v, %d statements", step, got, result, len(list))
		}
		w.do(func(writer *archive.Writer) error {
			stale := writer.Stale(slices.Sorted(maps.Keys(w.kept.(memory))))
			if want := map[string]int{"1-5": 0, "1,3,5": 2}[got]; len(stale) != want {
				t.Errorf("step %d: stale: %q", step, stale)
			}
			for _, name := range stale {
				delete(w.kept.(memory), name)
			}
			return nil
		})
		if objects := w.keyObjects(); objects != map[string]string{"1-5": "000001.k01 000002.k01", "1,3,5": "000001.k02 000002.k02"}[got] {
			t.Errorf("step %d: objects: %s", step, objects)
		}
		if after, err := statements(t.Context(), w.open()); err != nil || len(after) != len(list) {
			t.Errorf("step %d: it was said, and not done: %d statements, %v", step, len(after), err)
		}
		w.shred("1-2,4")
		if got := w.readable(); got != "3,5" {
			t.Errorf("step %d: readable at last: %s", step, got)
		}
	}
	if gone < 2 {
		t.Error("no kill was behind the move of the head")
	}
}

// brittle is a Keeper that has room for so many keys more.
type brittle struct {
	memory
	room *int
}

// Keep fails when there is no room.
func (b brittle) Keep(ctx context.Context, name string, key []byte) error {
	if *b.room--; *b.room < 0 {
		return errors.New("the vault is full")
	}
	return b.memory.Keep(ctx, name, key)
}

// TestShredKeeper has a vault that fails at each key: nothing is destroyed, and the same writer can go on when it works again.
func TestShredKeeper(t *testing.T) {
	for room := range 3 { // two segments, and the first statement
		w := newWorld(t)
		w.fill(5)
		left := room
		o := w.options()
		o.Keeper = brittle{w.kept.(memory), &left}
		a, err := archive.Open(t.Context(), w.storage(safeio.Disk{}), o)
		if err != nil {
			t.Fatal(err)
		}
		writer, err := a.Write(t.Context(), w.write)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := writer.Shred(t.Context(), numbers(t, "2,4"), because); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("room for %d: %+v, %v", room, s, err)
		}
		if got := w.readable(); got != "1-5" || w.keyObjects() != "000001.k01 000002.k01" {
			t.Errorf("room for %d: %s, %s", room, got, w.keyObjects())
		}
		left = 3
		if _, err := writer.Shred(t.Context(), numbers(t, "2,4"), because); err != nil {
			t.Errorf("room for %d: %v", room, err)
		}
		if got := w.readable(); got != "1,3,5" {
			t.Errorf("room for %d: %s", room, got)
		}
		if err := errors.Join(writer.Close(), a.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestShredAltered: keys that are not those that the head speaks of are not sealed again.
func TestShredAltered(t *testing.T) {
	w := newWorld(t)
	w.fill(2)
	name := filepath.Join(w.dir, "keys", "000001.k01")
	keys, err := os.ReadFile(name)
	if err == nil {
		err = os.Remove(name)
	}
	if err == nil {
		err = os.WriteFile(name, append(keys, 0), 0o600) // CMS tolerates it
	}
	if err != nil {
		t.Fatal(err)
	}
	err = w.change(t.Context(), safeio.Disk{}, func(writer *archive.Writer) error {
		_, err := writer.Shred(t.Context(), numbers(t, "1"), because)
		return err
	})
	if !errors.Is(err, archive.ErrAltered) || !strings.Contains(err.Error(), "keys/000001.k01") {
		t.Errorf("%v", err)
	}
}
