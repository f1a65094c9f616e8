package localserver

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/sealmail/sealmail/internal/safeio"
)

const (
	accountFile  = ".account.json"
	incomingDir  = ".incoming"
	deletedStart = ".deleted-"
	newStart     = ".new-"
)

// accountState is what an account must remember beside its folders.
type accountState struct {
	Version int `json:"version"`
	// UIDValidity is the last one given out: a folder made anew under an old name must get another one
	// (RFC 3501 section 2.3.1.1).
	UIDValidity uint32 `json:"uid_validity"`
}

// account is the mail of one user.
type account struct {
	name  string
	dir   string
	disk  safeio.Disk
	clock func() time.Time
	quota int64 // octets; 0 is no bound

	mu      sync.Mutex
	state   accountState
	folders map[string]*folder
	used    int64
}

type firstFolder struct {
	name string
	use  imap.MailboxAttr
}

// firstFolders are made for each new account.
func firstFolders() []firstFolder {
	return []firstFolder{
		{"Sent", imap.MailboxAttrSent},
		{"Drafts", imap.MailboxAttrDrafts},
		{"Trash", imap.MailboxAttrTrash},
		{"Archive", imap.MailboxAttrArchive},
		{inbox, ""},
	}
}

// openAccount reads an account from dir, or makes it.
func openAccount(disk safeio.Disk, dir, name string, quota int64, clock func() time.Time) (*account, error) {
	a := &account{name: name, dir: dir, disk: disk, clock: clock, quota: quota, folders: map[string]*folder{}}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("account %s: %w", name, err)
	}
	if _, ok := a.folders[inbox]; ok {
		return a, nil
	}
	// INBOX comes last: where it is missing the making of the account was cut short. The others are made only then,
	// so that a folder which its user deleted stays deleted.
	for _, first := range firstFolders() {
		if _, ok := a.folders[first.name]; ok {
			continue
		}
		if err := a.create(first.name, first.use, true); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
	}
	return a, nil
}

func (a *account) load() error {
	incoming := filepath.Join(a.dir, incomingDir)
	// What lies in incoming was never acknowledged, and nothing else refers to it.
	if err := a.disk.RemoveAll(incoming); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := a.disk.MkdirAll(incoming, 0o700); err != nil {
		return err
	}
	if err := safeio.RemoveStale(a.dir); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(a.dir, accountFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.state = accountState{Version: 1}
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(data, &a.state); err != nil {
			return fmt.Errorf("%s: %w", accountFile, err)
		}
		if a.state.Version != 1 {
			return fmt.Errorf("%s: version %d is unknown", accountFile, a.state.Version)
		}
	}
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(a.dir, e.Name())
		if strings.HasPrefix(e.Name(), deletedStart) || strings.HasPrefix(e.Name(), newStart) {
			if err := a.disk.RemoveAll(path); err != nil {
				return err
			}
			continue
		}
		name, ok := decodeName(e.Name())
		if !ok || !e.IsDir() {
			continue
		}
		f, err := loadFolder(a, name, path)
		if err != nil {
			return err
		}
		a.folders[name] = f
		for _, m := range f.messages {
			a.used += m.size
		}
	}
	return nil
}

// folder returns the folder of this name.
func (a *account) folder(name string) (*folder, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.folders[canonicalFolder(name)]
	if !ok {
		return nil, errNoFolder
	}
	return f, nil
}

// list returns all folders by name.
func (a *account) list() []*folder {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*folder, 0, len(a.folders))
	for _, name := range slices.Sorted(maps.Keys(a.folders)) {
		out = append(out, a.folders[name])
	}
	return out
}

