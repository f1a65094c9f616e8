package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// place is where a message is: in cur or new, and under what name.
type place struct{ sub, name string }

// keyOf returns the part of a file's name that stays the same: what stands before the colon.
func keyOf(name string) string {
	key, _, _ := strings.Cut(name, ":")
	return key
}

// scan returns where the messages are, and of those that are there twice the second place.
func (f *folder) scan() (places map[string]place, twice []place, err error) {
	places = make(map[string]place)
	// What is moved from new to cur meanwhile is seen in one of them at least.
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(f.dir, sub))
		if errors.Is(err, fs.ErrNotExist) && sub == "new" {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			// Links, pipes and devices are no messages; nor is what begins with a dot.
			if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			key, at := keyOf(e.Name()), place{sub, e.Name()}
			if _, there := places[key]; there {
				twice = append(twice, at)
				continue
			}
			places[key] = at
		}
	}
	return places, twice, nil
}

// locate scans, and once more where something is missing that was there: what is renamed while a directory is read may be passed
// over, and may be found twice.
func (f *folder) locate() error {
	places, twice, err := f.scan()
	if err != nil {
		return err
	}
	for _, key := range f.numbers.Keys() {
		if _, there := places[key]; there {
			continue
		}
		before := places
		if places, twice, err = f.scan(); err != nil {
			return err
		}
		for key, at := range before {
			if _, there := places[key]; !there && exists(f.path(at)) {
				places[key] = at
			}
		}
		break
	}
	for _, second := range twice {
		if err := f.part(places, second); err != nil {
			return err
		}
	}
	f.places = places
	return nil
}

// part gives the second of two files whose names differ only behind the colon a name of its own, where it is not the same file.
func (f *folder) part(places map[string]place, second place) error {
	key := keyOf(second.name)
	a, errA := os.Lstat(f.path(places[key]))
	b, errB := os.Lstat(f.path(second))
	switch {
	case errors.Is(errB, fs.ErrNotExist):
		return nil
	case errors.Is(errA, fs.ErrNotExist):
		places[key] = second
		return nil
	case errA != nil || errB != nil:
		return errors.Join(errA, errB)
	case os.SameFile(a, b):
		return nil
	}
	own := f.newKey("")
	at := place{second.sub, own + strings.TrimPrefix(second.name, key)}
	if err := f.disk.Rename(f.path(second), f.path(at)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	places[own] = at
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// seconds is when a message came, as the name says, or 0.
func seconds(key string) uint64 {
	digits, _, _ := strings.Cut(key, ".")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0
	}
	return n
}
