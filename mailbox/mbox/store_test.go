package mbox_test

import (
	"os"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/mailboxtest"
	"github.com/sealmail/sealmail/mailbox/mbox"
)

func newDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mbox-test") // no disk to wait for
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func open(t testing.TB, path string) mailbox.Store {
	t.Helper()
	s, err := mbox.Open(mbox.Options{Path: path, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	dir := newDir(t)
	mailboxtest.TestStore(t, func(t *testing.T) mailbox.Store { return open(t, dir) })
}
