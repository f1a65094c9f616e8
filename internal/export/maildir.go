package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/maildir"
)

// maildirFolder is a Maildir. Nobody uses it before it is whole, so that messages go straight to their place.
type maildirFolder struct {
	tree     *tree
	clock    func() time.Time
	keywords map[string][]string // of the folders that there are, by their directories
	dated    []dated
}

// dated is a file that tells by its time when the message came.
type dated struct {
	path string
	date time.Time
}

func newMaildir(o Options, dir string) (exporter, error) {
	f := &maildirFolder{tree: newTree(o.Disk, dir), clock: o.Clock, keywords: map[string][]string{}}
	return f, f.folder("")
}

// folder makes the directories of a folder.
func (f *maildirFolder) folder(dir string) error {
	if _, there := f.keywords[dir]; there {
		return nil
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := f.tree.disk.MkdirAll(filepath.Join(f.tree.root, dir, sub), 0o700); err != nil {
			return err
		}
	}
	f.keywords[dir] = []string{}
	if dir == "" {
		return nil
	}
	mark, err := f.tree.Create(dir + "/maildirfolder")
	if err != nil {
		return err
	}
	return mark.Close()
}

func (f *maildirFolder) add(ctx context.Context, m Message) error {
	if m.Size == 0 {
		return fmt.Errorf("%w: it is empty", ErrUnfit)
	}
	dir, err := maildir.Directory(maildirName(m.Folder))
	if err == nil {
		err = f.folder(dir)
	}
	if err != nil {
		return err
	}
	// Their order is that of the numbers to those who go by the names.
	unique := fmt.Sprintf("%d.N%012d.sealmail-export", f.clock().Unix(), m.Number)
	text := mailbox.NewMessage{Flags: m.Flags, Size: m.Size, Body: m.Octets}
	err = maildir.Write(ctx, text, filepath.Join(f.tree.root, "tmp"), unique, f.letters(dir, m.Flags), func(name string) (io.WriteCloser, error) {
		file, err := f.tree.createFile(path.Join(dir, "cur"), name)
		if err == nil && !m.Date.IsZero() {
			f.dated = append(f.dated, dated{file.path, m.Date})
		}
		return file, err
	})
	if errors.Is(err, mailbox.ErrNotCanonical) {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	return err
}

// letters gives letters to flags that have none, and returns all that were given in the folder.
func (f *maildirFolder) letters(dir string, flags []string) []string {
	for _, flag := range flags {
		known := slices.ContainsFunc(f.keywords[dir], func(k string) bool { return strings.EqualFold(k, flag) })
		if !known && !strings.HasPrefix(flag, `\`) && !maildir.Lettered(flag) && len(f.keywords[dir]) < maildir.MaxKeywords {
			f.keywords[dir] = append(f.keywords[dir], flag)
		}
	}
	return f.keywords[dir]
}

func (f *maildirFolder) finish() error {
	for dir, keywords := range f.keywords {
		if len(keywords) == 0 {
			continue
		}
		file, err := f.tree.Create(path.Join(dir, "dovecot-keywords"))
		if err != nil {
			return err
		}
		for i, keyword := range keywords {
			if _, err := fmt.Fprintf(file, "%d %s\n", i, keyword); err != nil {
				return errors.Join(err, file.Close())
			}
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	if err := f.tree.flush(); err != nil {
		return err
	}
	for _, d := range f.dated {
		if err := setTime(d); err != nil {
			return err
		}
	}
	return nil
}

// setTime gives a file its time, and brings it to the disk.
func setTime(d dated) error {
	if err := os.Chtimes(d.path, time.Time{}, d.date); err != nil {
		return err
	}
	file, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func (f *maildirFolder) release() error { return nil }
