package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime/spool"
)

// ArchiveChoice says which messages of an archive are meant: those of IDs, or those of a folder that a query finds. Without all
// of these it is every message.
type ArchiveChoice struct {
	IDs    []string // each a number, a range like 40:50, last, or mid:<Message-ID>
	Folder string   // of an account, or ACCOUNT/FOLDER
	Query  string   // see index.ParseQuery
}

// ArchivedOne says which archived message a line is about; its JSON is a contract. What is null is lost with the message.
type ArchivedOne struct {
	Number  int64   `json:"number"`
	Account *string `json:"account"`
	Folder  *string `json:"folder"`
	UID     *uint32 `json:"uid"`
	Size    *int64  `json:"size"` // octets
	SHA256  *string `json:"sha256"`
	// DuplicateOf is the number of the message that has the octets in the archive; null: this one has.
	DuplicateOf *int64 `json:"duplicate_of"`
}

// archiveWalk goes through chosen messages of an archive, and past what is damaged in it.
type archiveWalk struct {
	client  *Client
	archive *archive.Archive
	dir     string
	folders []archive.FolderName // nil: any
	numbers []archive.Number     // ascending; nil: all

	gap archiveGap
}

// archiveGap are messages of a segment that cannot be opened.
type archiveGap struct {
	first, last archive.Number
	err         error
}

// chosenMessage is a message that was chosen.
type chosenMessage struct {
	number  archive.Number
	segment *archive.Segment
	record  *archive.Record // nil: err says why
	err     error
	said    bool // err was, of this and others together
}

// walkArchive opens an archive, and finds out which messages are chosen. The caller closes it.
func (c *Client) walkArchive(ctx context.Context, p ArchivePlace, choice ArchiveChoice) (*archiveWalk, error) {
	if len(choice.IDs) > 0 && (choice.Folder != "" || choice.Query != "") {
		return nil, usage("archive", errors.New("messages are named, and sought"), "name them, or give --folder and --query")
	}
	a, dir, err := c.openArchive(ctx, p)
	if err != nil {
		return nil, err
	}
	w := &archiveWalk{client: c, archive: a, dir: dir}
	if err := w.choose(ctx, choice); err != nil {
		return nil, errors.Join(explainArchive(dir, err), w.Close())
	}
	return w, nil
}

// choose finds out which messages are meant.
func (w *archiveWalk) choose(ctx context.Context, choice ArchiveChoice) (err error) {
	switch {
	case choice.Query != "":
		w.numbers, err = w.found(ctx, choice.Folder, choice.Query)
	case len(choice.IDs) > 0:
		w.numbers, err = w.named(ctx, choice.IDs)
	case choice.Folder != "":
		w.folders, err = w.foldersNamed(ctx, choice.Folder)
	}
	if err == nil && (w.archive.Messages() == 0 || w.numbers != nil && len(w.numbers) == 0) {
		err = failed("archive", errors.New("there is no such message in it"), "`sealmail archive list` shows what there is")
	}
	return err
}

// Close closes the archive.
func (w *archiveWalk) Close() error { return w.archive.Close() }

