package client_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
)

const attaching = mailHeader + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\ntext\r\n" +
	"--m\r\nContent-Type: image/png; name=one.png\r\n\r\none\r\n--m\r\nContent-Type: image/png; name=two.png\r\n\r\ntwo\r\n--m--\r\n"

// save saves a message into the folder "saved".
func (w *world) save(o client.Options, in string, more func(*client.SaveParams)) ([]string, error) {
	w.t.Helper()
	c, err := client.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	p := client.SaveParams{ReadParams: client.ReadParams{ID: in}, Dir: w.in("saved")}
	if more != nil {
		more(&p)
	}
	var files []string
	err = c.Save(w.t.Context(), p, func(*client.Report) error { return nil }, func(f client.SavedFile) error {
		files = append(files, filepath.Base(f.File))
		return nil
	})
	return files, err
}

// saved lists what is in the folder.
func (w *world) saved() []string {
	w.t.Helper()
	entries, err := os.ReadDir(w.in("saved"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestSaveIsAtomic fails at each step of the second file: the first is there, whole and closed to others, and nothing else is.
func TestSaveIsAtomic(t *testing.T) {
	w := newWorld(t)
	in, broken := w.write("in.eml", attaching), errors.New("broken")
	for _, step := range []string{safeio.OpCreate, safeio.OpWrite, safeio.OpSync, safeio.OpRename} {
		if err := os.RemoveAll(w.in("saved")); err != nil {
			t.Fatal(err)
		}
		o := w.options()
		o.Disk = safeio.Disk{Before: func(op, path string) error {
			if op == step && filepath.Base(path) == "two.png" {
				return broken
			}
			return nil
		}}
		files, err := w.save(o, in, nil)
		if !errors.Is(err, broken) || !slices.Equal(files, []string{"one.png"}) || !slices.Equal(w.saved(), files) {
			t.Errorf("%s: %v, %q, and there is %q", step, err, files, w.saved())
		}
	}
	info, err := os.Stat(w.in("saved/one.png"))
	if err != nil || info.Mode().Perm() != 0o600 || w.read("saved/one.png") != "one" {
		t.Errorf("%v, %v", info, err)
	}
}

// TestSaveChangedFile changes the message between two of its files, and interrupts it there: the second is not written.
func TestSaveChangedFile(t *testing.T) {
	w := newWorld(t)
	for about, change := range map[string]struct {
		do   func(in string, cancel context.CancelFunc) error
		want error
	}{
		"changed":     {func(in string, _ context.CancelFunc) error { return os.Truncate(in, 40) }, client.ErrChanged},
		"interrupted": {func(_ string, cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled},
	} {
		if err := os.RemoveAll(w.in("saved")); err != nil {
			t.Fatal(err)
		}
		in := w.write("in.eml", attaching)
		if err := os.Chtimes(in, time.Time{}, now().AddDate(-1, 0, 0)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := w.client().Save(ctx, client.SaveParams{ReadParams: client.ReadParams{ID: in}, Dir: w.in("saved")}, func(*client.Report) error { return nil },
			func(client.SavedFile) error { return change.do(in, cancel) })
		if !errors.Is(err, change.want) || !slices.Equal(w.saved(), []string{"one.png"}) {
			t.Errorf("%s: %v, and there is %q", about, err, w.saved())
		}
	}
}

// TestSaveOverwrites replaces a file and a link, and no folder.
func TestSaveOverwrites(t *testing.T) {
	w := newWorld(t)
	in, overwrite := w.write("in.eml", attaching), func(p *client.SaveParams) { p.Overwrite = true }
	if err := errors.Join(os.Mkdir(w.in("saved"), 0o700), os.WriteFile(w.in("saved/one.png"), []byte("old"), 0o644), os.Symlink(w.in("in.eml"), w.in("saved/two.png"))); err != nil {
		t.Fatal(err)
	}
	if files, err := w.save(w.options(), in, overwrite); err != nil || len(files) != 2 || w.read("saved/one.png") != "one" || w.read("saved/two.png") != "two" || w.read("in.eml") != attaching {
		t.Errorf("%q, %v", files, err)
	}
	if err := errors.Join(os.Remove(w.in("saved/two.png")), os.Mkdir(w.in("saved/two.png"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.save(w.options(), in, overwrite); !errors.Is(err, safeio.ErrNotRegular) {
		t.Error(err)
	}
}

// TestSaveRange saves the attachments of several messages: files of one name are numbered, and a message that cannot be opened
// or whose signature is broken does not stop the others.
func TestSaveRange(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.issue("alice", "p256"), w.issue("bob", "p256")
	if err := w.client().Sign(t.Context(), client.SignParams{Keys: alice}, w.write("in.eml", attaching), client.Output{Name: w.in("signed")}); err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(w.read("signed"), "\r\ntwo\r\n", "\r\nTWO\r\n", 1)
	sealed := mailHeader + w.seal(w.client(), "Content-Type: image/png; name=one.png\r\n\r\none\r\n", "aes-256-gcm", nil)
	o := w.account("bob", &folder{validity: 1, messages: []string{attaching, broken, sealed, attaching}})
	files, err := w.save(o, "1:4", func(p *client.SaveParams) { p.Folder, p.Parts = "INBOX", []int{3} })
	if !slices.Equal(files, []string{"two.png", "two (2).png"}) || client.KindOf(err) != client.No || !strings.Contains(err.Error(), "message 3") {
		t.Errorf("%q, %v", files, err)
	}
	if len(w.said) == 0 || !strings.Contains(w.said[len(w.said)-1], "message 2 in INBOX: its verdict is failed") {
		t.Errorf("said is %q", w.said)
	}
	files, err = w.save(o, "2", func(p *client.SaveParams) {
		p.Folder, p.Parts, p.Dir = "INBOX", []int{3}, w.in("anyway")
		p.Anyway = func(r *client.Report) (bool, error) { return r.Verdict == "failed", nil }
	})
	if !slices.Equal(files, []string{"two.png"}) || err != nil || w.read("anyway/two.png") != "TWO" {
		t.Errorf("%q, %v", files, err)
	}
}
