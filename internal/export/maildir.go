package export

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/maildir"
)

// maildirFolder is a Maildir.
type maildirFolder struct{ store mailbox.Store }

func newMaildir(o Options, dir string) (exporter, error) {
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := o.Disk.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	store, err := maildir.Open(maildir.Options{Path: dir, Disk: o.Disk, Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	return &maildirFolder{store}, nil
}

func (f *maildirFolder) add(ctx context.Context, m Message) error {
	if m.Size == 0 {
		return fmt.Errorf("%w: it is empty", ErrUnfit)
	}
	_, err := f.store.Append(ctx, maildirName(m.Folder), mailbox.NewMessage{Flags: m.Flags, Date: m.Date, Size: m.Size, Body: m.Octets})
	if errors.Is(err, mailbox.ErrNotCanonical) {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	return err
}

func (f *maildirFolder) finish() error { return nil }

func (f *maildirFolder) release() error { return f.store.Close() }
