//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package safeio

import (
	"os"
	"runtime"
)

// Windows syncs directory entries by itself and can neither open a directory for syncing nor rename an open file.
const (
	canSyncDir    = runtime.GOOS != "windows"
	canRenameOpen = runtime.GOOS != "windows"
)

// lock does nothing: on Windows an open file cannot be removed, which is lock enough.
func lock(*os.File) error { return nil }

// removeUnlocked removes a temporary file that nobody is writing, where that can be known.
func removeUnlocked(path string) error {
	if runtime.GOOS != "windows" {
		return errNoLocks
	}
	if err := os.Remove(path); err != nil {
		return errLocked
	}
	return nil
}
