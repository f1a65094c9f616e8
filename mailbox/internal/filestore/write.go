package filestore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
)

// Append stores a message.
func (s *Store) Append(ctx context.Context, folder string, m mailbox.NewMessage) (uid mailbox.UID, err error) {
	if err := mailbox.CheckFlags(m.Flags); err != nil {
		return 0, err
	}
	if m.Size <= 0 {
		return 0, inFolder(folder, fmt.Errorf("%w: a message cannot be empty", mailbox.ErrSize))
	}
	err = s.in(ctx, folder, func(folder string) error {
		text, err := Spool(ctx, s.format.SpoolDir(), m.Body, m.Size)
		if err != nil {
			return err
		}
		defer text.Close()
		if err := s.format.Create(folder); err != nil {
			return err
		}
		f, err := s.open(ctx, folder, false)
		if err != nil {
			return err
		}
		uid, err = f.Append(text, CanonicalFlags(m.Flags), m.Date)
		delete(s.seen, folder)
		return errors.Join(err, f.Unlock())
	})
	return uid, err
}

// SetFlags changes flags.
func (s *Store) SetFlags(ctx context.Context, folder string, uids []mailbox.UID, c mailbox.FlagChange) error {
	if err := errors.Join(mailbox.CheckFlags(c.Add), mailbox.CheckFlags(c.Remove)); err != nil {
		return err
	}
	return s.change(ctx, folder, func(f Folder) error {
		for m := range chosen(f, uids) {
			flags := slices.DeleteFunc(slices.Clone(m.Flags), func(flag string) bool { return has(c.Remove, flag) })
			flags = CanonicalFlags(append(flags, c.Add...))
			if slices.Equal(flags, CanonicalFlags(m.Flags)) {
				continue
			}
			if err := f.SetFlags(m, flags); err != nil {
				return fmt.Errorf("message %d: %w", m.UID, err)
			}
		}
		return nil
	})
}

// chosen yields those messages that are there, in ascending order.
func chosen(f Folder, uids []mailbox.UID) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for _, uid := range slices.Compact(slices.Sorted(slices.Values(uids))) {
			if m, there := find(f.Messages(), uid); there && !yield(m) {
				return
			}
		}
	}
}

// Move moves messages.
func (s *Store) Move(ctx context.Context, folder string, uids []mailbox.UID, to string) (moved map[mailbox.UID]mailbox.UID, err error) {
	to, err = mailbox.CanonicalFolder(to)
	if err != nil {
		return nil, err
	}
	err = s.in(ctx, folder, func(folder string) (err error) {
		if folder == to {
			return errors.New("messages cannot be moved to where they are")
		}
		// In one order everywhere, so that no two wait for each other.
		open := map[string]Folder{}
		defer func() {
			for name, f := range open {
				delete(s.seen, name)
				err = errors.Join(err, f.Unlock())
			}
		}()
		for _, name := range slices.Sorted(slices.Values([]string{folder, to})) {
			f, err := s.open(ctx, name, false)
			if err != nil {
				return inFolder(name, err)
			}
			open[name] = f
		}
		moved, err = open[folder].MoveTo(open[to], slices.Collect(chosen(open[folder], uids)))
		return errors.Join(err, open[to].Save(), open[folder].Save())
	})
	return moved, err
}

// Delete removes messages.
func (s *Store) Delete(ctx context.Context, folder string, uids []mailbox.UID) error {
	return s.change(ctx, folder, func(f Folder) error { return f.Delete(slices.Collect(chosen(f, uids))) })
}

// CreateFolder makes a folder unless it is there.
func (s *Store) CreateFolder(ctx context.Context, folder string) error {
	return s.in(ctx, folder, s.format.Create)
}

// CanonicalFlags returns flags sorted, each once whatever its letter case; system flags are in that of RFC 9051 section 2.3.2.
func CanonicalFlags(flags []string) []string {
	var out []string
	for _, flag := range flags {
		for _, system := range []string{`\Answered`, `\Deleted`, `\Draft`, `\Flagged`, `\Seen`} {
			if strings.EqualFold(flag, system) {
				flag = system
			}
		}
		if !has(out, flag) {
			out = append(out, flag)
		}
	}
	slices.Sort(out)
	return out
}

func has(flags []string, flag string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return strings.EqualFold(f, flag) })
}
