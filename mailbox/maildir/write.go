package maildir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// partPrefix begins the names of files in tmp that this package writes. Those that a kill left there are removed by the next to
// store a message, which nobody does without the folder's lock.
const partPrefix = "sealmail-"

// newKey returns a name that no other message has: the time, what tells two deliveries in one second apart, and the host, as
// https://cr.yp.to/proto/maildir.html has it. The suffix has fields such as ",S=1".
func (f *format) newKey(suffix string) string {
	now := f.clock()
	host := strings.NewReplacer("/", `\057`, ":", `\072`, ",", `\054`).Replace(f.host)
	return fmt.Sprintf("%d.R%sM%06dP%d.%s%s", now.Unix(), strings.ToLower(rand.Text()), now.Nanosecond()/1000, os.Getpid(), host, suffix)
}

// Append writes a message to tmp and renames it into cur.
func (f *folder) Append(text *filestore.Text, flags []string, date time.Time) (uid mailbox.UID, err error) {
	tmp := filepath.Join(f.dir, "tmp")
	if err := f.disk.MkdirAll(tmp, 0o700); err != nil {
		return 0, err
	}
	f.removeParts(tmp)
	key := f.newKey(sizes(text))
	part := filepath.Join(tmp, partPrefix+key)
	defer func() {
		if err != nil {
			_ = os.Remove(part) // the next message removes it, if this does not
		}
	}()
	if err := f.write(part, text, date); err != nil {
		return 0, err
	}
	// The number comes first: a message that somebody else sees already has it.
	if uid, err = f.numbers.Add(key); err != nil {
		return 0, err
	}
	letters, rest := f.letters(flags, "")
	if len(rest) > 0 {
		f.numbers.Mark(key, rest)
	}
	if err := f.numbers.Save(); err != nil {
		return 0, err
	}
	target := filepath.Join(f.dir, "cur", key+letters)
	if err := f.disk.Rename(part, target); err != nil {
		// It may be there already, while it is not certain that it will stay.
		if removed := os.Remove(target); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
			return 0, &mailbox.UncertainError{Err: errors.Join(err, removed)}
		}
		return 0, err
	}
	return uid, nil
}

// write writes a message to a file, which is durable then. Its time is that of arrival.
func (f *folder) write(path string, text *filestore.Text, date time.Time) error {
	file, err := f.disk.Create(path, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, text.Stored()); err != nil {
		return err
	}
	if err := file.Commit(); err != nil || date.IsZero() {
		return err
	}
	if err := os.Chtimes(path, time.Time{}, date); err != nil {
		return err
	}
	written, _, err := filestore.OpenRegular(path)
	if err != nil {
		return err
	}
	return errors.Join(written.Sync(), written.Close())
}

// removeParts removes what kills left in tmp. That it cannot is no reason not to store a message.
func (f *folder) removeParts(tmp string) {
	_ = safeio.RemoveStale(tmp)
	entries, _ := os.ReadDir(tmp)
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), partPrefix) {
			_ = os.Remove(filepath.Join(tmp, e.Name()))
		}
	}
}

// here does something with the file of a message, under the name that it has by now. It passes over one that is gone.
func (f *folder) here(key string, do func(at place) error) (done bool, err error) {
	at, there := f.places[key]
	for range 5 {
		if there {
			if err := do(at); !errors.Is(err, fs.ErrNotExist) {
				return err == nil, err
			}
		}
		places, _, err := f.scan()
		if err != nil {
			return false, err
		}
		if at, there = places[key]; !there {
			return false, nil
		}
	}
	return false, filestore.ErrChanged
}

// rename renames a file. It replaces none: the names are made of one that no other message has.
func (f *folder) rename(at place, dir, name string) error {
	target := filepath.Join(dir, "cur", name)
	if err := f.disk.Step(safeio.OpRename, target); err != nil {
		return err
	}
	return os.Rename(f.path(at), target)
}

// touched notes that the entries of a directory are to be brought to the disk.
func (f *folder) touched(sub string) { f.dirty[filepath.Join(f.dir, sub)] = true }

// SetFlags renames a message. What has no letter stands with its number.
func (f *folder) SetFlags(m filestore.Message, flags []string) error {
	done, err := f.here(m.Key, func(at place) error {
		letters, rest := f.letters(flags, at.name)
		if number, _ := f.numbers.Get(m.Key); len(rest) > 0 || len(number.Flags) > 0 {
			f.numbers.Mark(m.Key, rest)
		}
		if at.name == m.Key+letters && at.sub == "cur" {
			return nil
		}
		err := f.rename(at, f.dir, m.Key+letters)
		if err == nil {
			f.touched(at.sub)
		}
		return err
	})
	if done {
		f.touched("cur")
	}
	return err
}

// Delete removes messages.
func (f *folder) Delete(messages []filestore.Message) error {
	for _, m := range messages {
		_, err := f.here(m.Key, func(at place) error {
			if err := f.disk.Step(safeio.OpRemove, f.path(at)); err != nil {
				return err
			}
			f.touched(at.sub)
			return os.Remove(f.path(at))
		})
		if err != nil {
			return fmt.Errorf("message %d: %w", m.UID, err)
		}
		f.numbers.Drop(m.Key)
	}
	return nil
}

// MoveTo renames messages. They get new names there, as the old one may be that of a copy in the other folder, or hold a field
// that counts in this one only.
func (f *folder) MoveTo(target filestore.Folder, messages []filestore.Message) (map[mailbox.UID]mailbox.UID, error) {
	to, ok := target.(*folder)
	if !ok {
		return nil, errors.New("the other folder is no Maildir")
	}
	keys := make([]string, len(messages))
	moved := make(map[mailbox.UID]mailbox.UID, len(messages))
	for i, m := range messages {
		keys[i] = f.newKey(sizeFields(m.Key))
		uid, err := to.numbers.Add(keys[i])
		if err != nil {
			return nil, err
		}
		if _, rest := to.letters(m.Flags, ""); len(rest) > 0 {
			to.numbers.Mark(keys[i], rest)
		}
		moved[m.UID] = uid
	}
	if err := to.numbers.Save(); err != nil {
		return nil, err
	}
	for i, m := range messages {
		done, err := f.here(m.Key, func(at place) error {
			letters, _ := to.letters(m.Flags, unknownLetters(at.name))
			f.touched(at.sub)
			return f.rename(at, to.dir, keys[i]+letters)
		})
		if !done {
			delete(moved, m.UID)
			to.numbers.Drop(keys[i])
		}
		if err != nil {
			return moved, fmt.Errorf("message %d: %w", m.UID, err)
		}
		f.numbers.Drop(m.Key)
	}
	to.touched("cur")
	return moved, nil
}

// sizeFields returns the fields of a name that are true of the octets, whatever folder they are in.
func sizeFields(key string) string {
	suffix := ""
	for _, field := range strings.Split(key, ",")[1:] {
		if strings.HasPrefix(field, "S=") || strings.HasPrefix(field, "W=") {
			suffix += "," + field
		}
	}
	return suffix
}

// Save brings to the disk what was renamed and removed.
func (f *folder) Save() error {
	var errs []error
	for dir := range f.dirty {
		if err := f.disk.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	clear(f.dirty)
	return errors.Join(append(errs, f.numbers.Save())...)
}
