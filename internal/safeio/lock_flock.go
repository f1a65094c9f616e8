//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package safeio

import (
	"errors"
	"os"
	"syscall"
)

const (
	canSyncDir    = true
	canRenameOpen = true
)

// lock marks a temporary file as being written. The lock ends with the descriptor, and so with the process.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return errLocked
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOLCK):
		return errNoLocks
	}
	return err
}

// removeUnlocked removes a temporary file that nobody is writing.
func removeUnlocked(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return err
	}
	return os.Remove(path) // while it is locked, so that its maker sees it go
}
