package archive_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// renewer makes records that say what they are over, and what they renew.
func renewer(a *archive.Archive, name string) archive.Renewer {
	return func(ctx context.Context, segments []int, put func(int, []byte) error) error {
		for _, segment := range segments {
			old, err := a.Evidence(ctx, segment)
			if err != nil {
				return err
			}
			if err := put(segment, append([]byte(name+" of "), old...)); err != nil {
				return err
			}
		}
		return nil
	}
}

// renew renews the archive on a disk.
func (w *world) renew(disk safeio.Disk, name string) (renewed int, err error) {
	a, err := archive.Open(w.t.Context(), w.storage(disk), w.options())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	writer, err := a.Write(w.t.Context(), w.write)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	return writer.Renew(w.t.Context(), renewer(a, name))
}

// records returns how the evidence of each segment begins: what was done to it, from the last to the first.
func (w *world) records() (list []string) {
	w.t.Helper()
	a := w.open()
	for segment := 1; segment <= a.Segments(); segment++ {
		record, err := a.Evidence(w.t.Context(), segment)
		if errors.Is(err, archive.ErrUnstamped) {
			list = append(list, "none")
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		done := record[:bytes.LastIndex(record, []byte(" of "))+1]
		if len(done) > 0 {
			done = record[:len(done)+len("of ")]
		}
		list = append(list, string(done)+"record")
	}
	return list
}

func TestRenew(t *testing.T) {
	w := house(t) // whose last segment is not stamped
	if n, err := w.renew(safeio.Disk{}, "first"); err != nil || n != 3 {
		t.Fatalf("%d: %v", n, err)
	}
	if got := w.records(); !slices.Equal(got, []string{"first of record", "first of record", "first of record", "none"}) {
		t.Errorf("%q", got)
	}
	w.do(func(writer *archive.Writer) error {
		_, err := writer.Stamp(t.Context())
		return err
	})
	w.archive(mail{folder: "INBOX"})
	if got := w.records(); !slices.Equal(got[2:], []string{"first of record", "record", "record"}) {
		t.Errorf("after more was stamped: %q", got)
	}
	if n, err := w.renew(safeio.Disk{}, "second"); err != nil || n != 5 {
		t.Fatalf("%d: %v", n, err)
	}
	if got := w.records(); !slices.Equal(got[2:], []string{"second of first of record", "second of record", "second of record"}) {
		t.Errorf("renewed again: %q", got)
	}
	h, _ := w.open().Head()
	if h.Renewals != 2 {
		t.Errorf("%d renewals", h.Renewals)
	}
	for _, name := range []string{"seg/000001.ers", "seg/000001.r01.ers", "seg/000001.r02.ers", "seg/000004.ers", "seg/000004.r02.ers"} {
		if _, ok := h.Sum(name); !ok {
			t.Errorf("%s is gone", name)
		}
	}
	// It is the newest that proves the time.
	stamps, err := w.open().Stamps(t.Context(), 1)
	if err != nil || !strings.HasPrefix(string(stamps.Evidence), "second") || len(stamps.Signature) == 0 || len(stamps.Token) == 0 {
		t.Errorf("%+v, %v", stamps, err)
	}
	if err := os.Remove(filepath.Join(w.dir, "seg", "000001.r02.ers")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open().Evidence(t.Context(), 1); !errors.Is(err, archive.ErrMissing) {
		t.Errorf("the newest is missing, and an older one is taken: %v", err)
	}
}

// TestRenewRefused has renewers that fail, and forget: nothing is renewed then, and the same writer can go on.
func TestRenewRefused(t *testing.T) {
	down := errors.New("the authority is down")
	for name, test := range map[string]struct {
		renew archive.Renewer
		want  error
	}{
		"down": {func(context.Context, []int, func(int, []byte) error) error { return down }, down},
		"forgets": {func(_ context.Context, segments []int, put func(int, []byte) error) error {
			return put(segments[1], []byte("x"))
		}, archive.ErrMissing},
		"down half-way": {func(_ context.Context, segments []int, put func(int, []byte) error) error {
			return errors.Join(put(segments[0], []byte("x")), down)
		}, down},
		"too much": {func(_ context.Context, _ []int, put func(int, []byte) error) error { return put(4, []byte("x")) }, archive.ErrUnstamped},
		"twice": {func(_ context.Context, segments []int, put func(int, []byte) error) error {
			return errors.Join(put(segments[0], []byte("x")), put(segments[0], []byte("y")))
		}, os.ErrExist},
	} {
		w := house(t)
		w.do(func(writer *archive.Writer) error {
			if n, err := writer.Renew(t.Context(), test.renew); !errors.Is(err, test.want) || n != 0 {
				t.Errorf("%s: %d, %v", name, n, err)
			}
			s := hold("a", 1)
			return writer.State(t.Context(), &s)
		})
		if left, err := filepath.Glob(filepath.Join(w.dir, "seg", "*.r01.ers")); err != nil || len(left) != 0 {
			t.Errorf("%s: left: %q", name, left)
		}
		if h, _ := w.open().Head(); h.Renewals != 0 || w.records()[0] != "record" {
			t.Errorf("%s: %+v", name, h)
		}
	}
	w := newWorld(t)
	w.create()
	if n, err := w.renew(safeio.Disk{}, "x"); err != nil || n != 0 {
		t.Errorf("of nothing: %d, %v", n, err)
	}
}

// TestKillRenew ends a renewal at each step: all was renewed or nothing, and the next one works.
func TestKillRenew(t *testing.T) {
	killed := errors.New("killed")
	for step, done := 0, false; !done; step++ {
		w := newWorld(t)
		w.fill(4)
		n := 0
		disk := safeio.Disk{Before: func(string, string) error {
			if n++; n > step {
				return killed
			}
			return nil
		}}
		_, err := w.renew(disk, "first")
		if done = err == nil; !done && !errors.Is(err, killed) {
			t.Fatalf("step %d: %v", step, err)
		}
		before := w.records()
		if before[0] != before[1] || done && before[0] != "first of record" {
			t.Errorf("step %d: %q", step, before)
		}
		if n, err := w.renew(safeio.Disk{}, "second"); err != nil || n != 2 {
			t.Fatalf("step %d: %v", step, err)
		}
		if after := w.records(); after[0] != "second of "+before[0] || after[1] != after[0] {
			t.Errorf("step %d: %q", step, after)
		}
		h, _ := w.open().Head()
		if left, err := filepath.Glob(filepath.Join(w.dir, "seg", "*.ers")); err != nil || len(left) != 2*(1+h.Renewals) {
			t.Errorf("step %d: %d renewals, and %q", step, h.Renewals, left)
		}
	}
}

func TestLeaves(t *testing.T) {
	w := newWorld(t)
	w.fill(5)
	a := w.open()
	for segment := 1; segment <= 2; segment++ {
		leaves, err := a.Leaves(t.Context(), segment)
		if err != nil {
			t.Fatal(err)
		}
		var sums []string
		for _, leaf := range leaves {
			sums = append(sums, fmt.Sprintf("%x", sha512.Sum512(leaf)))
		}
		if record, err := a.Evidence(t.Context(), segment); err != nil || string(record) != strings.Join(sums, "\n") {
			t.Errorf("segment %d: %v, %q", segment, err, record)
		}
	}
	if _, err := a.Leaves(t.Context(), 3); !errors.Is(err, archive.ErrMissing) {
		t.Error(err)
	}
}
