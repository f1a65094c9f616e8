//go:build !unix

package client

import (
	"io/fs"
	"path/filepath"
	"strings"
)

// sameDevice reports whether two files are on one file system, as far as their paths show it.
func sameDevice(a string, _ fs.FileInfo, b string, _ fs.FileInfo) bool {
	return strings.EqualFold(filepath.VolumeName(a), filepath.VolumeName(b))
}
