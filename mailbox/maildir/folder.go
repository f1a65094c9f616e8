package maildir

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
	"strconv"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// folder is a folder as it was when it was opened.
type folder struct {
	*format
	dir      string
	unlock   func() error
	numbers  *filestore.Numbers
	sizes    map[string]sized
	dirty    map[string]bool // directories whose entries are to be brought to the disk
	validity uint32
	next     mailbox.UID
	messages []filestore.Message
	places   map[string]place // by key
	keywords []string         // that Dovecot's letters stand for, from a on
	times    [3]string        // when cur, new and the numbers were changed, as of the last look
	settled  bool             // a look since found nothing else: what was changed at the same instant was seen
}

// sized is the size of a message with CRLF line ends, and that of its file.
type sized struct{ file, size int64 }

func (f *folder) path(p place) string { return filepath.Join(f.dir, p.sub, p.name) }

// look finds out what is in the folder, and gives numbers to what is new.
func (f *folder) look() error {
	f.times, f.settled = f.changeTimes(), false
	if err := f.numbers.Load(); err != nil {
		return err
	}
	if err := f.locate(); err != nil {
		return err
	}
	for _, key := range f.numbers.Keys() {
		if _, there := f.places[key]; !there {
			f.numbers.Drop(key)
		}
	}
	var added []string
	for key := range f.places {
		if _, known := f.numbers.Get(key); !known {
			added = append(added, key)
		}
	}
	slices.SortFunc(added, func(a, b string) int { return cmp.Or(cmp.Compare(seconds(a), seconds(b)), cmp.Compare(a, b)) })
	for _, key := range added {
		if _, err := f.numbers.Add(key); err != nil {
			return err
		}
	}
	if err := f.numbers.Save(); err != nil {
		return err
	}
	f.times[2] = f.changeTimes()[2]
	f.keywords = dovecotKeywords(filepath.Join(f.dir, "dovecot-keywords"))
	f.validity, f.next = f.numbers.Validity(), f.numbers.Next()
	f.messages = make([]filestore.Message, 0, len(f.places))
	for key, at := range f.places {
		number, _ := f.numbers.Get(key)
		flags := filestore.CanonicalFlags(append(f.flags(at.name), number.Flags...))
		f.messages = append(f.messages, filestore.Message{UID: number.UID, Flags: flags, Key: key})
	}
	slices.SortFunc(f.messages, func(a, b filestore.Message) int { return cmp.Compare(a.UID, b.UID) })
	return nil
}

// Unlock lets others go on.
func (f *folder) Unlock() error { return f.unlock() }

// Validity returns the UIDVALIDITY.
func (f *folder) Validity() uint32 { return f.validity }

// Next returns the UID of the next message.
func (f *folder) Next() mailbox.UID { return f.next }

// Messages returns the messages.
func (f *folder) Messages() []filestore.Message { return f.messages }

// changeTimes says when cur, new and the numbers were changed.
func (f *folder) changeTimes() (times [3]string) {
	for i, name := range []string{"cur", "new", numbersFile} {
		if info, err := os.Stat(filepath.Join(f.dir, name)); err == nil {
			times[i] = fmt.Sprint(info.ModTime().UnixNano(), info.Size())
		}
	}
	return times
}

// Changed looks at the times of the directories. These may stay the same for two changes at one instant, so that it looks at the
// names as well until it was asked twice.
func (f *folder) Changed() (bool, error) {
	times := f.changeTimes()
	if times[2] != f.times[2] {
		return true, nil
	}
	if f.settled && times == f.times {
		return false, nil
	}
	places, _, err := f.scan()
	if err != nil {
		return false, err
	}
	if len(places) != len(f.places) {
		return true, nil
	}
	for key, at := range places {
		if f.places[key] != at {
			return true, nil
		}
	}
	f.settled = times == f.times
	f.times = times
	return false, nil
}

// Details returns size and time of arrival, which are those of the file. What the name says of the size (S and W, as Dovecot
// writes them) is believed if the one matches; else the message is read, once.
func (f *folder) Details(ctx context.Context, m filestore.Message) (int64, time.Time, error) {
	info, err := os.Lstat(f.path(f.places[m.Key]))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, time.Time{}, filestore.ErrChanged
	}
	if err != nil {
		return 0, time.Time{}, err
	}
	if size, ok := sizeIn(m.Key, info.Size()); ok {
		return size, info.ModTime(), nil
	}
	if known := f.sizes[m.Key]; known.size > 0 && known.file == info.Size() {
		return known.size, info.ModTime(), nil
	}
	r, err := f.Read(ctx, m)
	if err != nil {
		return 0, time.Time{}, err
	}
	size, err := io.Copy(io.Discard, r)
	if err = errors.Join(err, r.Close()); err == nil {
		f.sizes[m.Key] = sized{info.Size(), size}
	}
	return size, info.ModTime(), err
}

// sizeIn returns the size with CRLF line ends that a name tells, if it also tells that of the file.
func sizeIn(key string, file int64) (size int64, ok bool) {
	fields := strings.Split(key, ",")[1:]
	matches := slices.Contains(fields, fmt.Sprint("S=", file))
	for _, field := range fields {
		text, isSize := strings.CutPrefix(field, "W=")
		if n, err := strconv.ParseInt(text, 10, 63); isSize && err == nil && n >= file && n <= 2*file {
			size, ok = n, matches
		}
	}
	return size, ok
}

// Read opens the file of a message.
func (f *folder) Read(_ context.Context, m filestore.Message) (io.ReadCloser, error) {
	file, _, err := filestore.OpenRegular(f.path(f.places[m.Key]))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, safeio.ErrNotRegular) {
		return nil, filestore.ErrChanged
	}
	if err != nil {
		return nil, err
	}
	return reader{filestore.Canonical(file), file}, nil
}

type reader struct {
	io.Reader
	io.Closer
}
