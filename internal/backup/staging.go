package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
)

// Place is a folder that is to be filled as a whole.
type Place struct {
	Dir string
	// Optional: what was staged for it is given up where it holds something already.
	Optional bool
}

// Errors of a Staging. They arrive wrapped.
var (
	// ErrNotEmpty says that a folder that is to be filled holds something.
	ErrNotEmpty = errors.New("it is not empty")
	// ErrBusy says that somebody else is filling it.
	ErrBusy = errors.New("somebody else is restoring into it")
)

const (
	stagingSuffix = ".restoring"
	lockSuffix    = ".restoring.lock"
	markSuffix    = ".restoring.complete"
)

// Staging are folders beside those that are to be filled.
type Staging struct {
	disk   safeio.Disk
	places []Place
	lock   *flock.Flock
}

// beside is the path of a hidden file beside a folder, on the same file system unless the folder is where another begins.
func beside(dir, suffix string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+suffix)
}

// resolve names the places by absolute paths, at the end of links.
func resolve(places []Place) ([]Place, error) {
	var out []Place
	for _, p := range places {
		dir, err := filepath.Abs(p.Dir)
		if err != nil {
			return nil, err
		}
		if end, err := filepath.EvalSymlinks(dir); err == nil {
			dir = end
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if dir == filepath.Dir(dir) {
			return nil, fmt.Errorf("%s is the root of a file system", dir)
		}
		out = append(out, Place{dir, p.Optional})
	}
	if len(out) == 0 {
		return nil, errors.New("no place to restore to")
	}
	return out, nil
}

// last is the place that mark and lock are beside.
func last(places []Place) string { return places[len(places)-1].Dir }

// Stage begins to fill places, which must be empty or not there: it makes a folder beside each, and removes what one that was
// killed left there. After a kill when all was staged, call [Finish] before. The caller ends with Commit or Discard. Errors
// wrap [ErrNotEmpty] and [ErrBusy].
func Stage(disk safeio.Disk, places []Place) (*Staging, error) {
	places, err := resolve(places)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		if empty, err := isEmpty(p.Dir); err != nil {
			return nil, err
		} else if !empty && !p.Optional {
			return nil, fmt.Errorf("%s: %w", p.Dir, ErrNotEmpty)
		}
		if err := disk.MkdirAll(filepath.Dir(p.Dir), 0o700); err != nil {
			return nil, err
		}
	}
	s := &Staging{disk: disk, places: places}
	if err := s.take(); err != nil {
		return nil, err
	}
	// A mark that is there is of one that was killed behind its last step, and must not speak for what is staged now.
	if err := disk.RemoveAll(beside(last(places), markSuffix)); err != nil {
		s.release()
		return nil, err
	}
	for _, p := range places {
		dir := beside(p.Dir, stagingSuffix)
		if err = disk.RemoveAll(dir); err == nil {
			err = disk.MkdirAll(dir, 0o700)
		}
		if err != nil {
			return nil, errors.Join(err, s.Discard())
		}
	}
	return s, nil
}

// take keeps others out.
func (s *Staging) take() error {
	lock := flock.New(beside(last(s.places), lockSuffix), flock.SetPermissions(0o600))
	taken, err := lock.TryLock()
	if err == nil && (!taken || !isStill(lock)) {
		err = fmt.Errorf("%s: %w", last(s.places), ErrBusy)
	}
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	s.lock = lock
	return nil
}

// isStill reports whether the file that was locked has its name still: who had it before removes it.
func isStill(lock *flock.Flock) bool {
	locked, err := lock.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(locked, now)
}

// release lets others in. The lock's file goes first: who waits for it makes another.
func (s *Staging) release() {
	_ = os.Remove(s.lock.Path())
	_ = s.lock.Unlock()
}

// Dir is the folder beside the place of this number.
func (s *Staging) Dir(place int) string { return beside(s.places[place].Dir, stagingSuffix) }

// Commit puts all that was staged in its place. After an error that wraps [ErrPlacing] all is staged, and [Finish] goes on;
// after any other nothing has changed.
func (s *Staging) Commit(ctx context.Context) error {
	defer s.release()
	if err := ctx.Err(); err != nil {
		return errors.Join(err, s.clear())
	}
	if err := s.disk.WriteFile(beside(last(s.places), markSuffix), []byte("complete\n"), 0o600); err != nil {
		if again := s.disk.RemoveAll(beside(last(s.places), markSuffix)); again != nil {
			return fmt.Errorf("%w: %w", ErrPlacing, errors.Join(err, again)) // it may be there, and then says the truth
		}
		return errors.Join(err, s.clear())
	}
	if _, err := s.place(); err != nil {
		return fmt.Errorf("%w: %w", ErrPlacing, err)
	}
	return nil
}

// ErrPlacing says that all that was staged is complete, and not all in its place.
var ErrPlacing = errors.New("the restored files are complete, and not all in their place")

// place renames what was staged, and removes the mark when all is done. What is done already is passed over; placed says whether
// anything was left to do.
func (s *Staging) place() (placed bool, err error) {
	for _, p := range s.places {
		staged := beside(p.Dir, stagingSuffix)
		if _, err := os.Lstat(staged); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return placed, err
		}
		if unused, err := isEmpty(staged); err != nil {
			return placed, err
		} else if unused {
			if err := s.disk.RemoveAll(staged); err != nil {
				return placed, err
			}
			continue
		}
		if err := s.placeOne(staged, p); err != nil {
			return placed, err
		}
		placed = true
	}
	return placed, s.disk.Remove(beside(last(s.places), markSuffix))
}

func (s *Staging) placeOne(staged string, p Place) error {
	empty, err := isEmpty(p.Dir)
	switch {
	case err != nil:
		return err
	case !empty && p.Optional:
		return s.disk.RemoveAll(staged)
	case !empty:
		return fmt.Errorf("%s: %w", p.Dir, ErrNotEmpty)
	}
	if err := s.disk.Remove(p.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // a rename replaces no folder everywhere
		return err
	}
	return s.disk.Rename(staged, p.Dir)
}

// Discard gives up what was staged.
func (s *Staging) Discard() error {
	defer s.release()
	return s.clear()
}

func (s *Staging) clear() error {
	var errs []error
	for _, p := range s.places {
		errs = append(errs, s.disk.RemoveAll(beside(p.Dir, stagingSuffix)))
	}
	return errors.Join(errs...)
}

// Finish puts in its place what was staged to the end by one that was killed then, and reports whether there was such a thing.
func Finish(disk safeio.Disk, places []Place) (finished bool, err error) {
	places, err = resolve(places)
	if err != nil {
		return false, err
	}
	if _, err := os.Lstat(beside(last(places), markSuffix)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	s := &Staging{disk: disk, places: places}
	if err := s.take(); err != nil {
		return false, err
	}
	defer s.release()
	if _, err := os.Lstat(beside(last(places), markSuffix)); errors.Is(err, fs.ErrNotExist) {
		return true, nil // somebody else did it
	}
	if finished, err = s.place(); err != nil {
		return false, fmt.Errorf("%w: %w", ErrPlacing, err)
	}
	return finished, nil
}

// isEmpty reports whether there is nothing in a folder, or no folder.
func isEmpty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && len(entries) == 0, err
}
