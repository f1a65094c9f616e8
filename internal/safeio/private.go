package safeio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// CloseToOthers takes from an open file or folder those of the permissions in bits that users other than its owner have,
// and returns a sentence that says what was, or nothing where there was nothing to do. A folder that is everybody's by
// intent, as /tmp is, keeps its permissions, and the sentence says so. The error is that the permissions cannot be
// changed. On Windows, where access has no such bits, it does nothing.
func CloseToOthers(f *os.File, bits fs.FileMode) (warning string, err error) {
	info, err := f.Stat()
	if err != nil || runtime.GOOS == "windows" {
		return "", err
	}
	mode := info.Mode()
	bits &= 0o077
	if mode.Perm()&bits == 0 {
		return "", nil
	}
	if info.IsDir() && mode&fs.ModeSticky != 0 {
		return fmt.Sprintf("%s is everybody's folder (mode %04o), and no place for secrets", f.Name(), mode.Perm()), nil
	}
	if err := f.Chmod(mode &^ bits); err != nil {
		return "", fmt.Errorf("%s is open to other users (mode %04o) and cannot be closed to them: %w", f.Name(), mode.Perm(), err)
	}
	return fmt.Sprintf("%s was open to other users (mode %04o); it is not any more", f.Name(), mode.Perm()), nil
}

// ClosePathToOthers is [CloseToOthers] for the file or folder at path. Where there is none, or something else, such as a
// pipe, which opening would disturb, it does nothing.
func ClosePathToOthers(path string, bits fs.FileMode) (warning string, err error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return "", nil
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	return CloseToOthers(f, bits)
}
