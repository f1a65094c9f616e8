package filestore

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// Message is a message in a folder of files.
type Message struct {
	UID   mailbox.UID
	Flags []string
	// Key is the format's own name for it.
	Key string
}

// ErrChanged says that a message is not where it was when the folder was opened: open it again and look.
var ErrChanged = errors.New("the folder was changed by another program")

// Format is a way to keep mail in files. Names of folders are canonical.
type Format interface {
	// Folders returns the folders.
	Folders() ([]mailbox.Folder, error)

	// Open looks into a folder and keeps others from changing it until Unlock. The error wraps mailbox.ErrNoFolder where there
	// is none.
	Open(ctx context.Context, folder string) (Folder, error)

	// Create makes a folder unless it is there. The error wraps mailbox.ErrNoFolder where none can have this name.
	Create(folder string) error

	// SpoolDir is where large messages are kept before they are stored.
	SpoolDir() string
}

// Folder is a folder as it was when it was opened.
type Folder interface {
	// Unlock lets others go on. What is said to need no lock works afterwards.
	Unlock() error

	Validity() uint32       // needs no lock
	Next() mailbox.UID      // needs no lock
	Messages() []Message    // in ascending order; needs no lock
	Changed() (bool, error) // whether something may have changed since; needs no lock

	// Details returns the size of a message with CRLF line ends, and when it came, or ErrChanged. It needs no lock.
	Details(ctx context.Context, m Message) (size int64, date time.Time, err error)

	// Read opens a message for reading, or returns ErrChanged. It needs no lock.
	Read(ctx context.Context, m Message) (io.ReadCloser, error)

	// Append stores a message. After an error that is no mailbox.UncertainError it is not there.
	Append(text *Text, flags []string, date time.Time) (mailbox.UID, error)

	// SetFlags replaces the flags of a message; one that is gone is passed over.
	SetFlags(m Message, flags []string) error

	// Delete removes messages; those that are gone are passed over.
	Delete(messages []Message) error

	// MoveTo moves messages to another folder of the same format, which is locked as well; those that are gone are passed over.
	MoveTo(to Folder, messages []Message) (map[mailbox.UID]mailbox.UID, error)

	// Save makes durable what the calls above left to do. It is called once, before Unlock.
	Save() error
}
