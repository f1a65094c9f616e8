package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
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
	Folder string // or a word such as sent for the one that is for that; empty: INBOX
	All    bool   // every folder of the account
	Strict bool   // the error tells about verdicts
}

// Fetch downloads what is new in a folder, judges it, collects the certificates of good signers, and keeps all in the
// index; what is gone from the folder is forgotten, and flags are taken over. each is told one line a message, in the order
// of their UIDs, once the message is kept. A message that is broken has its error in its line and stops nothing. Whatever
// ends it, an interruption too, what was told of is kept, and the rest comes the next time.
func (c *Client) Fetch(ctx context.Context, p FetchParams, each func(ListLine) error) (err error) {
	f := fetcher{client: c, each: each, proofs: proofKeeper{client: c}}
	if f.account, err = c.account(); err != nil {
		return err
	}
	if f.index, err = c.openIndex(ctx, f.account); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.index.Close()) }()
	if f.judge, err = c.newJudge(VerifyParams{Revocation: string(f.account.Revocation), Online: true}); err != nil {
		return err
	}
	f.judge.unseen = true
	if f.store, err = c.dialStore(ctx, f.account); err != nil {
		return err
	}
	defer f.store.Close()
	var folders []string
	if p.All {
		folders, err = f.folders(ctx)
	} else {
		folders = make([]string, 1)
		folders[0], err = folderAt(ctx, f.store, f.index, f.account, p.Folder)
	}
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if err := f.fetch(ctx, folder); err != nil {
			return err
		}
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
	each    func(ListLine) error
	judge   *judge
	proofs  proofKeeper
	store   mailbox.Store
	index   *index.Index
	strict  strictness

	// renew, unless nil, makes the judge anew before messages are judged, for who fetches for longer than one would do.
	renew func() (*judge, error)
	// shown, unless nil, says what a person is to be told of a message as well, once its line was told. Then its signers count
	// as known from now on, unless they are not who they were.
	shown func(ctx context.Context, r *judged, line ListLine) ([]WatchAlert, error)
	// changed is what a person is to be told of a signer who is not who they were.
	changed func(line ListLine, remark WarningReport) WatchAlert
	alert   func(WatchAlert) error
}

// folders are all folders of the account, the inbox first.
func (f *fetcher) folders(ctx context.Context) ([]string, error) {
	all, err := serverFolders(ctx, f.store, f.index)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, folder := range all {
		names = append(names, orInbox(folder.Name))
	}
	slices.SortFunc(names, compareFolders)
	return slices.Compact(names), nil
}

// fetch brings the index of one folder to where the server is.
func (f *fetcher) fetch(ctx context.Context, folder string) error {
	return f.look(ctx, folder, func() error { return nil })
}

// look is fetch that calls found as soon as the folder is open.
func (f *fetcher) look(ctx context.Context, folder string, found func() error) error {
	status, err := f.store.Status(ctx, folder)
	if err != nil {
		return explainMessage("", folder, err)
	}
	if err := found(); err != nil {
		return err
	}
	renumbered, err := f.index.Begin(ctx, folder, status.UIDValidity)
	if err != nil {
		return explainIndex(err)
	}
	if renumbered {
		f.client.o.Say("the server has renumbered " + folder + ": everything is fetched anew")
	}
	fresh, err := f.compare(ctx, folder, status)
	if err != nil || len(fresh) == 0 {
		return err
	}
	infos, err := f.store.List(ctx, folder, fresh[0])
	if err != nil {
		return explainServer(err)
	}
	infos = slices.DeleteFunc(infos, func(i mailbox.Info) bool {
		_, isNew := slices.BinarySearch(fresh, i.UID)
		return !isNew
	})
	if f.renew != nil {
		if f.judge, err = f.renew(); err != nil {
			return err
		}
	}
	p := f.newPipeline(index.Folder{Name: folder, UIDValidity: status.UIDValidity}, infos)
	return p.run(ctx)
}

// compare looks at what there is on both sides: what is gone from the folder is forgotten, changed flags are taken over,
// and what the index has not is returned. As it is the whole that is compared, a run goes on where another one was
// interrupted, wherever that was.
func (f *fetcher) compare(ctx context.Context, folder string, status mailbox.Status) (fresh []mailbox.UID, err error) {
	// The index first: what another process adds meanwhile would not be in the folder as it was, and count as gone.
	here, err := f.index.UIDs(ctx, folder)
	if err != nil {
		return nil, explainIndex(err)
	}
	there, err := f.store.UIDs(ctx, folder)
	if err != nil {
		return nil, explainServer(err)
	}
	known, err := f.index.Folder(ctx, folder)
	if err != nil {
		return nil, explainIndex(err)
	}
	gone := uidsWithout(here, there)
	if err := f.index.Remove(ctx, known, gone); err != nil {
		return nil, explainIndex(err)
	}
	if len(gone) < len(here) && (status.HighestModSeq == 0 || status.HighestModSeq != known.HighestModSeq) {
		infos, err := f.store.Flags(ctx, folder, known.HighestModSeq)
		if err != nil {
			return nil, explainServer(err)
		}
		if err := f.index.SetFlags(ctx, known, infos, status.HighestModSeq); err != nil {
			return nil, explainIndex(err)
		}
	}
	if len(here) == 0 && status.HighestModSeq != 0 {
		if err := f.index.SetFlags(ctx, known, nil, status.HighestModSeq); err != nil {
			return nil, explainIndex(err)
		}
	}
	return uidsWithout(there, here), nil
}

// uidsWithout returns the UIDs of a that are not in b; both ascend.
func uidsWithout(a, b []mailbox.UID) (rest []mailbox.UID) {
	for _, uid := range a {
		for len(b) > 0 && b[0] < uid {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != uid {
			rest = append(rest, uid)
		}
	}
	return rest
}

// isMessageFault tells an error that one message is to blame for from one that would befall the next one too.
func isMessageFault(err error) bool {
	return errors.Is(err, smime.ErrTooManyLayers) || errors.Is(err, entity.ErrHeaderTooLarge) || errors.Is(err, spool.ErrTooLarge)
}

// fill writes what was found into a line.
func (r *judged) fill(line *ListLine, header MessageReport, parsed *certstore.ParseCache) {
	line.MessageID, line.Date, line.From, line.Subject = header.MessageID, header.Date, header.From, header.Subject
	line.Verdict, line.Encryption = orNull(string(r.verdict.Status)), orNull(string(r.message.Encryption()))
	if cert := r.signer(); cert != nil {
		line.Signer = &ListLineSigner{Name: orNull(certstore.Name(cert)), Fingerprint: parsed.Fingerprint(cert)}
	}
}

// searchable is the text of a message that a search may find: what is displayed, and of what failed its check nothing.
func (r *judged) searchable() (index.Text, error) {
	if r.message.Content == nil || r.verdict.Status == verdict.Failed {
		return index.Text{}, nil
	}
	text, err := r.message.Text(0)
	return index.NewText(text.Body), err
}
