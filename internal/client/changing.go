package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// changeBatch is how many messages are changed by one call: between two a person can interrupt.
const changeBatch = 500

// ChangeParams say which messages are changed at the server.
type ChangeParams struct {
	IDs    []string // a UID, a range, "last" or "mid:" with a Message-ID each
	Folder string   // empty: INBOX
	// Confirm asks the person before what cannot be undone; its error ends everything with nothing done.
	Confirm func(question string) error
}

// ChangeLine is what became of one message; its JSON is a contract.
type ChangeLine struct {
	Account   string  `json:"account"`
	Folder    string  `json:"folder"`
	UID       *uint32 `json:"uid"` // null where a Message-ID was not found
	MessageID *string `json:"message_id"`
	*Moved
	*Flagged
	Error *string `json:"error"`
}

// Moved is where a message is now.
type Moved struct {
	To     *string `json:"to"`      // null: it is gone for good
	NewUID *uint32 `json:"new_uid"` // null where the server does not tell
}

// Flagged is which flags were put on and taken off a message.
type Flagged struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

// ChangeResult is how many messages were changed.
type ChangeResult struct {
	Folder string
	To     string // empty: gone for good, or left where they are
	Done   int
}

// MoveParams are the words of `move`.
type MoveParams struct {
	ChangeParams
	To     string
	Create bool // makes the folder, if it is missing, without asking
}

// DeleteParams are the words of `delete`.
type DeleteParams struct {
	ChangeParams
	Permanently bool
}

// FlagParams are the words of `flag`.
type FlagParams struct {
	ChangeParams
	Add, Remove []string // see parseFlag
}

// Move moves messages to another folder, which is made after it was confirmed. No message is lost, whatever interrupts it; what
// the index keeps of them goes along. Each is told one line.
func (c *Client) Move(ctx context.Context, p MoveParams, each func(ChangeLine) error) (*ChangeResult, error) {
	ch, err := c.newChanger(ctx, p.ChangeParams, "moved", each)
	if err != nil {
		return nil, err
	}
	defer ch.Close()
	to, ok := folderNamed(ch.folders, ch.account, p.To)
	if p.Create {
		p.Confirm = nil
	}
	return ch.move(ctx, p.ChangeParams, to, ok)
}

// Delete moves messages to the folder for that, or, from there and where that is asked for, removes them for good: then nothing
// of them is left in the index either. Each is told one line.
func (c *Client) Delete(ctx context.Context, p DeleteParams, each func(ChangeLine) error) (*ChangeResult, error) {
	ch, err := c.newChanger(ctx, p.ChangeParams, "deleted", each)
	if err != nil {
		return nil, err
	}
	defer ch.Close()
	trash, ok := folderFor(ch.folders, ch.account, "trash")
	if !p.Permanently && trash != ch.folder {
		return ch.move(ctx, p.ChangeParams, trash, ok)
	}
	uids, err := ch.choose(ctx, p.IDs)
	if err != nil {
		return nil, err
	}
	if len(uids) > 0 && p.Confirm != nil {
		if err := p.Confirm(fmt.Sprintf("Delete %d message(s) in %s for good?", len(uids), ch.folder)); err != nil {
			return nil, err
		}
	}
	return ch.run(ctx, uids, func(ctx context.Context, batch []mailbox.UID) (map[mailbox.UID]mailbox.UID, error) {
		return nil, ch.store.Delete(ctx, ch.folder, batch)
	}, func(ctx context.Context, batch []mailbox.UID, _ map[mailbox.UID]mailbox.UID) error {
		return ch.forget(ctx, batch)
	})
}

