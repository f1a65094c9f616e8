package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/internal/export"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// ArchiveExportParams say what of an archive is exported, and into what.
type ArchiveExportParams struct {
	ArchivePlace
	ArchiveChoice
	To     string // file or directory that is made; what it is in has to be there
	Format string // eml, mbox, maildir or bag
}

// ArchiveExportLine is what became of one message.
type ArchiveExportLine struct {
	ArchivedOne
	Error *string `json:"error"` // null: it is in the export, once that is whole
}

// ArchiveExportResult is what was exported.
type ArchiveExportResult struct {
	To       string
	Exported int
	Octets   int64
	Failed   int
}

// exportedRecord is what a bag tells of a message beside its octets; its JSON is a contract.
type exportedRecord struct {
	Account     string    `json:"account"`
	Folder      string    `json:"folder"`
	UIDValidity uint32    `json:"uidvalidity"`
	UID         uint32    `json:"uid"`
	Archived    time.Time `json:"archived"`
	SHA256      string    `json:"sha256"`
	DuplicateOf *int64    `json:"duplicate_of"` // the number of the message that has the octets in the archive
	Then        *Report   `json:"then"`         // what was found when it was archived; null: it could not be opened
}

// ArchiveExport puts messages of an archive, as they came, into files that other programs read. each is told a line for each; what
// is exported is there, whole, once all is done, and after an error that comes without a result nothing is. Messages that are
// destroyed or damaged, or that the format has no way to tell, are left out: then the error says so, and comes with a result.
func (c *Client) ArchiveExport(ctx context.Context, p ArchiveExportParams, each func(ArchiveExportLine) error) (result *ArchiveExportResult, err error) {
	kinds := []export.Kind{export.EML, export.Mbox, export.Maildir, export.Bag}
	switch {
	case !slices.Contains(kinds, export.Kind(p.Format)):
		return nil, usage("archive export", fmt.Errorf("there is no format %.100q", p.Format), "eml, mbox, maildir or bag")
	case p.To == "":
		return nil, usage("archive export", errors.New("where to is not said"), "name a file or directory that is not there yet with --to PATH")
	}
	if err := mayReplace(p.To, nil); err != nil {
		return nil, err
	}
	w, err := c.walkArchive(ctx, p.ArchivePlace, p.ArchiveChoice)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	x := &archiveExport{client: c, kind: export.Kind(p.Format), each: each, result: &ArchiveExportResult{To: p.To}}
	x.faults = archiveFaults{client: c, done: "exported"}
	if x.oneAccount, err = w.oneAccount(ctx); err != nil {
		return nil, explainArchive(w.dir, err)
	}
	x.to, err = export.Open(export.Options{Kind: x.kind, Path: p.To, Disk: c.o.Disk, Clock: c.o.Now, Info: []export.Field{
		{Label: "Bag-Software-Agent", Value: "sealmail"},
		{Label: "External-Identifier", Value: w.archive.ID()},
	}})
	if err != nil {
		return nil, unwritable(p.To, err)
	}
	if err := x.run(ctx, w); err != nil {
		return nil, errors.Join(err, x.to.Abort())
	}
	if x.result.Exported == 0 {
		if err := x.to.Abort(); err != nil {
			return nil, unwritable(p.To, err)
		}
		if errors.Is(x.faults.first, export.ErrUnfit) {
			return nil, x.faults.end(unfitHint)
		}
		return nil, explainArchive(w.dir, x.faults.first)
	}
	if err := x.to.Close(); err != nil {
		return nil, unwritable(p.To, err)
	}
	x.result.Failed = x.faults.damage + x.faults.other
	return x.result, x.faults.end(unfitHint)
}

const unfitHint = "--format eml takes messages of any form"

// archiveExport is an export that is under way.
type archiveExport struct {
	client     *Client
	kind       export.Kind
	to         export.Exporter
	oneAccount bool
	each       func(ArchiveExportLine) error
	faults     archiveFaults
	result     *ArchiveExportResult
}

// run exports all that is chosen.
func (x *archiveExport) run(ctx context.Context, w *archiveWalk) error {
	progress := Progress{What: "export", Total: w.total()}
	for m, err := range w.messages(ctx) {
		if err != nil {
			return err
		}
		line := ArchiveExportLine{ArchivedOne: m.one()}
		lost, err := m.err, error(nil)
		if lost == nil {
			lost, err = x.message(ctx, m)
		}
		switch {
		case err != nil:
			return err
		case lost != nil:
			x.faults.say(m, lost)
			line.Error = orNull(lost.Error())
		default:
			x.result.Exported++
			x.result.Octets += m.record.Size
			progress.Octets += m.record.Size
		}
		if err := x.each(line); err != nil {
			return err
		}
		progress.Done++
		x.client.tell(progress)
	}
	return nil
}

// message exports a message. It returns why this one alone cannot be, or what ends all.
func (x *archiveExport) message(ctx context.Context, m chosenMessage) (lost, err error) {
	octets, err := m.octets(ctx, x.client)
	if err != nil {
		if isLost(ctx, err) {
			return err, nil
		}
		return nil, err
	}
	defer func() { err = errors.Join(err, octets.Close()) }()
	to := export.Message{Number: uint64(m.number), Folder: catalogFolder(m.record.Account, m.record.Folder), Flags: m.record.Flags,
		Size: m.record.Size, Octets: octets.Section()}
	if x.kind == export.Maildir && x.oneAccount {
		to.Folder = m.record.Folder // so that the inbox is where programs look for it
	}
	if m.record.InternalDate != nil {
		to.Date = *m.record.InternalDate
	}
	if x.kind == export.Bag {
		if to.Record, err = json.Marshal(recordForExport(m.record)); err != nil {
			return nil, err
		}
	}
	err = x.to.Add(ctx, to)
	switch {
	case errors.Is(err, export.ErrUnfit):
		return err, nil
	case err != nil:
		return nil, unwritable(x.result.To, err)
	}
	return nil, nil
}

// recordForExport is what a bag tells of a message.
func recordForExport(r *archive.Record) exportedRecord {
	e := exportedRecord{Account: r.Account, Folder: r.Folder, UIDValidity: r.UIDValidity, UID: r.UID, Archived: r.Archived, SHA256: r.SHA256,
		DuplicateOf: orNull(int64(r.OctetsIn))}
	if found, err := readArchiveRecord(r.Findings); err == nil {
		e.Then = found.Report
	}
	return e
}

// oneAccount reports whether all that is in an archive came from one account, as far as it can be read.
func (w *archiveWalk) oneAccount(ctx context.Context) (bool, error) {
	account := ""
	for i := 1; i <= w.archive.Segments(); i++ {
		s, err := w.archive.Segment(ctx, i)
		var contents *archive.Contents
		if err == nil {
			contents, err = s.Contents(ctx)
		}
		if err != nil {
			if !isLost(ctx, err) {
				return false, err
			}
			continue
		}
		for _, f := range contents.Folders {
			if account == "" {
				account = f.Account
			}
			if f.Account != account {
				return false, nil
			}
		}
	}
	return true, nil
}
