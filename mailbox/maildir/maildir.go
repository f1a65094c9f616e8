// Package maildir is a [mailbox.Store] on a Maildir (https://cr.yp.to/proto/maildir.html) with folders as in Maildir++: INBOX is
// the Maildir itself, and a folder such as Archive.2026 the directory .Archive.2026 in it, its name in modified UTF-7
// (RFC 3501 section 5.1.3).
//
// Any number of programs may work on it at the same time. A message is written to tmp, brought to the disk, and then renamed
// into cur, with its flags; a flag is changed and a message moved by renaming it, and deleted by removing it. None of that can
// lose a message, or show a part of one, whenever it is cut short.
//
// What lies in a file sealmail-uids in each folder are the UIDs that this package gave out, and keywords without a letter. It is
// locked by a file sealmail-uids.lock. All other files, such as those of Dovecot or maildirsize, are left alone.
package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

const (
	numbersFile = "sealmail-uids"
	lockSuffix  = ".lock"
)

// Options are for Open.
type Options struct {
	// Path is that of the Maildir, which must be there.
	Path  string
	Disk  safeio.Disk
	Clock func() time.Time
}

// format keeps mail in a Maildir.
type format struct {
	root  string
	disk  safeio.Disk
	clock func() time.Time
	host  string
	// numbers and sizes of folders, by their directories.
	numbers map[string]*filestore.Numbers
	sizes   map[string]map[string]sized
}

// Open returns a store on a Maildir. The error says where there is none.
func Open(o Options) (mailbox.Store, error) {
	f := &format{root: o.Path, disk: o.Disk, clock: o.Clock, numbers: make(map[string]*filestore.Numbers), sizes: make(map[string]map[string]sized)}
	var err error
	if f.root, err = filepath.Abs(o.Path); err != nil {
		return nil, err
	}
	if !isFolder(f.root) {
		// It is not made: where a disk is not there, an empty Maildir would look as if all mail was deleted.
		return nil, fmt.Errorf("%s is no Maildir: there is no directory cur in it: %w", o.Path, fs.ErrNotExist)
	}
	if f.host, err = os.Hostname(); err != nil {
		return nil, err
	}
	return filestore.New(f, "maildir:"+f.root), nil
}

// Make makes a Maildir at path, and the directories above it that are missing, unless there is one.
func Make(disk safeio.Disk, path string) error { return makeFolder(disk, path) }

// isFolder reports whether a directory is a folder of a Maildir. A link to one is none.
func isFolder(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, "cur"))
	return err == nil && info.IsDir()
}

// makeFolder makes a folder; cur comes last, and makes it one.
func makeFolder(disk safeio.Disk, dir string) error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := disk.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (f *format) SpoolDir() string { return filepath.Join(f.root, "tmp") }

// Folders returns the folders: directories, and no links to some.
func (f *format) Folders() ([]mailbox.Folder, error) {
	entries, err := os.ReadDir(f.root)
	if err != nil {
		return nil, err
	}
	folders := []mailbox.Folder{{Name: inbox}}
	seen := make(map[string]bool)
	for _, e := range entries {
		name, ok := nameOf(e.Name())
		if !ok || seen[name] || !e.IsDir() || !isFolder(filepath.Join(f.root, e.Name())) {
			continue
		}
		seen[name] = true
		folders = append(folders, mailbox.Folder{Name: name, Attributes: filestore.SpecialUse(name)})
	}
	return folders, nil
}

// dir returns the directory of a folder, which need not be there.
func (f *format) dir(folder string) (string, error) {
	if folder == inbox {
		return f.root, nil
	}
	if err := checkName(folder); err != nil {
		return "", err
	}
	encoded := filepath.Join(f.root, delimiter+encodeName(folder))
	if _, decodes := decodeName(folder); !decodes && !isFolder(encoded) {
		if plain := filepath.Join(f.root, delimiter+folder); isFolder(plain) {
			return plain, nil
		}
	}
	return encoded, nil
}

// Create makes a folder as Maildir++ has it, with an empty file maildirfolder in it.
func (f *format) Create(folder string) error {
	dir, err := f.dir(folder)
	if err != nil || isFolder(dir) {
		return err
	}
	if folder == inbox {
		return fmt.Errorf("%s: %w", f.root, mailbox.ErrNoFolder)
	}
	if err := f.disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no directory: %w", dir, mailbox.ErrNoFolder)
	}
	if err := f.disk.WriteFile(filepath.Join(dir, "maildirfolder"), nil, 0o600); err != nil {
		return err
	}
	return makeFolder(f.disk, dir)
}

// Open locks a folder, looks what is in it, and numbers what is new.
func (f *format) Open(ctx context.Context, name string) (filestore.Folder, error) {
	dir, err := f.dir(name)
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(dir); err != nil || !isFolder(dir) || !info.IsDir() && name != inbox {
		return nil, mailbox.ErrNoFolder
	}
	unlock, err := filestore.Lock(ctx, filepath.Join(dir, numbersFile+lockSuffix))
	if err != nil {
		return nil, err
	}
	if f.numbers[dir] == nil {
		f.numbers[dir] = filestore.OpenNumbers(f.disk, filepath.Join(dir, numbersFile))
		f.sizes[dir] = make(map[string]sized)
	}
	folder := &folder{format: f, dir: dir, unlock: unlock, numbers: f.numbers[dir], sizes: f.sizes[dir], dirty: make(map[string]bool)}
	if err := folder.look(); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return folder, nil
}
