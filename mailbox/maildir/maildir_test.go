package maildir_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/mailboxtest"
	"github.com/sealmail/sealmail/mailbox/maildir"
)

func newMaildir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "maildir-test") // no disk to wait for
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "Maildir")
	if err := maildir.Make(safeio.Disk{}, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) mailbox.Store {
	t.Helper()
	s, err := maildir.Open(maildir.Options{Path: path, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	path := newMaildir(t)
	mailboxtest.TestStore(t, func(t *testing.T) mailbox.Store { return open(t, path) })
}
