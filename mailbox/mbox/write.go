package mbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// Append writes a message at the end of the file.
func (f *folder) Append(text *filestore.Text, flags []string, date time.Time) (mailbox.UID, error) {
	if date.IsZero() {
		date = f.clock()
	}
	uids, err := f.extend([][]string{flags}, func(w io.Writer) error { return writeMessage(w, text, date) })
	if err != nil {
		return 0, err
	}
	return uids[0], nil
}

// writeMessage writes a message, with the separator line before it and the empty line behind it.
func writeMessage(w io.Writer, text *filestore.Text, date time.Time) error {
	from, end := sender, "\n"
	if text.Open {
		from, end = openSender, "\n\n"
	}
	if _, err := fmt.Fprintf(w, "From %s %s\n", from, date.UTC().Format(asctime)); err != nil {
		return err
	}
	if err := Quote(w, text.Stored()); err != nil {
		return err
	}
	_, err := io.WriteString(w, end)
	return err
}

// Write writes a message to w as it stands in an mbox file, of which w is at the start or behind another message: in the form in which a
// store has it, which reads it again with the same octets and date. Nothing tells the flags, and a zero date is that of 1970.
//
// A message whose first line ends with LF alone gives mailbox.ErrNotCanonical, and one of another size than was said mailbox.ErrSize;
// nothing was written then. While it is looked at, one of more than a mebioctet lies in a file in dir that has no name.
func Write(ctx context.Context, w io.Writer, dir string, m mailbox.NewMessage) error {
	text, err := filestore.Spool(ctx, dir, m.Body, m.Size)
	if err != nil {
		return err
	}
	defer text.Close()
	if m.Date.IsZero() {
		m.Date = time.Unix(0, 0)
	}
	return writeMessage(w, text, m.Date)
}

// extend writes messages with these flags at the end of the file. After an error the file is as it was, or the error is a
// mailbox.UncertainError.
func (f *folder) extend(flags [][]string, write func(io.Writer) error) (uids []mailbox.UID, err error) {
	before := f.state.Size()
	known := len(f.entries)
	if err := f.disk.Step(safeio.OpWrite, f.path); err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		f.info = nil
		if undone := errors.Join(f.file.Truncate(before), f.file.Sync()); undone != nil {
			err = &mailbox.UncertainError{Err: errors.Join(err, undone)}
		}
	}()
	if err := f.write(before, write); err != nil {
		return nil, err
	}
	info, err := f.file.Stat()
	if err != nil {
		return nil, err
	}
	if err := f.read(info); err != nil {
		return nil, err
	}
	if len(f.entries) != known+len(flags) {
		return nil, fmt.Errorf("%d messages were written, and %d are there", len(flags), len(f.entries)-known)
	}
	for i, e := range f.entries[known:] {
		uid, err := f.numbers.Add(e.key)
		if err != nil {
			return nil, err
		}
		f.numbers.Mark(e.key, flags[i])
		uids = append(uids, uid)
	}
	f.state = info
	return uids, f.numbers.Save()
}

// write writes at the end of the file, behind an empty line, and brings it to the disk.
func (f *folder) write(end int64, write func(io.Writer) error) error {
	tail := make([]byte, min(end, 4))
	if _, err := f.file.ReadAt(tail, end-int64(len(tail))); err != nil {
		return err
	}
	if _, err := f.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	w := bufio.NewWriterSize(f.file, 1<<20)
	if tail = bytes.ReplaceAll(tail, []byte{'\r'}, nil); end > 0 && !bytes.HasSuffix(tail, []byte("\n\n")) {
		missing := "\n\n"
		if bytes.HasSuffix(tail, []byte("\n")) {
			missing = "\n"
		}
		if _, err := w.WriteString(missing); err != nil {
			return err
		}
	}
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.disk.Step(safeio.OpSync, f.path); err != nil {
		return err
	}
	return f.file.Sync()
}

// SetFlags notes flags beside the message: the file, with what other programs say in it, stays as it is.
func (f *folder) SetFlags(m filestore.Message, flags []string) error {
	f.numbers.Mark(m.Key, flags)
	return nil
}

// Delete writes the file anew without some messages, and puts it in the place of the old one.
func (f *folder) Delete(messages []filestore.Message) error {
	if len(messages) == 0 {
		return nil
	}
	gone := make(map[string]bool)
	for _, m := range messages {
		gone[m.Key] = true
	}
	file, err := f.disk.Create(f.path, f.state.Mode().Perm())
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	at := int64(0)
	for i, e := range f.entries {
		end := f.state.Size()
		if i+1 < len(f.entries) {
			end = f.entries[i+1].From
		}
		if gone[e.key] {
			if err := f.copyRange(w, at, e.From); err != nil {
				return err
			}
			at = end
		}
	}
	if err := errors.Join(f.copyRange(w, at, f.state.Size()), w.Flush()); err != nil {
		return err
	}
	f.info = nil
	if err := file.Commit(); err != nil {
		return err
	}
	for key := range gone {
		f.numbers.Drop(key)
	}
	return nil
}

func (f *folder) copyRange(w io.Writer, from, to int64) error {
	_, err := io.Copy(w, io.NewSectionReader(f.file, from, to-from))
	return err
}

// MoveTo copies messages to the end of another file, and then writes this one anew without them.
func (f *folder) MoveTo(target filestore.Folder, messages []filestore.Message) (map[mailbox.UID]mailbox.UID, error) {
	to, ok := target.(*folder)
	if !ok {
		return nil, errors.New("the other folder is no mbox file")
	}
	if len(messages) == 0 {
		return nil, nil
	}
	flags := make([][]string, len(messages))
	for i, m := range messages {
		flags[i] = m.Flags
	}
	uids, err := to.extend(flags, func(w io.Writer) error {
		for _, m := range messages {
			e := f.at[m.Key]
			end := e.End
			if e.End < f.state.Size() && strings.HasPrefix(f.separator(e), "From "+openSender+" ") {
				end++ // with the line end that is not the message's
			}
			last := make([]byte, 1)
			if _, err := f.file.ReadAt(last, end-1); err != nil {
				return err
			}
			if err := f.copyRange(w, e.From, end); err != nil {
				return err
			}
			missing := "\n"
			if last[0] != '\n' {
				missing = "\n\n"
			}
			if _, err := io.WriteString(w, missing); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	moved := make(map[mailbox.UID]mailbox.UID, len(messages))
	for i, m := range messages {
		moved[m.UID] = uids[i]
	}
	if err := f.Delete(messages); err != nil {
		return moved, fmt.Errorf("copied, and still here: %w", err)
	}
	return moved, nil
}

// Save makes durable which numbers were marked and dropped.
func (f *folder) Save() error { return f.numbers.Save() }
