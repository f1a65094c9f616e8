package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/mailbox/index"
)

// ArchiveScope says which messages something is said about: all, or those that are named in any of the other ways.
type ArchiveScope struct {
	All     bool
	IDs     []string // as for ArchiveRead
	Folders []string // ACCOUNT/FOLDER, or a folder of that name in all accounts that were archived; what comes later too
	Query   string   // what it finds now
}

func (s ArchiveScope) given() bool { return s.All || len(s.IDs)+len(s.Folders) > 0 || s.Query != "" }

// ArchiveHoldParams say what is held, or which hold is released. With neither, the holds are told.
type ArchiveHoldParams struct {
	ArchivePlace
	Name    string
	Release bool
	Reason  string
	By      string // who says so; empty: the account's address
	Scope   ArchiveScope
	Signer  string // as for ArchivePull
	Witness string
}

// ArchiveRetainParams say for how long messages must be kept. Without a period the retentions are told.
type ArchiveRetainParams struct {
	ArchiveHoldParams        // Name names the retention
	Period            string // like 10y, 6m, 30d
	Due               bool   // tell the messages whose retention is over, and that are not held
}

// ArchiveHoldLine is a hold or a retention that is in force.
type ArchiveHoldLine struct {
	Kind      string    `json:"kind"` // hold, retain
	Name      *string   `json:"name"`
	Period    *string   `json:"period,omitempty"`
	Reason    *string   `json:"reason"`
	By        *string   `json:"by"`
	Since     time.Time `json:"since"`
	All       bool      `json:"all"`
	Messages  *string   `json:"messages"` // like 1-500,502
	Folders   []string  `json:"folders"`
	Statement int       `json:"statement"`
}

// ArchiveHold says that messages must not be destroyed until the hold is released, or releases one, and tells all that are in
// force.
func (c *Client) ArchiveHold(ctx context.Context, p ArchiveHoldParams, each func(ArchiveHoldLine) error) error {
	const what = "archive hold"
	switch {
	case p.Name == "" && (p.Release || p.Scope.given() || p.Reason != ""):
		return usage(what, errors.New("the hold has no name"), "name it, as in `sealmail archive hold case-7 --folder INBOX`")
	case p.Name != "" && p.Release && p.Scope.given():
		return usage(what, errors.New("a hold is released whole"), "leave out what it is about")
	case p.Name != "" && !p.Release && !p.Scope.given():
		return usage(what, errors.New("what is held is not said"), "name messages, --folder, --query or --all")
	}
	statement := archive.Statement{Kind: archive.StatementHold, Name: p.Name, Reason: p.Reason}
	if p.Release {
		statement.Kind = archive.StatementRelease
	}
	return c.stating(ctx, p, statement, func(policy *archive.Policy) error {
		if len(policy.Holds()) == 0 {
			c.o.Say("note: no hold is in force")
		}
		return tellHolds(policy, each)
	})
}

// ArchiveRetain says for how long messages must be kept, counted from the time that is proven of their archiving, and tells all
// retentions. With Due it tells the lines of messages that may be destroyed now.
func (c *Client) ArchiveRetain(ctx context.Context, p ArchiveRetainParams, each func(ArchiveHoldLine) error, due func(ArchiveLine) error) error {
	const what = "archive retain"
	statement := archive.Statement{Kind: archive.StatementRetain, Name: p.Name, Reason: p.Reason}
	h := p.ArchiveHoldParams
	switch {
	case p.Due && (p.Period != "" || p.Scope.given()):
		return usage(what, errors.New("--due lists, and says nothing new"), "leave out the period and what it is about")
	case p.Period == "" && p.Scope.given():
		return usage(what, errors.New("for how long is not said"), "give the period first, like 10y or 18m")
	case p.Period != "" && !p.Scope.given():
		return usage(what, errors.New("what is to be kept is not said"), "name messages, --folder, --query or --all")
	case p.Period != "":
		var err error
		if statement.Period, err = archive.ParsePeriod(p.Period); err != nil {
			return usage(what, err, "write it like 10y, 18m, 90d or 1y6m")
		}
	default:
		statement.Kind = "" // nothing is said
	}
	return c.stating(ctx, h, statement, func(policy *archive.Policy) error {
		if !p.Due {
			if len(policy.Retentions()) == 0 {
				c.o.Say("note: nothing was said yet about how long messages are kept")
			}
			return tellRetentions(policy, each)
		}
		return c.tellDue(ctx, h.ArchivePlace, policy, due)
	})
}

