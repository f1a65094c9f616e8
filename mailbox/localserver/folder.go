package localserver

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/sealmail/sealmail/internal/safeio"
)

const (
	folderFile    = ".folder.json"
	messageSuffix = ".eml"
	detailsSuffix = ".json"
)

var (
	errNoFolder = errors.New("no such folder")
	errExists   = errors.New("folder exists")
	errFull     = errors.New("mailbox is full")
)

// folderState is what a folder must remember beside its messages.
type folderState struct {
	Version     int      `json:"version"`
	UIDValidity uint32   `json:"uid_validity"`
	UIDNext     imap.UID `json:"uid_next"`
	Subscribed  bool     `json:"subscribed"`
	SpecialUse  string   `json:"special_use,omitempty"`
}

// details is what a folder remembers of a message beside its octets.
type details struct {
	Flags []imap.Flag `json:"flags"`
	Date  time.Time   `json:"date"`
}

// message is one message in memory. Its fields are guarded by the folder's mutex; copies are handed out.
type message struct {
	uid imap.UID
	details
	size int64
	// changed counts the folder's changes; by is the view that made the last one to this message.
	changed uint64
	by      *view
}

// folder is one folder of one user.
type folder struct {
	account *account
	disk    safeio.Disk

	mu    sync.Mutex
	name  string
	dir   string
	gone  bool
	state folderState
	// saved is the UIDNEXT on disk. It may lie behind as long as the last message is there to tell.
	saved    imap.UID
	messages []*message // ascending by UID
	changes  uint64
	// news is closed, and replaced, at each change.
	news chan struct{}
}

// loadFolder reads a folder from disk and clears what a kill left behind.
func loadFolder(a *account, name, dir string) (*folder, error) {
	f := &folder{account: a, disk: a.disk, name: name, dir: dir, news: make(chan struct{})}
	data, err := os.ReadFile(filepath.Join(dir, folderFile))
	if err != nil {
		return nil, fmt.Errorf("folder %q: %w", name, err)
	}
	if err := json.Unmarshal(data, &f.state); err != nil {
		return nil, fmt.Errorf("folder %q: %s: %w", name, folderFile, err)
	}
	if f.state.Version != 1 || f.state.UIDValidity == 0 || f.state.UIDNext == 0 {
		return nil, fmt.Errorf("folder %q: %s: unknown content", name, folderFile)
	}
	f.saved = f.state.UIDNext
	if err := safeio.RemoveStale(dir); err != nil {
		return nil, fmt.Errorf("folder %q: %w", name, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("folder %q: %w", name, err)
	}
	for _, e := range entries {
		if err := f.loadEntry(e); err != nil {
			return nil, fmt.Errorf("folder %q: %w", name, err)
		}
	}
	slices.SortFunc(f.messages, func(a, b *message) int { return cmp.Compare(a.uid, b.uid) })
	if n := len(f.messages); n > 0 {
		f.state.UIDNext = max(f.state.UIDNext, f.messages[n-1].uid+1)
	}
	return f, nil
}

func (f *folder) loadEntry(e fs.DirEntry) error {
	stem, isDetails := strings.CutSuffix(e.Name(), detailsSuffix)
	if isDetails {
		// Written before its message, removed after it: alone it stands for none.
		if _, err := os.Lstat(filepath.Join(f.dir, stem+messageSuffix)); errors.Is(err, fs.ErrNotExist) && stem != ".folder" {
			return f.disk.Remove(filepath.Join(f.dir, e.Name()))
		}
		return nil
	}
	stem, isMessage := strings.CutSuffix(e.Name(), messageSuffix)
	if !isMessage || !e.Type().IsRegular() {
		return nil
	}
	number, err := strconv.ParseUint(stem, 10, 32)
	uid := imap.UID(number)
	if err != nil || uid == 0 || fileStem(uid) != stem {
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	m := &message{uid: uid, size: info.Size()}
	data, err := os.ReadFile(filepath.Join(f.dir, stem+detailsSuffix))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		m.Date = info.ModTime() // put there by hand
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(data, &m.details); err != nil {
			return fmt.Errorf("%s: %w", stem+detailsSuffix, err)
		}
	}
	m.Flags = canonicalFlags(m.Flags)
	f.messages = append(f.messages, m)
	return nil
}

func fileStem(uid imap.UID) string { return fmt.Sprintf("%010d", uid) }

func messagePath(dir string, uid imap.UID) string {
	return filepath.Join(dir, fileStem(uid)+messageSuffix)
}
func detailsPath(dir string, uid imap.UID) string {
	return filepath.Join(dir, fileStem(uid)+detailsSuffix)
}

// saveState makes the folder's state durable. The mutex is held.
func (f *folder) saveState() error {
	data, err := json.Marshal(f.state)
	if err != nil {
		return err
	}
	if err := f.disk.WriteFile(filepath.Join(f.dir, folderFile), data, 0o600); err != nil {
		return err
	}
	f.saved = f.state.UIDNext
	return nil
}

func (f *folder) saveDetails(uid imap.UID, d details) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return f.disk.WriteFile(detailsPath(f.dir, uid), data, 0o600)
}

