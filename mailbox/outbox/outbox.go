package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
)

const (
	lockFile   = ".lock"
	lockSuffix = ".lock"
	newPrefix  = ".new-"
	donePrefix = ".done-"

	// lockRetry is how often a lock is tried that is held for moments only.
	lockRetry = 10 * time.Millisecond
)

// Outbox is a folder of entries. Its methods may be called by several goroutines, and by several processes.
type Outbox struct {
	disk safeio.Disk
	dir  string
}

// Open makes the folder if it is missing and clears up what a kill left behind: entries that were never accepted, and
// the rest of ones that were done.
func Open(disk safeio.Disk, dir string) (*Outbox, error) {
	o := &Outbox{disk: disk, dir: dir}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	if err := o.clearUp(); err != nil {
		return nil, fmt.Errorf("outbox: clearing up: %w", err)
	}
	return o, nil
}

// clearUp removes leftovers, unless somebody else is at work: what looks like a leftover may be his.
func (o *Outbox) clearUp() error {
	lock := flock.New(filepath.Join(o.dir, lockFile))
	alone, err := lock.TryLock()
	if err != nil || !alone {
		return errors.Join(err, lock.Close())
	}
	defer lock.Unlock()
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(o.dir, e.Name())
		id, isLock := strings.CutSuffix(e.Name(), lockSuffix)
		switch {
		case strings.HasPrefix(e.Name(), newPrefix), strings.HasPrefix(e.Name(), donePrefix):
			err = o.disk.RemoveAll(path)
		case isLock && validID(id):
			if _, err = os.Lstat(filepath.Join(o.dir, id)); errors.Is(err, fs.ErrNotExist) {
				err = o.disk.Remove(path)
			}
		case e.IsDir() && validID(e.Name()):
			err = safeio.RemoveStale(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enter marks the outbox as being changed, so that nobody clears up meanwhile.
func (o *Outbox) enter(ctx context.Context) (leave func(), err error) {
	lock := flock.New(filepath.Join(o.dir, lockFile))
	if _, err := lock.TryRLockContext(ctx, lockRetry); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return func() { _ = lock.Unlock() }, nil
}

// lock takes an entry for the caller alone. That the entry exists is not said: look after locking.
func (o *Outbox) lock(ctx context.Context, id string) (release func(), err error) {
	if !validID(id) {
		return nil, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	leave, err := o.enter(ctx)
	if err != nil {
		return nil, err
	}
	path := o.path(id) + lockSuffix
	lock := flock.New(path)
	release = func() {
		_ = lock.Unlock()
		// The lock's file goes with the entry. Somebody may be about to lock the old file: he will find no entry, and IDs
		// do not come back.
		if _, err := os.Lstat(o.path(id)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(path)
		}
		leave()
	}
	taken, err := lock.TryLock()
	if err == nil && !taken {
		err = fmt.Errorf("%s: %w", id, ErrBusy)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (o *Outbox) path(id string) string { return filepath.Join(o.dir, id) }

// List returns all entries, oldest first. Entries that cannot be read are left out, and named by the error, which comes
// together with the others.
func (o *Outbox) List() ([]Entry, error) {
	names, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	var (
		out  []Entry
		errs []error
	)
	for _, name := range names { // sorted
		if !validID(name.Name()) {
			continue
		}
		e, err := load(o.path(name.Name()), name.Name())
		switch {
		case err == nil:
			out = append(out, e)
		case !errors.Is(err, ErrNotFound): // done meanwhile
			errs = append(errs, fmt.Errorf("outbox: %w", err))
		}
	}
	return out, errors.Join(errs...)
}

// Get returns one entry. Errors: ErrNotFound, ErrDamaged.
func (o *Outbox) Get(id string) (Entry, error) {
	if !validID(id) {
		return Entry{}, fmt.Errorf("outbox: %q: %w", id, ErrNotFound)
	}
	e, err := load(o.path(id), id)
	if err != nil {
		return Entry{}, fmt.Errorf("outbox: %w", err)
	}
	return e, nil
}

// Open opens the octets of one message of an entry.
func (o *Outbox) Open(e Entry, message int) (io.ReadCloser, error) {
	f, err := o.open(e, message)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	return f, nil
}

func (o *Outbox) open(e Entry, message int) (*os.File, error) {
	if !validID(e.ID) || message < 0 || message >= len(e.Messages) {
		return nil, fmt.Errorf("%s, message %d: %w", e.ID, message, ErrNotFound)
	}
	f, err := os.Open(filepath.Join(o.path(e.ID), messageFile(message)))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != e.Messages[message].Size {
		err = fmt.Errorf("%s: %w: message %d has %d octets, and had %d", e.ID, ErrDamaged, message, info.Size(), e.Messages[message].Size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Drop forgets an entry, sent or not, damaged or not. Errors: ErrNotFound, ErrBusy.
func (o *Outbox) Drop(ctx context.Context, id string) error {
	release, err := o.lock(ctx, id)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	defer release()
	if _, err := load(o.path(id), id); errors.Is(err, ErrNotFound) {
		return fmt.Errorf("outbox: %w", err)
	}
	if err := o.remove(id); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}

// remove ends an entry: one rename takes it out of the outbox, what follows only clears up, as Open does again where it has
// to.
func (o *Outbox) remove(id string) error {
	done := filepath.Join(o.dir, donePrefix+rand.Text())
	if err := o.disk.Rename(o.path(id), done); err != nil {
		return err
	}
	return o.disk.Discard(done)
}

// save makes the progress of an entry durable.
func (o *Outbox) save(e Entry) error {
	data, err := encode(e)
	if err != nil {
		return err
	}
	return o.disk.WriteFile(filepath.Join(o.path(e.ID), entryFile), data, 0o600)
}
