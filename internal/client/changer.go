package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

// changer changes messages of one folder.
type changer struct {
	finder
	status  mailbox.Status
	kept    index.Folder // with UIDValidity 0 the index knows nothing of the folder
	folders []mailbox.Folder
	done    string // the word for it

	to      string   // where messages are moved; "": nowhere
	flagged *Flagged // nil: flags are not changed
	each    func(ChangeLine) error
	failed  int
}

// newChanger opens the index, if there is one, and connects. Numbers that a person has from the index mean other messages once
// the folder was renumbered: then nothing is done.
func (c *Client) newChanger(ctx context.Context, p ChangeParams, done string, each func(ChangeLine) error) (*changer, error) {
	for _, id := range p.IDs {
		if (ReadParams{ID: id}).isFile() {
			return nil, usage("", fmt.Errorf("%q is a file", id), "name a message at the server: a UID, a range like 40:50, last, or mid:<Message-ID>")
		}
		if _, _, err := parseRange(id); err != nil && id != "last" && !strings.HasPrefix(id, "mid:") {
			return nil, err
		}
	}
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	ch := &changer{finder: finder{client: c, account: a, looked: true}, done: done, each: each}
	err = ch.openIndex(ctx)
	if err == nil {
		err = ch.open(ctx, p.Folder)
	}
	if err != nil {
		ch.Close()
		return nil, err
	}
	return ch, nil
}

// openIndex opens the index, if there is one.
func (ch *changer) openIndex(ctx context.Context) (err error) {
	if _, statErr := os.Stat(ch.client.o.Home.Index(ch.account.Name)); statErr != nil {
		return nil
	}
	ch.local, err = ch.client.openIndex(ctx, ch.account)
	return err
}

// open connects, and looks at the folder.
func (ch *changer) open(ctx context.Context, folder string) (err error) {
	if ch.store, err = ch.client.dialStore(ctx, ch.account); err != nil {
		return err
	}
	if ch.folders, err = serverFolders(ctx, ch.store, ch.local); err != nil {
		return err
	}
	ch.folder, _ = folderNamed(ch.folders, ch.account, folder)
	if ch.status, err = ch.store.Status(ctx, ch.folder); err != nil {
		return explainMessage("", ch.folder, err)
	}
	if ch.local == nil {
		return nil
	}
	if ch.kept, err = ch.local.Folder(ctx, ch.folder); err != nil {
		return explainIndex(err)
	}
	if ch.kept.UIDValidity != 0 && ch.kept.UIDValidity != ch.status.UIDValidity {
		return failed(ch.folder, mailbox.ErrRenumbered, "`sealmail fetch "+ch.folder+"` gets the numbers that hold now; nothing was done")
	}
	return nil
}

