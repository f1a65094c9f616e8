package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/backup"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/spool"
)

// fastDir returns a folder in memory where the system has such a thing: what is synced there costs nothing.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sealmail-backup-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func created() time.Time { return time.Date(2026, 11, 21, 10, 2, 11, 0, time.UTC) }

// write makes a tree of files, by their paths.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// tree is what is in a folder, but for empty folders.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// archive makes an archive of parts.
func archive(t testing.TB, parts ...backup.Part) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, created(), spool.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if err := w.Add(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// files are a home of some files, one of them large.
func files() map[string]string {
	all := map[string]string{"config.toml": "[account]", "vault.json": "{}", "empty": "", "certificates/ab/cd.pem": "PEM", "large": strings.Repeat("0123456789", 1<<16)}
	for i := range 300 {
		all[fmt.Sprintf("evidence/%02x/%d.crl", i%16, i)] = fmt.Sprint(i)
	}
	return all
}

// toFolder has parts in folders of their names, but for one that is kept.
func toFolder(dir string) func(string) (string, bool) {
	return func(part string) (string, bool) {
		if part == "keep" {
			return "", true
		}
		return filepath.Join(dir, part), part == "data" || part == "state"
	}
}

func extra(path, text string) func() ([]backup.File, error) {
	return func() ([]backup.File, error) { return []backup.File{{Path: path, Data: []byte(text)}}, nil }
}

func TestArchive(t *testing.T) {
	dir := t.TempDir()
	want := files()
	write(t, dir, want)
	write(t, dir, map[string]string{
		"vault.json.lock": "", ".lock": "", "certificates/.sealmail-123.tmp": "half", ".new-1/0.eml": "x", ".done-2/0.eml": "x", "cache/index": "x", "skipped": "x",
	})
	if err := os.Symlink(filepath.Join(dir, "config.toml"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	want["link"] = "[account]"
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	part := backup.Part{
		Name: "data", Dir: dir, Has: func(name string) bool { return name != "cache" }, Skip: func(path string) bool { return filepath.Base(path) == "skipped" },
		Extra: extra("extra", "more"),
	}
	want["extra"] = "more"
	data := archive(t, part, backup.Part{Name: "state", Dir: filepath.Join(dir, "nowhere")}, backup.Part{Name: "keep", Extra: extra("secret", "s")})
	if !bytes.Equal(data, archive(t, part, backup.Part{Name: "keep", Extra: extra("secret", "s")})) {
		t.Error("two archives of the same differ")
	}

	out := fastDir(t)
	got, err := backup.Extract(t.Context(), bytes.NewReader(data), safeio.Disk{}, int64(len(data)), toFolder(out))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, tree(t, filepath.Join(out, "data"))); diff != "" {
		t.Error(diff)
	}
	if !got.Manifest.Created.Equal(created()) || got.Files != len(want)+1 || len(got.Kept) != 1 || got.Kept[0].Path != "keep/secret" || string(got.Kept[0].Data) != "s" {
		t.Errorf("%+v, %d files, %+v", got.Manifest, got.Files, got.Kept)
	}
	for n := 0; n < len(data); n += 40_009 {
		if _, err := backup.Extract(t.Context(), bytes.NewReader(data[:n]), safeio.Disk{}, 1<<20, toFolder(fastDir(t))); n < 512 && !errors.Is(err, backup.ErrFormat) {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

// TestArchiveRefuses what it cannot take along, and says so.
func TestArchiveRefuses(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"link to a folder":   func(dir string) error { return os.Symlink(t.TempDir(), filepath.Join(dir, "link")) },
		"nested without end": func(dir string) error { return os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", 80)), 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			w, err := backup.NewWriter(io.Discard, created(), spool.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Add(t.Context(), backup.Part{Name: "data", Dir: dir}); err == nil {
				t.Error("it was taken")
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := w.Add(ctx, backup.Part{Name: "data", Dir: dir}); !errors.Is(err, context.Canceled) {
				t.Errorf("interrupted: %v", err)
			}
		})
	}
}

// changing writes to a file whenever it is read, so many times.
type changing struct {
	path  string
	times int
}

// TestArchiveOfWhatChanges reads a file again that grew while it was read.
func TestArchiveOfWhatChanges(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no named pipes in a folder")
	}
	for _, times := range []int{1, 100} {
		dir := t.TempDir()
		c := &changing{path: filepath.Join(dir, "log"), times: times}
		if err := os.WriteFile(c.path, []byte("a"), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := backup.NewWriter(io.Discard, created(), spool.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Add(meddling{t.Context(), c}, backup.Part{Name: "data", Dir: dir})
		if (err == nil) != (times == 1) {
			t.Errorf("changed %d times: %v", times, err)
		}
	}
}

// meddling is a context that is asked before each piece is read, and then changes the file.
type meddling struct {
	context.Context
	c *changing
}

func (m meddling) Err() error {
	if m.c.times > 0 {
		m.c.times--
		f, err := os.OpenFile(m.c.path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("more")
		return errors.Join(err, f.Close())
	}
	return m.Context.Err()
}

// TestExtractRefuses archives by which somebody would put files elsewhere, or more than there is.
func TestExtractRefuses(t *testing.T) {
	manifest := tar.Header{Typeflag: tar.TypeReg, Name: backup.ManifestName, Size: 0}
	const good = `{"format":"sealmail-backup","version":1,"created":"2026-11-21T10:02:11Z"}`
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 4} }
	for name, test := range map[string]struct {
		manifest string
		entries  []tar.Header
		want     error
	}{
		"nothing":               {good, nil, nil},
		"a file":                {good, []tar.Header{file("data/f")}, nil},
		"another manifest":      {`{"format":"tar","version":1}`, nil, backup.ErrFormat},
		"no manifest":           {"", []tar.Header{file("data/f")}, backup.ErrFormat},
		"a newer program":       {`{"format":"sealmail-backup","version":2}`, nil, backup.ErrVersion},
		"no part":               {good, []tar.Header{file("f")}, backup.ErrPath},
		"another part":          {good, []tar.Header{file("other/f")}, backup.ErrPath},
		"upwards":               {good, []tar.Header{file("data/../../f")}, backup.ErrPath},
		"upwards at once":       {good, []tar.Header{file("../f")}, backup.ErrPath},
		"absolute":              {good, []tar.Header{file("/data/f")}, backup.ErrPath},
		"here":                  {good, []tar.Header{file("data/./f")}, backup.ErrPath},
		"two slashes":           {good, []tar.Header{file("data//f")}, backup.ErrPath},
		"backslash":             {good, []tar.Header{file(`data/..\f`)}, backup.ErrPath},
		"folder upwards":        {good, []tar.Header{{Typeflag: tar.TypeDir, Name: "data/../../d/"}}, backup.ErrPath},
		"symbolic link":         {good, []tar.Header{{Typeflag: tar.TypeSymlink, Name: "data/l", Linkname: "/etc"}}, backup.ErrPath},
		"hard link":             {good, []tar.Header{{Typeflag: tar.TypeLink, Name: "data/l", Linkname: "/etc/passwd"}}, backup.ErrPath},
		"device":                {good, []tar.Header{{Typeflag: tar.TypeBlock, Name: "data/d"}}, backup.ErrPath},
		"twice":                 {good, []tar.Header{file("data/f"), file("data/f")}, backup.ErrPath},
		"twice, then large":     {good, []tar.Header{file("data/f"), {Typeflag: tar.TypeReg, Name: "data/f", Size: 300 << 10}}, backup.ErrPath},
		"a file below a file":   {good, []tar.Header{file("data/f"), file("data/g"), file("data/f/g")}, nil},
		"sparse":                {good, []tar.Header{{Typeflag: tar.TypeReg, Name: "data/f", PAXRecords: map[string]string{"XXX.sparse.x": "1"}}}, backup.ErrPath},
		"deep":                  {good, []tar.Header{file("data/" + strings.Repeat("d/", 80) + "f")}, backup.ErrPath},
		"long":                  {good, []tar.Header{file("data/" + strings.Repeat("d", 5000))}, backup.ErrPath},
		"larger than the whole": {good, []tar.Header{{Typeflag: tar.TypeReg, Name: "data/f", Size: 1 << 21}}, backup.ErrFormat},
		"much that is kept":     {good, slices.Repeat([]tar.Header{file("keep/f")}, 17), backup.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			var raw bytes.Buffer
			w := tar.NewWriter(&raw)
			if test.manifest != "" {
				h := manifest
				h.Size = int64(len(test.manifest))
				put(t, w, h, test.manifest)
			}
			for _, h := range test.entries {
				put(t, w, h, strings.Repeat("x", int(h.Size)))
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			out := filepath.Join(parent, "home")
			archive := bytes.ReplaceAll(raw.Bytes(), []byte("XXX.sparse."), []byte("GNU.sparse.")) // which a tar.Writer refuses
			_, err := backup.Extract(t.Context(), bytes.NewReader(archive), safeio.Disk{}, 1<<20, toFolder(out))
			if test.want == nil && strings.HasPrefix(name, "a file below") {
				if err == nil {
					t.Error("it was taken")
				}
			} else if !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("%v, want %v", err, test.want)
			}
			entries, err := os.ReadDir(parent)
			if err != nil || len(entries) > 1 || len(entries) == 1 && entries[0].Name() != "home" {
				t.Errorf("outside of it: %v, %v", entries, err)
			}
		})
	}
}

func put(t testing.TB, w *tar.Writer, h tar.Header, text string) {
	t.Helper()
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if h.Size > 0 {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
}

var errKilled = errors.New("killed")

// TestStagingInterrupted ends a restoration before each of its steps on the disk, as a kill would: the places are empty or
// whole as whoever comes next finds them, and nothing stays behind.
func TestStagingInterrupted(t *testing.T) {
	source := t.TempDir()
	write(t, source, map[string]string{"config.toml": "c", "certificates/ab.pem": "pem", "large": strings.Repeat("x", 300<<10)})
	base := fastDir(t)
	data := archive(t, backup.Part{Name: "data", Dir: source}, backup.Part{Name: "state", Dir: source})
	wholes := 0
	for step, done := 0, false; !done; step++ {
		if step > 500 {
			t.Fatal("it never ends")
		}
		dir := filepath.Join(base, fmt.Sprint(step))
		places := []backup.Place{{Dir: filepath.Join(dir, "a", "state")}, {Dir: filepath.Join(dir, "b", "data")}}
		at, killed := 0, false
		disk := safeio.Disk{Before: func(string, string) error {
			killed = killed || at == step
			at++
			if killed {
				return errKilled
			}
			return nil
		}}
		err := restore(t.Context(), disk, places, data)
		done = !killed
		if done != (err == nil) {
			t.Fatalf("step %d: %v", step, err)
		}
		finished, err := backup.Finish(safeio.Disk{}, places)
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		state, home := tree(t, places[0].Dir), tree(t, places[1].Dir)
		whole := len(state) == 3 && len(home) == 3
		if empty := len(state)+len(home) == 0; !empty && !whole || finished && !whole || done && !whole {
			t.Fatalf("step %d: finished %v, %d and %d files", step, finished, len(state), len(home))
		}
		if whole {
			wholes++
			if _, err := backup.Stage(safeio.Disk{}, places); !errors.Is(err, backup.ErrNotEmpty) {
				t.Errorf("step %d: again: %v", step, err)
			}
		} else if err := restore(t.Context(), safeio.Disk{}, places, data); err != nil {
			t.Errorf("step %d: again: %v", step, err)
		}
		for _, p := range places {
			entries, err := os.ReadDir(filepath.Dir(p.Dir))
			if err != nil || len(entries) != 1 {
				t.Fatalf("step %d: left behind: %v, %v", step, entries, err)
			}
		}
	}
	if wholes < 5 {
		t.Errorf("whole after %d kills only: no step between mark and end was tried", wholes)
	}
}

func restore(ctx context.Context, disk safeio.Disk, places []backup.Place, data []byte) error {
	s, err := backup.Stage(disk, places)
	if err != nil {
		return err
	}
	folder := func(part string) (string, bool) {
		if part == "state" {
			return s.Dir(0), true
		}
		return s.Dir(1), true
	}
	if _, err := backup.Extract(ctx, bytes.NewReader(data), disk, 1<<20, folder); err != nil {
		return errors.Join(err, s.Discard())
	}
	return s.Commit(ctx)
}

// TestStaging tries the ends other than a kill.
func TestStaging(t *testing.T) {
	dir := t.TempDir()
	home, cache := backup.Place{Dir: filepath.Join(dir, "home")}, backup.Place{Dir: filepath.Join(dir, "cache"), Optional: true}
	if err := os.Mkdir(home.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, cache.Dir, map[string]string{"old": "x"})
	s, err := backup.Stage(safeio.Disk{}, []backup.Place{cache, home})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Stage(safeio.Disk{}, []backup.Place{cache, home}); !errors.Is(err, backup.ErrBusy) {
		t.Errorf("two at once: %v", err)
	}
	write(t, s.Dir(1), map[string]string{"half": "x"})
	if err := s.Discard(); err != nil {
		t.Fatal(err)
	}
	if s, err = backup.Stage(safeio.Disk{}, []backup.Place{cache, home}); err != nil {
		t.Fatal(err)
	}
	write(t, s.Dir(0), map[string]string{"new": "x"})
	write(t, s.Dir(1), map[string]string{"config": "x"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if got := len(tree(t, home.Dir)); got != 0 {
		t.Errorf("interrupted: %d files", got)
	}
	if s, err = backup.Stage(safeio.Disk{}, []backup.Place{cache, home}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"new", "config"} {
		if err := (safeio.Disk{}).WriteFile(filepath.Join(s.Dir(i), name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left: %v, %v", entries, err)
	}
	for place, want := range map[string]string{home.Dir: "config", cache.Dir: "old"} {
		if names, err := os.ReadDir(place); err != nil || len(names) != 1 || names[0].Name() != want {
			t.Errorf("%s holds %v, %v", place, names, err)
		}
	}
	if _, err := backup.Stage(safeio.Disk{}, []backup.Place{home}); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("into what is full: %v", err)
	}
}
