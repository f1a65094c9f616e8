package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/mailbox/index"
)

// ArchivePullParams say what is archived, where, and by whom it is signed and stamped.
type ArchivePullParams struct {
	Folders []string // or words such as sent; none: INBOX
	All     bool     // every folder of the account
	To      string   // folder of the archive; empty: the one that this home knows

	Signer      string      // fingerprint of the archiving certificate, or its beginning; empty: the one that there is
	Stamp       StampParams // who is asked for timestamps; Hash is not asked for
	NoTimestamp bool
	Keys        KeyFiles // private keys of recovery certificates, for segments whose keys the vault has not
	Recovery    []string // files with certificates, for an archive that is made
	Witness     string   // file that gets a copy of the head; empty: none
	Expunge     bool     // remove at the server what was read back from the archive
}

// ArchivePullResult is what came of it.
type ArchivePullResult struct {
	Archive    string `json:"archive"` // its identifier
	Path       string `json:"path"`
	Made       bool   `json:"made"`
	Archived   int    `json:"archived"` // messages
	Octets     int64  `json:"octets"`   // of these, as they came
	Duplicates int    `json:"duplicates"`
	Failed     int    `json:"failed"` // that could not be had; they are tried again the next time
	Expunged   int    `json:"expunged"`
	Segments   int    `json:"segments"`  // that were made
	Unstamped  []int  `json:"unstamped"` // segments that have no timestamp yet
}

// ArchivePull archives what is new in folders of the account. each is told a line for each message that is archived, once it is: whatever
// ends it then, that stays, and the next time goes on from there. With an error that came later there is a result, of what was done before.
func (c *Client) ArchivePull(ctx context.Context, p ArchivePullParams, each func(ArchiveLine) error) (result *ArchivePullResult, err error) {
	account, err := c.account()
	if err != nil {
		return nil, err
	}
	if p.All && len(p.Folders) > 0 {
		return nil, usage("archive pull", errors.New("all folders, or some of them"), "name folders, or say --all")
	}
	if p.Expunge && p.NoTimestamp {
		return nil, usage("archive pull", errors.New("what has no timestamp is not removed at the server"), "leave out --no-timestamp or --expunge-verified")
	}
	u := &archivePuller{
		client: c, account: account, p: p, each: each, result: &ArchivePullResult{Unstamped: []int{}}, before: map[numbered][]mailbox.UID{},
	}
	defer func() { err = errors.Join(err, u.close()) }()
	if err := u.open(ctx); err != nil {
		return nil, err
	}
	err = u.pull(ctx)
	head, _ := u.archive.Head()
	u.result.Unstamped = append(u.result.Unstamped, head.Unstamped...)
	return u.result, err
}

// archivePuller brings messages from a store into an archive.
type archivePuller struct {
	client  *Client
	account config.Account
	p       ArchivePullParams
	each    func(ArchiveLine) error
	result  *ArchivePullResult

	dir      string
	folders  []string
	archive  *archive.Archive
	writer   *archive.Writer
	catalog  *catalog
	judge    *judge
	store    mailbox.Store
	progress Progress

	folder string // that is pulled now

	late    bool  // segments of earlier runs are being stamped
	refused error // by the authorities, since
	waiting []int // segments that were not asked for because of that

	// before is what the archive had already, of what is at the server: for Expunge.
	before map[numbered][]mailbox.UID

	// What is in the open segment: to be told and taken into the catalog once it is sealed.
	entries []catalogEntry
	weight  int64
	digests map[string]archive.Number // of messages in it
}

// close closes what is open, in the order that it was opened in, backwards.
func (u *archivePuller) close() error {
	var errs []error
	if u.store != nil {
		errs = append(errs, u.store.Close())
	}
	if u.writer != nil {
		errs = append(errs, u.writer.Close())
	}
	if u.catalog != nil {
		errs = append(errs, u.catalog.Close())
	}
	if u.archive != nil {
		errs = append(errs, u.archive.Close())
	}
	return errors.Join(errs...)
}

// witness keeps copies of the head elsewhere.
func (u *archivePuller) witness(ctx context.Context) error {
	return explainArchive(u.dir, u.client.keepHead(ctx, u.archive, u.dir, u.p.Witness))
}

// errStampsRefused says that nobody was asked, because the authorities had just refused.
var errStampsRefused = errors.New("the authorities have just refused")

// unlessRefused asks for a timestamp. For segments of earlier runs nobody is asked again who refused: there may be many of them, and
// to wait for an authority that is silent takes its time.
func unlessRefused[T any](u *archivePuller, ask func(context.Context, T) ([]byte, error)) func(context.Context, T) ([]byte, error) {
	return func(ctx context.Context, over T) ([]byte, error) {
		if u.late && u.refused != nil {
			return nil, errStampsRefused
		}
		got, err := ask(ctx, over)
		u.refused = err
		return got, err
	}
}

