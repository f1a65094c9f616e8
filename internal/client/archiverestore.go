package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/mailbox/putback"
)

// ArchiveRestoreParams say what of an archive is put back into the account, and where.
type ArchiveRestoreParams struct {
	ArchivePlace
	ArchiveChoice
	Into string // folder for all; empty: each into the one that it was archived of
}

// ArchiveRestoreLine is what became of one message.
type ArchiveRestoreLine struct {
	ArchivedOne
	To           *string `json:"to"`            // folder
	NewUID       *uint32 `json:"new_uid"`       // null: it is not there, or the store does not tell
	AlreadyThere bool    `json:"already_there"` // with the same octets, so that it was left as it is
	Error        *string `json:"error"`         // null: it is there
}

// ArchiveRestoreResult is what was restored.
type ArchiveRestoreResult struct {
	Account      string
	Restored     int
	Octets       int64 // of these
	AlreadyThere int
	Failed       int
}

// restoreBatch is how many messages are written down in the journal at a time.
const restoreBatch = 64

// ArchiveRestore puts messages of an archive back into the account, as they came, with flags and dates of arrival. What is in its
// folder with the same octets is left as it is: whatever ended an earlier run, the next one doubles nothing. each is told a line for
// each, once it is there. Messages that are destroyed or damaged, or that the store refuses, are left out: then the error says so. A
// result comes with an error as well, once anything was begun.
func (c *Client) ArchiveRestore(ctx context.Context, p ArchiveRestoreParams, each func(ArchiveRestoreLine) error) (result *ArchiveRestoreResult, err error) {
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	w, err := c.walkArchive(ctx, p.ArchivePlace, p.ArchiveChoice)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	journal, err := c.openRestores(a.Name, w.archive.ID())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	store, err := c.dialStore(ctx, a)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	x := &archiveRestore{client: c, walk: w, account: a, each: each, result: &ArchiveRestoreResult{Account: a.Name}}
	if x.into = p.Into; p.Into != "" {
		if x.into, err = folderAt(ctx, store, nil, a, p.Into); err != nil {
			return nil, err
		}
	}
	x.faults = archiveFaults{client: c, done: "restored"}
	x.progress = Progress{What: "restore", Total: w.total()}
	x.putter = putback.New(store, journal)
	err = x.run(ctx)
	x.result.Failed = x.faults.damage + x.faults.other
	if err != nil {
		return x.result, err
	}
	return x.result, x.faults.end("the same command again tries those, and puts nothing there twice")
}

// openRestores opens the journal of what is put back out of an archive into an account.
func (c *Client) openRestores(account, id string) (*putback.Journal, error) {
	path := c.o.Home.Restores(account, id)
	journal, err := putback.OpenJournal(c.o.Disk, path)
	switch {
	case errors.Is(err, putback.ErrBusy):
		return nil, failed("restore", putback.ErrBusy, "try again when the other one is done")
	case errors.Is(err, putback.ErrDamaged):
		return nil, failed(path, err, "remove it: then all that is in the folders is compared with the archive")
	case err != nil:
		return nil, failed("archive restore", err, "see that the disk has room; nothing was restored")
	}
	return journal, nil
}

// archiveRestore is a restoration that is under way.
type archiveRestore struct {
	client   *Client
	walk     *archiveWalk
	account  config.Account
	putter   *putback.Putter
	into     string // "": where each was
	each     func(ArchiveRestoreLine) error
	faults   archiveFaults
	progress Progress
	result   *ArchiveRestoreResult
}

// comingBack is a message on its way.
type comingBack struct {
	from chosenMessage
	to   putback.Message
}

