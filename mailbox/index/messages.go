package index

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ncruces/go-sqlite3"

	"github.com/sealmail/sealmail/mailbox"
)

// Folder is what is known of a folder.
type Folder struct {
	Name string
	// UIDValidity is the numbering that the UIDs belong to; zero: nothing of the folder is known.
	UIDValidity uint32
	// HighestModSeq is up to where its flags are known (RFC 7162); zero: that is not kept.
	HighestModSeq uint64
}

// Message is what is kept of a message.
type Message struct {
	UID    mailbox.UID
	Flags  []string
	ModSeq uint64
	Size   int64
	// Octets is the message as it lies in the folder; nil: it is not kept.
	Octets *io.SectionReader

	// What a search asks for.
	Date                time.Time // zero: none; seconds are kept
	MessageID           string
	From, Subject       string
	To, Cc              []string
	Verdict, Encryption string
	Attachments         bool
	Text                Text // what is shown of it; nothing where none of it may be

	// Line and Evidence are the caller's: what a list shows, and what lists never read.
	Line, Evidence []byte
}

// Line is what a list shows of a message.
type Line struct {
	Folder string
	UID    mailbox.UID
	Flags  []string
	Data   []byte // the caller's
}

// Folders returns all folders of which something is known, by name.
func (x *Index) Folders(ctx context.Context) (all []Folder, err error) {
	return all, x.read(ctx, func() error {
		return x.rows(func(s *sqlite3.Stmt) error {
			all = append(all, Folder{s.ColumnText(0), uint32(s.ColumnInt64(1)), uint64(s.ColumnInt64(2))})
			return nil
		}, "SELECT name, validity, modseq FROM folders ORDER BY name")
	})
}

// Folder returns what is known of a folder; its UIDValidity is zero where that is nothing.
func (x *Index) Folder(ctx context.Context, name string) (f Folder, err error) {
	f.Name = name
	return f, x.read(ctx, func() error {
		return x.rows(func(s *sqlite3.Stmt) error {
			f.UIDValidity, f.HighestModSeq = uint32(s.ColumnInt64(0)), uint64(s.ColumnInt64(1))
			return nil
		}, "SELECT validity, modseq FROM folders WHERE name = ?", name)
	})
}

// Begin says which numbering a folder has. Where it is another than before, all that was known of its messages is
// forgotten, and renumbered is true.
func (x *Index) Begin(ctx context.Context, name string, validity uint32) (renumbered bool, err error) {
	err = x.write(ctx, func() error {
		renumbered = false
		before, err := x.number("SELECT validity FROM folders WHERE name = ?", name)
		switch {
		case err != nil || uint32(before) == validity:
			return err
		case before == 0:
			return x.exec("INSERT INTO folders(name, validity, modseq) VALUES(?, ?, 0)", name, int64(validity))
		}
		renumbered = true
		if err := x.removeAll(name); err != nil {
			return err
		}
		return x.exec("UPDATE folders SET validity = ?, modseq = 0 WHERE name = ?", int64(validity), name)
	})
	if err == nil && renumbered {
		err = x.erase(ctx)
	}
	return renumbered, err
}

// Forget forgets a folder and all its messages.
func (x *Index) Forget(ctx context.Context, name string) error {
	err := x.write(ctx, func() error {
		if err := x.removeAll(name); err != nil {
			return err
		}
		return x.exec("DELETE FROM folders WHERE name = ?", name)
	})
	if err != nil {
		return err
	}
	return x.erase(ctx)
}

// folderID finds a folder of this numbering, within a transaction.
func (x *Index) folderID(f Folder) (int64, error) {
	id, err := x.number("SELECT id FROM folders WHERE name = ? AND validity = ?", f.Name, int64(f.UIDValidity))
	if err == nil && id == 0 {
		err = ErrRenumbered
	}
	return id, err
}

// UIDs returns the messages of a folder, ascending.
func (x *Index) UIDs(ctx context.Context, folder string) (uids []mailbox.UID, err error) {
	return uids, x.read(ctx, func() error {
		return x.rows(func(s *sqlite3.Stmt) error {
			uids = append(uids, mailbox.UID(s.ColumnInt64(0)))
			return nil
		}, "SELECT uid FROM messages WHERE folder = (SELECT id FROM folders WHERE name = ?) ORDER BY uid", folder)
	})
}

// Add keeps messages of a folder that has to be of this numbering (else ErrRenumbered), all or none; when it returns, they
// are durable. Those that are there already stay as they are, but for flags that are newer; added are the others. It waits for
// whoever else is writing.
func (x *Index) Add(ctx context.Context, f Folder, messages []Message) (added []mailbox.UID, err error) {
	if !x.isSwept() {
		if err := x.sweep(ctx); err != nil {
			return nil, err
		}
	}
	err = x.write(ctx, func() (err error) {
		folder, err := x.folderID(f)
		if err != nil {
			return err
		}
		a, err := x.newAdder(folder)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		for _, m := range messages {
			if err := a.add(m); err != nil {
				return err
			}
		}
		added = a.added
		return errors.Join(a.octets.finish(), a.texts.finish())
	})
	if err != nil {
		return nil, err
	}
	return added, nil
}

