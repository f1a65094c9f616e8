package putback

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// Errors of a Journal; they arrive wrapped.
var (
	// ErrBusy says that somebody else has the journal open.
	ErrBusy = errors.New("somebody else is at it")
	// ErrDamaged says that the journal is none that was written here.
	ErrDamaged = errors.New("the journal is damaged")
)

// Bounds on what is read of a journal.
const (
	maxLine    = 64 << 10
	maxJournal = 1 << 30
)

// Journal is a file that says which messages are being put into which folders, and are there. One has it open at a time.
type Journal struct {
	disk  safeio.Disk
	path  string
	lock  *flock.Flock
	file  *os.File
	fresh bool // its directory does not have it for sure

	entries map[place]entry
}

// place is where a message is put.
type place struct {
	number int64
	folder string
}

// entry is what is known of a message in a place.
type entry struct {
	validity uint32
	uid      mailbox.UID // 0: it is not known
	begun    bool        // it is not known whether it is there
	next     mailbox.UID // of begun: if it is there, it has this number or one above
}

// line is a line of the file: that a message is about to be put into a folder, or, with Done, that it is there. Nothing in it tells what
// is in the message, not even a digest, by which a guess could be proven after the message was destroyed everywhere else.
type line struct {
	Number      int64       `json:"number"`
	Folder      string      `json:"folder"`
	UIDValidity uint32      `json:"uidvalidity"`
	UIDNext     mailbox.UID `json:"uidnext,omitempty"` // before
	Done        bool        `json:"done,omitempty"`
	UID         mailbox.UID `json:"uid,omitempty"` // missing: the store did not tell
}

// OpenJournal opens a journal, and makes it where there is none. What a kill has left of its last line is removed. The caller closes
// it.
func OpenJournal(disk safeio.Disk, path string) (j *Journal, err error) {
	dir := filepath.Dir(path)
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	j = &Journal{disk: disk, path: path, lock: flock.New(path + ".lock"), entries: map[place]entry{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	alone, err := j.lock.TryLock()
	if err == nil && !alone {
		err = ErrBusy
	}
	if err != nil {
		return j, err
	}
	_, statErr := os.Lstat(path)
	if j.fresh = errors.Is(statErr, fs.ErrNotExist); j.fresh {
		if err := disk.Step(safeio.OpCreate, path); err != nil {
			return j, err
		}
	}
	if j.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return j, err
	}
	return j, j.load()
}

// Close ends the use of the journal.
func (j *Journal) Close() error {
	var errs []error
	if j.file != nil {
		errs = append(errs, j.file.Close())
	}
	return errors.Join(append(errs, j.lock.Close())...)
}

// load reads the file, and leaves it at the end of its last whole line.
func (j *Journal) load() error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJournal {
		return fmt.Errorf("%s: %w", j.path, ErrDamaged)
	}
	whole := int64(0)
	r := bufio.NewReaderSize(j.file, maxLine)
	for {
		text, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%s: %w", j.path, ErrDamaged)
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil || l.Number < 1 || l.Folder == "" {
			return fmt.Errorf("%s: %w", j.path, ErrDamaged)
		}
		j.take(l)
		whole += int64(len(text))
	}
	if whole < info.Size() {
		if err := j.disk.Step(safeio.OpWrite, j.path); err != nil {
			return err
		}
		if err := j.file.Truncate(whole); err != nil {
			return err
		}
	}
	_, err = j.file.Seek(whole, io.SeekStart)
	return err
}

// take takes in a line.
func (j *Journal) take(l line) { j.entries[l.place()] = l.entry() }

func (l line) place() place { return place{l.Number, l.Folder} }

func (l line) entry() entry { return entry{l.UIDValidity, l.UID, !l.Done, l.UIDNext} }

// write appends lines. With sync they are durable when it returns.
func (j *Journal) write(lines []line, sync bool) error {
	if len(lines) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		b.Write(append(text, '\n'))
	}
	if err := j.disk.Step(safeio.OpWrite, j.path); err != nil {
		return err
	}
	if _, err := j.file.Write(b.Bytes()); err != nil {
		return err
	}
	for _, l := range lines {
		j.take(l)
	}
	if !sync {
		return nil
	}
	if err := j.disk.Step(safeio.OpSync, j.path); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	if j.fresh {
		if err := j.disk.SyncDir(filepath.Dir(j.path)); err != nil {
			return err
		}
		j.fresh = false
	}
	return nil
}
