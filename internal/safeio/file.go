package safeio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Temporary files are recognized by this pattern, so that [RemoveStale] takes away our own and no others.
const (
	tempPrefix = ".sealmail-"
	tempSuffix = ".tmp"
)

// File is a file that is being written and takes its target's place only with [File.Commit]. It is for use by one
// goroutine.
type File struct {
	disk Disk
	path string // the target, links resolved
	perm fs.FileMode
	temp *os.File // nil once committed or aborted
	err  error    // the first failed write; it bars the commit

	folder    *Folder // where the file is made; nil: path is any of the system's
	exclusive bool    // in a folder: what has the name by then stays, and the commit fails

	unsynced int        // octets written since a sync began
	syncing  chan error // of the one that goes on beside the writing; nil: none does
}

// IsTemporary reports whether a file of this name is one that is being written, or that a kill left behind.
func IsTemporary(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// syncAhead is how much is written before it is brought to the disk while more is being written: waiting for all of a large
// file in the end would leave the disk idle until then, and the processor from then on.
const syncAhead = 16 << 20

// Create begins to replace the file at path, which will have exactly the permissions perm (the umask is not applied;
// until then only the owner can read what is written). Nothing changes at path before [File.Commit].
//
// If path is a symbolic link, the file that it names is replaced and the link stays; a link to nothing is an error. An
// existing path that is not a file gives [ErrNotRegular].
//
//	f, err := disk.Create(path, 0o600)
//	if err != nil { … }
//	defer f.Close() // aborts, unless committed
//	… write to f …
//	return f.Commit()
func (d Disk) Create(path string, perm fs.FileMode) (*File, error) {
	target, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if err := d.before(OpCreate, target); err != nil {
		return nil, err
	}
	temp, err := createTemp(filepath.Dir(target))
	if err != nil {
		return nil, err
	}
	return &File{disk: d, path: target, perm: perm, temp: temp}, nil
}

// Write appends to what will be the file. After a failed write the file cannot be committed.
func (f *File) Write(p []byte) (int, error) {
	if f.temp == nil {
		return 0, fs.ErrClosed
	}
	if f.err != nil {
		return 0, f.err
	}
	if f.err = f.disk.before(OpWrite, f.path); f.err != nil {
		return 0, f.err
	}
	n, err := f.temp.Write(p)
	f.err = err
	if f.unsynced += n; f.unsynced >= syncAhead && err == nil {
		f.syncBeside()
	}
	return n, err
}

// syncBeside brings to the disk what was written so far, unless an earlier one is not done with it. That alone makes nothing
// durable: the commit syncs as well.
func (f *File) syncBeside() {
	if f.syncing != nil {
		select {
		case f.err = <-f.syncing:
			f.syncing = nil
		default:
			return
		}
	}
	if f.err != nil {
		return
	}
	f.unsynced = 0
	temp, done := f.temp, make(chan error, 1)
	go func() { done <- temp.Sync() }()
	f.syncing = done
}

// endSync waits for a sync that goes on. Its error is remembered: the system tells of each failure once.
func (f *File) endSync() {
	if f.syncing == nil {
		return
	}
	err := <-f.syncing
	f.syncing = nil
	if f.err == nil {
		f.err = err
	}
}

// Commit brings the file to the disk and puts it in its place. For what an error leaves behind see [Disk.WriteFile].
// A file can be committed once.
func (f *File) Commit() error {
	if f.temp == nil {
		return fs.ErrClosed
	}
	if err := f.settle(); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.disk.syncDir(filepath.Dir(f.path))
}

// settle makes the temporary file durable and renames it. Until it returns nil the file can be aborted.
func (f *File) settle() error {
	if err := f.finish(); err != nil {
		return err
	}
	if err := f.temp.Sync(); err != nil {
		return err
	}
	return f.replace()
}

// finish ends the writing: what is left is to sync and to replace.
func (f *File) finish() error {
	f.endSync()
	if f.err != nil {
		return fmt.Errorf("not committed after a failed write: %w", f.err)
	}
	if err := f.temp.Chmod(f.perm); err != nil {
		return err
	}
	return f.disk.before(OpSync, f.path)
}

// replace puts the temporary file, which is durable, in its place.
func (f *File) replace() error {
	if !canRenameOpen {
		if err := f.temp.Close(); err != nil {
			return err
		}
	}
	if err := f.disk.before(OpRename, f.path); err != nil {
		return err
	}
	if err := f.place(); err != nil {
		return err
	}
	// Closing gives up the lock, so it waits for the rename where it can. Its error says nothing about a file
	// that has been synced.
	_ = f.temp.Close()
	f.temp = nil
	return nil
}

// place gives the temporary file its name.
func (f *File) place() error {
	if f.folder != nil {
		return f.folder.place(filepath.Base(f.temp.Name()), filepath.Base(f.path), f.exclusive)
	}
	return os.Rename(f.temp.Name(), f.path)
}

// Abort gives up what was written and leaves the target as it is. It does nothing after Commit or Abort.
func (f *File) Abort() error {
	if f.temp == nil {
		return nil
	}
	f.endSync()
	temp := f.temp
	f.temp = nil
	remove := func() error { return os.Remove(temp.Name()) }
	if f.folder != nil {
		remove = func() error { return f.folder.root.Remove(filepath.Base(temp.Name())) }
	}
	if err := temp.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return errors.Join(err, remove())
	}
	return remove()
}

// Close aborts a file that was not committed, so that it can be deferred; after Commit it does nothing.
func (f *File) Close() error { return f.Abort() }

// RemoveStale removes from dir, and not from directories below it, the temporary files that a kill left behind. Files
// that another process is still writing are left alone. It is no error if dir does not exist.
func RemoveStale(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || !IsTemporary(name) {
			continue
		}
		err := removeUnlocked(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errLocked) && !errors.Is(err, errNoLocks) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

var (
	// errLocked says that a temporary file belongs to somebody who still writes it.
	errLocked = errors.New("in use")
	// errNoLocks says that the file system has no locks. A file in use cannot be told from a stale one there, so
	// none is removed.
	errNoLocks = errors.New("file system without locks")
)

// createTemp makes a temporary file in dir that is locked as long as it is open, so that RemoveStale can tell it from
// what a kill left behind.
func createTemp(dir string) (*os.File, error) {
	return lockedTemp(dir, func() (*os.File, error) { return os.CreateTemp(dir, tempPrefix+"*"+tempSuffix) }, os.Lstat, os.Remove)
}

// lockedTemp is createTemp by means of these functions. Those that take a name get that of the file that create made, which
// is of mode 0600.
func lockedTemp(dir string, create func() (*os.File, error), lstat func(string) (fs.FileInfo, error), remove func(string) error) (*os.File, error) {
	const attempts = 16
	for range attempts {
		f, err := create()
		if err != nil {
			return nil, err
		}
		if err = lock(f); err == nil || errors.Is(err, errNoLocks) {
			// Between its making and its locking RemoveStale may have taken it for a stale one.
			if _, err = lstat(f.Name()); err == nil {
				return f, nil
			}
		}
		_ = f.Close()
		_ = remove(f.Name())
		if !errors.Is(err, errLocked) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no temporary file in %s after %d attempts: %w", dir, attempts, errLocked)
}

// resolve returns the path that a write to path changes: the end of a symbolic link, or path itself.
func resolve(path string) (string, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", fmt.Errorf("following a symbolic link: %w", err)
		}
		if info, err = os.Stat(path); err != nil {
			return "", err
		}
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: OpCreate, Path: path, Err: ErrNotRegular}
	}
	return path, nil
}
