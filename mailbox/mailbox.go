package mailbox

import (
	"context"
	"io"
	"time"
)

// UID is the number of a message in a folder: ascending, never used twice while the folder's UIDVALIDITY stands
// (RFC 9051 section 2.3.1.1). Zero is no message.
type UID uint32

// Folder is a place for messages.
type Folder struct {
	// Name as text (UTF-8), levels separated as the store does. The name of the inbox is INBOX.
	Name string
	// Attributes of RFC 9051 section 7.3.1 and RFC 6154, such as \Sent, \Drafts, \Archive and \Trash.
	Attributes []string
}

// Status is the state of a folder.
type Status struct {
	// UIDValidity says which numbering is in force: when it differs from the one seen before, all UIDs known from
	// before are void.
	UIDValidity uint32
	// UIDNext is above the UID of each message that is there, and at most that of the next to come; zero is unknown.
	UIDNext UID
	// Messages is how many there are.
	Messages uint32
}

// Info is what a folder knows of a message without reading it.
type Info struct {
	UID UID
	// Size in octets, with CRLF line ends.
	Size int64
	// Flags are system flags such as \Seen and keywords such as $Forwarded.
	Flags []string
	// InternalDate is when the message came to the store.
	InternalDate time.Time
}

// NewMessage is a message to be stored.
type NewMessage struct {
	Flags []string
	// Date becomes the InternalDate; zero leaves it to the store.
	Date time.Time
	// Size is the exact number of octets in Body.
	Size int64
	// Body is read once, to its end.
	Body io.Reader
}

// FlagChange says which flags to put on and which to take off a message; all others stay.
type FlagChange struct {
	Add, Remove []string
}

// Store keeps messages in folders. It serves one call at a time; calls from several goroutines wait for each other.
//
// A folder that does not exist is [ErrNoFolder]. UIDs are those of the UIDVALIDITY that Status last told, or else of
// the first call that named the folder; when the folder was renumbered since, calls fail with [ErrRenumbered] rather
// than touch other messages.
type Store interface {
	// Folders returns the folders that can hold messages, in no particular order.
	Folders(ctx context.Context) ([]Folder, error)

	// Status returns the current state of a folder.
	Status(ctx context.Context, folder string) (Status, error)

	// List returns the messages with a UID of first or above, in ascending order.
	List(ctx context.Context, folder string, first UID) ([]Info, error)

	// Fetch writes the exact octets of a message to dst and does not mark it as seen. It returns ErrNotFound for a
	// message that is not, or no longer, there. After an error dst may have got a part.
	Fetch(ctx context.Context, folder string, uid UID, dst io.Writer) error

	// Append stores a message, making the folder if it is missing, and returns the UID it got, or 0 if the store cannot
	// tell. A QuotaError or a TooLargeError says that there is no room for it, ErrSize that Body has another length than
	// Size. An UncertainError says that the message may or may not have been stored: Find answers that. After any other
	// error it was not.
	Append(ctx context.Context, folder string, m NewMessage) (UID, error)

	// SetFlags changes flags of messages; those that are gone are passed over.
	SetFlags(ctx context.Context, folder string, uids []UID, c FlagChange) error

	// Find returns the messages with this Message-ID, given with or without angle brackets, in ascending order.
	Find(ctx context.Context, folder string, messageID string) ([]UID, error)

	// Close ends the connection. It does not fail for a connection that is already lost.
	Close() error
}

// Envelope is who a message is from and for, whatever its header says (RFC 5321 section 2.3.1).
type Envelope struct {
	// From is the address errors go to; empty is the null reverse-path.
	From string
	// To has at least one address.
	To []string
}

// Submitter hands over messages for delivery. It serves one call at a time; calls from several goroutines wait for
// each other.
type Submitter interface {
	// Submit sends one message of size octets. It must have CRLF line ends, and end with one: a message that the
	// protocol could not carry unaltered is not sent.
	//
	// commit is called, unless nil, when everything was handed over and only the final dot is missing: the last moment
	// at which it is certain that nothing was sent. Its error aborts, and is returned.
	//
	// When any recipient is refused nothing is sent to anybody, and the error (a RefusedRecipientsError) names each.
	// An UncertainError says that the line died after the final dot and before the answer: the message may or may
	// not be under way. After any other error it is not.
	Submit(ctx context.Context, e Envelope, size int64, message io.Reader, commit func() error) error

	// Close ends the connection. It does not fail for a connection that is already lost.
	Close() error
}