// unstamped says why a segment has no timestamp yet.
func (u *archivePuller) unstamped(segment int, err error) {
	switch {
	case errors.Is(err, errStampsRefused):
		u.waiting = append(u.waiting, segment)
	case err != nil:
		u.client.o.Say(fmt.Sprintf("warning: segment %d has no timestamp yet: %v; the next pull asks again", segment, err))
	}
}

// stampLate gets timestamps for segments that have none.
func (u *archivePuller) stampLate(ctx context.Context) error {
	if head, _ := u.archive.Head(); len(head.Unstamped) == 0 || u.p.NoTimestamp {
		return nil
	}
	u.late = true
	done, err := u.writer.Stamp(ctx)
	u.late = false
	if len(u.waiting) > 0 {
		u.client.o.Say(fmt.Sprintf("warning: %d more segment(s) from earlier have no timestamp yet; the next pull asks again", len(u.waiting)))
	}
	if done > 0 {
		u.client.o.Say(fmt.Sprintf("note: %d segment(s) that had no timestamp have one now", done))
	}
	if err != nil {
		return explainArchive(u.dir, err)
	}
	return u.witness(ctx)
}

// pull goes through the folders. What was taken is sealed also where it ends early.
func (u *archivePuller) pull(ctx context.Context) error {
	pulled, err := u.pulled(ctx)
	if err != nil {
		return explainArchive(u.dir, err)
	}
	u.forget()
	for _, folder := range u.folders {
		if err = u.pullFolder(ctx, folder, pulled); err != nil {
			break
		}
	}
	// An interruption does not lose what was taken: to seal it is a matter of a moment.
	if sealErr := u.seal(context.WithoutCancel(ctx)); sealErr != nil {
		return errors.Join(err, sealErr)
	}
	if err == nil {
		err = u.expungeBefore(ctx)
	}
	if err == nil && u.result.Failed > 0 {
		err = failed("archive pull", fmt.Errorf("%d message(s) could not be had, and are not archived", u.result.Failed), "the next `sealmail archive pull` tries them again")
	}
	if ctx.Err() != nil {
		return failed("", stoppedError{u.progress.Done, u.progress.Total, "archived", ctx.Err()}, "the rest comes with the next `sealmail archive pull`")
	}
	return err
}

