package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

const (
	inbox      = "INBOX"
	inboxFile  = "inbox"
	ownSuffix  = ".sealmail-uids"
	lockSuffix = ".lock"
	// maxName leaves room for what is put before and behind the name of a file.
	maxName = 200
)

// Options are for Open.
type Options struct {
	// Path is that of a directory, in which each file is a folder, and the file inbox INBOX; or of one file, which is INBOX.
	Path  string
	Disk  safeio.Disk
	Clock func() time.Time
}

// format keeps mail in mbox files.
type format struct {
	dir   string // empty: there is the file alone
	file  string
	disk  safeio.Disk
	clock func() time.Time
	mark  string            // of our dot-locks
	known map[string]*known // by path
}

// known is what a file held when it was last read.
type known struct {
	numbers *filestore.Numbers
	info    fs.FileInfo // nil: not read yet
	entries []entry
}

// Open returns a store on mbox files. The error says where there are none.
func Open(o Options) (mailbox.Store, error) {
	path, err := filepath.EvalSymlinks(o.Path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	f := &format{disk: o.Disk, clock: o.Clock, known: make(map[string]*known)}
	host, err := os.Hostname() // other hosts may share the files, and not the lock beside them
	if err != nil {
		return nil, err
	}
	f.mark = "sealmail on " + host + "\n"
	switch {
	case info.IsDir():
		f.dir = path
	case info.Mode().IsRegular():
		f.file = path
	default:
		return nil, fmt.Errorf("%s: %w", o.Path, safeio.ErrNotRegular)
	}
	// A kill may have left a copy of a file from which mail was being deleted. That it cannot be removed is no reason not to go on.
	_ = safeio.RemoveStale(f.SpoolDir())
	return filestore.New(f, "mbox:"+path), nil
}

func (f *format) SpoolDir() string {
	if f.dir == "" {
		return filepath.Dir(f.file)
	}
	return f.dir
}

// isFolder reports whether a file is one of mail: an empty one, or one that begins with a separator line.
func isFolder(path string) bool {
	file, info, err := filestore.OpenRegular(path)
	if err != nil {
		return false
	}
	defer file.Close()
	head := make([]byte, min(maxSeparator, info.Size()))
	_, err = io.ReadFull(file, head)
	return err == nil && (len(head) == 0 || Is(head))
}

// validName reports whether a file of this name may be a folder.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && name[0] != '.' && !strings.ContainsAny(name, "/\\\x00") && !strings.HasSuffix(name, lockSuffix)
}

// Folders returns the files that hold mail. Links are none.
func (f *format) Folders() ([]mailbox.Folder, error) {
	folders := []mailbox.Folder{{Name: inbox}}
	if f.dir == "" {
		return folders, nil
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, err := mailbox.CanonicalFolder(e.Name())
		if err == nil && name != inbox && e.Type().IsRegular() && validName(name) && isFolder(filepath.Join(f.dir, name)) {
			folders = append(folders, mailbox.Folder{Name: name, Attributes: filestore.SpecialUse(name)})
		}
	}
	return folders, nil
}

// path returns the file of a folder, which need not be there.
func (f *format) path(folder string) (string, error) {
	switch {
	case folder == inbox && f.dir == "":
		return f.file, nil
	case folder == inbox:
		path := filepath.Join(f.dir, inboxFile)
		if capitals := filepath.Join(f.dir, inbox); !isFolder(path) && isFolder(capitals) {
			return capitals, nil
		}
		return path, nil
	case f.dir == "":
		return "", fmt.Errorf("%w: one file is one folder; give a directory to have several", mailbox.ErrNoFolder)
	case !validName(folder):
		return "", fmt.Errorf("%w: no file of mail can have this name", mailbox.ErrNoFolder)
	}
	return filepath.Join(f.dir, folder), nil
}

// Create makes an empty file.
func (f *format) Create(folder string) error {
	path, err := f.path(folder)
	if err != nil {
		return err
	}
	if err := f.disk.Step(safeio.OpCreate, path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if !isFolder(path) {
			return fmt.Errorf("%w: %s is no file of mail", mailbox.ErrNoFolder, path)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), f.disk.SyncDir(filepath.Dir(path)))
}

// Open locks a file, looks what is in it, and numbers what is new.
func (f *format) Open(ctx context.Context, name string) (filestore.Folder, error) {
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	if name == inbox && f.dir != "" {
		if err := f.Create(inbox); err != nil {
			return nil, err
		}
	}
	if f.known[path] == nil {
		own := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+ownSuffix)
		f.known[path] = &known{numbers: filestore.OpenNumbers(f.disk, own)}
	}
	box := &folder{format: f, path: path, known: f.known[path]}
	if err := box.lock(ctx); err != nil {
		return nil, err
	}
	if err := box.look(); err != nil {
		return nil, errors.Join(err, box.Unlock())
	}
	return box, nil
}
