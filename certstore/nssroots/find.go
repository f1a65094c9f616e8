package nssroots

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrNotFound says that there is no root module of NSS where it is looked for.
var ErrNotFound = errors.New("no root module of NSS (libnssckbi.so) found")

// Find returns the names of the files in fsys, which is the root folder, that should be the module, best first: NSS of the
// system (in the folders of Debian and its kin, of Fedora and its kin, of others), because it is kept up to date with the
// system; then the copies of Thunderbird, then those of Firefox, which may lie in a folder that nobody updates.
func Find(fsys fs.FS) []string {
	patterns := []string{
		"usr/lib/*-linux-*/libnssckbi.so",
		"usr/lib/*-linux-*/nss/libnssckbi.so",
		"usr/lib64/nss/libnssckbi.so", // before its neighbour, which may be a link to p11-kit
		"usr/lib64/libnssckbi.so",
		"usr/lib/nss/libnssckbi.so",
		"usr/lib/libnssckbi.so",
	}
	for _, program := range []string{"thunderbird", "firefox", "firefox-esr"} {
		for _, folder := range []string{"usr/lib", "usr/lib64", "opt"} {
			patterns = append(patterns, folder+"/"+program+"/libnssckbi.so")
		}
	}
	var found []string
	for _, pattern := range patterns {
		names, _ := fs.Glob(fsys, pattern) // its one error is a malformed pattern
		for _, name := range names {
			if info, err := fs.Stat(fsys, name); err == nil && info.Mode().IsRegular() {
				found = append(found, name)
			}
		}
	}
	return found
}

// System reads the best of the modules that [Find] finds, and returns its name in fsys and its roots, as [Read] does. It
// passes over p11-kit's replacements, and over nothing else: a module that cannot be read is an error, and not a reason
// to take an older one. The files of fsys must be io.ReaderAt, as those of os.DirFS are. If there is no file at all the
// error is [ErrNotFound], if there are replacements alone [ErrP11Kit].
func System(fsys fs.FS) (string, []Root, error) {
	err := ErrNotFound
	for _, name := range Find(fsys) {
		roots, readErr := readFile(fsys, name)
		if readErr == nil {
			return name, roots, nil
		}
		err = fmt.Errorf("/%s: %w", name, readErr)
		if !errors.Is(readErr, ErrP11Kit) {
			break
		}
	}
	return "", nil, err
}

func readFile(fsys fs.FS, name string) ([]Root, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("%w: the file system has no io.ReaderAt", errors.ErrUnsupported)
	}
	return Read(r, info.Size())
}
