package filestore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
)

// attempts is how often a message is looked for that other programs give new names, or new places, meanwhile.
const attempts = 5

// message finds a message and does something with it, again if it was changed meanwhile.
func (s *Store) message(ctx context.Context, folder string, uid mailbox.UID, do func(Folder, Message) error) error {
	f := s.seen[folder]
	for n := range attempts {
		if f == nil || n > 0 {
			var err error
			if f, err = s.look(ctx, folder, false); err != nil {
				return err
			}
		}
		m, there := find(f.Messages(), uid)
		if !there && n > 0 {
			break
		}
		if !there {
			continue
		}
		if err := do(f, m); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return mailbox.ErrNotFound
}

func find(messages []Message, uid mailbox.UID) (Message, bool) {
	at, there := slices.BinarySearchFunc(messages, uid, func(m Message, uid mailbox.UID) int { return cmp.Compare(m.UID, uid) })
	if !there {
		return Message{}, false
	}
	return messages[at], true
}

// read opens a message.
func (s *Store) read(ctx context.Context, folder string, uid mailbox.UID) (r io.ReadCloser, err error) {
	if _, known := s.validity[folder]; !known || s.seen[folder] == nil {
		if _, err := s.look(ctx, folder, false); err != nil {
			return nil, err
		}
	}
	err = s.message(ctx, folder, uid, func(f Folder, m Message) (err error) {
		r, err = f.Read(ctx, m)
		return err
	})
	return r, err
}

// copyTo writes a message to dst.
func (s *Store) copyTo(ctx context.Context, folder string, uid mailbox.UID, dst func() (io.Writer, error)) error {
	r, err := s.read(ctx, folder, uid)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := dst()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, contextReader{ctx, r})
	return err
}

// Fetch writes the octets of a message.
func (s *Store) Fetch(ctx context.Context, folder string, uid mailbox.UID, dst io.Writer) error {
	return s.in(ctx, folder, func(folder string) error {
		return s.copyTo(ctx, folder, uid, func() (io.Writer, error) { return dst, nil })
	})
}

// FetchAll writes the octets of many messages.
func (s *Store) FetchAll(ctx context.Context, folder string, messages []mailbox.Info, to mailbox.Receiver) error {
	return s.in(ctx, folder, func(folder string) error {
		if _, err := s.look(ctx, folder, false); err != nil {
			return err
		}
		got := make(map[mailbox.UID]bool)
		for _, m := range messages {
			if got[m.UID] {
				continue
			}
			got[m.UID] = true
			if err := ctx.Err(); err != nil {
				return err
			}
			err := s.copyTo(ctx, folder, m.UID, func() (io.Writer, error) { return to.Message(m) })
			if err != nil && !errors.Is(err, mailbox.ErrNotFound) {
				return err
			}
			if err := to.Done(m, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxHeader bounds how much of a message is looked through for its header.
const maxHeader = 1 << 20

// Find looks through the headers of all messages.
func (s *Store) Find(ctx context.Context, folder string, messageID string) (uids []mailbox.UID, err error) {
	id := mailbox.BareMessageID(messageID)
	err = s.in(ctx, folder, func(folder string) error {
		f, err := s.look(ctx, folder, false)
		if err != nil || id == "" {
			return err
		}
		for _, m := range f.Messages() {
			r, err := s.read(ctx, folder, m.UID)
			if errors.Is(err, mailbox.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			is, err := hasMessageID(contextReader{ctx, r}, id)
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
			if is {
				uids = append(uids, m.UID)
			}
		}
		return nil
	})
	return uids, err
}

// hasMessageID reports whether the header of a message has this Message-ID (RFC 5322 section 3.6.4), given without brackets.
func hasMessageID(r io.Reader, id string) (bool, error) {
	lines := bufio.NewReaderSize(io.LimitReader(r, maxHeader), 4<<10)
	for begins, within := true, false; ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return false, err
		}
		if begins {
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				return false, nil // the header ends
			}
			name, _, field := bytes.Cut(line, []byte{':'})
			if folded := line[0] == ' ' || line[0] == '\t'; !folded {
				within = field && strings.EqualFold(strings.TrimRight(string(name), " \t"), "Message-ID")
			}
		}
		if within && bytes.Contains(line, []byte("<"+id+">")) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		begins = err == nil
	}
}