// Flag puts flags on messages and takes others off, at the server and in the index. Each is told one line.
func (c *Client) Flag(ctx context.Context, p FlagParams, each func(ChangeLine) error) (*ChangeResult, error) {
	change := mailbox.FlagChange{}
	for _, list := range []struct {
		words []string
		to    *[]string
	}{{p.Add, &change.Add}, {p.Remove, &change.Remove}} {
		for _, word := range list.words {
			flag, err := parseFlag(word)
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, flag)
		}
	}
	if len(change.Add)+len(change.Remove) == 0 {
		return nil, usage("flag", errors.New("which flag is not said"), "name one with --add or --remove, such as --add seen")
	}
	if slices.ContainsFunc(change.Add, func(f string) bool { return strings.EqualFold(f, `\Deleted`) }) {
		return nil, usage("flag", errors.New("messages that are marked so are removed by others, or by the server, at any time"), "`sealmail delete ID` deletes them")
	}
	for _, flag := range change.Add {
		if slices.ContainsFunc(change.Remove, func(f string) bool { return strings.EqualFold(f, flag) }) {
			return nil, usage("flag", fmt.Errorf("%s is both put on and taken off", flag), "")
		}
	}
	ch, err := c.newChanger(ctx, p.ChangeParams, "marked", each)
	if err != nil {
		return nil, err
	}
	defer ch.Close()
	ch.flagged = &Flagged{orNone(change.Add), orNone(change.Remove)}
	uids, err := ch.choose(ctx, p.IDs)
	if err != nil {
		return nil, err
	}
	return ch.run(ctx, uids, func(ctx context.Context, batch []mailbox.UID) (map[mailbox.UID]mailbox.UID, error) {
		return nil, ch.store.SetFlags(ctx, ch.folder, batch, change)
	}, func(ctx context.Context, batch []mailbox.UID, _ map[mailbox.UID]mailbox.UID) error {
		return ch.takeFlags(ctx, batch, change)
	})
}

// seenTime is how long it may take to mark what was read.
const seenTime = 5 * time.Second

// markSeen marks messages that a person has read, unless the index knows that they are. It is no error where that cannot be done.
func (c *Client) markSeen(ctx context.Context, folder string, uids []mailbox.UID) {
	ctx, cancel := context.WithTimeout(ctx, seenTime)
	defer cancel()
	if err := c.trySeen(ctx, folder, uids); err != nil && c.o.Detail != nil {
		c.o.Detail("not marked as seen: " + err.Error())
	}
}

func (c *Client) trySeen(ctx context.Context, folder string, uids []mailbox.UID) error {
	a, err := c.account()
	if err != nil {
		return err
	}
	ch := &changer{finder: finder{client: c, account: a, looked: true}}
	defer ch.Close()
	if err := ch.openIndex(ctx); err != nil {
		return err
	}
	change := mailbox.FlagChange{Add: []string{`\Seen`}}
	if ch.local != nil {
		uids = slices.DeleteFunc(uids, func(uid mailbox.UID) bool {
			known, err := ch.local.Line(ctx, folder, uid)
			return err == nil && known.UID != 0 && slices.Equal(changeFlags(known.Flags, change), known.Flags)
		})
	}
	if len(uids) == 0 {
		return nil
	}
	if err := ch.open(ctx, folder); err != nil {
		return err
	}
	if err := ch.store.SetFlags(ctx, ch.folder, uids, change); err != nil {
		return explainServer(err)
	}
	return ch.takeFlags(ctx, uids, change)
}

// systemFlags are the flags that have a meaning of their own (RFC 9051 section 2.3.2), and some keywords of everyday use, by the
// words for them.
var systemFlags = map[string]string{
	"seen": `\Seen`, "flagged": `\Flagged`, "answered": `\Answered`, "draft": `\Draft`, "deleted": `\Deleted`, "forwarded": "$Forwarded",
}

// parseFlag reads a flag: one of the words seen, flagged, answered, draft, deleted and forwarded, with or without a backslash, or
// any keyword (RFC 9051 section 9, flag-keyword).
func parseFlag(word string) (string, error) {
	name, system := strings.CutPrefix(word, `\`)
	if flag, ok := systemFlags[strings.ToLower(name)]; ok && (!system || flag[0] == '\\') {
		return flag, nil
	}
	// atom-specials, and what is no ASCII; "]" is one of resp-specials.
	const specials = `(){ %*"\]`
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(specials, r) }
	if system || word == "" || len(word) > maxKeyword || strings.ContainsFunc(word, odd) {
		return "", usage("flag", fmt.Errorf("%q is no flag", word), "seen, flagged, answered, draft, forwarded, or a keyword of letters and digits")
	}
	return word, nil
}

// maxKeyword bounds a keyword, in octets. Servers take less.
const maxKeyword = 200
