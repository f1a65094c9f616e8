package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// lockWait bounds the wait for another program that works on a file.
const (
	lockWait = 30 * time.Second
	lockPoll = 20 * time.Millisecond
)

// errHeld says that somebody else has the lock.
var errHeld = errors.New("in use by another program")

// waitFor tries until something else than errHeld comes of it, in bounded time.
func waitFor(ctx context.Context, try func() error) error {
	end, poll := time.NewTimer(lockWait), time.NewTicker(lockPoll)
	defer end.Stop()
	defer poll.Stop()
	for {
		err := try()
		if !errors.Is(err, errHeld) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return err
		case <-poll.C:
		}
	}
}

// dotLock makes the file path.lock, as programs do that deliver mail. The caller has the lock that only this package takes, so that one
// with the mark of this package is what a kill left behind, and is removed. Those of others are not: there is no telling one that was left behind
// from one in use.
func dotLock(ctx context.Context, path, mark string) (unlock func() error, err error) {
	name := path + ".lock"
	err = waitFor(ctx, func() error {
		err := makeLock(name, filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".sealmail-lock"), mark)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		file, info, err := filestore.OpenRegular(name)
		if err != nil {
			return errHeld // or gone by now
		}
		defer file.Close()
		text := make([]byte, min(info.Size(), 1000))
		if _, err := io.ReadFull(file, text); err == nil && string(text) == mark {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
		return errHeld
	})
	if errors.Is(err, errHeld) {
		since := ""
		if info, err := os.Lstat(name); err == nil {
			since = " since " + info.ModTime().UTC().Format(time.RFC3339)
		}
		return nil, fmt.Errorf("%s is there%s: %w; if none is at work on it, remove that file", name, since, errHeld)
	}
	if err != nil {
		return nil, err
	}
	return func() error { return os.Remove(name) }, nil
}

// makeLock makes a file that has its content from the first instant on, and replaces none. Where there are no links it is made empty
// first.
func makeLock(name, part, mark string) error {
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(part, mark); err != nil {
		return err
	}
	err := os.Link(part, name)
	if removed := os.Remove(part); removed != nil && err == nil {
		return errors.Join(removed, os.Remove(name))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return writeNew(name, mark)
	}
	return err
}

func writeNew(name, text string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