// stating makes a statement, unless it is of no kind or has neither name nor period, and uses what then is the policy.
func (c *Client) stating(ctx context.Context, p ArchiveHoldParams, s archive.Statement, use func(*archive.Policy) error) (err error) {
	a, dir, err := c.openArchive(ctx, p.ArchivePlace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if s.Kind != "" && (s.Name != "" || s.Kind == archive.StatementRetain) {
		if s.Scope, err = c.archiveScope(ctx, a, p.Scope); err != nil {
			return explainArchive(dir, err)
		}
		if s.By = p.By; s.By == "" {
			if account, found, err := c.optionalAccount(); err != nil {
				return err
			} else if found {
				s.By = account.Address
			}
		}
		err := c.changeArchive(ctx, a, dir, p.Signer, p.Witness, false, func(w *archive.Writer) error { return w.State(ctx, &s) })
		switch {
		case errors.Is(err, archive.ErrHoldExists):
			return failed("archive hold", err, "release it first, or take another name")
		case errors.Is(err, archive.ErrNoHold):
			return failed("archive hold", err, "`sealmail archive hold` lists those that are in force")
		case errors.Is(err, archive.ErrStatement):
			return usage("archive", err, "names and reasons are short texts of one line")
		case err != nil:
			return explainArchive(dir, err)
		}
	}
	policy, err := a.Policy(ctx)
	if err != nil {
		return explainArchive(dir, err)
	}
	return explainArchive(dir, use(policy))
}

// changeArchive changes an archive as its only writer, and keeps what the head is then. online says that the network may be asked
// whether the signer is revoked.
func (c *Client) changeArchive(ctx context.Context, a *archive.Archive, dir, signer, witness string, online bool, change func(*archive.Writer) error) (err error) {
	by, err := c.archiveSigner(ctx, signer, online)
	if err != nil {
		return err
	}
	if err := c.checkMemory(ctx, a); err != nil {
		return err
	}
	if err := checkWitnessFile(ctx, a, witness); err != nil { // before anything is changed
		return err
	}
	o := archive.WriteOptions{Signer: by}
	if o.Trusted, err = c.trustedHead(); err != nil {
		return err
	}
	if judge, err := c.ArchiveJudge(nil, revocation.Evidence{}, time.Time{}); err == nil { // who trusts nobody for timestamps proves nothing
		o.Proves = judge.proves
	}
	w, err := a.Write(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := change(w); err != nil {
		return err
	}
	return c.keepHead(ctx, a, dir, witness)
}

// archiveScope finds out which messages are meant.
func (c *Client) archiveScope(ctx context.Context, a *archive.Archive, p ArchiveScope) (s archive.Scope, err error) {
	if p.All {
		return archive.Scope{All: true}, nil
	}
	for _, id := range p.IDs {
		numbers, err := c.archiveNumbers(ctx, a, id)
		if err != nil {
			return s, err
		}
		for _, n := range numbers {
			s.Messages.Add(n)
		}
	}
	if p.Query == "" && len(p.Folders) == 0 {
		return s, nil
	}
	k, err := c.openCatalog(ctx, a)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if err := k.catchUp(ctx); err != nil {
		return s, err
	}
	for _, name := range p.Folders {
		folders, err := k.folders(ctx, name)
		if err != nil {
			return s, err
		}
		for _, f := range folders {
			account, folder, _ := strings.Cut(f, "/")
			s.Folders = append(s.Folders, archive.FolderName{Account: account, Folder: folder})
		}
	}
	if p.Query != "" {
		query, err := parseQuery(p.Query)
		if err != nil {
			return s, err
		}
		found := 0
		err = k.Lines(ctx, index.Selection{Query: &query}, func(l index.Line) error {
			found++
			s.Messages.Add(archive.Number(l.UID))
			return nil
		})
		if err != nil {
			return s, explainIndex(err)
		}
		if found == 0 {
			return s, failed("query", errors.New("it finds nothing in the archive"), "`sealmail archive search` shows what a query finds")
		}
	}
	return s, nil
}

func tellHolds(policy *archive.Policy, each func(ArchiveHoldLine) error) error {
	for _, h := range policy.Holds() {
		line := holdLine("hold", h.Name, h.Reason, h.By, h.Scope, h.Statement)
		line.Since = h.Since
		if err := each(line); err != nil {
			return err
		}
	}
	return nil
}

func tellRetentions(policy *archive.Policy, each func(ArchiveHoldLine) error) error {
	for _, r := range policy.Retentions() {
		line := holdLine("retain", r.Name, r.Reason, r.By, r.Scope, r.Statement)
		line.Period, line.Since = orNull(r.Period.String()), r.Since
		if err := each(line); err != nil {
			return err
		}
	}
	return nil
}

func holdLine(kind, name, reason, by string, s archive.Scope, statement int) ArchiveHoldLine {
	line := ArchiveHoldLine{Kind: kind, Name: orNull(name), Reason: orNull(reason), By: orNull(by), All: s.All, Folders: []string{}, Statement: statement}
	if s.Messages.Len() > 0 {
		line.Messages = orNull(s.Messages.String())
	}
	for _, f := range s.Folders {
		line.Folders = append(line.Folders, catalogFolder(f.Account, f.Folder))
	}
	slices.Sort(line.Folders)
	return line
}

// tellDue tells the lines of messages whose retention is over.
func (c *Client) tellDue(ctx context.Context, p ArchivePlace, policy *archive.Policy, each func(ArchiveLine) error) error {
	due, err := policy.Due(ctx, c.o.Now())
	if err != nil {
		return err
	}
	if due.Len() == 0 {
		c.o.Say("note: there is no message whose retention is over")
		return nil
	}
	return c.ArchiveList(ctx, ArchiveListParams{ArchivePlace: p}, func(line ArchiveLine) error {
		if !due.Has(archive.Number(line.Number)) {
			return nil
		}
		return each(line)
	})
}

// ArchiveRenewParams say how the evidence of an archive is renewed.
type ArchiveRenewParams struct {
	ArchivePlace
	Stamp    StampParams // Hash is for HashTree
	HashTree bool        // hash everything anew, by another algorithm
	Now      bool        // also where nothing is due
	Signer   string
	Witness  string
}

// ArchiveRenewResult is what came of it.
type ArchiveRenewResult struct {
	Path    string     `json:"path"`
	Renewed int        `json:"renewed"` // segments
	Due     *time.Time `json:"due"`     // by when the next renewal is to be made; null: nothing has a timestamp
	Reason  *string    `json:"reason"`  // what is due then: certificate-ends, signature-weak, hash-weak
}

// renewalMargin is how long before it would be too late evidence is renewed.
const renewalMargin = 90 * 24 * time.Hour

// ArchiveRenew renews the evidence of an archive, where that is due, with one timestamp for all of it.
func (c *Client) ArchiveRenew(ctx context.Context, p ArchiveRenewParams) (result *ArchiveRenewResult, err error) {
	a, dir, err := c.openArchive(ctx, p.ArchivePlace)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	result = &ArchiveRenewResult{Path: dir}
	stamper, err := c.ArchiveStamper(p.Stamp)
	if err != nil {
		return nil, err
	}
	if err := result.look(ctx, a, &stamper.ArchiveJudge); err != nil {
		return nil, explainArchive(dir, err)
	}
	if result.Due == nil || !p.Now && !p.HashTree && c.o.Now().Before(result.Due.Add(-renewalMargin)) {
		return result, nil
	}
	err = c.changeArchive(ctx, a, dir, p.Signer, p.Witness, true, func(w *archive.Writer) error {
		result.Renewed, err = w.Renew(ctx, archiveRenewer(a, stamper, p.HashTree))
		return err
	})
	if err != nil {
		return nil, explainArchive(dir, err)
	}
	return result, explainArchive(dir, result.look(ctx, a, &stamper.ArchiveJudge))
}

// look finds out by when the evidence is to be renewed.
func (r *ArchiveRenewResult) look(ctx context.Context, a *archive.Archive, j *ArchiveJudge) error {
	r.Due, r.Reason = nil, nil
	for segment := 1; segment <= a.Segments(); segment++ {
		record, err := a.Evidence(ctx, segment)
		if errors.Is(err, archive.ErrUnstamped) {
			continue
		}
		if err != nil {
			return err
		}
		due, err := j.Due(ctx, record)
		if err != nil {
			return fmt.Errorf("segment %d: %w", segment, err)
		}
		if r.Due == nil || due.Time.Before(*r.Due) {
			r.Due, r.Reason = orNull(due.Time.UTC()), orNull(string(due.Reason))
		}
	}
	return nil
}

// archiveRenewer makes the new records, each held against what it is of before.
func archiveRenewer(a *archive.Archive, s *ArchiveStamper, hashTree bool) archive.Renewer {
	return func(ctx context.Context, segments []int, put func(segment int, record []byte) error) error {
		records := make([][]byte, len(segments))
		for i, segment := range segments {
			var err error
			if records[i], err = a.Evidence(ctx, segment); err != nil {
				return err
			}
		}
		var renewals []ArchiveRenewal
		var err error
		if hashTree {
			renewals, err = s.RenewHashTrees(ctx, records, func(ctx context.Context, i int) ([][]byte, error) { return a.Leaves(ctx, segments[i]) })
		} else {
			renewals, err = s.RenewTimeStamps(ctx, records, func(ctx context.Context, i int) ([]byte, error) {
				stamps, err := a.Stamps(ctx, segments[i])
				return stamps.Signature, err
			})
		}
		if err != nil {
			return err
		}
		for i, r := range renewals {
			if r.Err != nil {
				return &Error{Kind: No, What: fmt.Sprintf("evidence of segment %d", segments[i]), Err: r.Err, Hint: "`sealmail archive verify` says more; nothing was renewed"}
			}
			if err := put(segments[i], r.Record); err != nil {
				return err
			}
		}
		return nil
	}
}
