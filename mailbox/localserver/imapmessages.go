package localserver

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

func (s *imapSession) Append(name string, r imap.LiteralReader, o *imap.AppendOptions) (*imap.AppendData, error) {
	if err := s.hook("imap.append"); err != nil {
		return nil, err
	}
	f, err := s.account.folder(name)
	if err != nil {
		return nil, answerTarget(err)
	}
	if r.Size() > s.account.room() {
		return nil, answer(errFull)
	}
	a, err := s.account.receive(f, details{Flags: o.Flags, Date: o.Time})
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(a, r)
	if err == nil && n != r.Size() {
		err = io.ErrUnexpectedEOF // the line died within the message: there is none
	}
	if err != nil {
		a.abort()
		return nil, answerTarget(err)
	}
	uids, err := deliver([]*arrival{a})
	if err != nil {
		return nil, answerTarget(err)
	}
	if err := s.hook("imap.append.end"); err != nil {
		return nil, err
	}
	return &imap.AppendData{UID: uids[0], UIDValidity: f.snapshot().UIDValidity}, nil
}

func (s *imapSession) Fetch(w *imapserver.FetchWriter, set imap.NumSet, o *imap.FetchOptions) error {
	if err := s.hook("imap.fetch"); err != nil {
		return err
	}
	v := s.selected()
	markSeen := false
	for _, item := range o.BodySection {
		markSeen = markSeen || !item.Peek
	}
	for _, item := range o.BinarySection {
		markSeen = markSeen || !item.Peek
	}
	for _, uid := range v.resolve(set) {
		m, ok := v.folder.get(uid)
		if !ok {
			continue // deleted by another session; the client is told at the next occasion
		}
		options := *o
		if markSeen && !v.readOnly && !hasFlag(m.Flags, imap.FlagSeen) {
			var err error
			if m, ok, err = v.folder.setFlags(uid, imap.StoreFlagsAdd, []imap.Flag{imap.FlagSeen}, v); err != nil {
				return err
			} else if !ok {
				continue
			}
			options.Flags = true // RFC 3501 section 6.4.5: included where it changed
		}
		if err := v.fetchOne(w, m, &options); err != nil {
			// An answer that broke off cannot be mended by another one.
			_ = s.conn.NetConn().Close()
			return err
		}
	}
	return nil
}

