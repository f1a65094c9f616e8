package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/mailbox/index"
)

// ArchiveListParams say what of an archive to list.
type ArchiveListParams struct {
	ArchivePlace
	ListParams        // Folder is that of the account, or ACCOUNT/FOLDER; Refresh is not asked for
	Query      string // see index.ParseQuery; empty: all
}

// ArchiveList tells the lines of archived messages, the oldest first. Of a query, that nothing is found is no error.
func (c *Client) ArchiveList(ctx context.Context, p ArchiveListParams, each func(ArchiveLine) error) (err error) {
	s := index.Selection{Since: p.Since, Limit: p.Limit}
	if p.Query != "" {
		query, err := parseQuery(p.Query)
		if err != nil {
			return err
		}
		s.Query = &query
	}
	a, dir, err := c.openArchive(ctx, p.ArchivePlace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	k, err := c.openCatalog(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if err := k.catchUp(ctx); err != nil {
		return explainArchive(dir, err)
	}
	folders, err := k.folders(ctx, p.Folder)
	if err != nil {
		return err
	}
	if p.Limit > 0 {
		s.Limit = p.Limit + 1 // to know whether there are more
	}
	var held []ArchiveLine
	for _, folder := range folders {
		s.Folder = folder
		err := k.Lines(ctx, s, func(from index.Line) error {
			line, err := archiveLineOf(from)
			if err != nil {
				return err
			}
			if p.Limit > 0 { // the first may be one too many
				held = append(held, line)
				return nil
			}
			return each(line)
		})
		if err != nil {
			return explainIndex(err)
		}
	}
	if p.Limit > 0 && len(held) > p.Limit {
		held = held[len(held)-p.Limit:]
		if p.More != nil {
			p.More()
		}
	}
	for _, line := range held {
		if err := each(line); err != nil {
			return err
		}
	}
	return nil
}

// folders are those of the catalog that a name means: one of an account, one of that name in all accounts, or, without a name, all
// together.
func (k *catalog) folders(ctx context.Context, name string) ([]string, error) {
	if name == "" {
		return []string{""}, nil
	}
	all, err := k.Folders(ctx)
	if err != nil {
		return nil, explainIndex(err)
	}
	var known []archive.FolderName
	for _, f := range all {
		if account, folder, ok := strings.Cut(f.Name, "/"); ok && f.Name != catalogMark {
			known = append(known, archive.FolderName{Account: account, Folder: folder})
		}
	}
	found, err := k.client.archiveFolders(known, name)
	var names []string
	for _, f := range found {
		names = append(names, catalogFolder(f.Account, f.Folder))
	}
	return names, err
}

// parseQuery reads what is sought.
func parseQuery(text string) (index.Query, error) {
	query, err := index.ParseQuery(text)
	var broken *index.QueryError
	switch {
	case errors.As(err, &broken):
		return query, usage("query", broken, broken.Hint)
	case err != nil:
		return query, usage("query", err, "")
	}
	return query, nil
}

// archiveNumbers returns the numbers that an ID means: a number, a range, "last", or "mid:" with a Message-ID.
func (c *Client) archiveNumbers(ctx context.Context, a *archive.Archive, id string) (numbers []archive.Number, err error) {
	if messageID, byMessageID := strings.CutPrefix(id, "mid:"); byMessageID {
		k, err := c.openCatalog(ctx, a)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, k.Close()) }()
		if err := k.catchUp(ctx); err != nil {
			return nil, err
		}
		lines, err := k.FindEverywhere(ctx, strings.Trim(messageID, "<> "))
		if err != nil {
			return nil, explainIndex(err)
		}
		for _, l := range lines {
			numbers = append(numbers, archive.Number(l.UID))
		}
		slices.Sort(numbers)
		if len(numbers) == 0 {
			return nil, noSuchArchived(id)
		}
		return numbers, nil
	}
	if id == "last" {
		if a.Messages() == 0 {
			return nil, noSuchArchived(id)
		}
		return []archive.Number{a.Messages()}, nil
	}
	first, last, isRange := strings.Cut(id, ":")
	low, err := strconv.ParseInt(first, 10, 64)
	high := low
	if isRange && err == nil {
		high, err = strconv.ParseInt(last, 10, 64)
	}
	if err != nil || low < 1 || high < low {
		return nil, usage("", fmt.Errorf("%q names no archived message", id), "a number, a range like 40:50, last, or mid:<Message-ID>")
	}
	for n := archive.Number(low); n <= min(archive.Number(high), a.Messages()); n++ {
		numbers = append(numbers, n)
	}
	if len(numbers) == 0 {
		return nil, noSuchArchived(id)
	}
	return numbers, nil
}

func noSuchArchived(id string) error {
	return failed("message "+id, errors.New("there is none such in the archive"), "`sealmail archive list` shows the numbers of what there is")
}

// ArchiveReadParams say which archived message to read.
type ArchiveReadParams struct {
	ArchivePlace
	ID string
}

// ArchiveReport is what there is to say of an archived message: what holds now, and what was found when it was archived.
type ArchiveReport struct {
	Number   int64     `json:"number"`
	Archived time.Time `json:"archived"`
	Flags    []string  `json:"flags"`
	*Report
	// Then is the report of when the message was archived; null: it could not be opened.
	Then *Report `json:"then"`
}

// ArchiveRead opens archived messages and judges them by what is known and trusted now; each is told that with what was found
// when they were archived. No server is asked. Of a message that cannot be opened now, it is the latter alone.
func (c *Client) ArchiveRead(ctx context.Context, p ArchiveReadParams, each func(*ArchiveReport) error) error {
	return c.eachArchived(ctx, p, func(r *archiveReader, m *archivedCopy) (err error) {
		report := &ArchiveReport{Number: int64(m.of.Number), Archived: m.of.Archived, Flags: orNone(m.of.Flags), Then: m.record.Report}
		judged, err := r.now(ctx, m)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, judged.Close()) }()
		report.Report = judged.report()
		report.Account, report.Folder, report.UID = orNull(m.of.Account), orNull(m.of.Folder), orNull(m.of.UID)
		text, err := judged.message.Text(0)
		if err != nil {
			return failed(m.name(), err, "")
		}
		if judged.message.Content != nil {
			report.Text = &text.Body
		}
		report.Warnings = boundWarnings(append(report.Warnings, judged.textWarnings(text)...))
		return each(report)
	})
}

// eachArchived gets the messages that an ID means out of the archive, one after the other.
func (c *Client) eachArchived(ctx context.Context, p ArchiveReadParams, use func(*archiveReader, *archivedCopy) error) (err error) {
	a, dir, err := c.openArchive(ctx, p.ArchivePlace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	numbers, err := c.archiveNumbers(ctx, a, p.ID)
	if err != nil {
		return explainArchive(dir, err)
	}
	r := c.newArchiveReader(a)
	for _, n := range numbers {
		m, err := r.get(ctx, n)
		if err != nil {
			return explainArchive(dir, err)
		}
		if err := errors.Join(use(r, m), m.Close()); err != nil {
			return err
		}
	}
	return nil
}

// ArchiveReadRaw writes the octets of archived messages as they came.
func (c *Client) ArchiveReadRaw(ctx context.Context, p ArchiveReadParams, w io.Writer) error {
	return c.eachArchived(ctx, p, func(_ *archiveReader, m *archivedCopy) error {
		_, err := io.Copy(w, contextReader{ctx, m.spool.Section()})
		return err
	})
}
