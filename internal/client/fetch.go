package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
	"github.com/sealmail/sealmail/smime/verdict"
)

// FetchParams say what to fetch.
type FetchParams struct {
	Folder string // empty: INBOX
	Strict bool   // the error tells about verdicts
}

// ListParams say what to list.
type ListParams struct {
	Folder  string // empty: INBOX
	Refresh bool
	Since   time.Time
	Limit   int
	Strict  bool
}

// indexRecord is what the index keeps of a message: its line, and what the verdict was decided by.
type indexRecord struct {
	Line     ListLine             `json:"line"`
	Evidence [][]verdict.Evidence `json:"evidence,omitempty"`
	Proof    proofRecord          `json:"proof,omitzero"`
}

// saveEvery is after how many messages the index is written: a kill costs at most so many to be fetched once more.
const saveEvery = 64

// Fetch downloads what is new in a folder, judges it, collects the certificates of good signers, and keeps all in the
// index. each is told one line a message. A message that is broken has its error in its line and stops nothing.
func (c *Client) Fetch(ctx context.Context, p FetchParams, each func(ListLine) error) error {
	f := fetcher{client: c, folder: orInbox(p.Folder), each: each}
	if err := f.run(ctx); err != nil {
		return err
	}
	if p.Strict {
		return f.strict.err()
	}
	return nil
}

// orInbox is the folder to fetch. The inbox has one name, in whatever case it is written (RFC 9051 section 5.1).
func orInbox(folder string) string {
	if folder == "" || strings.EqualFold(folder, "INBOX") {
		return "INBOX"
	}
	return folder
}

// strictness sums up lines for an exit code: a message that could not be read outranks a verdict that is not good.
type strictness struct{ broken, bad int }

func (s *strictness) add(line ListLine) {
	switch {
	case line.Error != nil:
		s.broken++
	case line.Verdict == nil || *line.Verdict != string(verdict.Passed):
		s.bad++
	}
}

func (s *strictness) err() error {
	switch {
	case s.broken > 0:
		return failed("", fmt.Errorf("%d message(s) could not be read", s.broken), "their lines say why")
	case s.bad > 0:
		return &Error{Kind: No, Err: fmt.Errorf("%d message(s) did not pass", s.bad), Hint: "`sealmail read UID` says why"}
	}
	return nil
}

type fetcher struct {
	client  *Client
	account config.Account
	folder  string
	each    func(ListLine) error
	judge   *judge
	store   mailbox.Store
	index   *index.Index
	state   index.State
	strict  strictness
}

func (f *fetcher) run(ctx context.Context) (err error) {
	c := f.client
	if f.account, err = c.account(); err != nil {
		return err
	}
	if f.index, err = c.openIndex(ctx, f.account, f.folder); err != nil {
		return err
	}
	if f.state, err = c.loadIndex(f.index); err != nil {
		return err
	}
	if f.judge, err = c.newJudge(VerifyParams{Revocation: string(f.account.Revocation), Online: true}); err != nil {
		return err
	}
	if f.store, err = c.dialStore(ctx, f.account); err != nil {
		return err
	}
	defer f.store.Close()
	status, err := f.store.Status(ctx, f.folder)
	if err != nil {
		return explainMessage("", f.folder, err)
	}
	if before := f.state.UIDValidity; before != status.UIDValidity {
		f.state = index.State{UIDValidity: status.UIDValidity, Next: 1}
		if before != 0 {
			c.o.Say("the server has renumbered " + f.folder + ": everything is fetched anew")
			if err := f.save(); err != nil { // also where there is nothing to fetch: the old lines are of no message
				return err
			}
		}
	}
	infos, err := f.store.List(ctx, f.folder, f.state.Next)
	if err != nil {
		return explainServer(err)
	}
	return f.messages(ctx, infos)
}