// adder adds messages to a folder within one transaction.
type adder struct {
	statements
	x             *Index
	folder        int64
	octets, texts *appender
	added         []mailbox.UID
}

func (x *Index) newAdder(folder int64) (*adder, error) {
	s, err := x.prepare(
		`INSERT OR IGNORE INTO messages(folder, uid, date, size, flags, modseq, verdict, encryption, attachments, message_id, line)
			VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		"INSERT INTO evidence(message, data) VALUES(?, ?)",
		"INSERT INTO headers(message, sender, recipients, copies, subject) VALUES(?, ?, ?, ?, ?)",
		"INSERT INTO sealed(message, kind, segment, start, size, key) VALUES(?, ?, ?, ?, ?, ?)",
		"UPDATE messages SET flags = ?, modseq = ? WHERE folder = ? AND uid = ? AND modseq < ?")
	return &adder{statements: s, x: x, folder: folder, octets: &appender{x: x, kind: kindOctets}, texts: &appender{x: x, kind: kindText}}, err
}

// Close closes statements and files, whatever became of the transaction.
func (a *adder) Close() error {
	return errors.Join(a.statements.Close(), a.octets.close(), a.texts.close())
}

func (a *adder) add(m Message) error {
	err := run(a.statements[0], a.folder, int64(m.UID), m.Date, m.Size, joinFlags(m.Flags), int64(m.ModSeq), m.Verdict, m.Encryption,
		number(m.Attachments), m.MessageID, m.Line)
	if err != nil {
		return err
	}
	if a.x.db.Changes() == 0 { // another process was faster, which may have asked before the flags were changed
		return run(a.statements[4], joinFlags(m.Flags), int64(m.ModSeq), a.folder, int64(m.UID), int64(m.ModSeq))
	}
	a.added = append(a.added, m.UID)
	id := a.x.db.LastInsertRowID()
	if len(m.Evidence) > 0 {
		if err := run(a.statements[1], id, m.Evidence); err != nil {
			return err
		}
	}
	err = run(a.statements[2], id, fold(m.From), fold(strings.Join(m.To, "\n")), fold(strings.Join(m.Cc, "\n")), fold(m.Subject))
	if err != nil {
		return err
	}
	if m.Octets != nil {
		if err := a.seal(id, a.octets, m.Octets); err != nil {
			return err
		}
	}
	if text := m.Text.folded; text != "" {
		return a.seal(id, a.texts, io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))))
	}
	return nil
}

func (a *adder) seal(message int64, to *appender, octets *io.SectionReader) error {
	p, err := to.add(octets)
	if err != nil {
		return err
	}
	return run(a.statements[3], message, to.kind, p.segment, p.start, p.size, p.key)
}

func (x *Index) isSwept() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.swept
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// joinFlags puts flags into one text. A flag has no white space (RFC 9051 section 9, flag-keyword); what has some is none.
func joinFlags(flags []string) string {
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == "" || strings.ContainsFunc(f, unicode.IsSpace) })
	return strings.Join(flags, " ")
}

// SetFlags keeps the flags of messages, unless newer ones are known, and that the folder's flags are known up to highest.
// Messages that are not there are passed over.
func (x *Index) SetFlags(ctx context.Context, f Folder, infos []mailbox.Info, highest uint64) error {
	return x.write(ctx, func() error {
		folder, err := x.folderID(f)
		if err != nil {
			return err
		}
		s, err := x.prepare("UPDATE messages SET flags = ?, modseq = ? WHERE folder = ? AND uid = ? AND modseq <= ? AND flags <> ?")
		if err != nil {
			return err
		}
		defer s.Close()
		for _, info := range infos {
			flags, at := joinFlags(info.Flags), int64(info.ModSeq)
			if err := run(s[0], flags, at, folder, int64(info.UID), at, flags); err != nil {
				return err
			}
		}
		return x.exec("UPDATE folders SET modseq = max(modseq, ?) WHERE id = ?", int64(highest), folder)
	})
}

// Remove forgets messages of a folder. When it returns, nothing of them is in any file of the index, unless another process
// was reading for so long that its view of the log could not be ended: then it is gone with the next removal or closing.
func (x *Index) Remove(ctx context.Context, f Folder, uids []mailbox.UID) error {
	if len(uids) == 0 {
		return nil
	}
	err := x.write(ctx, func() error {
		folder, err := x.folderID(f)
		if err != nil {
			return err
		}
		var ids []int64
		for _, uid := range uids {
			id, err := x.number("SELECT id FROM messages WHERE folder = ? AND uid = ?", folder, int64(uid))
			if err != nil {
				return err
			}
			if id != 0 {
				ids = append(ids, id)
			}
		}
		return x.remove(ids)
	})
	if err != nil {
		return err
	}
	return x.erase(ctx)
}

// removeAll forgets the messages of a folder, within a transaction.
func (x *Index) removeAll(name string) error {
	var ids []int64
	err := x.rows(func(s *sqlite3.Stmt) error {
		ids = append(ids, s.ColumnInt64(0))
		return nil
	}, "SELECT m.id FROM messages m JOIN folders f ON f.id = m.folder WHERE f.name = ?", name)
	if err != nil {
		return err
	}
	return x.remove(ids)
}

// remove forgets messages, within a transaction.
func (x *Index) remove(ids []int64) error {
	s, err := x.prepare(
		"SELECT segment, start, size, key FROM sealed WHERE message = ?", "UPDATE segments SET live = live - ? WHERE id = ?",
		"DELETE FROM sealed WHERE message = ?", "DELETE FROM evidence WHERE message = ?", "DELETE FROM headers WHERE message = ?",
		"DELETE FROM messages WHERE id = ?")
	if err != nil {
		return err
	}
	defer s.Close()
	for _, id := range ids {
		if err := bind(s[0], id); err != nil {
			return err
		}
		var places []place
		for s[0].Step() {
			places = append(places, placeIn(s[0], 0))
		}
		if err := s[0].Reset(); err != nil {
			return err
		}
		for _, p := range places {
			if err := run(s[1], sealedSize(p.size), p.segment); err != nil {
				return err
			}
		}
		for _, one := range s[2:] {
			if err := run(one, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// erase overwrites what the log still has of what was removed, and gives back what is dead in segments.
func (x *Index) erase(ctx context.Context) error {
	if err := x.compact(ctx); err != nil {
		return err
	}
	return x.read(ctx, func() error {
		_, _, err := x.db.WALCheckpoint("", sqlite3.CHECKPOINT_TRUNCATE)
		if errors.Is(err, sqlite3.BUSY) { // somebody reads what was before
			return nil
		}
		return err
	})
}

// Has reports whether the octets of a message are kept.
func (x *Index) Has(ctx context.Context, folder string, uid mailbox.UID) (bool, error) {
	var n int64
	err := x.read(ctx, func() (err error) {
		n, err = x.number("SELECT count(*) FROM sealed s JOIN messages m ON m.id = s.message JOIN folders f ON f.id = m.folder WHERE f.name = ? AND m.uid = ? AND s.kind = ?",
			folder, int64(uid), kindOctets)
		return err
	})
	return n > 0, err
}

// Find returns the messages of a folder with this Message-ID, given without angle brackets, ascending.
func (x *Index) Find(ctx context.Context, folder, messageID string) (uids []mailbox.UID, err error) {
	return uids, x.read(ctx, func() error {
		return x.rows(func(s *sqlite3.Stmt) error {
			uids = append(uids, mailbox.UID(s.ColumnInt64(0)))
			return nil
		}, "SELECT m.uid FROM messages m JOIN folders f ON f.id = m.folder WHERE m.message_id = ? AND f.name = ? ORDER BY m.uid", messageID, folder)
	})
}

// FindEverywhere returns the lines of all messages with this Message-ID, in the order in which they were added.
func (x *Index) FindEverywhere(ctx context.Context, messageID string) (lines []Line, err error) {
	return lines, x.read(ctx, func() (err error) {
		if x.find == nil { // who asks asks often, and to compile takes longer than to look
			if x.find, _, err = x.db.Prepare(lineColumns + "messages m JOIN folders f ON f.id = m.folder WHERE m.message_id = ? ORDER BY m.id"); err != nil {
				return err
			}
		}
		defer x.find.Reset() // what it says was said before
		lines = nil
		return answers(x.find, func(s *sqlite3.Stmt) error {
			lines = append(lines, lineIn(s))
			return nil
		}, messageID)
	})
}

// Evidence returns what Add was given as such; nil: nothing.
func (x *Index) Evidence(ctx context.Context, folder string, uid mailbox.UID) (data []byte, err error) {
	return data, x.read(ctx, func() error {
		return x.rows(func(s *sqlite3.Stmt) error {
			data = s.ColumnBlob(0, nil)
			return nil
		}, "SELECT e.data FROM evidence e JOIN messages m ON m.id = e.message JOIN folders f ON f.id = m.folder WHERE f.name = ? AND m.uid = ?",
			folder, int64(uid))
	})
}
