package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/mailbox/index"
)

// catalog is the local index of an archive, by which it is listed and searched: a cache, made out of the archive, whose
// messages it knows by their numbers. Folders have the name of their account before them.
type catalog struct {
	*index.Index
	client  *Client
	archive *archive.Archive
	passing string // folder that goes when it is closed; empty: it stays
}

// catalogMark is a folder without messages, whose mod-sequence is the last segment that the catalog has all of.
const catalogMark = ".through"

// catalogNumbering is the numbering of all folders of a catalog: numbers of an archive are for ever.
const catalogNumbering = 1

// catalogFolder is what a catalog calls a folder.
func catalogFolder(account, folder string) string { return account + "/" + folder }

// openCatalog opens the catalog of an archive, and makes it where it is missing or good for nothing. Where there is no vault that
// could keep its key, it is made for this once, as for somebody who has the key of a recovery certificate and nothing else. The
// caller closes it.
func (c *Client) openCatalog(ctx context.Context, a *archive.Archive) (*catalog, error) {
	if c.HasVault() {
		x, _, err := c.openIndexAt(ctx, c.o.Home.ArchiveIndex(a.ID()), "archive-index:"+a.ID())
		if err != nil {
			return nil, err
		}
		return &catalog{Index: x, client: c, archive: a}, nil
	}
	dir, err := os.MkdirTemp("", "sealmail-catalog-")
	if err != nil {
		return nil, failed("index", err, "")
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	x, _, err := index.Open(ctx, c.o.Disk, dir, key)
	if err != nil {
		return nil, errors.Join(explainIndex(err), os.RemoveAll(dir))
	}
	return &catalog{Index: x, client: c, archive: a, passing: dir}, nil
}

// Close closes the catalog.
func (k *catalog) Close() error {
	err := k.Index.Close()
	if k.passing != "" {
		err = errors.Join(err, os.RemoveAll(k.passing))
	}
	return err
}

// through returns the last segment that the catalog has all of.
func (k *catalog) through(ctx context.Context) (int, error) {
	mark, err := k.Folder(ctx, catalogMark)
	return int(mark.HighestModSeq), explainIndex(err)
}

// catalogEntry is what the catalog gets of a message.
type catalogEntry struct {
	line     ArchiveLine
	message  index.Message // of which UID, MessageID where there is none, and Line are the catalog's
	validity uint32        // UIDVALIDITY of the folder; 0: it is not known here
}

// weight is what an entry takes in memory, about.
func (e catalogEntry) weight() int64 { return int64(e.message.Text.Size()) + 4096 }

// digestID is what the catalog takes for the Message-ID of a message without one, so that it is found again.
func digestID(sha256 string) string { return "sha256:" + sha256 }

// add takes in messages of a segment; whole says that they are all of it. What is not whole is looked for again by catchUp.
func (k *catalog) add(ctx context.Context, segment int, entries []catalogEntry, whole bool) error {
	for len(entries) > 0 {
		folder := catalogFolder(entries[0].line.Account, entries[0].line.Folder)
		var batch []index.Message
		var octets int64
		i := 0
		for ; i < len(entries) && len(batch) < batchMessages && octets < batchOctets; i++ {
			e := entries[i]
			if catalogFolder(e.line.Account, e.line.Folder) != folder {
				break
			}
			octets += e.weight()
			m := e.message
			data, err := json.Marshal(e.line)
			if err != nil {
				return err
			}
			m.UID, m.Octets, m.Evidence, m.Line = mailbox.UID(e.line.Number), nil, nil, data
			if m.MessageID == "" {
				m.MessageID = digestID(e.line.SHA256)
			}
			batch = append(batch, m)
		}
		entries = entries[i:]
		f := index.Folder{Name: folder, UIDValidity: catalogNumbering}
		if _, err := k.Begin(ctx, folder, catalogNumbering); err != nil {
			return explainIndex(err)
		}
		if _, err := k.Add(ctx, f, batch); err != nil {
			return explainIndex(err)
		}
	}
	through, err := k.through(ctx)
	if err != nil || !whole || through != segment-1 {
		return err
	}
	if _, err := k.Begin(ctx, catalogMark, catalogNumbering); err != nil {
		return explainIndex(err)
	}
	return explainIndex(k.SetFlags(ctx, index.Folder{Name: catalogMark, UIDValidity: catalogNumbering}, nil, uint64(segment)))
}

// archiveLineOf is the line that the catalog keeps.
func archiveLineOf(l index.Line) (ArchiveLine, error) {
	var line ArchiveLine
	if err := json.Unmarshal(l.Data, &line); err != nil {
		return line, explainIndex(errors.Join(index.ErrDamaged, err))
	}
	return line, nil
}

// duplicate returns the number of an archived message with these octets; 0: there is none.
func (k *catalog) duplicate(ctx context.Context, messageID, sha256 string) (archive.Number, error) {
	if messageID == "" {
		messageID = digestID(sha256)
	}
	lines, err := k.FindEverywhere(ctx, messageID)
	if err != nil {
		return 0, explainIndex(err)
	}
	for _, l := range lines {
		line, err := archiveLineOf(l)
		if err != nil {
			return 0, err
		}
		if line.SHA256 == sha256 && line.DuplicateOf == nil {
			return archive.Number(line.Number), nil
		}
	}
	return 0, nil
}

// catchUp takes in what others archived, or what was lost with the cache.
func (k *catalog) catchUp(ctx context.Context) error {
	through, err := k.through(ctx)
	if err != nil {
		return err
	}
	if through > k.archive.Segments() { // another process may have added some since the head was read here
		if err := k.archive.Refresh(ctx); err != nil {
			return err
		}
	}
	if through > k.archive.Segments() {
		return failed("archive", fmt.Errorf("it has %d segments, and had %d before", k.archive.Segments(), through), "`sealmail archive verify` says more")
	}
	if through == k.archive.Segments() {
		return nil
	}
	reader := k.client.newArchiveReader(k.archive)
	progress := Progress{What: "index of the archive"}
	for segment := through + 1; segment <= k.archive.Segments(); segment++ {
		s, err := k.archive.Segment(ctx, segment)
		if isDamage(err) {
			k.client.o.Say(fmt.Sprintf("warning: segment %d is not listed: %v", segment, err))
			continue
		}
		if err != nil {
			return err
		}
		whole := true
		progress.Total = int(k.archive.Messages())
		var entries []catalogEntry
		for n := s.First; n <= s.Last; n++ {
			e, err := reader.entry(ctx, n)
			var gone *archive.ShreddedError
			switch {
			case errors.As(err, &gone):
				continue
			case isDamage(err):
				k.client.o.Say(fmt.Sprintf("warning: message %d is not listed: %v", n, err))
				whole = false
				continue
			case err != nil:
				return err
			}
			entries = append(entries, e)
			progress.Done = int(n)
			progress.Octets += e.line.Size
			k.client.tell(progress)
		}
		if err := k.add(ctx, segment, slices.Clip(entries), whole); err != nil {
			return err
		}
	}
	return nil
}
