package outbox

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// State says how far a message is.
type State string

// The states of a message, and of an entry.
const (
	// Queued: not sent, that is certain.
	Queued State = "queued"
	// Uncertain: sent to the last octet, but whether the server took it is not known.
	Uncertain State = "uncertain"
	// Sent: the server took it.
	Sent State = "sent"
	// Refused: not sent, and the server said that trying again, unchanged, is of no use (RFC 5321 section 4.2.1).
	Refused State = "refused"
)

// Refusal is a server's no to one recipient, or to a whole message.
type Refusal struct {
	Recipient string `json:"recipient,omitempty"` // as in the envelope; empty: the message
	Code      int    `json:"code"`                // RFC 5321 section 4.2
	// EnhancedCode is that of RFC 3463, if any; Text is the server's, cleaned.
	EnhancedCode string `json:"enhanced_code,omitempty"`
	Text         string `json:"text,omitempty"`
	// Permanent: trying again, unchanged, is of no use.
	Permanent bool `json:"permanent,omitempty"`
}

// Message is one message of an entry, with an envelope of its own.
type Message struct {
	// Envelope says whom it goes to. Without recipients a message is not sent: it exists for the sender's copy alone.
	Envelope mailbox.Envelope `json:"envelope"`
	// Size in octets.
	Size int64 `json:"size"`
	// State of the message; one without recipients is Sent from the beginning.
	State State `json:"state"`
	// Error is what went wrong at the last attempt, in words; empty if nothing did.
	Error string `json:"error,omitempty"`
	// Refusals are those of the last attempt. Where any recipient is refused, nothing was sent to anybody.
	Refusals []Refusal `json:"refusals,omitempty"`
	// Attempts counts submissions that were begun, LastAttempt is the time of the last one.
	Attempts    int       `json:"attempts"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
}

// Copy is the sender's copy, put into a folder of the mail store once.
type Copy struct {
	Folder string `json:"folder"`
	// Use is an attribute of RFC 6154, such as \Sent: the copy goes into the folder that has it, and into Folder where none
	// has. Empty: into Folder, or it is settled which one that is.
	Use string `json:"use,omitempty"`
	// Message is the index of the message that is the copy.
	Message int `json:"message"`
	// Done: it is in the folder.
	Done bool `json:"done"`
	// Started: it may be in the folder.
	Started bool `json:"started"`
}

// Entry is one accepted mail: one or more messages that belong together (one for each audience), and the sender's copy.
type Entry struct {
	// ID names the entry; Add makes it. IDs sort by the time of their making.
	ID string `json:"-"`
	// Account names whose mail it is; the outbox passes it on.
	Account string `json:"account"`
	// MessageID is the Message-ID that all messages of the entry have. The copy is found by it.
	MessageID string    `json:"message_id"`
	Created   time.Time `json:"created"`
	Messages  []Message `json:"messages"`
	// Copy is nil where no copy is kept.
	Copy *Copy `json:"copy,omitempty"`
	// Failures counts deliveries in a row that left something to do, NextAttempt is when the next one makes sense; zero:
	// at once.
	Failures    int       `json:"failures,omitempty"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Note is the caller's own; the outbox passes it on.
	Note json.RawMessage `json:"note,omitempty"`
}

// State returns the state of the entry as a whole: Uncertain if any message is, else Queued if any is, else Refused if
// any is, else Sent.
func (e *Entry) State() State {
	order := []State{Sent, Refused, Queued, Uncertain}
	state := 0
	for _, m := range e.Messages {
		state = max(state, slices.Index(order, m.State))
	}
	return order[state]
}

// backoff is how long to wait after the first failure, the second and so on; the last holds for all that come after. RFC
// 5321 section 4.5.4.1 wants half an hour at least between servers, and allows more tries in the beginning.
var backoff = [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour}

// jitter is which part of a wait is left to chance, so that what failed together does not come back together.
const jitter = 5

// postpone sets when the next attempt makes sense, after one that failed.
func (e *Entry) postpone(now time.Time) {
	wait := backoff[min(e.Failures, len(backoff)-1)]
	e.Failures = min(e.Failures, len(backoff)) + 1
	var chance [2]byte
	_, _ = rand.Read(chance[:]) // never fails
	wait += wait / jitter * time.Duration(binary.BigEndian.Uint16(chance[:])) / (1 << 16)
	e.NextAttempt = now.Add(wait).UTC().Truncate(time.Second)
}

// Due reports whether an attempt makes sense now: there is something that can be done without asking a person, and the
// wait since the last failure is over.
func (e *Entry) Due(now time.Time) bool {
	open := slices.ContainsFunc(e.Messages, func(m Message) bool { return m.State == Queued })
	if !open && !e.copyOpen() {
		return false
	}
	// A wait longer than any is one that another clock began.
	wait := e.NextAttempt.Sub(now)
	return wait <= 0 || wait > 2*backoff[len(backoff)-1]
}

// copyOpen reports whether the sender's copy is yet to be made: something was sent, or may have been. So what went out
// is on record, also where a person decides later to drop what is uncertain.
func (e *Entry) copyOpen() bool {
	return e.Copy != nil && !e.Copy.Done && slices.ContainsFunc(e.Messages, func(m Message) bool {
		return len(m.Envelope.To) > 0 && (m.State == Sent || m.State == Uncertain)
	})
}

var (
	// ErrNotFound says that there is no entry of this name, or no longer.
	ErrNotFound = errors.New("no such entry in the outbox")
	// ErrBusy says that the entry is being delivered or dropped by somebody else at this moment.
	ErrBusy = errors.New("the entry is in use by another process")
	// ErrDamaged says that an entry on disk cannot be understood. It is left as it is.
	ErrDamaged = errors.New("the entry is damaged")
	// ErrInvalid says that an entry cannot be accepted as it was given.
	ErrInvalid = errors.New("the entry is invalid")
)

