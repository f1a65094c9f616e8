//go:build unix

package filestore

import "syscall"

// openFlags: a link is not followed, and a pipe not waited for.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
