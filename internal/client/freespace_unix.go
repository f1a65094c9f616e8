//go:build linux || darwin

package client

import "syscall"

// freeSpace returns the octets that are free on the disk of a file or folder; false: it is not known.
func freeSpace(path string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
