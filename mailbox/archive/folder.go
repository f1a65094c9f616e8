package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
)

// lockName is the file that writers of a folder lock. It is no object.
const lockName = "lock"

// Folder is a Storage in a folder of the file system. Immutable objects cannot be written by accident: their files are
// read-only.
type Folder struct {
	disk safeio.Disk
	path string
}

// NewFolder returns the storage in a folder, which is made with the first object.
func NewFolder(disk safeio.Disk, path string) *Folder { return &Folder{disk, path} }

var _ Storage = (*Folder)(nil)

const (
	immutable fs.FileMode = 0o400
	mutable   fs.FileMode = 0o600
)

// file returns the path of an object. Names come from the package alone, and are checked all the same.
func (f *Folder) file(name string) (string, error) {
	if !fs.ValidPath(name) || name == "." || !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("%q: %w", name, fs.ErrInvalid)
	}
	return filepath.Join(f.path, filepath.FromSlash(name)), nil
}

// Create begins a file.
func (f *Folder) Create(_ context.Context, name string) (ObjectWriter, error) {
	at, err := f.file(name)
	if err != nil {
		return nil, err
	}
	in := filepath.Dir(at)
	if err := f.disk.MkdirAll(in, 0o700); err != nil {
		return nil, err
	}
	folder, err := f.disk.OpenFolder(in)
	if err != nil {
		return nil, err
	}
	file, err := folder.Create(filepath.Base(at), immutable, false)
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return &folderObject{file, folder}, nil
}

type folderObject struct {
	*safeio.File
	folder *safeio.Folder
}

// Commit brings the file to the disk.
func (o *folderObject) Commit() error { return errors.Join(o.File.Commit(), o.close()) }

// Abort gives the file up.
func (o *folderObject) Abort() error { return errors.Join(o.File.Abort(), o.close()) }

func (o *folderObject) close() error {
	if o.folder == nil {
		return nil
	}
	folder := o.folder
	o.folder = nil
	return folder.Close()
}

// Open opens a file. What is no regular file is no object.
func (f *Folder) Open(_ context.Context, name string) (Object, error) {
	at, err := f.file(name)
	if err != nil {
		return nil, err
	}
	// Before it is opened: a pipe would be waited for.
	if info, err := os.Lstat(at); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: at, Err: safeio.ErrNotRegular}
	}
	file, err := os.Open(at)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &openFile{file, info.Size()}, nil
}

type openFile struct {
	*os.File
	size int64
}

// Size is that of the file when it was opened.
func (f *openFile) Size() int64 { return f.size }

// Replace exchanges a file. Writers exclude one another by Lock, so that nobody else is between the look and the exchange.
func (f *Folder) Replace(ctx context.Context, name string, data, old []byte) error {
	at, err := f.file(name)
	if err != nil {
		return err
	}
	there, err := readObject(ctx, f, name, max(int64(len(old)), 1))
	switch {
	case errors.Is(err, fs.ErrNotExist) && old == nil:
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrTooLarge):
		return fmt.Errorf("%s: %w", name, ErrChanged)
	case err != nil:
		return err
	case old == nil || !bytes.Equal(there, old):
		return fmt.Errorf("%s: %w", name, ErrChanged)
	}
	if err := f.disk.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	return f.disk.WriteFile(at, data, mutable)
}

// List walks through the folder. Temporary files of writers and the lock are no objects, and are left out.
func (f *Folder) List(ctx context.Context) ([]string, error) {
	var names []string
	root := f.path
	if behind, err := filepath.EvalSymlinks(root); err == nil { // which WalkDir does not follow
		root = behind
	}
	err := filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && at == root:
			return fs.SkipAll
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir():
			return nil
		}
		name, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if name != lockName && !safeio.IsTemporary(path.Base(name)) {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// Remove removes a file.
func (f *Folder) Remove(_ context.Context, name string) error {
	at, err := f.file(name)
	if err != nil {
		return err
	}
	if err := f.disk.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Lock locks a file in the folder, and removes what writers that were killed left behind.
func (f *Folder) Lock(context.Context) (func() error, error) {
	if err := f.disk.MkdirAll(f.path, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(f.path, lockName), flock.SetPermissions(mutable))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, ErrBusy
	}
	for _, in := range []string{".", segmentFolder, keyFolder, statementFolder} {
		if err := safeio.RemoveStale(filepath.Join(f.path, in)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, lock.Unlock())
		}
	}
	return lock.Unlock, nil
}
