package filestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// Store is a mailbox.Store on a Format.
type Store struct {
	format   Format
	name     string        // for errors
	turn     chan struct{} // holds one token: calls wait for each other, and for no longer than their context
	closed   bool
	validity map[string]uint32
	seen     map[string]Folder // as of the last look
}

var _ mailbox.Store = (*Store)(nil)

// New returns a store on a format. Its name is for errors.
func New(format Format, name string) *Store {
	return &Store{format: format, name: name, turn: make(chan struct{}, 1), validity: make(map[string]uint32), seen: make(map[string]Folder)}
}

// acquire waits for its turn.
func (s *Store) acquire(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := ctx.Err()
	if s.closed {
		err = fmt.Errorf("%s: %w", s.name, mailbox.ErrClosed)
	}
	if err != nil {
		s.release()
	}
	return err
}

func (s *Store) release() { <-s.turn }

// Close ends the use of the store.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer s.release()
	s.closed, s.seen = true, nil
	return nil
}

func inFolder(folder string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("folder %q: %w", folder, err)
}

// open opens a folder, which must have the numbering that is known of it, unless its state is asked for. It is the caller's turn.
func (s *Store) open(ctx context.Context, folder string, anyNumbering bool) (Folder, error) {
	f, err := s.format.Open(ctx, folder)
	if err != nil {
		return nil, err
	}
	if v, known := s.validity[folder]; known && v != f.Validity() && !anyNumbering {
		return nil, errors.Join(mailbox.ErrRenumbered, f.Unlock())
	}
	s.validity[folder], s.seen[folder] = f.Validity(), f
	return f, nil
}

// look opens a folder and lets others go on at once.
func (s *Store) look(ctx context.Context, folder string, anyNumbering bool) (Folder, error) {
	f, err := s.open(ctx, folder, anyNumbering)
	if err != nil {
		return nil, err
	}
	return f, f.Unlock()
}

// in takes its turn and runs what is to be done in a folder.
func (s *Store) in(ctx context.Context, folder string, do func(folder string) error) error {
	folder, err := mailbox.CanonicalFolder(folder)
	if err != nil {
		return err
	}
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	return inFolder(folder, do(folder))
}

// change is in for what needs the folder's lock.
func (s *Store) change(ctx context.Context, folder string, do func(Folder) error) error {
	return s.in(ctx, folder, func(folder string) error {
		f, err := s.open(ctx, folder, false)
		if err != nil {
			return err
		}
		err = errors.Join(do(f), f.Save())
		delete(s.seen, folder)
		return errors.Join(err, f.Unlock())
	})
}

// Folders returns the folders.
func (s *Store) Folders(ctx context.Context) ([]mailbox.Folder, error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	return s.format.Folders()
}

// Status returns the current state of a folder. It has no mod-sequences.
func (s *Store) Status(ctx context.Context, folder string) (status mailbox.Status, err error) {
	err = s.in(ctx, folder, func(folder string) error {
		f, err := s.look(ctx, folder, true)
		if err != nil {
			return err
		}
		status = mailbox.Status{UIDValidity: f.Validity(), UIDNext: f.Next(), Messages: uint32(len(f.Messages()))}
		return nil
	})
	return status, err
}

// List returns the messages from a UID on.
func (s *Store) List(ctx context.Context, folder string, first mailbox.UID) (list []mailbox.Info, err error) {
	err = s.in(ctx, folder, func(folder string) error {
		f, err := s.look(ctx, folder, false)
		if err != nil {
			return err
		}
		for _, m := range f.Messages() {
			if m.UID < first {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			info := mailbox.Info{UID: m.UID}
			err := s.message(ctx, folder, m.UID, func(f Folder, m Message) (err error) {
				info.Flags = slices.Clone(m.Flags)
				info.Size, info.InternalDate, err = f.Details(ctx, m)
				return err
			})
			if errors.Is(err, mailbox.ErrNotFound) { // since the folder was looked at
				continue
			}
			if err != nil {
				return fmt.Errorf("message %d: %w", m.UID, err)
			}
			list = append(list, info)
		}
		return nil
	})
	return list, err
}

// UIDs returns the UIDs of all messages.
func (s *Store) UIDs(ctx context.Context, folder string) (uids []mailbox.UID, err error) {
	err = s.in(ctx, folder, func(folder string) error {
		f, err := s.look(ctx, folder, false)
		if err != nil {
			return err
		}
		for _, m := range f.Messages() {
			uids = append(uids, m.UID)
		}
		return nil
	})
	return uids, err
}

// Flags returns the flags of all messages: files keep no mod-sequences.
func (s *Store) Flags(ctx context.Context, folder string, _ uint64) (list []mailbox.Info, err error) {
	err = s.in(ctx, folder, func(folder string) error {
		f, err := s.look(ctx, folder, false)
		if err != nil {
			return err
		}
		for _, m := range f.Messages() {
			list = append(list, mailbox.Info{UID: m.UID, Flags: slices.Clone(m.Flags)})
		}
		return nil
	})
	return list, err
}

// pollEvery is how often Wait looks.
const pollEvery = time.Second

// Wait looks each second whether the folder is another than when it was last looked at.
func (s *Store) Wait(ctx context.Context, folder string, longest time.Duration) error {
	return s.in(ctx, folder, func(folder string) error {
		f := s.seen[folder]
		if f == nil {
			var err error
			if f, err = s.look(ctx, folder, false); err != nil {
				return err
			}
		}
		end, poll := time.NewTimer(longest), time.NewTicker(pollEvery)
		defer end.Stop()
		defer poll.Stop()
		for {
			if changed, err := f.Changed(); err != nil || changed {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-end.C:
				return nil
			case <-poll.C:
			}
		}
	})
}
