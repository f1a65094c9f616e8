package client

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

// Bounds on what is remembered of moves that did not come to their end.
const (
	maxMoves     = 64 // the oldest are forgotten first
	maxMovesSize = 1 << 20
)

// begunMove is a move of which some messages may be in both folders: a store that cannot move copies first, and the program may be
// ended before what was copied is removed.
type begunMove struct {
	From         string        `json:"from"`
	To           string        `json:"to"`
	FromValidity uint32        `json:"from_validity"`
	ToValidity   uint32        `json:"to_validity"`
	Next         mailbox.UID   `json:"next"` // no copy has a number below
	UIDs         []mailbox.UID `json:"uids"` // in From, ascending
}

// moveMemory is what is remembered of the moves of an account.
type moveMemory struct {
	disk  safeio.Disk
	path  string
	begun []begunMove
}

func (c *Client) openMoveMemory(account string) *moveMemory {
	m := &moveMemory{disk: c.o.Disk, path: c.o.Home.Moves(account)}
	if info, err := os.Stat(m.path); err == nil && info.Size() <= maxMovesSize {
		if data, err := os.ReadFile(m.path); err == nil && json.Unmarshal(data, &m.begun) != nil {
			m.begun = nil // what is damaged is begun anew
		}
	}
	return m
}

// of returns what is remembered of moves between the same folders, in the same numbering.
func (m *moveMemory) of(b begunMove) (known begunMove, ok bool) {
	i := slices.IndexFunc(m.begun, b.same)
	if i < 0 {
		return b, false
	}
	return m.begun[i], true
}

func (b begunMove) same(o begunMove) bool {
	return b.From == o.From && b.To == o.To && b.FromValidity == o.FromValidity && b.ToValidity == o.ToValidity
}

// set remembers a move in place of what was known of it; one without messages is forgotten.
func (m *moveMemory) set(b begunMove) error {
	m.begun = slices.DeleteFunc(m.begun, b.same)
	if len(b.UIDs) > 0 {
		m.begun = append(m.begun, b)
		m.begun = m.begun[max(0, len(m.begun)-maxMoves):]
	}
	_ = safeio.RemoveStale(filepath.Dir(m.path)) // what a kill left behind; not being able to is no reason to stop
	if len(m.begun) == 0 {
		return m.disk.Discard(m.path)
	}
	data, err := json.Marshal(m.begun)
	if err != nil {
		return err
	}
	if err := m.disk.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	return m.disk.WriteFile(m.path, data, 0o600)
}

// moveBatch moves messages, and returns the number that each has now, or nil where that is not known. Those that an earlier move has
// copied already are removed here, and not copied again. next is the next number in the target.
func (ch *changer) moveBatch(ctx context.Context, batch []mailbox.UID, target index.Folder, next mailbox.UID) (map[mailbox.UID]mailbox.UID, error) {
	memory := ch.client.openMoveMemory(ch.account.Name)
	begun, ok := memory.of(begunMove{From: ch.folder, To: target.Name, FromValidity: ch.status.UIDValidity, ToValidity: target.UIDValidity, Next: next})
	var copied map[mailbox.UID]mailbox.UID
	if ok {
		var err error
		if copied, err = ch.copies(ctx, begun, batch); err != nil {
			return nil, err
		}
	}
	if len(copied) > 0 {
		if err := ch.store.Delete(ctx, ch.folder, slices.Sorted(maps.Keys(copied))); err != nil {
			return nil, err
		}
	}
	others := uidsWithout(begun.UIDs, batch)
	now := map[mailbox.UID]mailbox.UID{}
	if rest := uidsWithout(batch, slices.Sorted(maps.Keys(copied))); len(rest) > 0 {
		begun.UIDs = slices.Sorted(slices.Values(slices.Concat(others, rest)))
		if err := memory.set(begun); err != nil {
			return nil, failed("move", err, "nothing was moved; mend the disk and move again")
		}
		var err error
		if now, err = ch.store.Move(ctx, ch.folder, rest, target.Name); err != nil {
			return nil, err // some may be copied
		}
	}
	begun.UIDs = others
	if err := memory.set(begun); err != nil {
		ch.client.o.Say("warning: " + err.Error()) // what is remembered too long does no harm
	}
	if now != nil {
		maps.Copy(now, copied)
	}
	return now, nil
}

// copies returns which of the messages have a copy in the target since the move was begun, octet for octet, and its number.
func (ch *changer) copies(ctx context.Context, begun begunMove, batch []mailbox.UID) (map[mailbox.UID]mailbox.UID, error) {
	asked := slices.DeleteFunc(slices.Clone(batch), func(uid mailbox.UID) bool { return !slices.Contains(begun.UIDs, uid) })
	if len(asked) == 0 {
		return nil, nil
	}
	there, err := ch.store.List(ctx, begun.To, begun.Next)
	if err != nil || len(there) == 0 {
		return nil, err
	}
	here, err := ch.store.List(ctx, begun.From, asked[0])
	if err != nil {
		return nil, err
	}
	here = slices.DeleteFunc(here, func(i mailbox.Info) bool { return !slices.Contains(asked, i.UID) })
	found := map[[sha256.Size]byte][]mailbox.UID{}
	for _, i := range there {
		if !slices.ContainsFunc(here, func(h mailbox.Info) bool { return h.Size == i.Size }) {
			continue
		}
		sum, err := ch.digest(ctx, begun.To, i.UID)
		if errors.Is(err, mailbox.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[sum] = append(found[sum], i.UID)
	}
	copied := map[mailbox.UID]mailbox.UID{}
	for _, i := range here {
		if !slices.ContainsFunc(there, func(t mailbox.Info) bool { return t.Size == i.Size }) {
			continue
		}
		sum, err := ch.digest(ctx, begun.From, i.UID)
		if errors.Is(err, mailbox.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if same := found[sum]; len(same) > 0 { // each is the copy of one
			copied[i.UID], found[sum] = same[0], same[1:]
		}
	}
	return copied, nil
}

func (ch *changer) digest(ctx context.Context, folder string, uid mailbox.UID) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	err = ch.store.Fetch(ctx, folder, uid, h)
	return [sha256.Size]byte(h.Sum(nil)), err
}
