package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// staysUnstamped says that nothing of a segment is removed at the server.
func (u *archivePuller) staysUnstamped(segment int) {
	u.client.o.Say(fmt.Sprintf("note: the messages of segment %d stay at the server, because it has no timestamp yet", segment))
}

// expunge removes at the server messages of a segment, which are given by where they are and the SHA-256 of what is there, once the
// segment was read back from the archive, octet for octet.
func (u *archivePuller) expunge(ctx context.Context, segment int, at map[numbered]map[uint32]string) error {
	kept := map[string][]mailbox.UID{}
	err := u.archive.ReadBack(ctx, segment, func(r *archive.Record) {
		sum, asked := at[numbered{r.Folder, r.UIDValidity}][r.UID]
		switch {
		case r.Account != u.account.Name || !asked:
		case sum != r.SHA256:
			u.client.o.Say(fmt.Sprintf("warning: message %d in %s stays at the server: it is not the one that was archived under this number", r.UID, r.Folder))
		default:
			kept[r.Folder] = append(kept[r.Folder], mailbox.UID(r.UID))
		}
	})
	if err != nil {
		return explainArchive(u.dir, err)
	}
	for _, folder := range slices.Sorted(maps.Keys(kept)) {
		if err := u.store.Delete(ctx, folder, kept[folder]); err != nil {
			return explainMessage("", folder, err)
		}
		u.result.Expunged += len(kept[folder])
	}
	return nil
}

// expungeBefore removes at the server what is there still, and was archived by an earlier run: one that was ended before it came to
// that, or found no authority, or was not to. As that was long ago, what is at the server is looked at again before.
func (u *archivePuller) expungeBefore(ctx context.Context) error {
	head, _ := u.archive.Head()
	for segment := 1; segment <= head.Segments && len(u.before) > 0; segment++ {
		there, err := u.thereStill(ctx, segment)
		switch {
		case err != nil:
			return err
		case len(there) == 0:
			continue
		case slices.Contains(head.Unstamped, segment):
			u.staysUnstamped(segment)
			continue
		}
		sums := map[numbered]map[uint32]string{}
		for at, infos := range there {
			d := &digester{sums: map[uint32]string{}}
			if err := u.store.FetchAll(ctx, at.folder, infos, d); err != nil {
				return explainServer(err)
			}
			sums[at] = d.sums
		}
		if err := u.expunge(ctx, segment, sums); err != nil {
			return err
		}
	}
	return nil
}

// thereStill are the messages of a segment of which archivePuller.before speaks.
func (u *archivePuller) thereStill(ctx context.Context, segment int) (map[numbered][]mailbox.Info, error) {
	s, err := u.archive.Segment(ctx, segment)
	if err != nil {
		return nil, explainArchive(u.dir, err)
	}
	contents, err := s.Contents(ctx)
	if err != nil {
		return nil, explainArchive(u.dir, err)
	}
	there := map[numbered][]mailbox.Info{}
	for _, f := range contents.Folders {
		at := numbered{f.Folder, f.UIDValidity}
		if f.Account != u.account.Name {
			continue
		}
		for _, uid := range u.before[at] {
			if f.UIDs.Has(uint32(uid)) {
				there[at] = append(there[at], mailbox.Info{UID: uid})
			}
		}
	}
	return there, nil
}

// digester takes the SHA-256 of messages, in hex, by their UID. One that cannot be had has none.
type digester struct {
	sums map[uint32]string
	hash hash.Hash // of the one that arrives
}

// Message is for mailbox.Receiver.
func (d *digester) Message(mailbox.Info) (io.Writer, error) {
	d.hash = sha256.New()
	return d.hash, nil
}

// Done is for mailbox.Receiver.
func (d *digester) Done(info mailbox.Info, err error) error {
	if err == nil {
		d.sums[uint32(info.UID)] = hex.EncodeToString(d.hash.Sum(nil))
	}
	return nil
}
