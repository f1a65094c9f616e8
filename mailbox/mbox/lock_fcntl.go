//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package mbox

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFile locks a whole file by fcntl. The lock ends when any descriptor of the file is closed in this process.
func lockFile(ctx context.Context, file *os.File) error {
	return waitFor(ctx, func() error {
		lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
		err := syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
			return errHeld
		}
		return err
	})
}
