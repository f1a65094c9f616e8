package mailbox

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

const (
	// listChunk is how many messages are asked for at once.
	listChunk = 4096
	// infoBudget is how many octets the answer for one of them may take; the flags are what varies.
	infoBudget = 4 << 10
	// uidBudget is how many octets one UID may take in the answer to a search.
	uidBudget = 12
	// maxCommand is how long a command line may get in the part that grows: RFC 7162 section 4 advises against
	// more than 8192 octets in all.
	maxCommand = 7000
	// attempts is how often a message is asked for whose data got mixed up with news of its flags.
	attempts = 3
)

// List asks which messages there are, and then for their data in pieces.
func (s *IMAP) List(ctx context.Context, folder string, first UID) ([]Info, error) {
	folder, err := folderName(folder)
	if err != nil {
		return nil, err
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release()

	uids, err := s.uidsFrom(ctx, session, folder, max(first, 1))
	if err != nil {
		return nil, err
	}
	list := make([]Info, 0, len(uids))
	for chunk := range slices.Chunk(uids, listChunk) {
		infos, err := s.infos(ctx, session, chunk)
		if err != nil {
			return nil, inFolder(folder, err)
		}
		list = append(list, infos...)
	}
	return list, nil
}

// UIDs asks which messages there are.
func (s *IMAP) UIDs(ctx context.Context, folder string) ([]UID, error) {
	folder, err := folderName(folder)
	if err != nil {
		return nil, err
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release()
	return s.uidsFrom(ctx, session, folder, 1)
}

// uidsFrom returns the UIDs from first on, in ascending order, as of now.
func (s *IMAP) uidsFrom(ctx context.Context, session *imapSession, folder string, first UID) ([]UID, error) {
	state, err := s.choose(ctx, session, folder, false, true)
	if err != nil {
		return nil, err
	}
	if state.NumMessages == 0 || state.UIDNext != 0 && first >= UID(state.UIDNext) {
		return nil, nil
	}
	// RFC 9051 section 6.4.9: n:* is never empty, but has the last message even when that lies below n; so UIDs
	// below first are passed over.
	uids, err := s.search(ctx, session, &imap.SearchCriteria{UID: []imap.UIDSet{{{Start: imap.UID(first), Stop: 0}}}}, first)
	if err != nil {
		return nil, inFolder(folder, err)
	}
	return uids, nil
}

// Find searches for a Message-ID.
func (s *IMAP) Find(ctx context.Context, folder string, messageID string) ([]UID, error) {
	id := BareMessageID(messageID)
	if id == "" {
		return nil, nil
	}
	// Anew, because a server need not tell of new messages to those who opened the folder before.
	session, folder, err := s.open(ctx, folder, false, true)
	if err != nil {
		return nil, err
	}
	defer s.release()
	// A search is for a part of the field (RFC 9051 section 6.4.4); the brackets make it the whole identifier.
	criteria := &imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: "<" + id + ">"}}}
	uids, err := s.search(ctx, session, criteria, 1)
	if err != nil {
		return nil, inFolder(folder, err)
	}
	return uids, nil
}

// search returns the UIDs from first on that match, in ascending order.
func (s *IMAP) search(ctx context.Context, session *imapSession, criteria *imap.SearchCriteria, first UID) ([]UID, error) {
	var data *imap.SearchData
	err := session.do(ctx, "search", answerBudget+uidBudget*int64(s.options.MaxMessages), func() (err error) {
		var options *imap.SearchOptions
		if session.caps.Has(imap.CapESearch) {
			options = &imap.SearchOptions{ReturnAll: true} // ranges in place of numbers: RFC 4731 section 3.1
		}
		data, err = session.client.UIDSearch(criteria, options).Wait()
		return err
	})
	if err != nil {
		return nil, err
	}
	set, ok := data.All.(imap.UIDSet)
	if !ok && data.All != nil || set.Dynamic() {
		return nil, s.nonsense(session, "search", "the answer does not consist of UIDs")
	}
	// The set is walked by hand: a range such as 1:4294967295 costs its sender nothing.
	var total uint64
	for _, r := range set {
		r.Start = max(r.Start, imap.UID(first))
		if r.Start <= r.Stop {
			total += uint64(r.Stop-r.Start) + 1
		}
	}
	if total > uint64(s.options.MaxMessages) {
		return nil, fmt.Errorf("%w: %d messages, the limit is %d", ErrTooMany, total, s.options.MaxMessages)
	}
	uids := make([]UID, 0, total)
	for _, r := range set {
		for n := uint64(max(r.Start, imap.UID(first))); n <= uint64(r.Stop); n++ {
			uids = append(uids, UID(n))
		}
	}
	return uids, nil
}

// infos asks for the data of messages, given in ascending order. Those that are gone meanwhile are left out.
func (s *IMAP) infos(ctx context.Context, session *imapSession, uids []UID) ([]Info, error) {
	list := make([]Info, 0, len(uids))
	for range attempts {
		got, incomplete, err := s.askInfos(ctx, session, uids)
		if err != nil {
			return nil, err
		}
		list = append(list, got...)
		if uids = incomplete; len(uids) == 0 {
			slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.UID, b.UID) })
			return list, nil
		}
	}
	return nil, s.nonsense(session, "list", "messages without a size")
}