// choose returns the messages that IDs mean, ascending, each once. What is not there is told.
func (ch *changer) choose(ctx context.Context, ids []string) ([]mailbox.UID, error) {
	there, err := ch.store.UIDs(ctx, ch.folder)
	if err != nil {
		return nil, explainMessage("", ch.folder, err)
	}
	var uids []mailbox.UID
	for _, id := range ids {
		found, err := ch.find(ctx, id)
		if errors.Is(err, mailbox.ErrNotFound) {
			line := ch.line(ctx, 0)
			if messageID, ok := strings.CutPrefix(id, "mid:"); ok {
				line.MessageID = orNull(strings.Trim(messageID, "<> "))
			}
			err = ch.tell(line, mailbox.ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		uids = append(uids, found...)
	}
	slices.Sort(uids)
	uids = slices.Compact(uids)
	for _, gone := range uidsWithout(uids, there) {
		if err := ch.tell(ch.line(ctx, gone), mailbox.ErrNotFound); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(uids, func(uid mailbox.UID) bool {
		_, ok := slices.BinarySearch(there, uid)
		return !ok
	}), nil
}

// line begins what is told of a message.
func (ch *changer) line(ctx context.Context, uid mailbox.UID) ChangeLine {
	line := ChangeLine{Account: ch.account.Name, Folder: ch.folder, UID: orNull(uint32(uid)), Flagged: ch.flagged}
	if ch.flagged == nil {
		line.Moved = &Moved{}
	}
	if ch.kept.UIDValidity == 0 || uid == 0 {
		return line
	}
	if kept, err := ch.local.Line(ctx, ch.folder, uid); err == nil && kept.UID != 0 {
		if known, err := lineOf(kept); err == nil {
			line.MessageID = known.MessageID
		}
	}
	return line
}

// tell tells of a message that could not be changed, and why.
func (ch *changer) tell(line ChangeLine, why error) error {
	ch.failed++
	line.Error = orNull(why.Error())
	if ch.flagged != nil {
		line.Flagged = &Flagged{orNone(nil), orNone(nil)}
	}
	return ch.each(line)
}

// run changes messages in batches. An interruption ends it between two of them: a batch that was begun comes to its end, so that
// it can be said what was done. change does it at the server, and returns which numbers messages have now, or nil where that is
// not known or they have none; after, unless nil, does it here.
func (ch *changer) run(ctx context.Context, uids []mailbox.UID, change func(context.Context, []mailbox.UID) (map[mailbox.UID]mailbox.UID, error),
	after func(context.Context, []mailbox.UID, map[mailbox.UID]mailbox.UID) error) (*ChangeResult, error) {
	result := &ChangeResult{Folder: ch.folder, To: ch.to}
	whole := context.WithoutCancel(ctx)
	for batch := range slices.Chunk(uids, changeBatch) {
		if ctx.Err() != nil {
			return result, ch.stopped(result.Done, len(uids), ctx.Err())
		}
		lines := make([]ChangeLine, len(batch)) // before the index forgets
		for i, uid := range batch {
			lines[i] = ch.line(whole, uid)
		}
		now, err := change(whole, batch)
		if err != nil {
			err = explainServer(err)
			for _, line := range lines {
				if toldErr := ch.tell(line, err); toldErr != nil {
					return result, toldErr
				}
			}
			return result, ch.stopped(result.Done, len(uids), err)
		}
		if after != nil {
			err = after(whole, batch, now)
		}
		for i, line := range lines {
			uid, ok := now[batch[i]]
			if now != nil && !ok { // it was gone already
				if err := ch.tell(line, mailbox.ErrNotFound); err != nil {
					return result, err
				}
				continue
			}
			if line.Moved != nil {
				line.Moved = &Moved{To: orNull(ch.to), NewUID: orNull(uint32(uid))}
			}
			result.Done++
			if err := ch.each(line); err != nil {
				return result, err
			}
		}
		if err != nil {
			return result, err
		}
	}
	if ch.failed > 0 {
		return result, failed("", fmt.Errorf("%d message(s) could not be %s", ch.failed, ch.done), "their lines say why")
	}
	return result, nil
}

// stopped says how far it came. Where that is nowhere, why is enough.
func (ch *changer) stopped(done, all int, why error) error {
	if done == 0 && !errors.Is(why, context.Canceled) {
		return why
	}
	hint := "the same command again does the rest"
	if known, ok := errors.AsType[*Error](why); ok {
		hint = cmp.Or(known.Hint, hint)
	}
	return failed("", stoppedError{done, all, ch.done, why}, hint)
}

// move moves what IDs mean to a folder; there says that it exists.
func (ch *changer) move(ctx context.Context, p ChangeParams, to string, there bool) (*ChangeResult, error) {
	if to == ch.folder {
		return nil, usage("", fmt.Errorf("the messages are in %s already", to), "")
	}
	uids, err := ch.choose(ctx, p.IDs)
	if err != nil {
		return nil, err
	}
	if ch.to = to; len(uids) == 0 {
		return ch.run(ctx, nil, nil, nil)
	}
	if !there {
		if p.Confirm != nil {
			if err := p.Confirm("There is no folder " + strconv.Quote(to) + ". Make it?"); err != nil {
				return nil, err
			}
		}
		if err := ch.store.CreateFolder(ctx, to); err != nil {
			return nil, explainMessage("", to, err)
		}
	}
	// What is told of new numbers is of this numbering, or is not told.
	status, err := ch.store.Status(ctx, to)
	if err != nil {
		return nil, explainMessage("", to, err)
	}
	target := index.Folder{Name: to, UIDValidity: status.UIDValidity}
	return ch.run(ctx, uids, func(ctx context.Context, batch []mailbox.UID) (map[mailbox.UID]mailbox.UID, error) {
		return ch.moveBatch(ctx, batch, target, status.UIDNext)
	}, func(ctx context.Context, batch []mailbox.UID, now map[mailbox.UID]mailbox.UID) error {
		return ch.follow(ctx, batch, now, target)
	})
}

// follow has the index do what was done at the server. Where it is not known which numbers messages have now, they are forgotten,
// and fetched anew.
func (ch *changer) follow(ctx context.Context, batch []mailbox.UID, now map[mailbox.UID]mailbox.UID, to index.Folder) error {
	if ch.kept.UIDValidity == 0 {
		return nil
	}
	if len(now) > 0 {
		if _, err := ch.local.Begin(ctx, to.Name, to.UIDValidity); err != nil {
			return explainIndex(err)
		}
		if err := ch.local.Move(ctx, ch.kept, now, to); err != nil {
			return explainIndex(err)
		}
	}
	return ch.forget(ctx, uidsWithout(batch, slices.Sorted(maps.Keys(now))))
}

// forget removes messages from the index.
func (ch *changer) forget(ctx context.Context, uids []mailbox.UID) error {
	if ch.kept.UIDValidity == 0 {
		return nil
	}
	return explainIndex(ch.local.Remove(ctx, ch.kept, uids))
}

// takeFlags brings flags that were changed into the index. Where the server does not keep track of changes, they are what they
// come to; those of all messages are asked for with the next fetch.
func (ch *changer) takeFlags(ctx context.Context, uids []mailbox.UID, change mailbox.FlagChange) error {
	if ch.kept.UIDValidity == 0 {
		return nil
	}
	var infos []mailbox.Info
	if ch.status.HighestModSeq != 0 {
		var err error
		if infos, err = ch.store.Flags(ctx, ch.folder, ch.status.HighestModSeq); err != nil {
			return explainServer(err)
		}
	} else {
		for _, uid := range uids {
			known, err := ch.local.Line(ctx, ch.folder, uid)
			if err != nil {
				return explainIndex(err)
			}
			infos = append(infos, mailbox.Info{UID: uid, Flags: changeFlags(known.Flags, change)})
		}
	}
	// Of changes before these nothing is known yet.
	return explainIndex(ch.local.SetFlags(ctx, ch.kept, infos, 0))
}

// changeFlags is what flags come to. Their case does not matter (RFC 9051 section 2.3.2).
func changeFlags(flags []string, change mailbox.FlagChange) []string {
	has := func(list []string, flag string) bool {
		return slices.ContainsFunc(list, func(f string) bool { return strings.EqualFold(f, flag) })
	}
	changed := slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return has(change.Remove, f) })
	for _, flag := range change.Add {
		if !has(changed, flag) {
			changed = append(changed, flag)
		}
	}
	return changed
}
