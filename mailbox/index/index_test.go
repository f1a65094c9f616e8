package index

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

var (
	testKey    = [32]byte{1, 2, 3}
	testFolder = Folder{Name: "INBOX", UIDValidity: 7}
	testDate   = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
)

// testOpen opens an index, which the test closes.
func testOpen(t testing.TB, disk safeio.Disk, dir string) *Index {
	t.Helper()
	x, _, err := Open(t.Context(), disk, dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// testIndex is an empty index that knows of testFolder.
func testIndex(t testing.TB) *Index {
	t.Helper()
	x := testOpen(t, safeio.Disk{}, t.TempDir())
	if renumbered, err := x.Begin(t.Context(), testFolder.Name, testFolder.UIDValidity); err != nil || renumbered {
		t.Fatal(renumbered, err)
	}
	return x
}

func testOctets(uid mailbox.UID, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "octets of message %d\r\n", uid), size/20+1)[:size]
}

func testMessage(uid mailbox.UID, size int) Message {
	return Message{
		UID: uid, Flags: []string{`\Seen`, "$Forwarded"}, Size: int64(size), Octets: section(testOctets(uid, size)),
		Date: testDate.Add(time.Duration(uid) * time.Hour), MessageID: fmt.Sprintf("m%d@example.org", uid),
		From: "alice@example.org", Subject: fmt.Sprintf("Subject %d", uid), To: []string{"bob@example.org"}, Verdict: "passed", Encryption: "decrypted",
		Text: NewText(fmt.Sprintf("Text of message %d", uid)), Line: fmt.Appendf(nil, `{"uid":%d}`, uid), Evidence: fmt.Appendf(nil, `evidence %d`, uid),
	}
}

func testMessages(first, last mailbox.UID, size int) (all []Message) {
	for uid := first; uid <= last; uid++ {
		all = append(all, testMessage(uid, size))
	}
	return all
}

// add keeps messages, all of which have to be new.
func (x *Index) add(t testing.TB, messages ...Message) {
	t.Helper()
	if added, err := x.Add(t.Context(), testFolder, messages); err != nil || len(added) != len(messages) {
		t.Fatal(added, err)
	}
}

func (x *Index) mustUIDs(t testing.TB, want ...mailbox.UID) {
	t.Helper()
	if got, err := x.UIDs(t.Context(), testFolder.Name); err != nil || !slices.Equal(got, want) {
		t.Errorf("UIDs %v, %v, want %v", got, err, want)
	}
}

// mustHold checks that the octets of messages are those of testMessage.
func (x *Index) mustHold(t testing.TB, size int, uids ...mailbox.UID) {
	t.Helper()
	for _, uid := range uids {
		var got bytes.Buffer
		if err := x.Octets(t.Context(), testFolder.Name, uid, &got); err != nil || !bytes.Equal(got.Bytes(), testOctets(uid, size)) {
			t.Errorf("message %d: %d octets, %v", uid, got.Len(), err)
		}
	}
}

