package index

import (
	"context"

	"github.com/ncruces/go-sqlite3"

	"github.com/sealmail/sealmail/mailbox"
)

// Move has messages of one folder be in another, under other numbers, with all that is kept of them; both folders have to be
// of these numberings (else ErrRenumbered). Those that are not there are passed over. Where the new place is taken already,
// what is there stays, and the other is forgotten as by Remove.
func (x *Index) Move(ctx context.Context, from Folder, uids map[mailbox.UID]mailbox.UID, to Folder) error {
	if len(uids) == 0 {
		return nil
	}
	twice := false
	err := x.write(ctx, func() error {
		twice = false
		source, err := x.folderID(from)
		if err != nil {
			return err
		}
		target, err := x.folderID(to)
		if err != nil {
			return err
		}
		// The mod-sequence was the other folder's.
		s, err := x.prepare("UPDATE OR IGNORE messages SET folder = ?, uid = ?, modseq = 0 WHERE folder = ? AND uid = ?")
		if err != nil {
			return err
		}
		defer s.Close()
		var left []int64
		for old, now := range uids {
			if err := run(s[0], target, int64(now), source, int64(old)); err != nil {
				return err
			}
			if x.db.Changes() > 0 {
				continue
			}
			id, err := x.number("SELECT id FROM messages WHERE folder = ? AND uid = ?", source, int64(old))
			if err != nil {
				return err
			}
			if id != 0 {
				left = append(left, id)
			}
		}
		twice = len(left) > 0
		return x.remove(left)
	})
	if err != nil || !twice {
		return err
	}
	return x.erase(ctx)
}

// Line returns what a list shows of one message; its UID is zero where the message is not there.
func (x *Index) Line(ctx context.Context, folder string, uid mailbox.UID) (line Line, err error) {
	return line, x.read(ctx, func() error {
		return x.rows(func(row *sqlite3.Stmt) error {
			line = lineIn(row)
			return nil
		}, lineColumns+"messages m JOIN folders f ON f.id = m.folder WHERE f.name = ? AND m.uid = ?", folder, int64(uid))
	})
}
