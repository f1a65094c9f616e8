package safeio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// openFolder returns a folder, and what is beside it and must stay as it is.
func openFolder(t *testing.T, d Disk) (f *Folder, dir, outside string) {
	t.Helper()
	dir, outside = filepath.Join(t.TempDir(), "dir"), filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(outside, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := d.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir, outside
}

// add writes a file in a folder.
func (f *Folder) add(name string, replace bool) error {
	file, err := f.Create(name, 0o600, replace)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write([]byte("new")); err != nil {
		return err
	}
	return file.Commit()
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestFolder puts files where nothing, a file, a folder, and links to the outside are.
func TestFolder(t *testing.T) {
	for _, test := range []struct {
		about, name   string
		make          func(path, outside string) error
		kept, replace error // without and with replace; nil: the file is there
	}{
		{"nothing", "x", func(string, string) error { return nil }, nil, nil},
		{"a file", "x", func(path, _ string) error { return os.WriteFile(path, []byte("old"), 0o644) }, fs.ErrExist, nil},
		{"a folder", "x", func(path, _ string) error { return os.Mkdir(path, 0o700) }, fs.ErrExist, ErrNotRegular},
		{"a link to the outside", "x", func(path, outside string) error { return os.Symlink(outside, path) }, fs.ErrExist, nil},
		{"a link to nothing outside", "x", func(path, outside string) error { return os.Symlink(outside+"-new", path) }, fs.ErrExist, nil},
		{"a way up", "../outside", func(string, string) error { return nil }, ErrName, ErrName},
		{"a way up on Windows", `..\outside`, func(string, string) error { return nil }, ErrName, ErrName},
		{"a folder below", "sub/x", func(string, string) error { return nil }, ErrName, ErrName},
		{"the folder itself", ".", func(string, string) error { return nil }, ErrName, ErrName},
		{"the folder above", "..", func(string, string) error { return nil }, ErrName, ErrName},
		{"no name", "", func(string, string) error { return nil }, ErrName, ErrName},
	} {
		for _, replace := range []bool{false, true} {
			f, dir, outside := openFolder(t, Disk{})
			path := filepath.Join(dir, test.name)
			if err := test.make(path, outside); err != nil {
				t.Fatal(err)
			}
			want := test.kept
			if replace {
				want = test.replace
			}
			if err := f.add(test.name, replace); !errors.Is(err, want) {
				t.Errorf("%s, replace %v: %v", test.about, replace, err)
			}
			if read(t, outside) != "mine" {
				t.Errorf("%s, replace %v: what is outside is another", test.about, replace)
			}
			if _, err := os.Lstat(outside + "-new"); err == nil {
				t.Errorf("%s, replace %v: something is outside", test.about, replace)
			}
			if want == nil {
				info, err := os.Lstat(path)
				if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || read(t, path) != "new" {
					t.Errorf("%s, replace %v: %v, %v", test.about, replace, info, err)
				}
			}
			if stale, _ := filepath.Glob(filepath.Join(dir, tempPrefix+"*")); len(stale) > 0 {
				t.Errorf("%s, replace %v: %q is left", test.about, replace, stale)
			}
		}
	}
}

// TestFolderIsAtomic fails at each step: no file is there then, and nothing else either.
func TestFolderIsAtomic(t *testing.T) {
	broken := errors.New("broken")
	for _, step := range []string{OpCreate, OpWrite, OpSync, OpRename} {
		f, dir, _ := openFolder(t, Disk{Before: func(op, _ string) error {
			if op == step {
				return broken
			}
			return nil
		}})
		if err := f.add("x", false); !errors.Is(err, broken) {
			t.Errorf("%s: %v", step, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", step, entries, err)
		}
	}
}

// TestFolderRace has somebody take the name while the file is being written: theirs stays. So it is without links.
func TestFolderRace(t *testing.T) {
	var dir string
	f, dir, _ := openFolder(t, Disk{Before: func(op, path string) error {
		if op == OpRename {
			return os.WriteFile(filepath.Join(dir, "x"), []byte("theirs"), 0o600)
		}
		return nil
	}})
	if err := f.add("x", false); !errors.Is(err, fs.ErrExist) || read(t, filepath.Join(dir, "x")) != "theirs" {
		t.Error(err)
	}
	temp := filepath.Join(dir, "temp")
	if err := os.WriteFile(temp, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.placeReserved("temp", "x"); !errors.Is(err, fs.ErrExist) || read(t, filepath.Join(dir, "x")) != "theirs" {
		t.Error(err)
	}
	if err := f.placeReserved("temp", "y"); err != nil || read(t, filepath.Join(dir, "y")) != "new" {
		t.Error(err)
	}
}