// create makes an empty folder, prepared under a hidden name and then renamed into place.
func (a *account) create(name string, use imap.MailboxAttr, subscribed bool) error {
	name = canonicalFolder(name)
	if !validFolder(name) {
		return fmt.Errorf("folder name %q cannot be used", name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.folders[name]; ok {
		return errExists
	}
	validity, err := a.nextValidity()
	if err != nil {
		return err
	}
	f := &folder{
		account: a, disk: a.disk, name: name, dir: filepath.Join(a.dir, newStart+rand.Text()), news: make(chan struct{}),
		state: folderState{Version: 1, UIDValidity: validity, UIDNext: 1, Subscribed: subscribed, SpecialUse: string(use)},
	}
	if err := a.disk.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	if err := f.saveState(); err != nil {
		return err
	}
	place := filepath.Join(a.dir, encodeName(name))
	if err := a.disk.Rename(f.dir, place); err != nil {
		return err
	}
	f.dir = place
	a.folders[name] = f
	return nil
}

// nextValidity gives out a UIDVALIDITY that no folder of the account had before, and none of an earlier account
// in the same place either, as long as the clock runs forward. The mutex is held.
func (a *account) nextValidity() (uint32, error) {
	next := a.state.UIDValidity + 1
	if now := a.clock().Unix(); now > int64(next) && now < math.MaxUint32 {
		next = uint32(now)
	}
	state := a.state
	state.UIDValidity = next
	data, err := json.Marshal(state)
	if err != nil {
		return 0, err
	}
	if err := a.disk.WriteFile(filepath.Join(a.dir, accountFile), data, 0o600); err != nil {
		return 0, err
	}
	a.state = state
	return next, nil
}

// delete removes a folder with all its messages. INBOX stays (RFC 3501 section 6.3.4).
func (a *account) delete(name string) error {
	name = canonicalFolder(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.folders[name]
	if !ok {
		return errNoFolder
	}
	if name == inbox {
		return errors.New("INBOX cannot be deleted")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	trash := filepath.Join(a.dir, deletedStart+rand.Text())
	if err := a.disk.Rename(f.dir, trash); err != nil {
		return err
	}
	for _, m := range f.messages {
		a.used -= m.size
	}
	f.gone, f.messages, f.dir = true, nil, trash
	f.notify()
	delete(a.folders, name)
	return a.disk.RemoveAll(trash)
}

// rename gives a folder, and those below it, another name (RFC 3501 section 6.3.5).
func (a *account) rename(from, to string) error {
	from, to = canonicalFolder(from), canonicalFolder(to)
	if !validFolder(to) {
		return fmt.Errorf("folder name %q cannot be used", to)
	}
	if from == inbox {
		return a.renameInbox(to)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.folders[from]; !ok {
		return errNoFolder
	}
	if strings.HasPrefix(to, from+string(delimiter)) {
		return errors.New("a folder cannot move below itself")
	}
	names := map[string]string{} // old to new
	for name := range a.folders {
		if rest, ok := strings.CutPrefix(name, from); ok && (rest == "" || rest[0] == delimiter) {
			names[name] = to + rest
			if !validFolder(to + rest) {
				return fmt.Errorf("folder name %q cannot be used", to+rest)
			}
			if _, ok := a.folders[to+rest]; ok {
				return errExists
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := a.renameOne(name, names[name]); err != nil {
			return err
		}
	}
	return nil
}

// renameOne moves one folder. The account's mutex is held.
func (a *account) renameOne(from, to string) error {
	f := a.folders[from]
	f.mu.Lock()
	defer f.mu.Unlock()
	place := filepath.Join(a.dir, encodeName(to))
	if err := a.disk.Rename(f.dir, place); err != nil {
		return err
	}
	f.name, f.dir = to, place
	delete(a.folders, from)
	a.folders[to] = f
	return nil
}

// renameInbox moves all messages of INBOX to a new folder and leaves INBOX empty (RFC 3501 section 6.3.5).
func (a *account) renameInbox(to string) error {
	if err := a.create(to, "", false); err != nil {
		return err
	}
	source, err := a.folder(inbox)
	if err != nil {
		return err
	}
	dst, err := a.folder(to)
	if err != nil {
		return err
	}
	for _, m := range source.snapshot().messages {
		if _, _, err := source.moveTo(dst, m.uid); err != nil {
			return err
		}
	}
	return nil
}

// room returns how many octets the quota leaves.
func (a *account) room() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.quota == 0 {
		return math.MaxInt64
	}
	return max(a.quota-a.used, 0)
}

// take counts n octets as used, or reports errFull.
func (a *account) take(n int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.quota != 0 && n > a.quota-a.used {
		return errFull
	}
	a.used += n
	return nil
}

func (a *account) release(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used -= n
}

// expunge deletes messages for good.
func (a *account) expunge(f *folder, uids []imap.UID) error {
	freed, err := f.remove(uids)
	a.release(freed)
	return err
}
