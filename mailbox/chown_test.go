//go:build unix

package mailbox_test

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// chown gives a file the owner of another.
func chown(t testing.TB, name string, like fs.FileInfo) {
	t.Helper()
	if s, ok := like.Sys().(*syscall.Stat_t); ok {
		if err := os.Chown(name, int(s.Uid), int(s.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}
