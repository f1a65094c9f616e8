package index

import (
	"crypto/rand"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"

	"github.com/sealmail/sealmail/internal/safeio"
)

// fileSystem is the name of the encrypting file system that SQLite is to use for a disk, and how to give it back. One that
// tells of its steps gets a name of its own.
func fileSystem(disk safeio.Disk) (name string, release func()) {
	if disk.Before == nil {
		return "adiantum", func() {}
	}
	name = "steps-" + rand.Text()
	vfs.Register(name, adiantum.Wrap(steppedFS{vfs.Find(""), disk}, nil))
	return name, func() { vfs.Unregister(name) }
}

// step tells of what is about to be done.
func step(disk safeio.Disk, op, path string) error {
	if disk.Before == nil {
		return nil
	}
	return disk.Before(op, path)
}

// steppedFS tells a disk of the steps that SQLite takes. Writes to one file that follow upon each other are one step.
type steppedFS struct {
	vfs.VFS
	disk safeio.Disk
}

func (f steppedFS) Delete(name string, syncDir bool) error {
	if err := step(f.disk, safeio.OpRemove, name); err != nil {
		return err
	}
	return f.VFS.Delete(name, syncDir)
}

func (f steppedFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(f.VFS, name, flags)
	if err != nil {
		return file, flags, err
	}
	return &steppedFile{File: file, disk: f.disk, path: name.String()}, flags, nil
}

type steppedFile struct {
	vfs.File
	disk    safeio.Disk
	path    string
	writing bool
}

func (f *steppedFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.writing {
		if err := step(f.disk, safeio.OpWrite, f.path); err != nil {
			return 0, err
		}
	}
	f.writing = true
	return f.File.WriteAt(p, off)
}

func (f *steppedFile) Truncate(size int64) error {
	f.writing = false
	if err := step(f.disk, safeio.OpWrite, f.path); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *steppedFile) Sync(flags vfs.SyncFlag) error {
	f.writing = false
	if err := step(f.disk, safeio.OpSync, f.path); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

// Unwrap is for vfs.FileUnwrap.
func (f *steppedFile) Unwrap() vfs.File { return f.File }

// SharedMemory is for vfs.FileSharedMemory.
func (f *steppedFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

// LockState is for vfs.FileLockState.
func (f *steppedFile) LockState() vfs.LockLevel { return vfsutil.WrapLockState(f.File) }

// HasMoved is for vfs.FileHasMoved.
func (f *steppedFile) HasMoved() (bool, error) { return vfsutil.WrapHasMoved(f.File) }