// run restores all that is chosen.
func (x *archiveRestore) run(ctx context.Context) error {
	var batch []comingBack
	for m, err := range x.walk.messages(ctx) {
		if err != nil {
			return x.stopped(ctx, err)
		}
		r := comingBack{from: m}
		if m.err == nil {
			r.to, m.err = x.message(m)
		}
		if m.err == nil {
			batch = append(batch, r)
		}
		if len(batch) == restoreBatch || m.err != nil {
			if err := x.put(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
		if m.err != nil {
			if err := x.tell(m, ArchiveRestoreLine{}, m.err); err != nil {
				return err
			}
		}
	}
	return x.put(ctx, batch)
}

// put puts some messages back.
func (x *archiveRestore) put(ctx context.Context, batch []comingBack) error {
	messages := make([]putback.Message, len(batch))
	for i, r := range batch {
		messages[i] = r.to
	}
	err := x.putter.Put(ctx, messages, func(i int, r putback.Result) error {
		var known *Error // of the vault, or of a temporary file: the next would meet the same
		if errors.As(r.Err, &known) {
			return known
		}
		return x.tell(batch[i].from, ArchiveRestoreLine{To: &messages[i].Folder, NewUID: orNull(uint32(r.UID)), AlreadyThere: r.There}, r.Err)
	})
	if err != nil {
		return x.stopped(ctx, err)
	}
	return nil
}

// message is what is put back of a message of the archive.
func (x *archiveRestore) message(m chosenMessage) (putback.Message, error) {
	r := m.record
	to := putback.Message{Number: int64(m.number), Folder: x.into, Flags: restorable(r.Flags), Size: r.Size}
	if to.Folder == "" {
		to.Folder = orInbox(r.Folder)
	}
	sum, err := hex.DecodeString(r.SHA256)
	if err != nil || len(sum) != len(to.SHA256) {
		return to, fmt.Errorf("its record: %w", archive.ErrAltered)
	}
	copy(to.SHA256[:], sum)
	if r.InternalDate != nil {
		to.Date = *r.InternalDate
	}
	if found, err := readArchiveRecord(r.Findings); err == nil {
		to.MessageID = orEmpty(found.Line.MessageID)
	}
	to.Open = func(ctx context.Context) (io.ReadCloser, error) {
		again, err := x.walk.message(ctx, m.number) // its segment may have been closed since
		if err == nil {
			err = again.err
		}
		if err != nil {
			return nil, err
		}
		octets, err := again.octets(ctx, x.client)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{octets.Section(), octets}, nil
	}
	return to, nil
}

// tell tells what became of a message.
func (x *archiveRestore) tell(m chosenMessage, line ArchiveRestoreLine, why error) error {
	line.ArchivedOne = m.one()
	switch {
	case why != nil:
		x.faults.say(m, why)
		line.Error, line.NewUID = orNull(why.Error()), nil
	case line.AlreadyThere:
		x.result.AlreadyThere++
	default:
		x.result.Restored++
		x.result.Octets += m.record.Size
		x.progress.Octets += m.record.Size
	}
	x.progress.Done++
	x.client.tell(x.progress)
	return x.each(line)
}

// stopped says how far it came.
func (x *archiveRestore) stopped(ctx context.Context, why error) error {
	if ctx.Err() != nil {
		why = ctx.Err()
	}
	hint := "the same command again does the rest, and puts nothing there twice"
	explained := explainServer(why)
	if x.result.Restored == 0 && ctx.Err() == nil {
		return explained
	}
	return failed("", fmt.Errorf("stopped: %d message(s) are restored: %w", x.result.Restored, explained), hint)
}

// restorable are the flags that a message can be put into a folder with (RFC 9051 section 2.3.2): those of the system that a client may
// set, and keywords.
func restorable(flags []string) []string {
	var kept []string
	for _, flag := range flags {
		word, system := strings.CutPrefix(flag, `\`)
		known := slices.ContainsFunc([]string{"Seen", "Answered", "Flagged", "Deleted", "Draft"}, func(f string) bool { return strings.EqualFold(f, word) })
		odd := strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`(){%*"\]`, r) })
		if word != "" && !odd && (!system || known) {
			kept = append(kept, flag)
		}
	}
	return kept
}