// named returns the numbers that IDs mean, each once.
func (w *archiveWalk) named(ctx context.Context, ids []string) ([]archive.Number, error) {
	var numbers []archive.Number
	for _, id := range ids {
		some, err := w.client.archiveNumbers(ctx, w.archive, id)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, some...)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// found returns the numbers of the messages that a query finds.
func (w *archiveWalk) found(ctx context.Context, folder, text string) (numbers []archive.Number, err error) {
	query, err := parseQuery(text)
	if err != nil {
		return nil, err
	}
	k, err := w.client.openCatalog(ctx, w.archive)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if err := k.catchUp(ctx); err != nil {
		return nil, err
	}
	folders, err := k.folders(ctx, folder)
	if err != nil {
		return nil, err
	}
	numbers = []archive.Number{}
	for _, name := range folders {
		err := k.Lines(ctx, index.Selection{Folder: name, Query: &query}, func(l index.Line) error {
			numbers = append(numbers, archive.Number(l.UID))
			return nil
		})
		if err != nil {
			return nil, explainIndex(err)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// foldersNamed returns the folders that a name means, by what the segments say that can be opened.
func (w *archiveWalk) foldersNamed(ctx context.Context, name string) ([]archive.FolderName, error) {
	var all []archive.FolderName
	for i := 1; i <= w.archive.Segments(); i++ {
		s, err := w.archive.Segment(ctx, i)
		var contents *archive.Contents
		if err == nil {
			contents, err = s.Contents(ctx)
		}
		switch {
		case err != nil && !isLost(ctx, err):
			return nil, err
		case err != nil:
			continue // what is in it is said to be lost
		}
		for _, f := range contents.Folders {
			if one := (archive.FolderName{Account: f.Account, Folder: f.Folder}); !slices.Contains(all, one) {
				all = append(all, one)
			}
		}
	}
	return w.client.archiveFolders(all, name)
}

// archiveFolders returns those of all folders of an archive that a name means: ACCOUNT/FOLDER, a folder of that name in all accounts, or a
// word such as sent for the one that is for that.
func (c *Client) archiveFolders(all []archive.FolderName, name string) (found []archive.FolderName, err error) {
	accounts := map[string][]mailbox.Folder{}
	for _, f := range all {
		accounts[f.Account] = append(accounts[f.Account], mailbox.Folder{Name: f.Folder})
		if catalogFolder(f.Account, f.Folder) == name || f.Folder == orInbox(name) {
			found = append(found, f)
		}
	}
	if _, isWord := useNamed(name); isWord && len(found) == 0 {
		for account, folders := range accounts {
			a, _ := c.config.Account(account) // one that is not set up any more names no folders
			if folder, ok := folderNamed(folders, a, name); ok {
				found = append(found, archive.FolderName{Account: account, Folder: folder})
			}
		}
	}
	if len(found) == 0 {
		return nil, failed("archive", fmt.Errorf("nothing was archived of a folder %q", name), "`sealmail archive list` shows what there is")
	}
	slices.SortFunc(found, func(a, b archive.FolderName) int {
		return strings.Compare(catalogFolder(a.Account, a.Folder), catalogFolder(b.Account, b.Folder))
	})
	return found, nil
}

// total is how many messages are chosen; 0: that is not known.
func (w *archiveWalk) total() int {
	switch {
	case w.numbers != nil:
		return len(w.numbers)
	case w.folders == nil:
		return int(w.archive.Messages())
	}
	return 0
}

// messages are the chosen ones, in ascending order. An error ends them.
func (w *archiveWalk) messages(ctx context.Context) iter.Seq2[chosenMessage, error] {
	return func(yield func(chosenMessage, error) bool) {
		i, n := 0, archive.Number(0)
		next := func() bool {
			if w.numbers == nil {
				n++
				return n <= w.archive.Messages()
			}
			if i++; i > len(w.numbers) {
				return false
			}
			n = w.numbers[i-1]
			return true
		}
		for next() {
			m, err := w.message(ctx, n)
			if err != nil {
				yield(chosenMessage{}, explainArchive(w.dir, err))
				return
			}
			if w.folders != nil {
				if m.record != nil && !w.inFolder(m.record.Account, m.record.Folder) {
					if past := w.past(ctx, m); past > n {
						n = past
					}
					continue
				}
				// What cannot be read may have been in the folder.
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// inFolder reports whether a folder is among those that are chosen.
func (w *archiveWalk) inFolder(account, folder string) bool {
	return slices.Contains(w.folders, archive.FolderName{Account: account, Folder: folder})
}

// past returns the last message of the segment of m, if nothing in it is in the folder; else 0.
func (w *archiveWalk) past(ctx context.Context, m chosenMessage) archive.Number {
	contents, err := m.segment.Contents(ctx)
	if err != nil {
		return 0 // each record says it
	}
	for _, f := range contents.Folders {
		if w.inFolder(f.Account, f.Folder) {
			return 0
		}
	}
	return m.segment.Last
}

// message finds a message, or why it is lost.
func (w *archiveWalk) message(ctx context.Context, n archive.Number) (chosenMessage, error) {
	m := chosenMessage{number: n}
	m.segment, m.err = w.segmentOf(ctx, n)
	if m.err == nil {
		m.record, m.err = m.segment.Record(ctx, n)
	} else {
		m.said = w.gap.first <= n && n <= w.gap.last && w.gap.first < w.gap.last
	}
	if m.err != nil && !isLost(ctx, m.err) {
		return m, m.err
	}
	if m.err != nil {
		m.record = nil
	}
	return m, nil
}

// segmentOf opens the segment of a message, also where others are damaged that are passed on the way.
func (w *archiveWalk) segmentOf(ctx context.Context, n archive.Number) (*archive.Segment, error) {
	if w.gap.first <= n && n <= w.gap.last {
		return nil, w.gap.err
	}
	s, err := w.archive.SegmentOf(ctx, n)
	if err == nil || !isLost(ctx, err) || n > w.archive.Messages() {
		return s, err
	}
	gap := archiveGap{1, w.archive.Messages(), err}
	for i := 1; i <= w.archive.Segments(); i++ {
		s, openErr := w.archive.Segment(ctx, i)
		switch {
		case openErr != nil && !isLost(ctx, openErr):
			return nil, openErr
		case openErr != nil:
			gap.err = openErr
			continue
		case s.First <= n && n <= s.Last:
			return s, nil
		case s.Last < n:
			gap.first = max(gap.first, s.Last+1)
		case s.First > n:
			gap.last = min(gap.last, s.First-1)
		}
		if s.First > n {
			break
		}
	}
	w.gap = gap
	if gap.first < gap.last {
		w.client.o.Say(fmt.Sprintf("warning: messages %d to %d cannot be had: %v", gap.first, gap.last, gap.err))
	}
	return nil, gap.err
}

// isLost reports whether an error of reading an archive is one of the archive, so that other messages can still be had.
func isLost(ctx context.Context, err error) bool {
	var known *Error // of the vault, or a quarantine that is full
	return err != nil && ctx.Err() == nil && !errors.As(err, &known)
}

// isDamage reports whether what was archived is gone or altered, and did not just stay shut.
func isDamage(err error) bool {
	var shredded *archive.ShreddedError
	if errors.As(err, &shredded) {
		return true
	}
	return slices.ContainsFunc([]error{archive.ErrAltered, archive.ErrMissing, archive.ErrSealed, archive.ErrTooLarge, archive.ErrSignature},
		func(damage error) bool { return errors.Is(err, damage) })
}

// octets returns a message as it came. The caller closes it.
func (m chosenMessage) octets(ctx context.Context, c *Client) (*spool.Spool, error) {
	s := spool.New(c.spoolOptions())
	if err := m.segment.Octets(ctx, m.record, quarantine{s}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// quarantine is a spool whose errors are told from those of what is written to it.
type quarantine struct{ *spool.Spool }

func (q quarantine) Write(p []byte) (int, error) {
	n, err := q.Spool.Write(p)
	if err != nil {
		err = failed("temporary file", err, "make room where temporary files are ($TMPDIR)")
	}
	return n, err
}

// one says which message it is.
func (m chosenMessage) one() ArchivedOne {
	one := ArchivedOne{Number: int64(m.number)}
	if r := m.record; r != nil {
		one.Account, one.Folder, one.UID, one.Size, one.SHA256 = &r.Account, &r.Folder, orNull(r.UID), &r.Size, &r.SHA256
		one.DuplicateOf = orNull(int64(r.OctetsIn))
	}
	return one
}

// archiveFaults counts what could not be done with messages of an archive, and says each.
type archiveFaults struct {
	client *Client
	done   string // the word for what was not
	damage int
	other  int
	first  error
}

// say says why a message was left out.
func (f *archiveFaults) say(m chosenMessage, err error) {
	if f.first == nil {
		f.first = err
	}
	if isDamage(err) {
		f.damage++
	} else {
		f.other++
	}
	if !m.said {
		f.client.o.Say(fmt.Sprintf("warning: message %d was not %s: %v", m.number, f.done, err))
	}
}

// end is the error that comes of it all; hint is what to do where the archive is not to blame.
func (f *archiveFaults) end(hint string) error {
	n := f.damage + f.other
	if n == 0 {
		return nil
	}
	err := fmt.Errorf("%d message(s) were not %s: %w", n, f.done, f.first)
	if f.damage > 0 {
		return &Error{Kind: No, Err: err, Hint: "`sealmail archive verify` names all that is wrong"}
	}
	return failed("", err, hint)
}
