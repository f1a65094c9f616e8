package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// failAt fails one step of a disk, or that one and all after it.
func failAt(step int, all bool, err error) (disk safeio.Disk, failed func() bool) {
	n, hit := 0, false
	return safeio.Disk{Before: func(string, string) error {
		n++
		if n-1 == step || all && n-1 > step {
			hit = true
			return err
		}
		return nil
	}}, func() bool { return hit }
}

// sound verifies all of the archive, and that nothing is left behind.
func (w *world) sound(what string) {
	w.t.Helper()
	if s, findings := w.verify(w.trusting(archive.Full)); len(findings) > 0 || s.Checked != s.Messages {
		w.t.Errorf("%s: %+v, %+v", what, s, findings)
	}
}

// TestWriterFaults lets a full disk, a read-only one, and one that is not ours meet writers at each step of theirs: once, after
// which it works again, and for good. What was reported is there, what is there is whole, and the next writer goes on.
func TestWriterFaults(t *testing.T) {
	faults := []error{syscall.ENOSPC, syscall.EROFS, syscall.EACCES}
	for _, all := range []bool{false, true} {
		for step, hit := 0, true; hit; step++ {
			fault := faults[step%len(faults)]
			what := fmt.Sprintf("%v at step %d, for good %t", fault, step, all)
			w := newWorld(t)
			w.create()
			if _, err := w.add(t.Context(), safeio.Disk{}, 1, 4); err != nil {
				t.Fatal(err)
			}
			disk, failed := failAt(step, all, fault)
			sealed, err := w.add(t.Context(), disk, 5, 11)
			if hit = failed(); err != nil && !errors.Is(err, fault) {
				t.Fatalf("%s: %v", what, err)
			}
			reported := 4
			for _, s := range sealed {
				reported = int(s.Last)
			}
			s, findings := w.verify(w.trusting(archive.Full))
			if !s.Sound() || s.Messages < int64(reported) || s.Checked != s.Messages {
				t.Errorf("%s: %d were reported: %+v, %+v", what, reported, s, findings)
			}
			if _, err := w.add(t.Context(), safeio.Disk{}, 100, 100); err != nil {
				t.Fatalf("%s: the next one: %v", what, err)
			}
			w.stampAll()
			w.sound(what)
		}
	}
}

// stampAll gives what was left without its time-stamps.
func (w *world) stampAll() (done int) {
	w.t.Helper()
	a := w.open()
	writer, err := a.Write(w.t.Context(), w.write)
	if err != nil {
		w.t.Fatal(err)
	}
	if done, err = writer.Stamp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		w.t.Fatal(err)
	}
	return done
}

// TestCreateFaults lets making an archive fail at each step; another try makes it.
func TestCreateFaults(t *testing.T) {
	for step, hit := 0, true; hit; step++ {
		w := newWorld(t)
		disk, failed := failAt(step, true, syscall.ENOSPC)
		err := archive.Create(t.Context(), w.storage(disk), w.options(), w.signer, nil)
		if hit = failed(); !hit {
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("step %d: %v", step, err)
		}
		if _, err := archive.Open(t.Context(), w.storage(safeio.Disk{}), w.options()); err == nil {
			continue // the head was there, and was not known to be durable
		} else if !errors.Is(err, archive.ErrNoArchive) {
			t.Errorf("step %d: %v", step, err)
		}
		w.create()
		w.sound(fmt.Sprint("step ", step))
	}
}

