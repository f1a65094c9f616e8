package index

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

var testKey = [32]byte{1, 2, 3}

func open(t testing.TB, disk safeio.Disk, path string, key [32]byte) *Index {
	t.Helper()
	x, err := Open(disk, path, key)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func testState(n int) State {
	s := State{UIDValidity: 7, Next: 1000}
	for i := range n {
		s.Records = append(s.Records, Record{mailbox.UID(i + 1), json.RawMessage(fmt.Sprintf(`{"subject":"secret %d"}`, i))})
	}
	return s
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alice-INBOX")
	x := open(t, safeio.Disk{}, path, testKey)
	if s, err := x.Load(); err != nil || cmp.Diff(State{}, s) != "" {
		t.Errorf("before the first Save: %+v, %v", s, err)
	}
	for _, want := range []State{testState(3), testState(0), testState(500)} {
		if err := x.Save(want); err != nil {
			t.Fatal(err)
		}
		got, err := open(t, safeio.Disk{}, path, testKey).Load()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("secret")) || bytes.Contains(data, []byte("subject")) {
		t.Error("records are in clear on disk")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSaveRefuses(t *testing.T) {
	x := open(t, safeio.Disk{}, filepath.Join(t.TempDir(), "x"), testKey)
	data := json.RawMessage(`{}`)
	for name, s := range map[string]State{
		"descending":       {Next: 9, Records: []Record{{2, data}, {1, data}}},
		"twice":            {Next: 9, Records: []Record{{2, data}, {2, data}}},
		"zero":             {Next: 9, Records: []Record{{0, data}}},
		"above the cursor": {Next: 9, Records: []Record{{9, data}}},
		"not JSON":         {Next: 9, Records: []Record{{1, json.RawMessage(`{`)}}},
	} {
		if err := x.Save(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamage changes and cuts the file at each octet.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "alice-INBOX")
	x := open(t, safeio.Disk{}, path, testKey)
	if err := x.Save(testState(1)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, x *Index) {
		t.Helper()
		if s, err := x.Load(); !errors.Is(err, ErrDamaged) || cmp.Diff(State{}, s) != "" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		write(path, bad)
		check(fmt.Sprint("octet ", i, " changed"), x)
		write(path, good[:i])
		check(fmt.Sprint("cut at ", i), x)
	}
	write(path, append(bytes.Clone(good), 0))
	check("longer", x)
	write(path, good)
	check("another key", open(t, safeio.Disk{}, path, [32]byte{9}))
	other := filepath.Join(dir, "alice-Sent")
	write(other, good)
	check("another name", open(t, safeio.Disk{}, other, testKey))

	// The caller begins anew.
	write(path, []byte("rubbish"))
	check("rubbish", x)
	if err := x.Save(testState(2)); err != nil {
		t.Fatal(err)
	}
	if s, err := x.Load(); err != nil || len(s.Records) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestSaveIsAtomic lets each step of the disk fail: cursor and records are both old or both new.
func TestSaveIsAtomic(t *testing.T) {
	failure := errors.New("injected")
	path := filepath.Join(t.TempDir(), "x")
	before, after := testState(3), testState(5)
	after.Next++
	for last, step := false, 0; !last; step++ {
		if err := open(t, safeio.Disk{}, path, testKey).Save(before); err != nil {
			t.Fatal(err)
		}
		count := -1
		disk := safeio.Disk{Before: func(op, path string) error {
			if count++; count >= step {
				return failure
			}
			return nil
		}}
		err := open(t, disk, path, testKey).Save(after)
		last = err == nil
		if err != nil && !errors.Is(err, failure) {
			t.Fatal(err)
		}
		got, err := open(t, safeio.Disk{}, path, testKey).Load()
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if cmp.Diff(before, got) != "" && cmp.Diff(after, got) != "" {
			t.Errorf("step %d: %+v", step, got)
		}
	}
}

var update = flag.Bool("update", false, "write testdata anew")

// golden is an index that an earlier version saved.
func golden(t testing.TB) (x *Index, data []byte) {
	t.Helper()
	x = open(t, safeio.Disk{}, filepath.Join("testdata", "index-v1"), testKey)
	if *update {
		if err := x.Save(testState(2)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(x.path)
	if err != nil {
		t.Fatal(err)
	}
	return x, data
}

// TestFormat keeps the format what it is: the next version must read what this one saved.
func TestFormat(t *testing.T) {
	x, _ := golden(t)
	got, err := x.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testState(2), got); diff != "" {
		t.Error(diff)
	}
}

func FuzzLoad(f *testing.F) {
	x, good := golden(f)
	f.Add(good)
	f.Add(good[:header+nonceLen])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := x.open(bytes.Clone(data))
		if err == nil && !bytes.Equal(data, good) {
			t.Fatalf("%+v was read from a file that was never saved", s)
		}
	})
}