// messages fetches and judges what is new. Whatever ends it, what was done is kept.
func (f *fetcher) messages(ctx context.Context, infos []mailbox.Info) (err error) {
	unsaved := 0
	save := func() error {
		if unsaved == 0 {
			return nil
		}
		unsaved = 0
		return f.save()
	}
	defer func() { err = errors.Join(err, save()) }()
	for _, info := range infos {
		record, err := f.message(ctx, info)
		switch {
		case errors.Is(err, mailbox.ErrNotFound):
			continue // deleted by another client meanwhile
		case err != nil:
			return err
		}
		data, err := json.Marshal(record)
		if err != nil {
			return err
		}
		f.state.Records = append(f.state.Records, index.Record{UID: info.UID, Data: data})
		f.state.Next = info.UID + 1
		f.strict.add(record.Line)
		if unsaved++; unsaved == saveEvery {
			if err := save(); err != nil {
				return err
			}
		}
		if err := f.each(record.Line); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetcher) save() error {
	if err := f.index.Save(f.state); err != nil {
		return failed("index", err, "make room on the disk; nothing on the server was changed")
	}
	return nil
}

// message fetches and judges one message. The error is one that ends fetching; one of the message alone is in its line.
func (f *fetcher) message(ctx context.Context, info mailbox.Info) (indexRecord, error) {
	c := f.client
	line := ListLine{Account: f.account.Name, Folder: f.folder, UID: uint32(info.UID), Size: info.Size, Flags: info.Flags}
	if line.Flags == nil {
		line.Flags = []string{}
	}
	s := spool.New(c.spoolOptions())
	defer s.Close()
	err := f.store.Fetch(ctx, f.folder, info.UID, s)
	var tooLarge *mailbox.TooLargeError
	switch {
	case errors.As(err, &tooLarge):
		line.Error = orNull(err.Error())
		return indexRecord{Line: line}, nil
	case errors.Is(err, mailbox.ErrNotFound):
		return indexRecord{}, err
	case err != nil:
		return indexRecord{}, explainServer(err)
	}
	judged, err := f.judge.judge(ctx, fmt.Sprintf("message %d", info.UID), s)
	switch {
	case isMessageFault(err):
		line.Error = orNull(err.Error())
		return indexRecord{Line: line}, nil
	case err != nil:
		return indexRecord{}, err // the vault, the disk, an interruption: it concerns every message
	}
	defer judged.Close()
	judged.fill(&line)
	proof, err := c.keepProof(judged)
	if err != nil {
		return indexRecord{}, err
	}
	return indexRecord{Line: line, Evidence: judged.evidence, Proof: proof}, f.judge.collect(ctx, judged, "came with signed mail to "+f.account.Name, false)
}

// isMessageFault tells an error that one message is to blame for from one that would befall the next one too.
func isMessageFault(err error) bool {
	return errors.Is(err, smime.ErrTooManyLayers) || errors.Is(err, entity.ErrHeaderTooLarge) || errors.Is(err, spool.ErrTooLarge)
}

// fill writes what was found into a line.
func (r *judged) fill(line *ListLine) {
	header := r.header()
	line.MessageID, line.Date, line.From, line.Subject = header.MessageID, header.Date, header.From, header.Subject
	line.Verdict, line.Encryption = orNull(string(r.verdict.Status)), orNull(string(r.message.Encryption()))
	if cert := r.signer(); cert != nil {
		s := signerReport(cert, nil, nil)
		line.Signer = &ListLineSigner{Name: s.Name, Fingerprint: s.Fingerprint}
	}
}

// openIndex opens the index of a folder, whose key is in the vault.
func (c *Client) openIndex(ctx context.Context, a config.Account, folder string) (*index.Index, error) {
	v, err := c.openVault(ctx, false)
	if err != nil {
		return nil, err
	}
	key, err := v.Key(ctx, "index:"+url.PathEscape(a.Name))
	if err != nil {
		return nil, failed("vault", err, "")
	}
	path := c.o.Home.Index(a.Name, folder)
	if err := c.o.Disk.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, failed("index", err, "")
	}
	return index.Open(c.o.Disk, path, [32]byte(key))
}

// loadIndex reads an index; one that is damaged is only a cache, and is made anew.
func (c *Client) loadIndex(i *index.Index) (index.State, error) {
	state, err := i.Load()
	if errors.Is(err, index.ErrDamaged) {
		c.o.Say("warning: the local index is damaged, and is made anew")
		return index.State{}, nil
	}
	if err != nil {
		return state, failed("index", err, "")
	}
	return state, nil
}

// List tells the lines of a folder from the index, the oldest first.
func (c *Client) List(ctx context.Context, p ListParams, each func(ListLine) error) error {
	folder := orInbox(p.Folder)
	if p.Refresh {
		if err := c.Fetch(ctx, FetchParams{Folder: folder}, func(ListLine) error { return nil }); err != nil {
			return err
		}
	}
	a, err := c.account()
	if err != nil {
		return err
	}
	i, err := c.openIndex(ctx, a, folder)
	if err != nil {
		return err
	}
	state, err := c.loadIndex(i)
	if err != nil {
		return err
	}
	var lines []ListLine
	for _, r := range state.Records {
		var record indexRecord
		if err := json.Unmarshal(r.Data, &record); err != nil {
			return failed("index", err, "`sealmail list --refresh` makes it anew")
		}
		if p.Since.IsZero() || record.Line.Date != nil && !record.Line.Date.Before(p.Since) {
			lines = append(lines, record.Line)
		}
	}
	if p.Limit > 0 && len(lines) > p.Limit {
		lines = lines[len(lines)-p.Limit:]
	}
	if err := c.warnOfExpiry(a); err != nil {
		return err
	}
	var strict strictness
	for _, line := range lines {
		strict.add(line)
		if err := each(line); err != nil {
			return err
		}
	}
	if p.Strict {
		return strict.err()
	}
	return nil
}