// fetchOne writes one message's answer. Everything that can fail, but for the line itself, is done before the first
// octet is written.
func (v *view) fetchOne(w *imapserver.FetchWriter, m message, o *imap.FetchOptions) (err error) {
	file, err := v.folder.open(m.uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	sections := make([]*io.SectionReader, len(o.BodySection))
	for i, item := range o.BodySection {
		if sections[i], err = section(file, m.size, item); err != nil {
			return err
		}
	}
	binaries := make([]*io.SectionReader, len(o.BinarySection))
	for i, item := range o.BinarySection {
		if binaries[i], err = binarySection(file, m.size, item); err != nil {
			return err
		}
	}
	var envelope *imap.Envelope
	if o.Envelope {
		h, err := parsedHeader(file, m.size)
		if err != nil {
			return err
		}
		envelope = imapserver.ExtractEnvelope(h)
	}
	var structure imap.BodyStructure
	if o.BodyStructure != nil {
		if structure, err = bodyStructure(file, m.size); err != nil {
			return err
		}
	}

	r := w.CreateMessage(v.number(m.uid))
	defer func() { err = errors.Join(err, r.Close()) }()
	if o.UID {
		r.WriteUID(m.uid)
	}
	if o.Flags {
		r.WriteFlags(m.Flags)
	}
	if o.InternalDate {
		r.WriteInternalDate(m.Date)
	}
	if o.RFC822Size {
		r.WriteRFC822Size(m.size)
	}
	if envelope != nil {
		r.WriteEnvelope(envelope)
	}
	if structure != nil {
		r.WriteBodyStructure(structure)
	}
	for i, item := range o.BodySection {
		if err := writeSection(r.WriteBodySection(item, sections[i].Size()), sections[i]); err != nil {
			return err
		}
	}
	for i, item := range o.BinarySection {
		if err := writeSection(r.WriteBinarySection(item, binaries[i].Size()), binaries[i]); err != nil {
			return err
		}
	}
	for _, item := range o.BinarySectionSize {
		part, err := binarySection(file, m.size, &imap.FetchItemBinarySection{Part: item.Part})
		if err != nil {
			return err
		}
		r.WriteBinarySectionSize(item, uint32(min(part.Size(), 1<<32-1)))
	}
	return nil
}

func writeSection(w io.WriteCloser, s *io.SectionReader) error {
	_, err := io.Copy(w, s)
	return errors.Join(err, w.Close())
}

// writable refuses changes in a folder that was opened by EXAMINE; the library leaves that to its sessions.
func (v *view) writable() error {
	if v.readOnly {
		return no(imap.ResponseCodeNoPerm, "Mailbox is selected read-only")
	}
	return nil
}

func (s *imapSession) Store(w *imapserver.FetchWriter, set imap.NumSet, flags *imap.StoreFlags, _ *imap.StoreOptions) error {
	if err := s.hook("imap.store"); err != nil {
		return err
	}
	v := s.selected()
	if err := v.writable(); err != nil {
		return err
	}
	for _, uid := range v.resolve(set) {
		before, _ := v.folder.get(uid)
		m, ok, err := v.folder.setFlags(uid, flags.Op, flags.Flags, v)
		if err != nil {
			return err
		}
		// Also a silent STORE tells what others changed in between (RFC 3501 section 6.4.6).
		unknown := before.changed > v.changes && before.by != v
		if !ok || flags.Silent && !unknown {
			continue
		}
		r := w.CreateMessage(v.number(uid))
		r.WriteUID(uid)
		r.WriteFlags(m.Flags)
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Expunge also serves CLOSE, which deletes nothing, and is no error, in a folder that is read-only
// (RFC 3501 section 6.4.2).
func (s *imapSession) Expunge(_ *imapserver.ExpungeWriter, only *imap.UIDSet) error {
	if err := s.hook("imap.expunge"); err != nil {
		return err
	}
	v := s.selected()
	if v.readOnly {
		return nil
	}
	var uids []imap.UID
	for _, m := range v.folder.snapshot().messages {
		if hasFlag(m.Flags, imap.FlagDeleted) {
			uids = append(uids, m.uid)
		}
	}
	if only != nil {
		named := v.fixUIDs(*only)
		kept := uids[:0]
		for _, uid := range uids {
			if named.Contains(uid) {
				kept = append(kept, uid)
			}
		}
		uids = kept
	}
	// The client is told by the Poll that follows each command.
	return s.account.expunge(v.folder, uids)
}

func (s *imapSession) Search(kind imapserver.NumKind, c *imap.SearchCriteria, _ *imap.SearchOptions) (*imap.SearchData, error) {
	if err := s.hook("imap.search"); err != nil {
		return nil, err
	}
	v := s.selected()
	uids, err := v.search(c)
	if err != nil {
		return nil, err
	}
	return v.searchData(uids, kind == imapserver.NumKindUID), nil
}

// Copy copies all of the messages or none (RFC 3501 section 6.4.7).
func (s *imapSession) Copy(set imap.NumSet, name string) (*imap.CopyData, error) {
	if err := s.hook("imap.copy"); err != nil {
		return nil, err
	}
	v := s.selected()
	dst, err := s.account.folder(name)
	if err != nil {
		return nil, answerTarget(err)
	}
	var arrivals []*arrival
	var source []imap.UID
	for _, uid := range v.resolve(set) {
		a, ok, err := v.folder.copyTo(dst, uid)
		if err != nil {
			for _, a := range arrivals {
				a.abort()
			}
			return nil, answerTarget(err)
		}
		if ok {
			arrivals, source = append(arrivals, a), append(source, uid)
		}
	}
	uids, err := deliver(arrivals)
	if err != nil {
		return nil, answerTarget(err)
	}
	return copyData(dst, source, uids), nil
}

// copyData is nil where nothing was copied, as there is no way to write an empty set.
func copyData(dst *folder, from, to []imap.UID) *imap.CopyData {
	if len(from) == 0 {
		return nil
	}
	return &imap.CopyData{
		UIDValidity: dst.snapshot().UIDValidity,
		SourceUIDs:  imap.UIDSetNum(from...),
		DestUIDs:    imap.UIDSetNum(to...),
	}
}

func (s *imapSession) Move(w *imapserver.MoveWriter, set imap.NumSet, name string) error {
	if err := s.hook("imap.move"); err != nil {
		return err
	}
	v := s.selected()
	if err := v.writable(); err != nil {
		return err
	}
	dst, err := s.account.folder(name)
	if err != nil {
		return answerTarget(err)
	}
	if dst == v.folder {
		return no(imap.ResponseCodeCannot, "The messages are there already")
	}
	var from, to []imap.UID
	for _, uid := range v.resolve(set) {
		moved, ok, err := v.folder.moveTo(dst, uid)
		if ok {
			from, to = append(from, uid), append(to, moved)
		}
		if err != nil {
			return fmt.Errorf("moving message %d: %w", uid, answerTarget(err))
		}
	}
	if data := copyData(dst, from, to); data != nil {
		return w.WriteCopyData(data)
	}
	return nil // the client is told of what is gone by the Poll that follows each command
}
