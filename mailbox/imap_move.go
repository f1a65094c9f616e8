package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// changeBudget is how many octets may come while n messages change: what is gone, new flags and mod-sequences.
func changeBudget(n int) int64 { return answerBudget + 256*int64(n) }

// Move moves messages by MOVE (RFC 6851) where the server has it. Elsewhere it copies, awaits the answer, and only then
// deletes what was copied; the library's own way in such a case deletes without having seen that there is a copy.
func (s *IMAP) Move(ctx context.Context, folder string, uids []UID, to string) (map[UID]UID, error) {
	folder, err := folderName(folder)
	if err != nil {
		return nil, err
	}
	if to, err = folderName(to); err != nil {
		return nil, err
	}
	if folder == to {
		return nil, inFolder(folder, errors.New("the messages are there already"))
	}
	session, folder, err := s.open(ctx, folder, true, false)
	if err != nil {
		return nil, err
	}
	defer s.release()
	uids = slices.Compact(slices.Sorted(slices.Values(uids)))
	moved := make(map[UID]UID, len(uids))
	for _, set := range uidSets(uids) {
		got, err := s.moveSet(ctx, session, set, len(uids), to)
		if err != nil {
			return nil, inFolder(folder, err)
		}
		told := s.pairs(to, got, len(uids))
		if told == nil {
			moved = nil
		}
		for from, now := range told {
			if moved != nil {
				moved[from] = now
			}
		}
	}
	return moved, nil
}

// moveSet moves messages, of which there are at most n, and returns what the server says of their numbers.
func (s *IMAP) moveSet(ctx context.Context, session *imapSession, set imap.UIDSet, n int, to string) (*imap.CopyData, error) {
	if session.caps.Has(imap.CapMove) {
		var data *imap.CopyData
		err := session.do(ctx, "move", changeBudget(n), func() error {
			if !session.client.Caps().Has(imap.CapMove) { // the library looks it up again
				return reasonError{ReasonProtocol, "the server takes back that it has MOVE"}
			}
			got, err := session.client.Move(set, to).Wait()
			if err != nil {
				return err
			}
			from, _ := got.SourceUIDs.(imap.UIDSet)
			now, _ := got.DestUIDs.(imap.UIDSet)
			data = &imap.CopyData{UIDValidity: got.UIDValidity, SourceUIDs: from, DestUIDs: now}
			return nil
		})
		return data, session.refusedTarget(ctx, to, err)
	}
	if err := s.noOthers(ctx, session, set); err != nil {
		return nil, err
	}
	var data *imap.CopyData
	err := session.do(ctx, "copy", changeBudget(n), func() (err error) {
		data, err = session.client.Copy(set, to).Wait()
		return err
	})
	if err != nil {
		return nil, session.refusedTarget(ctx, to, err)
	}
	if err := s.deleteSet(ctx, session, set, n); err != nil {
		return nil, fmt.Errorf("copied to %q, and still here: %w", cleanText(to), err)
	}
	return data, nil
}

// refusedTarget says which folder is missing, or full, if one is.
func (s *imapSession) refusedTarget(ctx context.Context, to string, err error) error {
	if refused := (*ServerError)(nil); errors.As(err, &refused) && refused.Code == string(imap.ResponseCodeOverQuota) {
		return &QuotaError{Endpoint: s.endpoint, Folder: to, Text: refused.Text}
	}
	if err = s.explain(ctx, to, err); errors.Is(err, ErrNoFolder) {
		return inFolder(to, err)
	}
	return err
}

// pairs reads which number each message got (COPYUID, RFC 4315 section 3), or returns nil where the server does not tell,
// or tells something else than which of at most n messages went where. The library puts both sets in ascending order, in
// which servers copy.
func (s *IMAP) pairs(to string, data *imap.CopyData, n int) map[UID]UID {
	from, now := listed(data.SourceUIDs, n), listed(data.DestUIDs, n)
	if v, ok := s.validity[to]; ok && v != data.UIDValidity || len(from) == 0 || len(from) != len(now) {
		return nil
	}
	pairs := make(map[UID]UID, len(from))
	for i := range from {
		pairs[from[i]] = now[i]
	}
	return pairs
}

// listed returns the UIDs of a set, or none if there are more than n.
func listed(set imap.UIDSet, n int) (uids []UID) {
	for _, r := range set {
		if r.Start == 0 || r.Stop < r.Start || uint64(r.Stop-r.Start) >= uint64(n-len(uids)) {
			return nil
		}
		for u := uint64(r.Start); u <= uint64(r.Stop); u++ {
			uids = append(uids, UID(u))
		}
	}
	return uids
}

// Delete marks messages as deleted and expunges them, and no others.
func (s *IMAP) Delete(ctx context.Context, folder string, uids []UID) error {
	session, folder, err := s.open(ctx, folder, true, false)
	if err != nil {
		return err
	}
	defer s.release()
	for _, set := range uidSets(uids) {
		err := s.noOthers(ctx, session, set)
		if err == nil {
			err = s.deleteSet(ctx, session, set, len(uids))
		}
		if err != nil {
			return inFolder(folder, err)
		}
	}
	return nil
}

// noOthers makes sure that an expunge would take no other messages than these: a server without UIDPLUS removes all that
// are marked as deleted.
func (s *IMAP) noOthers(ctx context.Context, session *imapSession, set imap.UIDSet) error {
	if session.caps.Has(imap.CapUIDPlus) {
		return nil
	}
	// Anew: of what others did since, a server need not have told.
	if _, err := s.choose(ctx, session, session.selected, true, true); err != nil {
		return err
	}
	marked, err := s.search(ctx, session, &imap.SearchCriteria{Flag: []imap.Flag{imap.FlagDeleted}}, 1)
	if err != nil {
		return err
	}
	for _, uid := range marked {
		if !set.Contains(imap.UID(uid)) {
			return &UnsupportedError{Endpoint: session.endpoint, Extension: "UIDPLUS",
				Why: "other messages in the folder are marked as deleted, and would be removed as well; take the mark off them or expunge them first"}
		}
	}
	return nil
}

// deleteSet marks messages, of which there are at most n, as deleted and expunges them (RFC 4315 section 2.1).
func (s *IMAP) deleteSet(ctx context.Context, session *imapSession, set imap.UIDSet, n int) error {
	err := session.do(ctx, "mark as deleted", changeBudget(n), func() error {
		mark := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
		return session.client.Store(set, mark, nil).Close()
	})
	if err != nil {
		return err
	}
	if err := s.noOthers(ctx, session, set); err != nil {
		return err
	}
	return session.do(ctx, "expunge", changeBudget(n), func() error {
		if session.caps.Has(imap.CapUIDPlus) {
			return session.client.UIDExpunge(set).Close()
		}
		return session.client.Expunge().Close()
	})
}

// CreateFolder makes a folder, and subscribes to it, unless it is there.
func (s *IMAP) CreateFolder(ctx context.Context, folder string) error {
	folder, err := folderName(folder)
	if err != nil {
		return err
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	delete(session.known, folder) // it may be gone since it was seen
	return s.ensure(ctx, session, folder)
}
