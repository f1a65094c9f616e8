package filestore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

func load(t testing.TB, path string) *Numbers {
	t.Helper()
	n := OpenNumbers(safeio.Disk{}, path)
	if err := n.Load(); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *Numbers) must(t testing.TB, key string) mailbox.UID {
	t.Helper()
	uid, err := n.Add(key)
	if err := errors.Join(err, n.Save()); err != nil {
		t.Fatal(err)
	}
	return uid
}

// TestNumbers lets two that have the file open, and one that opens it anew, agree on each step.
func TestNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uids")
	a := load(t, path)
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	b := load(t, path)
	same := func(step string) {
		t.Helper()
		if err := errors.Join(a.Load(), b.Load()); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		anew := load(t, path)
		var texts []string
		for _, n := range []*Numbers{a, b, anew} {
			var text bytes.Buffer
			n.state.write(&text)
			texts = append(texts, text.String())
		}
		if texts[0] != texts[1] || texts[1] != texts[2] {
			t.Fatalf("%s: they differ: %q", step, texts)
		}
	}
	keys := []string{"1.a.host", "with space", "new\nline", `"quoted"`, "\xff\xfe", "ä", ""}
	for i, key := range keys {
		n := a
		if i%2 == 1 {
			n = b
		}
		if uid := n.must(t, key); uid != mailbox.UID(i+1) {
			t.Errorf("%q got %d", key, uid)
		}
		same(key)
	}
	a.Mark("ä", []string{"$Forwarded", "x"})
	a.Drop(keys[0])
	a.Drop("of none")
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	same("marked")
	number, there := b.Get("ä")
	if !there || number.UID != 6 || !slices.Equal(number.Flags, []string{"$Forwarded", "x"}) {
		t.Errorf("got %+v, %v", number, there)
	}
	// A name that comes again is another message.
	if uid := b.must(t, keys[0]); uid != 8 {
		t.Errorf("again: %d", uid)
	}
	same("again")
	validity := a.Validity()
	// What is gone does not stay in the file for ever, and its number is not given again.
	for n := range 2*spare + 10 {
		key := fmt.Sprint("many ", n)
		if _, err := a.Add(key); err != nil {
			t.Fatal(err)
		}
		a.Drop(key)
	}
	if err := errors.Join(a.Save(), a.Load(), a.Save()); err != nil {
		t.Fatal(err)
	}
	same("many")
	if info, err := os.Stat(path); err != nil || info.Size() > 1000 {
		t.Errorf("the file has %d octets, %v", info.Size(), err)
	}
	if uid := b.must(t, "last"); uid != 8+2*spare+10+1 || b.Validity() != validity {
		t.Errorf("last: %d, UIDVALIDITY %d, was %d", uid, b.Validity(), validity)
	}
}

// TestNumbersCut cuts the file at each octet: what was whole is there, and the rest gets other numbers than it had, or the same.
func TestNumbersCut(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "uids")
	n := load(t, path)
	if err := n.Save(); err != nil {
		t.Fatal(err)
	}
	first := int(n.read)
	for _, key := range []string{"a", "b", "c"} {
		n.must(t, key)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		got := load(t, path)
		if cut < first {
			if got.Validity() == n.Validity() {
				t.Errorf("cut to %d: the same UIDVALIDITY", cut)
			}
			continue
		}
		known := strings.Count(string(whole[first:cut]), "\n")
		if got.Validity() != n.Validity() || len(got.Keys()) != known || got.Next() != mailbox.UID(known+1) {
			t.Errorf("cut to %d: %v, UIDVALIDITY %d, next %d", cut, got.Keys(), got.Validity(), got.Next())
		}
		got.must(t, "d")
		if again := load(t, path); len(again.Keys()) != known+1 {
			t.Errorf("cut to %d and gone on: %v", cut, again.Keys())
		}
	}
}

