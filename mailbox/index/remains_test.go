package index

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index/indextest"
)

const remainsSize = 600

// octetsOf are those of a message that says nothing but a word.
func octetsOf(word string) []byte { return bytes.Repeat([]byte(word+" "), 100)[:remainsSize] }

// left returns the files of an index in which something of such a message is.
func left(t *testing.T, x *Index, word string) []string {
	t.Helper()
	found, err := indextest.Remains(x.dir, testKey, []string{word}, octetsOf(word), octetsOf(word)[:remainsSize-1])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestNothingRemains: of messages that were removed, in whatever way, no octet is left in any file; of others there is.
func TestNothingRemains(t *testing.T) {
	const marker, other = "xyzzymarker", "plughmarker"
	with := func(uid mailbox.UID, word string) Message {
		m := testMessage(uid, remainsSize)
		octets := octetsOf(word)
		m.Octets, m.Text = section(octets), NewText(string(octets[:remainsSize-1]))
		m.Subject, m.From, m.To, m.Cc, m.MessageID = word+"s", word+"f@example.org", []string{word + "t"}, []string{word + "c"}, word+"id"
		m.Line, m.Evidence, m.Flags = []byte(word+"l"), []byte(word+"e"), []string{word + "k"}
		return m
	}
	elsewhere := Folder{Name: "Elsewhere", UIDValidity: 3}
	for name, remove := range map[string]func(x *Index) error{
		"removed": func(x *Index) error { return x.Remove(t.Context(), elsewhere, []mailbox.UID{1, 2}) },
		"moved, and removed": func(x *Index) error {
			if err := x.Move(t.Context(), elsewhere, map[mailbox.UID]mailbox.UID{1: 11, 2: 12}, testFolder); err != nil {
				return err
			}
			return x.Remove(t.Context(), testFolder, []mailbox.UID{11, 12})
		},
		"moved to where others are": func(x *Index) error {
			return x.Move(t.Context(), elsewhere, map[mailbox.UID]mailbox.UID{1: 1, 2: 3}, testFolder)
		},
		"their folder forgotten": func(x *Index) error { return x.Forget(t.Context(), elsewhere.Name) },
		"their folder renumbered": func(x *Index) error {
			_, err := x.Begin(t.Context(), elsewhere.Name, elsewhere.UIDValidity+1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := testIndex(t)
			if _, err := x.Begin(t.Context(), elsewhere.Name, elsewhere.UIDValidity); err != nil {
				t.Fatal(err)
			}
			x.add(t, with(1, other), with(3, other), with(4, other))
			if _, err := x.Add(t.Context(), elsewhere, []Message{with(1, marker), with(2, marker)}); err != nil {
				t.Fatal(err)
			}
			if found := left(t, x, marker); len(found) < 3 { // the log or the database, and both segments
				t.Fatalf("while it is there it is found in %v alone", found)
			}
			if err := remove(x); err != nil {
				t.Fatal(err)
			}
			if found := left(t, x, marker); len(found) > 0 {
				t.Errorf("after the removal it is found in %v", found)
			}
			if found := left(t, x, other); len(found) < 3 {
				t.Errorf("the others are found in %v", found)
			}
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			if found := left(t, x, marker); len(found) > 0 {
				t.Errorf("after closing it is found in %v", found)
			}
		})
	}
}

func BenchmarkRemove(b *testing.B) {
	x := testIndex(b)
	for first := mailbox.UID(1); first < 10_000; first += 500 {
		x.add(b, testMessages(first, first+499, 8000)...)
	}
	uid := mailbox.UID(0)
	for b.Loop() {
		uid++
		if err := x.Remove(b.Context(), testFolder, []mailbox.UID{uid}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRemovedWhileListed removes messages while another process shows a list to somebody who takes his time.
func TestRemovedWhileListed(t *testing.T) {
	x := testIndex(t)
	x.add(t, testMessages(1, 2*linesAtOnce, 10)...)
	other := testOpen(t, safeio.Disk{}, x.dir)
	listed := 0
	err := other.Lines(t.Context(), Selection{Folder: testFolder.Name}, func(Line) error {
		if listed++; listed > 1 {
			return nil
		}
		if err := x.Remove(t.Context(), testFolder, []mailbox.UID{1, 2 * linesAtOnce}); err != nil {
			return err
		}
		if log, err := os.Stat(filepath.Join(x.dir, databaseName+"-wal")); err != nil || log.Size() > 0 {
			t.Errorf("the log still has what was removed: %v, %v", log, err)
		}
		return nil
	})
	if err != nil || listed != 2*linesAtOnce-1 {
		t.Errorf("%d lines, %v", listed, err)
	}
}
