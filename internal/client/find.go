package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime/spool"
)

// finder finds messages of a folder by what a person calls them, and gets their octets: from the index where they are
// there, which then asks no server, else from the server. Messages never change (RFC 9051 section 2.3.1.1), so that a UID means
// the same at both places as long as the folder was not renumbered: the next fetch finds that out.
type finder struct {
	client  *Client
	account config.Account
	folder  string

	local  *index.Index // nil: there is none
	looked bool
	store  mailbox.Store // nil: not asked yet
	// known says that the numbering of the index is the server's, as far as that was asked.
	known bool
}

// Close ends the connection, if there is one.
func (f *finder) Close() {
	if f.local != nil {
		_ = f.local.Close()
	}
	if f.store != nil {
		_ = f.store.Close()
	}
}

// index opens the index, where there is one. That there is none, or none that can be used now, is no error.
func (f *finder) index(ctx context.Context) *index.Index {
	if f.looked {
		return f.local
	}
	f.looked, f.known = true, true
	if _, err := os.Stat(f.client.o.Home.Index(f.account.Name)); err != nil {
		return nil
	}
	x, err := f.client.openIndex(ctx, f.account)
	if err != nil {
		return nil
	}
	f.local = x
	return x
}

// dial asks the server, from then on. Where it has another numbering than the index, that is of no use.
func (f *finder) dial(ctx context.Context) (err error) {
	if f.store != nil {
		return nil
	}
	if f.store, err = f.client.dialStore(ctx, f.account); err != nil {
		return err
	}
	return f.compare(ctx)
}

// compare finds out whether the index has the numbering of the server.
func (f *finder) compare(ctx context.Context) error {
	if x := f.index(ctx); x != nil {
		status, err := f.store.Status(ctx, f.folder)
		if err != nil {
			return explainMessage("", f.folder, err)
		}
		here, err := x.Folder(ctx, f.folder)
		f.known = err == nil && here.UIDValidity == status.UIDValidity
	}
	return nil
}

// inFolder says which folder the messages are in. The server is asked where the index does not know which one a word means; that
// it cannot be reached is no error where something was fetched.
func (f *finder) inFolder(ctx context.Context, name string) error {
	f.folder = orInbox(name)
	if _, ok := useNamed(name); !ok {
		return nil
	}
	x := f.index(ctx)
	if x != nil {
		found, known, err := folderHere(ctx, x, f.account, name)
		if f.folder = found; err != nil || known {
			return err
		}
	}
	store, err := f.client.dialStore(ctx, f.account)
	if _, unreachable := errors.AsType[*mailbox.ConnectError](err); unreachable && x != nil {
		return nil
	}
	if err != nil {
		return err
	}
	f.store = store
	if f.folder, err = folderAt(ctx, store, x, f.account, name); err != nil {
		return err
	}
	return f.compare(ctx)
}

// find returns the UIDs that an ID means: a UID, a range, "last", or "mid:" with a Message-ID. What "last" is and which
// messages are in a range, the server says; where it cannot be reached, what was fetched counts, and that is said.
func (f *finder) find(ctx context.Context, id string) ([]mailbox.UID, error) {
	messageID, byMessageID := strings.CutPrefix(id, "mid:")
	switch {
	case byMessageID:
		messageID = strings.Trim(messageID, "<> ")
		if x := f.index(ctx); x != nil && f.store == nil { // else the server knows better
			if uids, err := x.Find(ctx, f.folder, messageID); err == nil && len(uids) > 0 {
				return uids, nil
			}
		}
		if err := f.dial(ctx); err != nil {
			return nil, err
		}
		uids, err := f.store.Find(ctx, f.folder, messageID)
		if err == nil && len(uids) == 0 {
			err = mailbox.ErrNotFound
		}
		return uids, explainMessage(id, f.folder, err)
	case id == "last":
		uids, err := f.fetched(ctx, f.dial(ctx))
		if err == nil && f.store == nil {
			return uids[len(uids)-1:], nil
		}
		if err != nil {
			return nil, err
		}
		uid, err := lastUID(ctx, f.store, f.folder)
		if err != nil {
			return nil, explainMessage(id, f.folder, err)
		}
		return []mailbox.UID{uid}, nil
	}
	from, to, err := parseRange(id)
	if err != nil || from == to {
		return []mailbox.UID{from}, err
	}
	uids, err := f.fetched(ctx, f.dial(ctx))
	if err == nil && f.store != nil {
		uids, err = f.store.UIDs(ctx, f.folder)
		err = explainMessage(id, f.folder, err)
	}
	if err != nil {
		return nil, err
	}
	uids = slices.DeleteFunc(uids, func(uid mailbox.UID) bool { return uid < from || uid > to })
	if len(uids) == 0 {
		return nil, explainMessage(id, f.folder, mailbox.ErrNotFound)
	}
	return uids, nil
}

// fetched returns what was fetched, where the server cannot be reached (unreachable), and says so. Any other error it returns.
func (f *finder) fetched(ctx context.Context, unreachable error) ([]mailbox.UID, error) {
	var connect *mailbox.ConnectError
	if !errors.As(unreachable, &connect) || connect.Reason == mailbox.ReasonUntrusted || connect.Reason == mailbox.ReasonTLS || connect.Reason == mailbox.ReasonNoSTARTTLS {
		return nil, unreachable
	}
	x := f.index(ctx)
	if x == nil {
		return nil, unreachable
	}
	uids, err := x.UIDs(ctx, f.folder)
	if err != nil || len(uids) == 0 {
		return nil, unreachable
	}
	f.client.o.Say("note: the server cannot be reached: this is what was fetched before")
	return uids, nil
}

// get returns the octets of a message, which the caller closes.
func (f *finder) get(ctx context.Context, uid mailbox.UID) (*spool.Spool, error) {
	if x := f.index(ctx); x != nil && f.known {
		s := spool.New(f.client.spoolOptions())
		err := x.Octets(ctx, f.folder, uid, s)
		if err == nil {
			return s, nil
		}
		_ = s.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	name := strconv.FormatUint(uint64(uid), 10)
	if err := f.dial(ctx); err != nil {
		return nil, err
	}
	s := spool.New(f.client.spoolOptions())
	if err := f.store.Fetch(ctx, f.folder, uid, s); err != nil {
		_ = s.Close()
		return nil, explainMessage(name, f.folder, err)
	}
	return s, nil
}

// parseRange reads a UID, or two with a colon between them.
func parseRange(id string) (from, to mailbox.UID, err error) {
	first, last, isRange := strings.Cut(id, ":")
	low, err := strconv.ParseUint(first, 10, 32)
	high := low
	if isRange && err == nil {
		high, err = strconv.ParseUint(last, 10, 32)
	}
	if err != nil || low == 0 || high < low {
		return 0, 0, usage("", fmt.Errorf("%q names no message", id), "a UID, a range like 40:50, last, mid:<Message-ID>, or a file with a \"/\" in it")
	}
	return mailbox.UID(low), mailbox.UID(high), nil
}

// lastUID finds the newest message, looking at the end of the folder first.
func lastUID(ctx context.Context, store mailbox.Store, folder string) (mailbox.UID, error) {
	status, err := store.Status(ctx, folder)
	if err != nil {
		return 0, err
	}
	const window = 100
	for _, first := range []mailbox.UID{max(status.UIDNext, window+1) - window, 1} {
		infos, err := store.List(ctx, folder, first)
		if err != nil {
			return 0, err
		}
		if len(infos) > 0 {
			return infos[len(infos)-1].UID, nil
		}
	}
	return 0, mailbox.ErrNotFound
}
