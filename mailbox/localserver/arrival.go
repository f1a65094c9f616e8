package localserver

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/emersion/go-imap/v2"

	"github.com/sealmail/sealmail/internal/safeio"
)

// arrival is a message on its way into a folder: durable, but not yet there.
type arrival struct {
	folder  *folder
	file    *safeio.File
	path    string
	size    int64
	room    int64
	details details
	arrived bool
}

// receive prepares a place for a message.
func (a *account) receive(f *folder, d details) (*arrival, error) {
	path := filepath.Join(a.dir, incomingDir, rand.Text())
	file, err := a.disk.Create(path, 0o600)
	if err != nil {
		return nil, err
	}
	d.Flags = canonicalFlags(d.Flags)
	if d.Date.IsZero() {
		d.Date = a.clock()
	}
	return &arrival{folder: f, file: file, path: path, room: a.room(), details: d}, nil
}

// Write takes octets of the message, and reports errFull when the quota is passed.
func (r *arrival) Write(p []byte) (int, error) {
	if int64(len(p)) > r.room-r.size {
		return 0, errFull
	}
	n, err := r.file.Write(p)
	r.size += int64(n)
	return n, err
}

// abort forgets a message, unless it has arrived.
func (r *arrival) abort() {
	if r.arrived {
		return
	}
	// Leftovers are removed at the next start; there is nobody to tell here.
	_ = r.file.Abort()
	_ = r.folder.disk.Remove(r.path)
}

// deliver brings all arrivals into their folders, or none.
func deliver(arrivals []*arrival) ([]imap.UID, error) {
	defer func() {
		for _, r := range arrivals {
			r.abort()
		}
	}()
	for _, r := range arrivals {
		if err := r.file.Commit(); err != nil {
			return nil, err
		}
	}
	uids := make([]imap.UID, 0, len(arrivals))
	undo := func(err error) ([]imap.UID, error) {
		for i, uid := range uids {
			err = errors.Join(err, arrivals[i].folder.account.expunge(arrivals[i].folder, []imap.UID{uid}))
		}
		return nil, err
	}
	for _, r := range arrivals {
		account := r.folder.account
		if err := account.take(r.size); err != nil {
			return undo(err)
		}
		uid, err := r.folder.adopt(r.path, r.size, r.details)
		if err != nil {
			account.release(r.size)
			return undo(err)
		}
		r.arrived = true
		uids = append(uids, uid)
	}
	return uids, nil
}

// copyTo prepares a copy of a message for dst. It reports false for one that is gone.
func (f *folder) copyTo(dst *folder, uid imap.UID) (*arrival, bool, error) {
	m, ok := f.get(uid)
	if !ok {
		return nil, false, nil
	}
	src, err := f.open(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer src.Close()
	r, err := dst.account.receive(dst, m.details)
	if err != nil {
		return nil, false, err
	}
	if _, err := io.Copy(r, src); err != nil {
		r.abort()
		return nil, false, err
	}
	return r, true, nil
}
