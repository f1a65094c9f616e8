package safeio

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrName says that a name is not that of a file directly in a folder.
var ErrName = errors.New("not the name of a file in this folder")

// Folder is a directory into which files are put under names that somebody else may have chosen: nothing outside of it is
// changed, whatever the names say, and whatever symbolic links are in it. It must be closed.
type Folder struct {
	disk Disk
	root *os.Root
	path string
}

// OpenFolder opens the directory at path, which may be a symbolic link to one.
func (d Disk) OpenFolder(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Folder{disk: d, root: root, path: path}, nil
}

// Close closes the folder. Files that are being written in it must be committed or aborted before.
func (f *Folder) Close() error { return f.root.Close() }

// Lstat returns what has this name in the folder, and does not follow a link. The error wraps fs.ErrNotExist if there is
// nothing.
func (f *Folder) Lstat(name string) (fs.FileInfo, error) {
	if err := f.check(name); err != nil {
		return nil, err
	}
	return f.root.Lstat(name)
}

// Create begins to write a file of this name, with exactly the permissions perm. Nothing has the name before [File.Commit].
//
// What has it already, or has it by the commit, stays, and the error wraps fs.ErrExist. With replace it is replaced: a file, or
// a symbolic link, which is not followed. Anything else gives [ErrNotRegular].
func (f *Folder) Create(name string, perm fs.FileMode, replace bool) (*File, error) {
	path := filepath.Join(f.path, name)
	info, err := f.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !replace:
		return nil, &fs.PathError{Op: OpCreate, Path: path, Err: fs.ErrExist}
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
		return nil, &fs.PathError{Op: OpCreate, Path: path, Err: ErrNotRegular}
	}
	if err := f.disk.before(OpCreate, path); err != nil {
		return nil, err
	}
	inRoot := func(path string) string { return filepath.Base(path) }
	temp, err := lockedTemp(f.path,
		func() (*os.File, error) {
			return f.root.OpenFile(tempPrefix+rand.Text()+tempSuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		},
		func(path string) (fs.FileInfo, error) { return f.root.Lstat(inRoot(path)) },
		func(path string) error { return f.root.Remove(inRoot(path)) })
	if err != nil {
		return nil, err
	}
	return &File{disk: f.disk, path: path, perm: perm, temp: temp, folder: f, exclusive: !replace}, nil
}

// check refuses what is no name of a file directly in the folder, on any system.
func (f *Folder) check(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") || !filepath.IsLocal(name) {
		return fmt.Errorf("%q: %w", name, ErrName)
	}
	return nil
}

// place gives the temporary file its name.
func (f *Folder) place(temp, name string, exclusive bool) error {
	if !exclusive {
		return f.root.Rename(temp, name)
	}
	err := f.root.Link(temp, name) // which replaces nothing, as Rename does
	switch {
	case err == nil:
		_ = f.root.Remove(temp) // one that stays is stale, and removed the next time
		return nil
	case errors.Is(err, fs.ErrExist):
		return err
	}
	return f.placeReserved(temp, name)
}

// placeReserved is place on file systems without links: the name is taken by an empty file first, so that nothing of somebody
// else's is replaced. A kill in between leaves the empty file.
func (f *Folder) placeReserved(temp, name string) error {
	reserved, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_ = reserved.Close() // nothing was written
	if err := f.root.Rename(temp, name); err != nil {
		return errors.Join(err, f.root.Remove(name))
	}
	return nil
}
