package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealmail/sealmail/internal/safeio"
)

// errRestored is what a message says of itself that was queued in a backup.
var errRestored = errors.New("it was waiting when the backup was made that it comes from, and may have been sent since")

// Restored readies an outbox that was copied from a backup, before anybody uses it, and returns how many messages became
// uncertain: all that were queued, as the outbox that they were copied from may have sent them since. Entries that were
// leaving that outbox while it was copied are removed; damaged ones stay as they are. A folder that is not there is empty.
func Restored(disk safeio.Disk, dir string) (uncertain int, err error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("outbox: %w", err)
	}
	o := &Outbox{disk: disk, dir: dir}
	for _, name := range names {
		if !validID(name.Name()) || !name.IsDir() {
			continue
		}
		n, err := o.restored(name.Name())
		if err != nil {
			return uncertain, fmt.Errorf("outbox: %w", err)
		}
		uncertain += n
	}
	return uncertain, nil
}

func (o *Outbox) restored(id string) (uncertain int, err error) {
	// Its description is copied last, and goes first.
	if _, err := os.Lstat(filepath.Join(o.path(id), entryFile)); errors.Is(err, fs.ErrNotExist) {
		return 0, o.disk.RemoveAll(o.path(id))
	}
	e, err := load(o.path(id), id)
	if errors.Is(err, ErrDamaged) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for i := range e.Messages {
		if m := &e.Messages[i]; m.State == Queued {
			m.State, m.Error = Uncertain, errorText(errRestored)
			uncertain++
		}
	}
	if e.Copy != nil && !e.Copy.Done {
		e.Copy.Started = true // it may be there, and is looked for before it is made
	}
	return uncertain, o.save(e)
}