// meant are the folders that are meant.
func (u *archivePuller) meant(ctx context.Context) ([]string, error) {
	if u.p.All {
		f := fetcher{client: u.client, account: u.account, store: u.store}
		return f.folders(ctx)
	}
	var names []string
	for _, word := range u.p.Folders {
		name, err := folderAt(ctx, u.store, nil, u.account, word)
		if err != nil {
			return nil, err
		}
		if slices.Contains(names, name) {
			continue
		}
		if _, err := u.store.Status(ctx, name); err != nil { // before an archive is made for it
			return nil, explainMessage("", name, err)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		names = append(names, "INBOX")
	}
	return names, nil
}

// numbered is a folder under one numbering.
type numbered struct {
	folder   string
	validity uint32
}

// pulled is what the archive has of the account. Nothing else says so: what a segment says that was sealed cannot be lost or be
// wrong.
func (u *archivePuller) pulled(ctx context.Context) (map[numbered]*archive.UIDSet, error) {
	sets := map[numbered]*archive.UIDSet{}
	for segment := 1; segment <= u.archive.Segments(); segment++ {
		s, err := u.archive.Segment(ctx, segment)
		if err != nil {
			return nil, err
		}
		contents, err := s.Contents(ctx)
		if err != nil {
			return nil, err
		}
		for _, f := range contents.Folders {
			if f.Account != u.account.Name {
				continue
			}
			at := numbered{f.Folder, f.UIDValidity}
			if sets[at] == nil {
				sets[at] = &archive.UIDSet{}
			}
			sets[at].Union(f.UIDs)
		}
	}
	return sets, nil
}

// pullFolder archives what is new in a folder.
func (u *archivePuller) pullFolder(ctx context.Context, folder string, pulled map[numbered]*archive.UIDSet) error {
	status, err := u.store.Status(ctx, folder)
	if err != nil {
		return explainMessage("", folder, err)
	}
	at := numbered{folder, status.UIDValidity}
	there := pulled[at]
	if there == nil {
		there = &archive.UIDSet{}
		for other := range pulled {
			if other.folder == folder {
				u.client.o.Say("note: the server has renumbered " + folder + ": all of it is looked at again, and nothing is archived twice")
				break
			}
		}
	}
	uids, err := u.store.UIDs(ctx, folder)
	if err != nil {
		return explainServer(err)
	}
	var fresh []mailbox.UID
	for _, uid := range uids {
		switch {
		case !there.Has(uint32(uid)):
			fresh = append(fresh, uid)
		case u.p.Expunge:
			u.before[at] = append(u.before[at], uid)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	infos, err := u.store.List(ctx, folder, fresh[0])
	if err != nil {
		return explainServer(err)
	}
	infos = slices.DeleteFunc(infos, func(i mailbox.Info) bool {
		_, isNew := slices.BinarySearch(fresh, i.UID)
		return !isNew
	})
	u.folder = folder
	u.progress = Progress{What: folder, Total: len(infos)}
	for _, i := range infos {
		u.progress.AllOctets += i.Size
	}
	end := &archiveEnd{judge: u.judge, account: u.account.Name, folder: index.Folder{Name: folder, UIDValidity: status.UIDValidity}, keep: u.keep}
	return newArrivals(u.client, u.store, folder, infos, end).run(ctx)
}

// keep puts a message into the open segment. Whatever is wrong with it, its octets are archived; one that could not be had is tried
// again the next time.
func (u *archivePuller) keep(ctx context.Context, a *arrival[archived]) error {
	f := &a.found
	if f.skip {
		u.progress.Total--
		return nil
	}
	if a.err != nil {
		u.result.Failed++
		u.client.o.Say(fmt.Sprintf("warning: message %d in %s was not archived: %v", a.info.UID, u.folder, a.err))
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx = context.WithoutCancel(ctx) // an interruption would take what is in the segment already with it
	digest := f.record.SHA256
	duplicate := u.digests[digest]
	if duplicate == 0 {
		var err error
		if duplicate, err = u.catalog.duplicate(ctx, orEmpty(f.line.MessageID), digest); err != nil {
			return err
		}
		if duplicate != 0 && !u.shares(ctx, duplicate, digest) {
			duplicate = 0
		}
	}
	m, err := f.given(duplicate)
	if err != nil {
		return err
	}
	record, err := u.writer.Add(ctx, m, a.octets.Section())
	var gone *archive.ShreddedError
	if errors.As(err, &gone) { // and here it is again: it has octets of its own now
		m.Duplicate, duplicate = 0, 0
		record, err = u.writer.Add(ctx, m, a.octets.Section())
	}
	if err != nil {
		u.forget()
		return explainArchive(u.dir, err)
	}
	line := archiveLine(f.line, record)
	if duplicate == 0 {
		u.digests[digest] = record.Number
	}
	entry := catalogEntry{line: line, message: f.message, validity: record.UIDValidity}
	entry.message.Octets = nil
	u.entries = append(u.entries, entry)
	u.weight += entry.weight()
	u.progress.Done++
	u.progress.Octets += record.Size
	u.client.tell(u.progress)
	if u.writer.Full() || u.weight >= maxUnderWayOctets {
		return u.seal(ctx)
	}
	return nil
}

// shares reports whether the octets of an archived message are there, whole, so that another message can do with them. Where they
// were destroyed the writer says so.
func (u *archivePuller) shares(ctx context.Context, n archive.Number, digest string) bool {
	s, err := u.archive.SegmentOf(ctx, n)
	var r *archive.Record
	if err == nil {
		r, err = s.Record(ctx, n)
	}
	if err == nil {
		err = s.Octets(ctx, r, io.Discard)
	}
	var gone *archive.ShreddedError
	return errors.As(err, &gone) || err == nil && r.SHA256 == digest && r.OctetsIn == 0
}

// forget forgets what was in the open segment.
func (u *archivePuller) forget() {
	u.entries, u.weight, u.digests = nil, 0, map[string]archive.Number{}
}

// seal makes what was taken part of the archive, then part of the catalog, and then tells of it.
func (u *archivePuller) seal(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	sealed, err := u.writer.Seal(ctx)
	entries := u.entries
	u.forget()
	if err != nil {
		return explainArchive(u.dir, err)
	}
	if sealed == nil {
		return nil
	}
	u.result.Segments++
	// What is archived is told of, also where one of these cannot be written.
	kept := errors.Join(u.witness(ctx), u.catalog.add(ctx, sealed.Segment, entries, true))
	for _, e := range entries {
		u.result.Archived++
		u.result.Octets += e.line.Size
		if e.line.DuplicateOf != nil {
			u.result.Duplicates++
		}
		if err := u.each(e.line); err != nil {
			return err
		}
	}
	switch {
	case kept != nil || !u.p.Expunge:
		return kept
	case !sealed.Stamped:
		u.staysUnstamped(sealed.Segment)
		return nil
	}
	taken := map[numbered]map[uint32]string{}
	for _, e := range entries {
		at := numbered{e.line.Folder, e.validity}
		if taken[at] == nil {
			taken[at] = map[uint32]string{}
		}
		taken[at][e.line.UID] = e.line.SHA256
	}
	return u.expunge(ctx, sealed.Segment, taken)
}
