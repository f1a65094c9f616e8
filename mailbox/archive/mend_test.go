package archive_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// putBackFile puts the file of an object back to what it was.
func (w *world) putBackFile(name string, octets []byte) {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, octets, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) file(name string) []byte {
	w.t.Helper()
	octets, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return octets
}

// nothing is a writer that only mends.
func nothing(*archive.Writer) error { return nil }

// TestMendStatement puts the head back by one statement, as a kill leaves it: the statement stays said.
func TestMendStatement(t *testing.T) {
	for _, s := range []archive.Statement{hold("b", 1), {Kind: archive.StatementRelease, Name: "a"}, retain(archive.Period{Days: 1}, archive.Scope{All: true})} {
		w := newWorld(t)
		w.fill(1)
		w.say(hold("a", 1))
		head := w.file("head")
		w.say(s)
		w.putBackFile("head", head)
		if list, err := statements(t.Context(), w.open()); err != nil || len(list) != 1 {
			t.Fatalf("%s: %d statements: %v", s.Kind, len(list), err)
		}
		w.do(nothing)
		if list, err := statements(t.Context(), w.open()); err != nil || len(list) != 2 || list[1].Kind != s.Kind {
			t.Errorf("%s: %d statements: %v", s.Kind, len(list), err)
		}
		w.say(hold("c", 1))
	}
}

// TestMendStatementRefused: what is no statement of this archive in its place is removed, and what may have been part of it is
// left alone.
func TestMendStatementRefused(t *testing.T) {
	second := func(w *world) (head, one []byte) {
		w.fill(1)
		w.say(hold("a", 1))
		head = w.file("head")
		w.say(hold("b", 1))
		return head, w.file("log/000001.p7m")
	}
	for name, test := range map[string]struct {
		change func(w *world, one []byte)
		want   error
	}{
		"another":     {func(w *world, one []byte) { w.putBackFile("log/000002.p7m", one) }, nil},
		"garbage":     {func(w *world, _ []byte) { w.putBackFile("log/000002.p7m", []byte("x")) }, nil},
		"certificate": {func(w *world, _ []byte) { w.signer = certificate(w.t, "Next"); w.write.Signer = w.signer }, archive.ErrRolledBack},
		"lost key":    {func(w *world, _ []byte) { delete(w.kept.(memory), "archive:"+w.open().ID()+":log") }, archive.ErrNoKey},
	} {
		w := newWorld(t)
		head, one := second(w)
		w.putBackFile("head", head)
		test.change(w, one)
		if err := w.change(t.Context(), safeio.Disk{}, nothing); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		_, err := os.Lstat(filepath.Join(w.dir, "log", "000002.p7m"))
		if there := err == nil; there != (test.want != nil) {
			t.Errorf("%s: the object is there: %t", name, there)
		}
	}
}

// TestMendUnknownStatement: a later version said something, and was killed: it is for that one to go on.
func TestMendUnknownStatement(t *testing.T) {
	w := newWorld(t)
	w.fill(1)
	id, head := w.open().ID(), w.file("head")
	w.do(func(writer *archive.Writer) error {
		return writer.SayForged(t.Context(), archive.Statement{Kind: "embargo", Time: now(), Scope: archive.Scope{All: true}}, id, 1, nil)
	})
	w.putBackFile("head", head)
	if err := w.change(t.Context(), safeio.Disk{}, nothing); !errors.Is(err, archive.ErrVersion) {
		t.Errorf("%v", err)
	}
}

