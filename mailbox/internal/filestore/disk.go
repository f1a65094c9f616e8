package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
)

// lockWait bounds the wait for a folder that another process works on. Nobody holds its lock while waiting for a person or a
// network.
const (
	lockWait = 30 * time.Second
	lockPoll = 5 * time.Millisecond
)

// OpenRegular opens a file for reading. What is no file, such as a link, a pipe or a device, gives safeio.ErrNotRegular, and is
// not waited for.
func OpenRegular(path string) (*os.File, fs.FileInfo, error) { return openRegular(path, os.O_RDONLY) }

// OpenWritable is OpenRegular for reading and writing.
func OpenWritable(path string) (*os.File, error) {
	file, _, err := openRegular(path, os.O_RDWR)
	return file, err
}

func openRegular(path string, how int) (*os.File, fs.FileInfo, error) {
	if info, err := os.Lstat(path); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: safeio.ErrNotRegular}
	}
	file, err := os.OpenFile(path, how|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() { // it was replaced since
		err = &fs.PathError{Op: "open", Path: path, Err: safeio.ErrNotRegular}
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

// Lock waits, in bounded time, until no other store works on what the lock file at path stands for.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	bounded, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	locked, err := lock.TryLockContext(bounded, lockPoll)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded) || err == nil && !locked:
		err = fmt.Errorf("%s: another process has held the lock for %v: end it, or try again", path, lockWait)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock.Close, nil
}

// SpecialUse returns the use (RFC 6154 section 2) of folders that are called as programs call those with one; files have no
// other sign of it.
func SpecialUse(folder string) []string {
	switch folder {
	case "Sent", "Drafts", "Trash", "Archive", "Junk":
		return []string{`\` + folder}
	}
	return nil
}
