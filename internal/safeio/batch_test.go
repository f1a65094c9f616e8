package safeio_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

// TestWriteFiles makes each step of writing many files fail, one after the other: each file is then the old one or the new
// one, nothing is left behind, and no new file is there before the marks.
func TestWriteFiles(t *testing.T) {
	const count = 5
	batch := func(dir string) []safeio.NewFile {
		var files []safeio.NewFile
		for i := range count {
			files = append(files,
				safeio.NewFile{Path: filepath.Join(dir, "marks", fmt.Sprint(i)), Perm: 0o600},
				safeio.NewFile{Path: filepath.Join(dir, "files", fmt.Sprint(i)), Data: []byte("new"), Perm: 0o640})
		}
		return files
	}
	for step := 1; ; step++ {
		dir := t.TempDir()
		for _, name := range []string{"marks", "files"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "files", "0"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		n, marksDurable := 0, false
		d := safeio.Disk{Before: func(op, path string) error {
			if op == safeio.OpRename && !marksDurable {
				t.Errorf("%s takes its place before the marks are durable", path)
			}
			if n++; n == step {
				return errInjected
			}
			marksDurable = marksDurable || op == safeio.OpSyncDir && filepath.Base(path) == "marks"
			return nil
		}}
		err := d.WriteFiles(batch(dir))
		if err != nil && !errors.Is(err, errInjected) {
			t.Fatalf("step %d: %v", step, err)
		}
		replaced := 0
		for i, name := range names(t, filepath.Join(dir, "files")) {
			if name != fmt.Sprint(i) {
				t.Fatalf("step %d: left behind: %s", step, name)
			}
			switch got := string(read(t, filepath.Join(dir, "files", name))); {
			case got == "new":
				replaced++
			case got != "old" || i > 0:
				t.Errorf("step %d: file %d is %q", step, i, got)
			}
		}
		if replaced > 0 && len(names(t, filepath.Join(dir, "marks"))) != count {
			t.Errorf("step %d: %d files and not every mark", step, replaced)
		}
		if err == nil {
			if replaced != count || step < 3*count {
				t.Errorf("%d files after %d steps", replaced, step)
			}
			info, err := os.Stat(filepath.Join(dir, "files", "0"))
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("%v, %v", info, err)
			}
			return
		}
	}
}

// TestMarks: a mark that is there stays as it is.
func TestMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (safeio.Disk{}).WriteFiles([]safeio.NewFile{{Path: path, Perm: 0o600}}); err != nil {
		t.Fatal(err)
	}
	if got := string(read(t, path)); got != "x" {
		t.Errorf("the mark is %q now", got)
	}
}