// adopt makes the file at path the folder's next message. The file must be durable already; its move is what brings
// the message into being. After an error it is at path as before, unless the disk refuses that, too.
func (f *folder) adopt(path string, size int64, d details) (imap.UID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return 0, errNoFolder
	}
	uid := f.state.UIDNext
	if uid == ^imap.UID(0) {
		return 0, errors.New("no UID left")
	}
	// A number that was tried is not given out again, not even after a failure.
	f.state.UIDNext++
	if err := f.saveDetails(uid, d); err != nil {
		return 0, err
	}
	if err := f.disk.Rename(path, messagePath(f.dir, uid)); err != nil {
		return 0, errors.Join(err, f.retract(uid, path))
	}
	f.messages = append(f.messages, &message{uid: uid, details: d, size: size})
	f.notify()
	return uid, nil
}

// retract undoes a move into the folder that failed half-way: the file may have its new name already, while it is not
// certain that it will keep it.
func (f *folder) retract(uid imap.UID, path string) error {
	if err := f.disk.Rename(messagePath(f.dir, uid), path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.discard(uid)
}

// discard removes a message's files, whichever of them there are.
func (f *folder) discard(uid imap.UID) error {
	for _, path := range []string{messagePath(f.dir, uid), detailsPath(f.dir, uid)} {
		if err := f.disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// keepNumbers makes sure that the numbers of messages about to go are not given out again after a restart.
// The mutex is held.
func (f *folder) keepNumbers() error {
	if f.saved >= f.state.UIDNext {
		return nil
	}
	return f.saveState()
}

// remove deletes messages for good and returns how many octets that freed.
func (f *folder) remove(uids []imap.UID) (freed int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.keepNumbers(); err != nil {
		return 0, err
	}
	for _, uid := range uids {
		i, ok := f.index(uid)
		if !ok {
			continue
		}
		if err := f.discard(uid); err != nil {
			return freed, err
		}
		freed += f.messages[i].size
		f.messages = slices.Delete(f.messages, i, i+1)
		f.notify()
	}
	return freed, nil
}

// moveTo moves a message to dst by one rename, so that at each instant it is in exactly one of the two folders.
// It reports false for a message that is gone.
func (f *folder) moveTo(dst *folder, uid imap.UID) (imap.UID, bool, error) {
	f.mu.Lock()
	i, ok := f.index(uid)
	if !ok {
		f.mu.Unlock()
		return 0, false, nil
	}
	m, path := *f.messages[i], messagePath(f.dir, uid)
	err := f.keepNumbers()
	f.mu.Unlock()
	if err != nil {
		return 0, false, err
	}
	// The two folders are never locked together, so that two opposite moves cannot wait for each other.
	to, err := dst.adopt(path, m.size, m.details)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, ok := f.index(uid); ok {
		f.messages = slices.Delete(f.messages, i, i+1)
		f.notify()
	}
	if err := f.disk.Remove(detailsPath(f.dir, uid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return to, true, err
	}
	return to, true, nil
}

// setFlags changes a message's flags, and returns it as it is then.
func (f *folder) setFlags(uid imap.UID, op imap.StoreFlagsOp, flags []imap.Flag, by *view) (message, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.index(uid)
	if !ok {
		return message{}, false, nil
	}
	m := f.messages[i]
	d := details{Date: m.Date, Flags: changedFlags(m.Flags, op, flags)}
	if !slices.Equal(d.Flags, m.Flags) {
		if err := f.saveDetails(uid, d); err != nil {
			return message{}, false, err
		}
		m.details = d
		f.notify()
		m.changed, m.by = f.changes, by
	}
	return *m, true, nil
}

// notify wakes those who wait for news. The mutex is held.
func (f *folder) notify() {
	f.changes++
	close(f.news)
	f.news = make(chan struct{})
}

// index finds a message by UID. The mutex is held.
func (f *folder) index(uid imap.UID) (int, bool) {
	return slices.BinarySearchFunc(f.messages, uid, func(m *message, uid imap.UID) int { return cmp.Compare(m.uid, uid) })
}

// get returns a copy of a message's record.
func (f *folder) get(uid imap.UID) (message, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.index(uid)
	if !ok {
		return message{}, false
	}
	return *f.messages[i], true
}

// snapshot is a folder as it was at one instant.
type snapshot struct {
	folderState
	name     string
	dir      string
	gone     bool
	messages []message
}

func (f *folder) snapshot() snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshotLocked()
}

func (f *folder) snapshotLocked() snapshot {
	s := snapshot{folderState: f.state, name: f.name, dir: f.dir, gone: f.gone, messages: make([]message, len(f.messages))}
	for i, m := range f.messages {
		s.messages[i] = *m
	}
	return s
}

// open opens a message's octets.
func (f *folder) open(uid imap.UID) (*os.File, error) {
	f.mu.Lock()
	path := messagePath(f.dir, uid)
	f.mu.Unlock()
	return os.Open(path)
}