// TestTwoWriters lets a second writer come while the first one writes, and after it.
func TestTwoWriters(t *testing.T) {
	w := filled(t)
	one, two := w.open(), w.open()
	writer, err := one.Write(t.Context(), w.write)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Write(t.Context(), w.write); !errors.Is(err, archive.ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	if err := archive.Create(t.Context(), w.storage(safeio.Disk{}), w.options(), w.signer, nil); !errors.Is(err, archive.ErrBusy) {
		t.Errorf("another archive: %v", err)
	}
	if _, err := writer.Add(t.Context(), archive.Message{}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	w.sound("while it is written")
	if _, err := writer.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := two.Write(t.Context(), w.write)
	if err != nil {
		t.Fatal(err)
	}
	if two.Messages() != 8 {
		t.Errorf("the second one knows of %d messages", two.Messages())
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := archive.Create(t.Context(), w.storage(safeio.Disk{}), w.options(), w.signer, nil); !errors.Is(err, archive.ErrExist) {
		t.Errorf("another archive: %v", err)
	}
}

// TestStampLater lets the authority fail, for the token, for the record and for both, and come back.
func TestStampLater(t *testing.T) {
	stamp, evidence := newWorld(t).write.Stamp, newWorld(t).write.Evidence
	down := func(context.Context, []byte) ([]byte, error) { return nil, errors.New("down") }
	none := func(context.Context, []byte) ([]byte, error) { return nil, nil }
	for name, set := range map[string]func(o *archive.WriteOptions){
		"nobody asked":   func(o *archive.WriteOptions) { o.Stamp = nil },
		"no token":       func(o *archive.WriteOptions) { o.Stamp = down },
		"an empty token": func(o *archive.WriteOptions) { o.Stamp = none },
		"no record": func(o *archive.WriteOptions) {
			o.Evidence = func(context.Context, [][]byte) ([]byte, error) { return nil, errors.New("down") }
		},
	} {
		w := newWorld(t)
		w.create()
		set(&w.write)
		var unstamped []int
		w.write.Unstamped = func(segment int, _ error) { unstamped = append(unstamped, segment) }
		sealed, err := w.add(t.Context(), safeio.Disk{}, 1, 7)
		if err != nil || len(sealed) != 3 || sealed[0].Stamped || fmt.Sprint(unstamped) != "[1 2 3]" {
			t.Fatalf("%s: %+v, %v, %v", name, sealed, unstamped, err)
		}
		s, findings := w.verify(w.trusting(archive.Full))
		if !s.Sound() || s.Unstamped != 3 || strings.Join(told(findings), ", ") != "time-stamp-missing" {
			t.Errorf("%s: %+v, %+v", name, s, findings)
		}
		if done := w.stampAll(); done != 0 {
			t.Errorf("%s: %d were stamped", name, done)
		}
		w.write.Stamp, w.write.Evidence = stamp, evidence
		// What is not what was archived gets no time-stamp.
		whole := w.get("seg/000002.zip")
		at, size := w.within("seg/000002.zip", "000000000005.commit")
		altered := bytes.Clone(whole)
		altered[at] ^= 1
		w.put("seg/000002.zip", recount(whole, altered, at, size))
		unstamped = nil
		if done := w.stampAll(); done != 2 || fmt.Sprint(unstamped) != "[2]" {
			t.Errorf("%s: %d were stamped, and not %v", name, done, unstamped)
		}
		w.put("seg/000002.zip", whole)
		if done := w.stampAll(); done != 1 {
			t.Errorf("%s: %d were stamped", name, done)
		}
		w.sound(name)
	}
}

// TestWriterStops lets sealing fail: what stands is not known, so that the writer is of no more use.
func TestWriterStops(t *testing.T) {
	w := filled(t)
	down := false
	a, err := archive.Open(t.Context(), w.storage(safeio.Disk{Before: func(string, string) error {
		if down {
			return syscall.ENOSPC
		}
		return nil
	}}), w.options())
	if err != nil {
		t.Fatal(err)
	}
	writer, err := a.Write(t.Context(), w.write)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Add(t.Context(), archive.Message{}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	down = true
	if _, err := writer.Seal(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("sealed: %v", err)
	}
	down = false
	if _, err := writer.Add(t.Context(), archive.Message{}, strings.NewReader("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("added: %v", err)
	}
	if sealed, err := writer.Seal(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("sealed: %+v, %v", sealed, err)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
	w.sound("afterwards")
}

// TestStampFaults lets the disk fail at each step of stamping what was left without.
func TestStampFaults(t *testing.T) {
	for step, hit := 0, true; hit; step++ {
		w := newWorld(t)
		w.create()
		stamp := w.write.Stamp
		w.write.Stamp = nil
		if _, err := w.add(t.Context(), safeio.Disk{}, 1, 4); err != nil {
			t.Fatal(err)
		}
		w.write.Stamp = stamp
		disk, failed := failAt(step, true, syscall.ENOSPC)
		a, err := archive.Open(t.Context(), w.storage(disk), w.options())
		if err != nil {
			t.Fatal(err)
		}
		writer, err := a.Write(t.Context(), w.write)
		if err == nil {
			_, err = writer.Stamp(t.Context())
			if _, again := writer.Stamp(t.Context()); err != nil && !errors.Is(again, err) {
				t.Errorf("step %d: again: %v", step, again)
			}
			err = errors.Join(err, writer.Close(), a.Close())
		}
		if hit = failed(); hit != (err != nil) {
			t.Errorf("step %d: %v", step, err)
		}
		if s, findings := w.verify(w.trusting(archive.Full)); !s.Sound() {
			t.Errorf("step %d: %+v", step, findings)
		}
		w.stampAll()
		w.sound(fmt.Sprint("step ", step))
	}
}

// TestWriterMeetsDamage lets a writer come to an archive that was damaged, or put back in part. Nothing is removed that may have been
// archived.
func TestWriterMeetsDamage(t *testing.T) {
	w := filled(t)
	before := w.copy()
	if _, err := w.add(t.Context(), safeio.Disk{}, 8, 9); err != nil {
		t.Fatal(err)
	}
	after := w.copy()
	older, err := os.ReadFile(before + "/head")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		do   func()
		err  error // nil: it goes on
	}{
		{"a segment is damaged", func() { w.put("seg/000001.zip", []byte("x")) }, nil},
		{"the last segment is gone", func() { w.remove("seg/000004.zip") }, nil},
		{"the head was put back", func() { w.put("head", older) }, nil},
		{"the head was put back, and what it knew not is damaged", func() { w.put("head", older); w.put("seg/000004.zip", []byte("x")) }, archive.ErrSignature},
		{"the head was put back, and the signature is damaged", func() { w.put("head", older); w.put("seg/000004.p7s", []byte("x")) }, archive.ErrSignature},
		{"the head was put back, and what it knew not is gone", func() { w.put("head", older); w.remove("seg/000004.zip") }, os.ErrNotExist},
		{"the head was put back, and keys are damaged", func() { w.put("head", older); w.put("keys/000004.k01", []byte("x")) }, archive.ErrSealed},
		{"keys were exchanged", func() { w.put("keys/000001.k02", w.get("keys/000001.k01")); w.remove("keys/000001.k01") }, archive.ErrRolledBack},
		{"what a writer left", func() { w.put("keys/000001.k02", []byte("x")); w.put("seg/000005.zip", []byte("x")) }, nil},
		{"far ahead", func() { w.put("seg/000006.zip", []byte("x")) }, archive.ErrRolledBack},
		{"the head is damaged", func() { w.put("head", []byte("x")) }, archive.ErrSignature},
		{"the description is damaged", func() { w.put("archive.json", []byte("x")) }, archive.ErrAltered},
	} {
		w.putBack(after)
		test.do()
		there := w.list()
		_, err := w.add(t.Context(), safeio.Disk{}, 20, 20)
		if test.err == nil && err != nil || test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.err != nil && fmt.Sprint(w.list()) != fmt.Sprint(there) {
			t.Errorf("%s: %v was there, and now %v", test.name, there, w.list())
		}
		if test.name == "the head was put back" {
			w.stampAll()
			w.sound(test.name)
		}
		if test.name == "what a writer left" && (w.there("keys/000001.k02") || !w.there("seg/000005.p7s")) {
			t.Errorf("%s: now %v", test.name, w.list())
		}
	}
}

func (w *world) there(name string) bool {
	_, err := os.Stat(w.object(name))
	return err == nil
}
