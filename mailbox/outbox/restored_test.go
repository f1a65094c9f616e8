package outbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

// TestRestored has nothing be sent by itself that may have been sent since the backup.
func TestRestored(t *testing.T) {
	dir := filepath.Join(fastDir(t), "outbox")
	if n, err := Restored(safeio.Disk{}, dir); n != 0 || err != nil {
		t.Errorf("no outbox: %d, %v", n, err)
	}
	o := openOutbox(t, safeio.Disk{}, dir)
	queued, leaving, damaged := addMail(t, o), addMail(t, o), addMail(t, o)
	if err := os.Remove(filepath.Join(dir, leaving.ID, entryFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, damaged.ID, entryFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	waiting := 0
	for _, m := range queued.Messages {
		if m.State == Queued {
			waiting++
		}
	}
	n, err := Restored(safeio.Disk{}, dir)
	if err != nil || n != waiting || n == 0 {
		t.Errorf("%d uncertain, want %d, %v", n, waiting, err)
	}
	got, err := o.Get(queued.ID)
	if err != nil || got.State() != Uncertain || got.Messages[0].Error == "" || !got.Copy.Started {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, leaving.ID)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an entry that was leaving: %v", err)
	}
	if _, err := o.Get(damaged.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged entry: %v", err)
	}
	if n, err := Restored(safeio.Disk{}, dir); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
}