func TestNumbersDamaged(t *testing.T) {
	for _, text := range []string{
		"", "x\n", magic + "\n", magic + " 0 1\n", magic + " 1\n", magic + " 7 1\n1 a\n1 b\n", magic + " 7 1\n1 a\n2 a\n", magic + " 7 1\n0 a\n",
		magic + " 7 1\n01 a\n", magic + " 7 1\n4294967296 a\n", magic + " 7 1\n1\n", magic + " 7 1\n1 \"a\n", magic + " 7 1\n1 \"a\"\n", magic + " 7 1\n-1\n",
		magic + " 7 1\n=1 x\n", magic + " 7 1\n1 a\n=1 \\Recent\n", magic + " 7 1\n1 " + strings.Repeat("x", maxLine) + "\n", magic + " 7 1\n\n", "\x00\x00\x00\n",
	} {
		path := filepath.Join(t.TempDir(), "uids")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n := load(t, path)
		if len(n.Keys()) > 0 || n.Validity() == 7 || n.Next() != 1 {
			t.Errorf("%q: %v, %d, %d", text, n.Keys(), n.Validity(), n.Next())
		}
		n.must(t, "a")
		if again := load(t, path); again.Validity() != n.Validity() || len(again.Keys()) != 1 {
			t.Errorf("%q: begun anew: %v", text, again.Keys())
		}
	}
}

func TestNumbersUsedUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uids")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s 7 %d\n", magic, uint32(math.MaxUint32)), 0o600); err != nil {
		t.Fatal(err)
	}
	n := load(t, path)
	if uid := n.must(t, "last"); uid != math.MaxUint32 {
		t.Errorf("got %d", uid)
	}
	if uid, err := n.Add("none"); err == nil {
		t.Errorf("got %d", uid)
	}
	if n.info = nil; n.Save() != nil || load(t, path).Next() != 0 {
		t.Error("written anew, there are some again")
	}
}

// TestNumbersAreNoLink: what is a link, a pipe or a folder is not read, and not written to.
func TestNumbersAreNoLink(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := errors.Join(os.WriteFile(outside, []byte(magic+" 7 1\n"), 0o600), os.Symlink(outside, filepath.Join(dir, "link")),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "folder"} {
		if err := OpenNumbers(safeio.Disk{}, filepath.Join(dir, name)).Load(); !errors.Is(err, safeio.ErrNotRegular) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNumbersDiskFails: what could not be saved is forgotten by the next Load, and nothing that was there is.
func TestNumbersDiskFails(t *testing.T) {
	for step := range 2 {
		path := filepath.Join(t.TempDir(), "uids")
		n := load(t, path)
		n.must(t, "a")
		count, broken := 0, errors.New("the disk is gone")
		n.disk = safeio.Disk{Before: func(string, string) error {
			if count++; count == step+1 {
				return broken
			}
			return nil
		}}
		if _, err := n.Add("b"); err != nil {
			t.Fatal(err)
		}
		if err := n.Save(); !errors.Is(err, broken) {
			t.Errorf("step %d: %v", step, err)
		}
		if err := n.Load(); err != nil {
			t.Fatal(err)
		}
		if _, there := n.Get("a"); !there {
			t.Errorf("step %d: the other one is gone", step)
		}
		n.must(t, "c")
		if again := load(t, path); again.Validity() != n.Validity() || again.Next() != n.Next() {
			t.Errorf("step %d: next %d, in the file %d", step, n.Next(), again.Next())
		}
	}
}

// FuzzNumbers: what is read is written in one way, and read as the same again.
func FuzzNumbers(f *testing.F) {
	f.Add([]byte(magic + " 7 1\n1 1.a.host\n2 \"new\\nline\"\n=2 $Forwarded x\n-1\n3 b\n"))
	f.Add([]byte(magic + " 4294967295 0\n4294967295 a\n"))
	f.Add([]byte(magic + " 1 9\n3 a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s numbers
		used, err := s.parse(bufio.NewReaderSize(bytes.NewReader(text), maxLine))
		if used > int64(len(text)) {
			t.Fatalf("%d octets of %d", used, len(text))
		}
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		s.write(&first)
		var again numbers
		if _, err := again.parse(bufio.NewReaderSize(bytes.NewReader(first.Bytes()), maxLine)); err != nil {
			t.Fatalf("%q: %v", first.Bytes(), err)
		}
		if again.write(&second); first.String() != second.String() || again.next != s.next || len(again.keys) != len(s.keys) {
			t.Errorf("%q is read as %q", first.Bytes(), second.Bytes())
		}
		for key, number := range s.keys {
			if s.next != 0 && number.UID >= s.next {
				t.Errorf("%q has %d, and %d is next", key, number.UID, s.next)
			}
		}
	})
}