func (x *Index) lines(t testing.TB, s Selection) (uids []mailbox.UID) {
	t.Helper()
	err := x.Lines(t.Context(), s, func(l Line) error {
		uids = append(uids, l.UID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return uids
}

func TestKeeps(t *testing.T) {
	x := testIndex(t)
	const size = 3*chunkSize + 5
	x.add(t, testMessages(1, 3, size)...)
	x.mustUIDs(t, 1, 2, 3)
	x.mustHold(t, size, 1, 2, 3)
	var got []Line
	err := x.Lines(t.Context(), Selection{Folder: "INBOX", Limit: 2}, func(l Line) error {
		got = append(got, l)
		return nil
	})
	flags := []string{`\Seen`, "$Forwarded"}
	want := []Line{{"INBOX", 2, flags, []byte(`{"uid":2}`)}, {"INBOX", 3, flags, []byte(`{"uid":3}`)}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got := x.lines(t, Selection{Folder: "INBOX", Since: testDate.Add(2 * time.Hour)}); !slices.Equal(got, []mailbox.UID{2, 3}) {
		t.Errorf("since: %v", got)
	}
	if data, err := x.Evidence(t.Context(), "INBOX", 2); err != nil || string(data) != "evidence 2" {
		t.Errorf("%q, %v", data, err)
	}
	if uids, err := x.Find(t.Context(), "INBOX", "m2@example.org"); err != nil || !slices.Equal(uids, []mailbox.UID{2}) {
		t.Error(uids, err)
	}

	// What is there already stays, and is not counted as added.
	again := testMessage(3, 10)
	if added, err := x.Add(t.Context(), testFolder, []Message{again, testMessage(4, 0)}); err != nil || !slices.Equal(added, []mailbox.UID{4}) {
		t.Error(added, err)
	}
	x.mustHold(t, size, 3)
	x.mustHold(t, 0, 4)
	// But its flags may be newer than those of a process that was faster.
	for _, modSeq := range []uint64{9, 8} {
		again.ModSeq, again.Flags = modSeq, []string{fmt.Sprint("at-", modSeq)}
		if added, err := x.Add(t.Context(), testFolder, []Message{again}); err != nil || len(added) > 0 {
			t.Error(added, err)
		}
	}
	if line, err := x.Line(t.Context(), "INBOX", 3); err != nil || !slices.Equal(line.Flags, []string{"at-9"}) {
		t.Error(line.Flags, err)
	}
	for _, modSeq := range []uint64{11, 10} {
		info := mailbox.Info{UID: 3, Flags: []string{fmt.Sprint("at-", modSeq)}, ModSeq: modSeq}
		if err := x.SetFlags(t.Context(), testFolder, []mailbox.Info{info}, modSeq); err != nil {
			t.Error(err)
		}
	}
	if line, err := x.Line(t.Context(), "INBOX", 3); err != nil || !slices.Equal(line.Flags, []string{"at-11"}) {
		t.Error(line.Flags, err)
	}
	without := testMessage(5, 1)
	without.Octets = nil
	x.add(t, without)
	if err := x.Octets(t.Context(), "INBOX", 5, io.Discard); !errors.Is(err, mailbox.ErrNotFound) {
		t.Errorf("octets that were not kept: %v", err)
	}
	if err := x.Octets(t.Context(), "INBOX", 6, io.Discard); !errors.Is(err, mailbox.ErrNotFound) {
		t.Errorf("no message: %v", err)
	}

	// A later process finds the same.
	dir := x.dir
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x = testOpen(t, safeio.Disk{}, dir)
	x.mustUIDs(t, 1, 2, 3, 4, 5)
	x.mustHold(t, size, 1, 2, 3)
}

func TestFilesAreTheOwners(t *testing.T) {
	x := testIndex(t)
	x.add(t, testMessage(1, 100))
	entries, err := os.ReadDir(x.dir)
	if err != nil || len(entries) < 3 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(e.Name(), "-shm") { // which has no text, and is in a folder of the owner's
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(x.dir); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Log(info.Mode(), err) // t.TempDir's
	}
}

func TestNumbering(t *testing.T) {
	x := testIndex(t)
	x.add(t, testMessages(1, 3, 100)...)
	if renumbered, err := x.Begin(t.Context(), "INBOX", 7); err != nil || renumbered {
		t.Error(renumbered, err)
	}
	x.mustUIDs(t, 1, 2, 3)
	if renumbered, err := x.Begin(t.Context(), "INBOX", 8); err != nil || !renumbered {
		t.Error(renumbered, err)
	}
	x.mustUIDs(t)
	// Who still believes in the old numbers changes nothing.
	if _, err := x.Add(t.Context(), testFolder, testMessages(4, 4, 1)); !errors.Is(err, ErrRenumbered) {
		t.Errorf("Add: %v", err)
	}
	if err := x.Remove(t.Context(), testFolder, []mailbox.UID{1}); !errors.Is(err, ErrRenumbered) {
		t.Errorf("Remove: %v", err)
	}
	if f, err := x.Folder(t.Context(), "INBOX"); err != nil || f.UIDValidity != 8 {
		t.Error(f, err)
	}
	if err := x.Forget(t.Context(), "INBOX"); err != nil {
		t.Fatal(err)
	}
	if all, err := x.Folders(t.Context()); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
}

func TestSegments(t *testing.T) {
	x := testIndex(t)
	segments := func() int {
		files, err := filepath.Glob(filepath.Join(x.dir, "*"+segmentSuffix))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	const large = maxSegment / 5
	for uid := mailbox.UID(1); uid <= 6; uid++ {
		x.add(t, testMessage(uid, large))
	}
	if n := segments(); n != 3 { // one of them of texts
		t.Fatalf("%d segments", n)
	}
	remove := func(uids ...mailbox.UID) {
		t.Helper()
		if err := x.Remove(t.Context(), testFolder, uids); err != nil {
			t.Fatal(err)
		}
	}
	remove(1)
	x.mustHold(t, large, 2, 3, 4, 5, 6)
	remove(2, 3) // more than half of the first
	x.mustHold(t, large, 4, 5, 6)
	size := int64(0)
	for _, path := range func() []string { f, _ := filepath.Glob(filepath.Join(x.dir, "*"+segmentSuffix)); return f }() {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 4*large {
		t.Errorf("%d octets for 3 messages of %d", size, large)
	}
	remove(4, 5, 6)
	if n := segments(); n != 0 {
		t.Errorf("%d segments for nothing", n)
	}
	x.mustUIDs(t)
}

// TestWrittenAtOnce has several who use one index write, read and remove at the same time: nothing is lost, and nothing is
// there twice.
func TestWrittenAtOnce(t *testing.T) {
	x := testIndex(t)
	const writers, rounds = 4, 6
	var group sync.WaitGroup
	for w := range writers {
		mine := testOpen(t, safeio.Disk{}, x.dir)
		group.Go(func() {
			for r := range rounds {
				uid := mailbox.UID(1 + r*writers + w)
				shared := mailbox.UID(1000 + r) // all add this one
				if _, err := mine.Add(t.Context(), testFolder, []Message{testMessage(uid, 100_000), testMessage(shared, 50)}); err != nil {
					t.Error(err)
				}
				mine.mustHold(t, 100_000, uid)
				if r%2 == 1 {
					if err := mine.Remove(t.Context(), testFolder, []mailbox.UID{uid}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	uids, err := x.UIDs(t.Context(), "INBOX")
	if err != nil || len(uids) != writers*rounds/2+rounds {
		t.Errorf("%d: %v, %v", len(uids), uids, err)
	}
	for _, uid := range uids {
		size := 100_000
		if uid >= 1000 {
			size = 50
		}
		x.mustHold(t, size, uid)
	}
}

// TestDamage changes an octet here and there: what is read then is an error, and never other lines or octets.
func TestDamage(t *testing.T) {
	x := testIndex(t)
	x.add(t, testMessages(1, 50, 3000)...)
	dir := x.dir
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(data []byte) []byte{
		"flipped": func(data []byte) []byte { return data },
		"cut":     func(data []byte) []byte { return data[:len(data)/2] },
		"rubbish": func(data []byte) []byte { return []byte("rubbish") },
	} {
		for _, file := range []string{databaseName, "00000001" + segmentSuffix} {
			path := filepath.Join(dir, file)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for at := 10; at < len(good); at += 1777 {
				bad := damage(bytes.Clone(good))
				if name == "flipped" {
					bad[at] ^= 1
				} else if at > 10 {
					break
				}
				if err := os.WriteFile(path, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := readAll(t, dir); !errors.Is(err, ErrDamaged) && err != nil {
					t.Errorf("%s, %s at %d: %v", file, name, at, err)
				} else if err == nil && file != databaseName {
					t.Errorf("%s, %s at %d: not noticed", file, name, at)
				} else if _, _, again := Open(t.Context(), safeio.Disk{}, dir, testKey); err != nil && !errors.Is(again, ErrDamaged) {
					t.Errorf("%s, %s at %d: opened after that: %v", file, name, at, again)
				}
				if err := os.RemoveAll(filepath.Join(dir, damagedName)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := readAll(t, dir); err != nil {
		t.Error(err)
	}
	if _, _, err := Open(t.Context(), safeio.Disk{}, dir, [32]byte{9}); !errors.Is(err, ErrDamaged) {
		t.Errorf("another key: %v", err)
	}
	if err := Destroy(safeio.Disk{}, dir); err != nil {
		t.Fatal(err)
	}
	testOpen(t, safeio.Disk{}, dir).mustUIDs(t)
}

// TestDamageWhileWriting meets damage where something is added, searched or removed: the index is then opened no more.
func TestDamageWhileWriting(t *testing.T) {
	query, err := ParseQuery("body:text")
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(x *Index) error{
		"add": func(x *Index) error { _, err := x.Add(t.Context(), testFolder, testMessages(51, 51, 3000)); return err },
		"search": func(x *Index) error {
			return x.Lines(t.Context(), Selection{Query: &query}, func(Line) error { return nil })
		},
		"remove": func(x *Index) error { return x.Remove(t.Context(), testFolder, uidsTo(40)) },
	} {
		for how, harm := range map[string]func(path string) error{"cut": func(path string) error { return os.Truncate(path, 10) }, "lost": os.Remove} {
			x := testIndex(t)
			x.add(t, testMessages(1, 50, 3000)...)
			for _, id := range []int64{1, 2} {
				if err := harm(x.segmentPath(id)); err != nil {
					t.Fatal(err)
				}
			}
			if err := do(x); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %s: %v", name, how, err)
			}
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := Open(t.Context(), safeio.Disk{}, x.dir, testKey); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, %s: opened after that: %v", name, how, err)
			}
		}
	}
}

// uidsTo are the UIDs from 1 on.
func uidsTo(last mailbox.UID) (uids []mailbox.UID) {
	for uid := mailbox.UID(1); uid <= last; uid++ {
		uids = append(uids, uid)
	}
	return uids
}

// TestReplaced destroys an index that is open, and makes it anew: who has the old one open leaves the new one alone.
func TestReplaced(t *testing.T) {
	x := testIndex(t)
	x.add(t, testMessages(1, 5, 3000)...)
	if err := Destroy(safeio.Disk{}, x.dir); err != nil {
		t.Fatal(err)
	}
	now := testOpen(t, safeio.Disk{}, x.dir)
	if _, err := now.Begin(t.Context(), testFolder.Name, testFolder.UIDValidity); err != nil {
		t.Fatal(err)
	}
	now.add(t, testMessages(1, 9, 3000)...)
	if _, err := x.Add(t.Context(), testFolder, testMessages(6, 6, 3000)); !errors.Is(err, ErrReplaced) {
		t.Error(err)
	}
	_ = x.Octets(t.Context(), testFolder.Name, 1, io.Discard) // sealed under another key: the new index is not to blame
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	now.mustHold(t, 3000, uidsTo(9)...)
	testOpen(t, safeio.Disk{}, x.dir).mustHold(t, 3000, uidsTo(9)...)
}

// readAll reads what TestDamage keeps, and checks that it is what it was.
func readAll(t *testing.T, dir string) error {
	x, _, err := Open(t.Context(), safeio.Disk{}, dir, testKey)
	if err != nil {
		return err
	}
	defer x.Close()
	n := 0
	err = x.Lines(t.Context(), Selection{Folder: "INBOX"}, func(l Line) error {
		if n++; string(l.Data) != fmt.Sprintf(`{"uid":%d}`, l.UID) {
			t.Errorf("line %d is %s", l.UID, l.Data)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n != 50 {
		t.Errorf("%d lines", n)
	}
	for uid := mailbox.UID(1); uid <= 50; uid++ {
		var got bytes.Buffer
		if err := x.Octets(t.Context(), "INBOX", uid, &got); err != nil {
			return err
		}
		if !bytes.Equal(got.Bytes(), testOctets(uid, 3000)) {
			t.Errorf("other octets in message %d", uid)
		}
	}
	return nil
}

// TestOddFolder: the name of the folder is data, in whatever SQLite makes of names.
func TestOddFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b+c%20d#e&f='g;h?i")
	for uid := range mailbox.UID(2) {
		x := testOpen(t, safeio.Disk{}, dir)
		if _, err := x.Begin(t.Context(), testFolder.Name, testFolder.UIDValidity); err != nil {
			t.Fatal(err)
		}
		x.add(t, testMessage(1+uid, 100))
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName)); err != nil {
		t.Error(err)
	}
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "INBOX.index"), []byte("sealmail index\n\x01"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		x, replaced, err := Open(t.Context(), safeio.Disk{}, dir, testKey)
		if err != nil || replaced != want {
			t.Fatal(replaced, err)
		}
		if want {
			err = x.db.Exec("PRAGMA user_version=2")
		} else {
			err = x.db.Exec("PRAGMA user_version=3")
		}
		if err := errors.Join(err, x.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Open(t.Context(), safeio.Disk{}, dir, testKey); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
}

func BenchmarkAdd(b *testing.B) {
	for b.Loop() {
		x := testIndex(b)
		for first := mailbox.UID(1); first < 10_000; first += 250 {
			x.add(b, testMessages(first, first+249, 8000)...)
		}
	}
}

func BenchmarkLines(b *testing.B) {
	x := testIndex(b)
	for first := mailbox.UID(1); first < 100_000; first += 1000 {
		x.add(b, testMessages(first, first+999, 10)...)
	}
	b.ResetTimer()
	for b.Loop() {
		y, _, err := Open(b.Context(), safeio.Disk{}, x.dir, testKey)
		if err != nil {
			b.Fatal(err)
		}
		s := Selection{Folder: "INBOX", Limit: 100}
		if n := len(y.lines(b, s)); n != 100 {
			b.Fatal(n)
		}
		y.Close()
	}
}

func section(data []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data)))
}
