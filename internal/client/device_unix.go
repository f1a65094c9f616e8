//go:build unix

package client

import (
	"io/fs"
	"syscall"
)

// sameDevice reports whether two files are on one file system.
func sameDevice(_ string, a fs.FileInfo, _ string, b fs.FileInfo) bool {
	first, ok := a.Sys().(*syscall.Stat_t)
	second, also := b.Sys().(*syscall.Stat_t)
	return ok && also && first.Dev == second.Dev
}
