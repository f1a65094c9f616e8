//go:build !unix

package mailbox_test

import (
	"io/fs"
	"testing"
)

// chown does nothing: the servers that it is for do not run here.
func chown(testing.TB, string, fs.FileInfo) {}