// TestMendRolledBack puts the head back to before something was shredded. Nothing is removed then, so that with the head that was
// there all is as it was.
func TestMendRolledBack(t *testing.T) {
	for name, back := range map[string][]string{
		"head":                                {"head"},
		"head, before the keys are forgotten": {"head"},
		"head and keys":                       {"head", "keys/000001.k01"},
		"head and keys, without the new ones": {"head", "keys/000001.k01", "-keys/000001.k02", "-log/000001.p7m"},
	} {
		w := newWorld(t)
		w.fill(4)
		was := map[string][]byte{"head": w.file("head"), "keys/000001.k01": w.file("keys/000001.k01")}
		known := maps.Clone(w.kept.(memory))
		w.shred("2")
		if strings.Contains(name, "forgotten") {
			maps.Copy(w.kept.(memory), known)
		}
		is := w.file("head")
		for _, file := range back {
			if file[0] == '-' {
				if err := os.Remove(filepath.Join(w.dir, file[1:])); err != nil {
					t.Fatal(err)
				}
				continue
			}
			w.putBackFile(file, was[file])
		}
		keys := slices.Sorted(maps.Keys(w.kept.(memory)))
		err := w.change(t.Context(), safeio.Disk{}, func(writer *archive.Writer) error {
			if stale := writer.Stale(keys); len(stale) != 0 {
				t.Errorf("%s: stale: %q", name, stale)
			}
			return nil
		})
		if len(back) > 2 {
			// It cannot be seen from inside; a witness shows it. No key is given up all the same.
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, archive.ErrRolledBack) {
			t.Errorf("%s: %v", name, err)
		}
		w.putBackFile("head", is)
		if got := w.readable(); got != "1,3-4" {
			t.Errorf("%s: readable: %s", name, got)
		}
		w.shred("1")
	}
}

// TestMendRecovery: somebody lost the vault, shreds with the key of a recovery certificate, and is killed at each step. That the
// segment key is not there is no sign of an old head then.
func TestMendRecovery(t *testing.T) {
	killed := errors.New("killed")
	for step, done := 0, false; !done; step++ {
		w := newWorld(t)
		recovery := certificate(t, "Recovery")
		if err := archive.Create(t.Context(), w.storage(safeio.Disk{}), w.options(), w.signer, recovery.Chain); err != nil {
			t.Fatal(err)
		}
		if _, err := w.add(t.Context(), safeio.Disk{}, 1, 2); err != nil {
			t.Fatal(err)
		}
		clear(w.kept.(memory))
		shred := func(disk safeio.Disk) error {
			o := w.options()
			o.Recovery = []archive.Unwrapper{recoverer{recovery.Chain[0], recovery.Key.(*ecdsa.PrivateKey)}}
			a, err := archive.Open(t.Context(), w.storage(disk), o)
			if err != nil {
				return err
			}
			writer, err := a.Write(t.Context(), w.write)
			if err != nil {
				return err
			}
			_, err = writer.Shred(t.Context(), archive.Numbers(1), because)
			return errors.Join(err, writer.Close(), a.Close())
		}
		n := 0
		err := shred(safeio.Disk{Before: func(string, string) error {
			if n++; n > step {
				return killed
			}
			return nil
		}})
		if done = err == nil; !done && !errors.Is(err, killed) {
			t.Fatalf("step %d: %v", step, err)
		}
		if err := shred(safeio.Disk{}); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if got := w.readable(); got != "2" { // with the new segment key
			t.Errorf("step %d: readable: %s", step, got)
		}
	}
}

// TestMendStamps puts the head back by one segment, as a kill leaves it: what proved the time of the segment stays where it is good.
func TestMendStamps(t *testing.T) {
	for name, refuse := range map[string]error{"good": nil, "not good": errors.New("not over this")} {
		w := newWorld(t)
		w.fill(3)
		head := w.file("head")
		if _, err := w.add(t.Context(), safeio.Disk{}, 4, 6); err != nil {
			t.Fatal(err)
		}
		token, record := w.file("seg/000002.tst"), w.file("seg/000002.ers")
		w.putBackFile("head", head)
		proved := 0
		w.write.Proves = func(_ context.Context, gotToken, gotRecord []byte, leaves [][]byte) error {
			if proved++; !bytes.Equal(gotToken, token) || !bytes.Equal(gotRecord, record) || len(leaves) != 4 {
				t.Errorf("%s: %q, %q, %d leaves", name, gotToken, gotRecord, len(leaves))
			}
			return refuse
		}
		w.do(nothing)
		h, _ := w.open().Head()
		if kept := len(h.Unstamped) == 0; h.Segments != 2 || proved != 1 || kept != (refuse == nil) {
			t.Errorf("%s: %d segments, without a time-stamp %v, asked %d times", name, h.Segments, h.Unstamped, proved)
		}
	}
}
