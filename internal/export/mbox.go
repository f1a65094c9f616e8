package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/mbox"
)

// mboxFile is an export that is an mbox file.
type mboxFile struct {
	path   string
	folder *safeio.Folder
	file   *safeio.File
	out    *bufio.Writer
	last   uint64
	err    error // the first failure, or ErrClosed
}

func openMbox(disk safeio.Disk, path string) (*mboxFile, error) {
	folder, err := disk.OpenFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	file, err := folder.Create(filepath.Base(path), 0o600, false)
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return &mboxFile{path: path, folder: folder, file: file, out: bufio.NewWriterSize(file, 1<<20)}, nil
}

// Add exports a message.
func (f *mboxFile) Add(ctx context.Context, m Message) error {
	if f.err != nil {
		return f.err
	}
	if f.err = check(m, &f.last); f.err != nil {
		return f.err
	}
	err := mbox.Write(ctx, f.out, filepath.Dir(f.path), mailbox.NewMessage{Date: m.Date, Size: m.Size, Body: m.Octets})
	if errors.Is(err, mailbox.ErrNotCanonical) {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	f.err = err
	return err
}

// Close completes the file.
func (f *mboxFile) Close() error {
	err := f.err
	if errors.Is(err, ErrClosed) {
		return err
	}
	f.err = ErrClosed
	if err == nil {
		err = f.out.Flush()
	}
	if err == nil {
		err = f.file.Commit()
	}
	return errors.Join(err, f.file.Close(), f.folder.Close())
}

// Abort gives the file up.
func (f *mboxFile) Abort() error {
	if errors.Is(f.err, ErrClosed) {
		return nil
	}
	f.err = ErrClosed
	return errors.Join(f.file.Abort(), f.folder.Close())
}
