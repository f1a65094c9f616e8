package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
)

// maxSocketPath is what fits into the address of a socket on all systems, in octets.
const maxSocketPath = 103

// lockPoll is how often an agent that waits for another to end looks again.
const lockPoll = 10 * time.Millisecond

// Path returns the socket that stands for preferred: its absolute path where that fits into a socket's address, else a
// name made of it in a folder of this user's below temp.
func Path(preferred, temp string) (string, error) {
	path, err := filepath.Abs(preferred)
	if err != nil {
		return "", fmt.Errorf("agent: %w", err)
	}
	if len(path) <= maxSocketPath {
		return path, nil
	}
	sum := sha256.Sum256([]byte(path))
	path = filepath.Join(temp, fmt.Sprintf("sealmail-%d", os.Geteuid()), fmt.Sprintf("%x.sock", sum[:12]))
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("agent: %s is too long for a socket's address", path)
	}
	return path, nil
}

// checkSocket sees to it that a socket and its folder are this user's.
func checkSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNone
	}
	if err != nil {
		return err
	}
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket || !isOurs(info) {
		return fmt.Errorf("%s: %w", path, ErrForeign)
	}
	return nil
}

// checkFolder sees to it that a folder is this user's, and that nobody else can put anything into it. A link to it must be
// this user's as well.
func checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if !isOurs(info) {
			return fmt.Errorf("%s: %w", dir, ErrForeign)
		}
		info, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() || !isOurs(info) || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s: %w", dir, ErrForeign)
	}
	return nil
}

// listener is a socket that only this user can connect to, and that only one process has.
type listener struct {
	*net.UnixListener
	lock *os.File
}

// listen makes the socket, in a folder that is made where there is none. It waits for an agent that is just ending.
func listen(ctx context.Context, path string) (*listener, error) {
	dir := filepath.Dir(path)
	if err := (safeio.Disk{}).MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	// What was wrong is said by who opens the vault. Here it only must not be so any more.
	if _, err := safeio.ClosePathToOthers(dir, 0o077); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, err
	}
	l := &listener{lock: lock}
	if err := l.open(ctx, path); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

func (l *listener) open(ctx context.Context, path string) error {
	for {
		got, err := tryLock(l.lock)
		if err != nil {
			return err
		}
		if got {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another agent runs: %w", ctx.Err())
		case <-time.After(lockPoll):
		}
	}
	// Who holds the lock may take away the socket of who was killed.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var err error
	if l.UnixListener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
		return err
	}
	// Until now the folder alone kept others out.
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.UnixListener.Close())
	}
	return nil
}

// release lets the next agent have the socket.
func (l *listener) release() error { return l.lock.Close() }
