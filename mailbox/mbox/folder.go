package mbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// folder is a file as it was when it was opened.
type folder struct {
	*format
	*known
	path     string
	file     *os.File // while it is locked
	unlocks  []func() error
	state    fs.FileInfo // of the file
	own      string      // when the numbers were changed
	validity uint32
	next     mailbox.UID
	messages []filestore.Message
	at       map[string]entry
}

// lock keeps others out: our own by a lock beside the numbers, those that deliver and read mail by path.lock and fcntl.
func (f *folder) lock(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Unlock())
		}
	}()
	if info, err := os.Lstat(f.path); err != nil || !info.Mode().IsRegular() {
		return mailbox.ErrNoFolder
	}
	unlock, err := filestore.Lock(ctx, f.ownPath()+lockSuffix)
	if err != nil {
		return err
	}
	f.unlocks = append(f.unlocks, unlock)
	if unlock, err = dotLock(ctx, f.path, f.mark); err != nil {
		return err
	}
	f.unlocks = append(f.unlocks, unlock)
	if f.file, err = filestore.OpenWritable(f.path); err != nil {
		return err
	}
	f.unlocks = append(f.unlocks, f.file.Close)
	return lockFile(ctx, f.file)
}

func (f *folder) ownPath() string {
	return filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+ownSuffix)
}

// Unlock lets others go on.
func (f *folder) Unlock() error {
	var errs []error
	for _, unlock := range slices.Backward(f.unlocks) {
		errs = append(errs, unlock())
	}
	f.unlocks, f.file = nil, nil
	return errors.Join(errs...)
}

// same reports whether a file is as it was.
func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// look finds out what is in the file, and gives numbers to what is new.
func (f *folder) look() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !same(info, f.info) {
		if err := f.read(info); err != nil {
			f.info = nil
			return err
		}
	}
	f.state = info
	if err := f.numbers.Load(); err != nil {
		return err
	}
	f.at = make(map[string]entry, len(f.entries))
	for _, e := range f.entries {
		f.at[e.key] = e
	}
	for _, key := range f.numbers.Keys() {
		if _, there := f.at[key]; !there {
			f.numbers.Drop(key)
		}
	}
	f.messages = make([]filestore.Message, 0, len(f.entries))
	for _, e := range f.entries {
		number, known := f.numbers.Get(e.key)
		if !known {
			if number.UID, err = f.numbers.Add(e.key); err != nil {
				return err
			}
		}
		flags := e.flags
		if number.Marked {
			flags = number.Flags
		}
		f.messages = append(f.messages, filestore.Message{UID: number.UID, Flags: filestore.CanonicalFlags(flags), Key: e.key})
	}
	if err := f.numbers.Save(); err != nil {
		return err
	}
	f.own = f.ownTime()
	f.validity, f.next = f.numbers.Validity(), f.numbers.Next()
	slices.SortFunc(f.messages, func(a, b filestore.Message) int { return cmp.Compare(a.UID, b.UID) })
	return nil
}

// ownTime says when the numbers were changed.
func (f *folder) ownTime() string {
	info, err := os.Stat(f.ownPath())
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size())
}

// Validity returns the UIDVALIDITY.
func (f *folder) Validity() uint32 { return f.validity }

// Next returns the UID of the next message.
func (f *folder) Next() mailbox.UID { return f.next }

// Messages returns the messages.
func (f *folder) Messages() []filestore.Message { return f.messages }

// Changed reports whether the file, or the numbers, are others than they were.
func (f *folder) Changed() (bool, error) {
	info, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && (!same(info, f.state) || f.own != f.ownTime()), err
}

// Details returns what was found when the file was read.
func (f *folder) Details(_ context.Context, m filestore.Message) (int64, time.Time, error) {
	e, there := f.at[m.Key]
	if !there {
		return 0, time.Time{}, filestore.ErrChanged
	}
	return e.size, e.date, nil
}

// Read copies a message while the file is locked, so that who reads slowly keeps nobody waiting.
func (f *folder) Read(ctx context.Context, m filestore.Message) (io.ReadCloser, error) {
	e, there := f.at[m.Key]
	if !there {
		return nil, filestore.ErrChanged
	}
	if err := f.lock(ctx); err != nil {
		return nil, err
	}
	text, err := f.copy(ctx, e)
	if unlocked := f.Unlock(); unlocked != nil && err == nil {
		err = errors.Join(unlocked, text.Close())
	}
	if err != nil {
		return nil, err
	}
	return reader{text.Octets(), text}, nil
}

func (f *folder) copy(ctx context.Context, e entry) (*filestore.Text, error) {
	if info, err := f.file.Stat(); err != nil || !same(info, f.state) {
		return nil, errors.Join(filestore.ErrChanged, err)
	}
	return filestore.Spool(ctx, f.SpoolDir(), f.octets(e), e.size)
}

type reader struct {
	io.Reader
	io.Closer
}
