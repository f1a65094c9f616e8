package bag_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// folder makes a file system of files.
func folder(files map[string]string) fstest.MapFS {
	f := fstest.MapFS{}
	for name, text := range files {
		f[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return f
}

// check returns the kinds and files of what is found.
func check(t testing.TB, fsys fs.FS, o bag.Options) (found []string) {
	t.Helper()
	r, err := bag.Check(t.Context(), fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		found = append(found, string(f.Kind)+" "+f.File)
	}
	if valid := len(found) == 0 && !o.Fast; r.Valid() != valid || r.Complete() != (len(found) == 0) {
		t.Errorf("valid: %v, complete: %v with %v", r.Valid(), r.Complete(), found)
	}
	return found
}

// TestCheck harms a bag in each way, and looks at it fast and fully.
func TestCheck(t *testing.T) {
	for _, test := range harms() {
		files := plain()
		test.do(files)
		if diff := cmp.Diff(test.fast, check(t, folder(files), bag.Options{Fast: true})); diff != "" {
			t.Errorf("%s: fast: %s", test.name, diff)
		}
		if diff := cmp.Diff(slices.Concat(test.fast, test.full), check(t, folder(files), bag.Options{})); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestCheckOwn: what Writer wrote is valid, with all that names may be.
func TestCheckOwn(t *testing.T) {
	sink := &memory{files: map[string]string{}}
	write(t, sink, []bag.Field{{"A", "b: c"}}, "100%", "x", "a\r\nb%0A", "y", " c ü/d", "", "d/~e", "z")
	if found := check(t, folder(sink.files), bag.Options{}); found != nil {
		t.Error(found)
	}
	r, err := bag.Check(t.Context(), folder(sink.files), bag.Options{})
	if err != nil || r.Files != 4 || r.Octets != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if diff := cmp.Diff([]bag.Field{{"A", "b: c"}, {"Payload-Oxum", "3.4"}}, r.Info); diff != "" {
		t.Error(diff)
	}
}

// TestCheckZIP checks a bag in its ZIP file, and with each octet of its content altered.
func TestCheckZIP(t *testing.T) {
	octets := zipped(t)
	open := func(octets []byte) fs.FS {
		r, err := zip.NewReader(bytes.NewReader(octets), int64(len(octets)))
		if err != nil {
			t.Fatal(err)
		}
		sub, err := fs.Sub(r, "000001")
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	if found := check(t, open(octets), bag.Options{}); found != nil {
		t.Error(found)
	}
	at := bytes.Index(octets, []byte("000001/data/1.eml")) + len("000001/data/1.eml")
	octets[at]++
	if diff := cmp.Diff([]string{"unreadable data/1.eml"}, check(t, open(octets), bag.Options{})); diff != "" {
		t.Error(diff)
	}
}

// TestCheckLinks: a link is not followed, be its target what it may.
func TestCheckLinks(t *testing.T) {
	dir := t.TempDir()
	base, outside := filepath.Join(dir, "bag"), filepath.Join(dir, "outside")
	files := plain()
	delete(files, "data/a")
	for name, text := range files {
		name = filepath.Join(base, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(outside, []byte("one"), 0o600), os.Symlink(outside, filepath.Join(base, "data/a"))); err != nil {
		t.Fatal(err)
	}
	want := []string{"malformed data/a", "missing data/a", "altered data"}
	if diff := cmp.Diff(want, check(t, os.DirFS(base), bag.Options{})); diff != "" {
		t.Error(diff)
	}
}

// TestCheckBounds: neither findings nor octets are without end, and the context ends it.
func TestCheckBounds(t *testing.T) {
	files := plain()
	for i := range 2500 {
		files[fmt.Sprintf("data/x%d", i)] = ""
	}
	r, err := bag.Check(t.Context(), folder(files), bag.Options{})
	if err != nil || len(r.Findings) != 1000 || r.More != 1501 || r.Valid() { // the sum of the payload besides
		t.Errorf("%d findings, %d more, %v", len(r.Findings), r.More, err)
	}
	files = plain()
	most := len(files["bag-info.txt"] + files["bagit.txt"] + files["data/a"] + files["data/b/c"] + files["manifest-sha256.txt"] + files["manifest-sha512.txt"])
	if diff := cmp.Diff([]string{"unreadable manifest-sha512.txt"}, check(t, folder(files), bag.Options{MaxOctets: int64(most - 1)})); diff != "" {
		t.Error(diff)
	}
	if found := check(t, folder(files), bag.Options{MaxOctets: int64(most)}); found != nil {
		t.Error(found) // tag manifests are listed nowhere
	}
	files["bag-info.txt"] += strings.Repeat("a: b\n", 10_000)
	tag(files)
	if diff := cmp.Diff([]string{"malformed bag-info.txt"}, check(t, folder(files), bag.Options{Fast: true})); diff != "" {
		t.Error(diff)
	}
	if _, err := bag.Check(t.Context(), crowd{}, bag.Options{}); err == nil {
		t.Error("more than a million files are looked at")
	}
	n := 0
	for _, err := range bag.Manifest(strings.NewReader(strings.Repeat("00 a\n", 2<<20)), 1) {
		if n++; (err != nil) != (n == 1<<20+1) {
			t.Fatalf("line %d: %v", n, err)
		}
	}
	if n != 1<<20+1 {
		t.Errorf("%d lines are read", n)
	}
}

// crowd is a folder of very many files.
type crowd struct{ fstest.MapFS }

func (crowd) ReadDir(string) ([]fs.DirEntry, error) {
	list := make([]fs.DirEntry, 1<<20+1)
	for i := range list {
		list[i] = fs.FileInfoToDirEntry(named(fmt.Sprint(i)))
	}
	return list, nil
}

// named is a file that is empty.
type named string

func (n named) Name() string     { return string(n) }
func (named) Size() int64        { return 0 }
func (named) Mode() fs.FileMode  { return 0 }
func (named) ModTime() time.Time { return time.Time{} }
func (named) IsDir() bool        { return false }
func (named) Sys() any           { return nil }

// ending cancels when a file is opened.
type ending struct {
	fs.FS
	at     string
	cancel func()
}

func (e ending) Open(name string) (fs.File, error) {
	if name == e.at {
		e.cancel()
	}
	return e.FS.Open(name)
}

// TestCheckCancelled: what was cancelled has no result, wherever it was.
func TestCheckCancelled(t *testing.T) {
	for _, at := range []string{".", "data", "bagit.txt", "manifest-sha512.txt", "bag-info.txt", "data/a", "manifest-sha256.txt"} {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := bag.Check(ctx, ending{folder(plain()), at, cancel}, bag.Options{})
		if r != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, %v", at, r, err)
		}
		cancel()
	}
}

// TestFinding: what a bag calls its files is not printed as it is.
func TestFinding(t *testing.T) {
	for _, f := range []bag.Finding{{bag.Missing, "data/\x1b[2J", ""}, {bag.Missing, "data/\x1b[2J", "why"}} {
		if s := f.String(); strings.Contains(s, "\x1b") || !strings.HasPrefix(s, `missing: "data/\x1b[2J"`) || !strings.HasSuffix(s, f.Detail) {
			t.Errorf("%q", s)
		}
	}
}
