package safeio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The names of the steps that [Disk.Before] is told of.
const (
	OpCreate  = "create"  // a temporary file is about to be made
	OpWrite   = "write"   // octets are about to be written to it
	OpSync    = "sync"    // it is about to be brought to the disk
	OpRename  = "rename"  // it is about to take the place of the target
	OpSyncDir = "syncdir" // the entries of a directory are about to be brought to the disk
	OpRemove  = "remove"  // a file or a tree is about to be removed
	OpMkdir   = "mkdir"   // a directory is about to be made
)

// ErrNotRegular is returned where the target of a write exists and is not a regular file: a directory, a device, a
// pipe. Renaming over a device would replace it by a file; who wants to write to one opens it.
var ErrNotRegular = errors.New("not a regular file")

// Disk performs durable file operations. The zero value is the real disk and ready for use.
type Disk struct {
	// Before, if set, is called before each step with the name of the step and the path that will change: for
	// the steps of a write the target, not the temporary file; for OpSyncDir the directory. Its error aborts the
	// operation and is returned.
	Before func(op, path string) error
}

// WriteFile replaces the file at path by one that holds data and has exactly the permissions perm (the umask is not
// applied). See [Disk.Create] for what happens to links and special files.
//
// After an error the old file, or its absence, is untouched, with one exception: where only the sync of the directory
// failed, the new file is in place but may not survive a loss of power.
func (d Disk) WriteFile(path string, data []byte, perm fs.FileMode) error {
	f, err := d.Create(path, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

// MkdirAll makes the directory at path, and those above it that are missing, with the permissions perm (before the
// umask). It is no error if the directory exists; permissions of existing directories are left alone.
func (d Disk) MkdirAll(path string, perm fs.FileMode) error {
	var missing []string
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil {
			if !info.IsDir() {
				return &fs.PathError{Op: OpMkdir, Path: dir, Err: syscall.ENOTDIR}
			}
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, dir)
		if filepath.Dir(dir) == dir {
			break // a root that does not exist, as on a drive that is not there: Mkdir will say so
		}
	}
	for i := len(missing) - 1; i >= 0; i-- {
		dir := missing[i]
		if err := d.before(OpMkdir, dir); err != nil {
			return err
		}
		// Somebody else may have made it since; that is as good.
		if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := d.syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the file or the empty directory at path. The error wraps fs.ErrNotExist if there is none.
func (d Disk) Remove(path string) error {
	if err := d.before(OpRemove, path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

// RemoveAll removes path and all below it. It is no error if there is nothing. A kill in its midst leaves a part of
// the tree: rename the tree away first where a part could be mistaken for the whole.
func (d Disk) RemoveAll(path string) error {
	if err := d.before(OpRemove, path); err != nil {
		return err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // the directory above may be missing as well, and then there is nothing to sync
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

// Discard removes path and all below it without waiting for the disk: after a loss of power some of it may be there again.
// It is for what is removed again wherever it is met. It is no error if there is nothing.
func (d Disk) Discard(path string) error {
	if err := d.before(OpRemove, path); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// Rename gives the file or directory at oldpath the name newpath on the same file system. A file at newpath is
// replaced.
func (d Disk) Rename(oldpath, newpath string) error {
	if err := d.before(OpRename, newpath); err != nil {
		return err
	}
	if err := os.Rename(oldpath, newpath); err != nil {
		return err
	}
	// The new name first: should the power fail between the two, the file has two names rather than none.
	to, from := filepath.Dir(newpath), filepath.Dir(oldpath)
	if err := d.syncDir(to); err != nil || to == from {
		return err
	}
	return d.syncDir(from)
}

// Step tells Before of a step that is taken by other means than the methods of a Disk, and returns its error.
func (d Disk) Step(op, path string) error { return d.before(op, path) }

// SyncDir brings the entries of dir to the disk, for who makes, renames or removes files in it by other means.
func (d Disk) SyncDir(dir string) error { return d.syncDir(dir) }

func (d Disk) before(op, path string) error {
	if d.Before == nil {
		return nil
	}
	if err := d.Before(op, path); err != nil {
		return fmt.Errorf("%s %s: %w", op, path, err)
	}
	return nil
}

// syncDir brings the entries of dir to the disk.
func (d Disk) syncDir(dir string) error {
	if err := d.before(OpSyncDir, dir); err != nil {
		return err
	}
	return syncEntries(dir)
}

func syncEntries(dir string) error {
	if !canSyncDir {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	// File systems that have nothing to sync for a directory say so by EINVAL or ENOTSUP.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
