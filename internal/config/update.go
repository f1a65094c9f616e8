package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
)

// lockPoll is how often a writer that waits for another looks again.
const lockPoll = 10 * time.Millisecond

// Update replaces the configuration file by what change makes of its text, and returns what it then says. Where there is
// no file, change is given nothing. Other writers are kept out from before the text is read, so that none is lost; the
// context bounds the wait for them.
func Update(ctx context.Context, disk safeio.Disk, path string, change func(text []byte) ([]byte, error)) (*Config, error) {
	dir := filepath.Dir(path)
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("lock configuration: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // it ends with the process at the latest
	_ = safeio.RemoveStale(dir)          // what a kill left behind; not being able to is no reason to stop
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	changed, err := change(text)
	if err != nil {
		return nil, err
	}
	c, err := Parse(path, changed)
	if err != nil {
		return nil, err
	}
	if string(changed) == string(text) {
		return c, nil
	}
	return c, disk.WriteFile(path, changed, 0o600)
}
