//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package mbox

import (
	"context"
	"os"
)

// lockFile does nothing: on these systems the file beside it is the lock.
func lockFile(context.Context, *os.File) error { return nil }
