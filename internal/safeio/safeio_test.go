package safeio_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

var errInjected = errors.New("injected")

// recorder notes the steps of an operation, and makes the failAt-th fail (counted from 0; -1: none).
type recorder struct {
	ops    []string
	failAt int
}

func (r *recorder) before(op, _ string) error {
	r.ops = append(r.ops, op)
	if len(r.ops)-1 == r.failAt {
		return errInjected
	}
	return nil
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// names returns what is in dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWriteFileSteps(t *testing.T) {
	r := &recorder{failAt: -1}
	path := filepath.Join(t.TempDir(), "f")
	if err := (safeio.Disk{Before: r.before}).WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{safeio.OpCreate, safeio.OpWrite, safeio.OpSync, safeio.OpRename, safeio.OpSyncDir}
	if !slices.Equal(r.ops, want) {
		t.Errorf("steps %v, want %v", r.ops, want)
	}
}

// TestWriteFileFault makes each step fail in turn: the target holds the old content, or (once renamed) the new, and
// no temporary file stays.
func TestWriteFileFault(t *testing.T) {
	steps := []string{safeio.OpCreate, safeio.OpWrite, safeio.OpSync, safeio.OpRename, safeio.OpSyncDir}
	for _, existing := range []bool{true, false} {
		for i, step := range steps {
			t.Run(fmt.Sprintf("%s/existing=%v", step, existing), func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "f")
				if existing {
					if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				r := &recorder{failAt: i}
				err := safeio.Disk{Before: r.before}.WriteFile(path, []byte("new"), 0o600)
				if !errors.Is(err, errInjected) {
					t.Fatalf("error %v, want the injected one", err)
				}
				if !strings.Contains(err.Error(), step) || !strings.Contains(err.Error(), dir) {
					t.Errorf("error %q names not both step and path", err)
				}
				renamed := step == safeio.OpSyncDir
				switch {
				case renamed:
					if got := read(t, path); string(got) != "new" {
						t.Errorf("content %q, want new", got)
					}
				case existing:
					if got := read(t, path); string(got) != "old" {
						t.Errorf("content %q, want old", got)
					}
				default:
					if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("the file exists: %v", err)
					}
				}
				if list := names(t, dir); len(list) > 1 || len(list) == 1 && list[0] != "f" {
					t.Errorf("left behind: %v", list)
				}
			})
		}
	}
}

func TestFileStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := safeio.Disk{}.Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range []string{"a", "b", "c"} {
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("visible before the commit")
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); string(got) != "abc" {
		t.Errorf("content %q", got)
	}
	if _, err := f.Write([]byte("d")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Write after Commit: %v", err)
	}
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Commit: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("Close after Commit: %v", err)
	}
	if got := read(t, path); string(got) != "abc" {
		t.Errorf("content %q after Close", got)
	}
}

func TestFileAbort(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(*safeio.File) error
	}{{"Abort", (*safeio.File).Abort}, {"Close", (*safeio.File).Close}} {
		t.Run(end.name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := safeio.Disk{}.Create(filepath.Join(dir, "f"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := end.do(f); err != nil {
				t.Fatal(err)
			}
			if list := names(t, dir); len(list) != 0 {
				t.Errorf("left behind: %v", list)
			}
			if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Commit after %s: %v", end.name, err)
			}
		})
	}
}

// TestFailedWriteBarsCommit: a caller who overlooks the error of Write must not commit half a file.
// TestLargeFile writes what is brought to the disk while more is being written, to its end and half of it.
func TestLargeFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	piece := bytes.Repeat([]byte("0123456789abcdef"), 5<<10)
	const pieces = 700 // more than 50 MiB
	r := &recorder{failAt: -1}
	for _, abort := range []bool{true, false} {
		r.ops = nil
		f, err := safeio.Disk{Before: r.before}.Create(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for i := range pieces {
			if n, err := f.Write(piece); err != nil || n != len(piece) {
				t.Fatalf("%d octets, %v", n, err)
			}
			if abort && i == pieces/2 {
				break
			}
		}
		if abort {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if left := names(t, dir); len(left) > 0 {
				t.Errorf("%v is left behind", left)
			}
			continue
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, path); !bytes.Equal(got, bytes.Repeat(piece, pieces)) {
		t.Errorf("%d octets are there, and not what was written", len(got))
	}
	steps := slices.Compact(r.ops)
	if want := []string{safeio.OpCreate, safeio.OpWrite, safeio.OpSync, safeio.OpRename, safeio.OpSyncDir}; !slices.Equal(steps, want) {
		t.Errorf("the steps are %v, want %v", steps, want)
	}
}

func TestFailedWriteBarsCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	r := &recorder{failAt: 2} // create, write, write
	f, err := safeio.Disk{Before: r.before}.Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write([]byte("first"))
	_, _ = f.Write([]byte("second"))
	_, _ = f.Write([]byte("third"))
	if err := f.Commit(); !errors.Is(err, errInjected) {
		t.Errorf("Commit: %v, want the error of the write", err)
	}
	if list := names(t, dir); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits on Windows")
	}
	for _, perm := range []fs.FileMode{0o600, 0o644, 0o666, 0o400} {
		t.Run(perm.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
				t.Fatal(err)
			}
			var during fs.FileMode
			d := safeio.Disk{Before: func(op, path string) error {
				if op == safeio.OpWrite {
					for _, name := range names(t, filepath.Dir(path)) {
						if info, err := os.Stat(filepath.Join(filepath.Dir(path), name)); err == nil && name != "f" {
							during = info.Mode().Perm()
						}
					}
				}
				return nil
			}}
			if err := d.WriteFile(path, []byte("new"), perm); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != perm {
				t.Errorf("mode %v, want exactly %v", info.Mode().Perm(), perm)
			}
			if during != 0o600 {
				t.Errorf("mode %v while writing, want 0600", during)
			}
		})
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("no symbolic links for this user: ", err)
		}
		t.Fatal(err)
	}
}