const (
	entryFile    = "entry.json"
	entryVersion = 2 // 1 had no refusals and no next attempt, and is read as well
	maxEntryFile = 16 << 20
	maxMessages  = 1024
	maxErrorText = 1000
)

// entryOnDisk is entry.json.
type entryOnDisk struct {
	Version int `json:"version"`
	Entry
}

func messageFile(i int) string { return fmt.Sprintf("%d.eml", i) }

// check tells what is wrong with an entry.
func (e *Entry) check() error {
	switch {
	case len(e.Messages) == 0 || len(e.Messages) > maxMessages:
		return fmt.Errorf("it has %d messages", len(e.Messages))
	case e.Created.IsZero():
		return errors.New("its time of making is missing")
	case e.Failures < 0:
		return fmt.Errorf("it has failed %d times", e.Failures)
	case e.Copy != nil && (e.Copy.Message < 0 || e.Copy.Message >= len(e.Messages)):
		return errors.New("its copy is none of its messages")
	case e.Copy != nil && (e.Copy.Folder == "" || e.MessageID == ""):
		return errors.New("its copy has no folder, or no Message-ID to be found by")
	}
	recipients := 0
	for i, m := range e.Messages {
		recipients += len(m.Envelope.To)
		switch {
		case !slices.Contains([]State{Queued, Uncertain, Sent, Refused}, m.State):
			return fmt.Errorf("message %d has the unknown state %q", i, m.State)
		case len(m.Envelope.To) == 0 && m.State != Sent:
			return fmt.Errorf("message %d is to be sent to nobody", i)
		case m.Size <= 0:
			return fmt.Errorf("message %d is empty", i)
		}
	}
	if recipients == 0 {
		return errors.New("it goes to nobody")
	}
	return nil
}

// markFile is an empty file beside entry.json that says that attempt n of message i has come to the final dot. It counts as
// long as entry.json does not tell of that attempt: a mark is made durable by one write of the disk, and a new entry.json by
// two.
func markFile(i, n int) string { return fmt.Sprintf("%d.dot-%d", i, n) }

// load reads an entry. An entry that is gone is ErrNotFound.
func load(dir, id string) (Entry, error) {
	e, _, err := loadVersion(dir, id)
	return e, err
}

// loadVersion is load that tells in which version the entry lies there.
func loadVersion(dir, id string) (e Entry, version int, err error) {
	if e, version, err = readEntry(dir, id); err != nil {
		return e, 0, err
	}
	for i := range e.Messages {
		m := &e.Messages[i]
		if m.State != Queued && m.State != Refused {
			continue
		}
		switch _, err := os.Lstat(filepath.Join(dir, markFile(i, m.Attempts+1))); {
		case err == nil:
			m.State = Uncertain
			m.Attempts++
		case !errors.Is(err, fs.ErrNotExist):
			return Entry{}, 0, err
		}
	}
	return e, version, nil
}

// readEntry reads entry.json.
func readEntry(dir, id string) (Entry, int, error) {
	f, err := os.Open(filepath.Join(dir, entryFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err == nil {
			return Entry{}, 0, fmt.Errorf("%s: %w: %s is missing", id, ErrDamaged, entryFile)
		}
		return Entry{}, 0, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Entry{}, 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEntryFile+1))
	if err != nil {
		return Entry{}, 0, err
	}
	e, version, err := decode(data)
	if err != nil {
		return Entry{}, 0, fmt.Errorf("%s: %w: %w", id, ErrDamaged, err)
	}
	e.ID = id
	return e, version, nil
}

// decode reads entry.json strictly: what a newer version might mean by an unknown field must not be guessed at.
func decode(data []byte) (e Entry, version int, err error) {
	if len(data) > maxEntryFile {
		return Entry{}, 0, errors.New("too large")
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Entry{}, 0, err
	}
	if head.Version < 1 || head.Version > entryVersion {
		return Entry{}, 0, fmt.Errorf("version %d is unknown", head.Version)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var onDisk entryOnDisk
	if err := decoder.Decode(&onDisk); err != nil {
		return Entry{}, 0, err
	}
	if err := onDisk.check(); err != nil {
		return Entry{}, 0, err
	}
	return onDisk.Entry, head.Version, nil
}

func encode(e Entry) ([]byte, error) {
	data, err := json.Marshal(entryOnDisk{entryVersion, e})
	if err == nil && len(data) > maxEntryFile {
		err = fmt.Errorf("%w: its description has %d octets", ErrInvalid, len(data))
	}
	return data, err
}

// idAlphabet sorts in the order of its values, and has no letters that look alike.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	idTime   = 9 // characters of 5 bits: milliseconds, enough for a thousand years
	idRandom = 5
)

// newID makes an ID that sorts by time and cannot be guessed from others.
func newID(now time.Time) string {
	ms := uint64(max(now.UnixMilli(), 0))
	id := make([]byte, idTime+idRandom)
	for i := idTime - 1; i >= 0; i-- {
		id[i] = idAlphabet[ms&31]
		ms >>= 5
	}
	random := id[idTime:]
	_, _ = rand.Read(random) // never fails
	for i := range random {
		random[i] = idAlphabet[random[i]&31]
	}
	return string(id)
}

// validID tells whether a name can be that of an entry; no other is ever made a path of.
func validID(id string) bool {
	return len(id) == idTime+idRandom && strings.Trim(id, idAlphabet) == ""
}

// errorText returns an error for keeping: one line, bounded.
func errorText(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}