// askInfos asks once. A server may tell of changed flags at any time, in the same form as an answer; such a message is
// incomplete, and its answer, if it came as well, was passed over by the library.
func (s *IMAP) askInfos(ctx context.Context, session *imapSession, uids []UID) (got []Info, incomplete []UID, err error) {
	items := &imap.FetchOptions{UID: true, Flags: true, RFC822Size: true, InternalDate: true, ModSeq: session.modSeqs}
	// One range says it in few octets; what lies between are messages that are no more.
	set := imap.UIDSet{{Start: imap.UID(uids[0]), Stop: imap.UID(uids[len(uids)-1])}}
	budget := answerBudget + infoBudget*int64(len(uids))
	err = session.do(ctx, "list", budget, func() error {
		cmd := session.client.Fetch(set, items)
		for m := cmd.Next(); m != nil; m = cmd.Next() {
			info, size := Info{}, int64(-1)
			for item := m.Next(); item != nil; item = m.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataUID:
					info.UID = UID(item.UID)
				case imapclient.FetchItemDataRFC822Size:
					size = item.Size
				case imapclient.FetchItemDataFlags:
					info.Flags = flagNames(item.Flags)
				case imapclient.FetchItemDataInternalDate:
					info.InternalDate = item.Time
				case imapclient.FetchItemDataModSeq:
					info.ModSeq = item.ModSeq
				}
			}
			if _, asked := slices.BinarySearch(uids, info.UID); !asked {
				continue
			}
			if info.Size = size; size < 0 {
				incomplete = append(incomplete, info.UID)
				continue
			}
			got = append(got, info)
		}
		return cmd.Close()
	})
	slices.Sort(incomplete)
	return got, incomplete, err
}

// Flags asks for the flags of messages: of those that changed, where the server can tell (RFC 7162 section 3.1.4.1).
// News of flags that come by the way are as good as an answer.
func (s *IMAP) Flags(ctx context.Context, folder string, since uint64) ([]Info, error) {
	session, folder, err := s.open(ctx, folder, false, true)
	if err != nil {
		return nil, err
	}
	defer s.release()
	state := s.seen[folder]
	if state.Messages == 0 || session.modSeqs && since == state.HighestModSeq {
		return nil, nil
	}
	if !session.modSeqs || since > state.HighestModSeq { // a folder that went back in time says nothing of what was changed
		since = 0
	}
	if uint64(state.Messages) > uint64(s.options.MaxMessages) {
		return nil, inFolder(folder, fmt.Errorf("%w: %d messages, the limit is %d", ErrTooMany, state.Messages, s.options.MaxMessages))
	}
	items := &imap.FetchOptions{UID: true, Flags: true, ModSeq: session.modSeqs, ChangedSince: since}
	var list []Info
	err = session.do(ctx, "ask for flags", answerBudget+infoBudget*int64(state.Messages), func() error {
		cmd := session.client.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, items)
		for m := cmd.Next(); m != nil; m = cmd.Next() {
			var (
				info  Info
				flags bool
			)
			for item := m.Next(); item != nil; item = m.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataUID:
					info.UID = UID(item.UID)
				case imapclient.FetchItemDataFlags:
					info.Flags, flags = flagNames(item.Flags), true
				case imapclient.FetchItemDataModSeq:
					info.ModSeq = item.ModSeq
				}
			}
			if flags {
				list = append(list, info)
			}
		}
		return cmd.Close()
	})
	if err != nil {
		return nil, inFolder(folder, err)
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.UID, b.UID) })
	return list, nil
}

// flagNames returns flags as text, without \Recent, which belongs to a session and not to a message.
func flagNames(flags []imap.Flag) []string {
	names := make([]string, 0, len(flags))
	for _, f := range flags {
		if !strings.EqualFold(string(f), `\Recent`) {
			names = append(names, string(f))
		}
	}
	return names
}

// SetFlags takes flags off and puts flags on.
func (s *IMAP) SetFlags(ctx context.Context, folder string, uids []UID, c FlagChange) error {
	remove, err := imapFlags(c.Remove)
	if err != nil {
		return err
	}
	add, err := imapFlags(c.Add)
	if err != nil {
		return err
	}
	session, folder, err := s.open(ctx, folder, true, false)
	if err != nil {
		return err
	}
	defer s.release()
	for _, set := range uidSets(uids) {
		for _, change := range []imap.StoreFlags{
			{Op: imap.StoreFlagsDel, Silent: true, Flags: remove},
			{Op: imap.StoreFlagsAdd, Silent: true, Flags: add},
		} {
			if len(change.Flags) == 0 {
				continue
			}
			err := session.do(ctx, "set flags", answerBudget+infoBudget*listChunk, func() error {
				return session.client.Store(set, &change, nil).Close()
			})
			if err != nil {
				return inFolder(folder, err)
			}
		}
	}
	return nil
}

// imapFlags checks that flags can be said in the protocol (RFC 9051 section 9, "flag").
func imapFlags(names []string) ([]imap.Flag, error) {
	var flags []imap.Flag
	for _, name := range names {
		atom := strings.TrimPrefix(name, `\`)
		if atom == "" || strings.EqualFold(name, `\Recent`) ||
			strings.ContainsFunc(atom, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`(){%*"\]`, r) }) {
			return nil, fmt.Errorf("%q is no flag that can be set", cleanText(name))
		}
		flags = append(flags, imap.Flag(name))
	}
	return flags, nil
}

// uidSets packs UIDs into sets that fit into a command each.
func uidSets(uids []UID) []imap.UIDSet {
	const longest = len("4294967295:4294967295,")
	uids = slices.Compact(slices.Sorted(slices.Values(uids)))
	var (
		sets []imap.UIDSet
		set  imap.UIDSet
	)
	for _, u := range uids {
		last := len(set) - 1
		switch {
		case u == 0: // no message
		case last >= 0 && set[last].Stop+1 == imap.UID(u):
			set[last].Stop = imap.UID(u)
		default:
			if len(set) >= maxCommand/longest {
				sets, set = append(sets, set), nil
			}
			set = append(set, imap.UIDRange{Start: imap.UID(u), Stop: imap.UID(u)})
		}
	}
	if len(set) > 0 {
		sets = append(sets, set)
	}
	return sets
}