func TestSymlinkIsFollowed(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	target, link := filepath.Join(elsewhere, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	symlink(t, target, link)
	if err := (safeio.Disk{}).WriteFile(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
	if got := read(t, target); string(got) != "new" {
		t.Errorf("target holds %q", got)
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("beside the link: %v", list)
	}
}

func TestSymlinkToNothing(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	symlink(t, filepath.Join(dir, "nothing"), link)
	if err := (safeio.Disk{}).WriteFile(link, []byte("new"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

func TestNotRegular(t *testing.T) {
	targets := map[string]string{"directory": t.TempDir()}
	if runtime.GOOS != "windows" {
		targets["device"] = os.DevNull
		link := filepath.Join(t.TempDir(), "link")
		symlink(t, os.DevNull, link)
		targets["link to a device"] = link
	}
	for name, path := range targets {
		t.Run(name, func(t *testing.T) {
			_, err := safeio.Disk{}.Create(path, 0o600)
			if !errors.Is(err, safeio.ErrNotRegular) {
				t.Errorf("error %v, want ErrNotRegular", err)
			}
		})
	}
}

func TestConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 1000*(i+1)) }
	const writers, rounds = 4, 8
	if err := os.WriteFile(path, content(0), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range rounds {
				if err := (safeio.Disk{}).WriteFile(path, content(i), 0o600); err != nil {
					t.Error(err)
				}
				// Others are at work: none of their files may be taken for stale.
				if err := safeio.RemoveStale(dir); err != nil {
					t.Error(err)
				}
				got, err := os.ReadFile(path)
				if err != nil || len(got) == 0 || !bytes.Equal(got, content(int(got[0]-'a'))) {
					t.Errorf("a mixed or missing file: %d octets, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if list := names(t, dir); !slices.Equal(list, []string{"f"}) {
		t.Errorf("left behind: %v", list)
	}
}

func TestRemoveStale(t *testing.T) {
	dir := t.TempDir()
	stale := ".sealmail-123.tmp"
	others := []string{".sealmail-123", "x.tmp", ".other-1.tmp"}
	for _, name := range append([]string{stale}, others...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".sealmail-dir.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := safeio.Disk{}.Create(filepath.Join(dir, "f"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := safeio.RemoveStale(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Errorf("a file in use was removed: %v", err)
	}
	want := append([]string{".sealmail-dir.tmp", "f"}, others...)
	slices.Sort(want)
	if list := names(t, dir); !slices.Equal(list, want) {
		t.Errorf("there is %v, want %v", list, want)
	}
	if err := safeio.RemoveStale(filepath.Join(dir, "nothing")); err != nil {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	r := &recorder{failAt: -1}
	d := safeio.Disk{Before: r.before}
	path := filepath.Join(root, "a", "b")
	if err := d.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{safeio.OpMkdir, safeio.OpSyncDir, safeio.OpMkdir, safeio.OpSyncDir}
	if !slices.Equal(r.ops, want) {
		t.Errorf("steps %v, want %v", r.ops, want)
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("made %v, %v", info, err)
	}
	r.ops = nil
	if err := d.MkdirAll(path, 0o700); err != nil || len(r.ops) != 0 {
		t.Errorf("for an existing directory: %v, steps %v", err, r.ops)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.MkdirAll(filepath.Join(file, "x"), 0o700); err == nil {
		t.Error("no error below a file")
	}
	if err := d.MkdirAll(file, 0o700); err == nil {
		t.Error("no error for a file")
	}
	if err := (safeio.Disk{Before: (&recorder{}).before}).MkdirAll(filepath.Join(root, "c"), 0o700); !errors.Is(err, errInjected) {
		t.Errorf("error %v, want the injected one", err)
	}
}

func TestRemoveAndRename(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "sub", "b")
	r := &recorder{failAt: -1}
	d := safeio.Disk{Before: r.before}
	steps := []struct {
		name string
		do   func() error
		want []string
	}{
		{"mkdir", func() error { return d.MkdirAll(filepath.Dir(b), 0o700) }, []string{"mkdir", "syncdir"}},
		{"write", func() error { return d.WriteFile(a, []byte("x"), 0o600) }, []string{"create", "write", "sync", "rename", "syncdir"}},
		{"rename", func() error { return d.Rename(a, b) }, []string{"rename", "syncdir", "syncdir"}},
		{"rename within", func() error { return d.Rename(b, b+"2") }, []string{"rename", "syncdir"}},
		{"remove", func() error { return d.Remove(b + "2") }, []string{"remove", "syncdir"}},
		{"remove all", func() error { return d.RemoveAll(filepath.Dir(b)) }, []string{"remove", "syncdir"}},
		{"remove all of nothing", func() error { return d.RemoveAll(filepath.Join(dir, "no", "where")) }, []string{"remove"}},
	}
	for _, s := range steps {
		r.ops = nil
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if !slices.Equal(r.ops, s.want) {
			t.Errorf("%s: steps %v, want %v", s.name, r.ops, s.want)
		}
	}
	if err := d.Remove(a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove of nothing: %v", err)
	}
	if list := names(t, dir); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
	fail := safeio.Disk{Before: func(string, string) error { return errInjected }}
	if err := os.WriteFile(a, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"Remove": fail.Remove(a), "RemoveAll": fail.RemoveAll(a), "Rename": fail.Rename(a, b)} {
		if !errors.Is(err, errInjected) {
			t.Errorf("%s: %v, want the injected error", name, err)
		}
	}
	if got := read(t, a); string(got) != "x" {
		t.Errorf("changed to %q", got)
	}
}
