package localserver

import (
	"cmp"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// view is what one client has been told of its selected folder: sequence numbers are positions in it, and stay what
// they are until the client is told otherwise (RFC 3501 section 5.5, RFC 2180).
type view struct {
	folder   *folder
	readOnly bool
	uids     []imap.UID // ascending; the client's sequence number n is uids[n-1]
	changes  uint64     // of the folder, when the client was last told
}

// newView begins a view, and returns the folder as it shows it.
func newView(f *folder, readOnly bool) (*view, snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.snapshotLocked()
	if now.gone {
		return nil, now, errNoFolder
	}
	v := &view{folder: f, readOnly: readOnly, changes: f.changes}
	for _, m := range now.messages {
		v.uids = append(v.uids, m.uid)
	}
	return v, now, nil
}

// number returns the client's sequence number of a message, or 0 if the client does not know it.
func (v *view) number(uid imap.UID) uint32 {
	i, ok := slices.BinarySearch(v.uids, uid)
	if !ok {
		return 0
	}
	return uint32(i + 1)
}

// resolve returns the UIDs that the client means, in ascending order, of the messages it knows.
func (v *view) resolve(set imap.NumSet) []imap.UID {
	var out []imap.UID
	switch set := set.(type) {
	case imap.SeqSet:
		set = slices.Clone(set)
		for i := range set {
			fixRange(&set[i].Start, &set[i].Stop, uint32(len(v.uids)))
		}
		for i, uid := range v.uids {
			if set.Contains(uint32(i + 1)) {
				out = append(out, uid)
			}
		}
	case imap.UIDSet:
		set = v.fixUIDs(set)
		for _, uid := range v.uids {
			if set.Contains(uid) {
				out = append(out, uid)
			}
		}
	}
	return out
}

func (v *view) fixUIDs(set imap.UIDSet) imap.UIDSet {
	var last imap.UID
	if n := len(v.uids); n > 0 {
		last = v.uids[n-1]
	}
	set = slices.Clone(set)
	for i := range set {
		fixRange(&set[i].Start, &set[i].Stop, last)
	}
	return set
}

// fixRange puts the highest number in place of "*", which the library hands over as 0, and the ends in order: "*:5"
// means "5:*", and so does "7:*" where the highest is 5 (RFC 9051 section 9, seq-range).
func fixRange[N cmp.Ordered](start, stop *N, last N) {
	var star N
	if *start != star && *stop != star {
		return
	}
	if *start == star {
		*start = last
	}
	if *stop == star {
		*stop = last
	}
	if *start > *stop {
		*start, *stop = *stop, *start
	}
}

// news is what a client has to be told.
type news struct {
	expunged []uint32 // sequence numbers in the order they must be told
	exists   uint32   // 0: unchanged
	flags    []message
}

// update brings the view up to the folder. Sequence numbers shift only if allowExpunge.
func (v *view) update(allowExpunge bool) news {
	f := v.folder
	f.mu.Lock()
	defer f.mu.Unlock()
	var n news
	if allowExpunge {
		kept := v.uids[:0:0]
		for i := len(v.uids) - 1; i >= 0; i-- {
			if _, ok := f.index(v.uids[i]); ok {
				kept = append(kept, v.uids[i])
			} else {
				n.expunged = append(n.expunged, uint32(i+1))
			}
		}
		slices.Reverse(kept)
		v.uids = kept
	}
	known := len(v.uids)
	for _, m := range f.messages {
		switch _, ok := slices.BinarySearch(v.uids[:known], m.uid); {
		case !ok:
			// UIDs ascend, so what is new comes after all that is known.
			v.uids = append(v.uids, m.uid)
		case m.changed > v.changes && m.by != v:
			n.flags = append(n.flags, *m)
		}
	}
	if len(v.uids) > known {
		n.exists = uint32(len(v.uids))
	}
	v.changes = f.changes
	return n
}

// tell brings the client up to date.
func (v *view) tell(w *imapserver.UpdateWriter, allowExpunge bool) error {
	n := v.update(allowExpunge)
	for _, number := range n.expunged {
		if err := w.WriteExpunge(number); err != nil {
			return err
		}
	}
	if n.exists > 0 {
		if err := w.WriteNumMessages(n.exists); err != nil {
			return err
		}
	}
	for _, m := range n.flags {
		if err := w.WriteMessageFlags(v.number(m.uid), m.uid, m.Flags); err != nil {
			return err
		}
	}
	return nil
}
