package mailbox

import (
	"context"
	"io"
	"slices"
	"strings"
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

// SpecialFolder returns the name of the folder that serves a special use (RFC 6154 section 2), such as \Sent, \Drafts,
// \Trash, \Archive or \Junk. Where several say so, it is the one whose name comes first.
func SpecialFolder(folders []Folder, use string) (name string, ok bool) {
	for _, f := range folders {
		serves := slices.ContainsFunc(f.Attributes, func(a string) bool { return strings.EqualFold(a, use) })
		if serves && (!ok || f.Name < name) {
			name, ok = f.Name, true
		}
	}
	return name, ok
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
	// HighestModSeq is above that of each change so far, or equal to it: what [Store].Flags takes to tell of those to
	// come. Zero: the store keeps no mod-sequences (RFC 7162 section 3.1.2).
	HighestModSeq uint64
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
	// ModSeq is the folder's mod-sequence as of the last change to the message; zero where the store keeps none.
	ModSeq uint64
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

// Receiver takes the messages of [Store].FetchAll, one after the other.
type Receiver interface {
	// Message returns what the octets of the next message are written to. Its error ends FetchAll.
	Message(Info) (io.Writer, error)

	// Done says that a message is complete (nil), or why it alone could not be had: ErrNotFound, a TooLargeError, a
	// ServerError. In the latter case what was written is a part of it, and Message may not have been called at all.
	// Its error ends FetchAll.
	Done(Info, error) error
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

	// UIDs returns the UIDs of all messages, in ascending order.
	UIDs(ctx context.Context, folder string) ([]UID, error)

	// Flags returns UID, Flags and ModSeq of the messages that were changed after the mod-sequence since, in ascending
	// order: of all messages where since is zero or the store keeps no mod-sequences. To miss nothing, take since from a
	// Status asked for before the last call.
	Flags(ctx context.Context, folder string, since uint64) ([]Info, error)

	// Fetch writes the exact octets of a message to dst and does not mark it as seen. It returns ErrNotFound for a
	// message that is not, or no longer, there. After an error dst may have got a part.
	Fetch(ctx context.Context, folder string, uid UID, dst io.Writer) error

	// FetchAll gets many messages, in the order given, and marks none as seen. Of an Info, UID counts, and Size, which
	// helps to ask for many at a time; zero is unknown. A message given twice is got once. Everything is as with Fetch,
	// but that a message that cannot be had ends nothing. After an error the receiver may have got a part of a message
	// without being told that it is done.
	FetchAll(ctx context.Context, folder string, messages []Info, to Receiver) error

	// Append stores a message, making the folder if it is missing, and returns the UID it got, or 0 if the store cannot
	// tell. A QuotaError or a TooLargeError says that there is no room for it, ErrSize that Body has another length than
	// Size. An UncertainError says that the message may or may not have been stored: Find answers that. After any other
	// error it was not.
	Append(ctx context.Context, folder string, m NewMessage) (UID, error)

	// SetFlags changes flags of messages; those that are gone are passed over.
	SetFlags(ctx context.Context, folder string, uids []UID, c FlagChange) error

	// Move moves messages to another folder, which has to be there, and returns the number that each has there: nil if
	// the store does not tell. Those that are gone are passed over. No message is lost: after an error each is in the
	// one folder or the other, or in both. A QuotaError says that there is no room for them.
	Move(ctx context.Context, folder string, uids []UID, to string) (map[UID]UID, error)

	// Delete removes messages for good, and no others; those that are gone are passed over. An UnsupportedError says
	// that the store cannot remove these alone.
	Delete(ctx context.Context, folder string, uids []UID) error

	// CreateFolder makes a folder, and subscribes to it where the store knows of such a thing; if it is there already,
	// nothing happens.
	CreateFolder(ctx context.Context, folder string) error

	// Find returns the messages with this Message-ID, given with or without angle brackets, in ascending order.
	Find(ctx context.Context, folder string, messageID string) ([]UID, error)

	// Wait returns as soon as something may have changed in a folder since it was last looked at, and after the longest
	// time at the latest. Other calls wait until then, so it is for a Store of its own.
	Wait(ctx context.Context, folder string, longest time.Duration) error

	// Close ends the connection. It does not fail for a connection that is already lost.
	Close() error
}

// Envelope is who a message is from and for, whatever its header says (RFC 5321 section 2.3.1).
type Envelope struct {
	// From is the address errors go to; empty is the null reverse-path.
	From string
	// To has at least one address.
	To []string
	// UTF8 says that the message's header has octets beyond ASCII (RFC 6532), as it does with an address whose local part
	// has; it is sent to a server that knows SMTPUTF8, and to no other.
	UTF8 bool `json:",omitempty"`
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
