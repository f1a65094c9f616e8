package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// Keeper keeps the keys of segments where no copy of the archive has them: in a vault. What it forgets is shredded, in every
// copy of the archive that is for nobody else.
type Keeper interface {
	// Key returns what was kept under a name. The error wraps fs.ErrNotExist where nothing was.
	Key(ctx context.Context, name string) ([]byte, error)
	// Keep keeps a key of 32 octets, durably, in the place of what was kept under the name: that is of no use any more.
	Keep(ctx context.Context, name string, key []byte) error
}

// Unwrapper opens what was sealed to a recovery certificate. The error is cms.ErrNotRecipient where it is for another one.
type Unwrapper interface {
	Unwrap(ctx context.Context, r cms.RecipientInfo) (cek []byte, err error)
}

// ContentKey is the content-encryption key of an encrypted layer of a message, as a recipient's key opened it: with it the
// message can be read when that key is gone.
type ContentKey struct {
	Recipient   [sha256.Size]byte // SHA-256 of the EncryptedKey in the RecipientInfo that it comes from
	Key         []byte
	Certificate string // fingerprint of the recipient's certificate; empty: not known
}

// segmentKeys are the keys of what is in a segment. They are the one thing about it that changes: what is shredded is left
// out when they are made anew under another segment key.
type segmentKeys struct {
	Archive    string        `json:"archive"`
	Segment    int           `json:"segment"`
	Generation int           `json:"generation"`
	Contents   key           `json:"contents"`
	Validation key           `json:"validation"`
	Messages   []messageKeys `json:"messages"` // by number, ascending
}

// messageKeys are the keys of one message.
type messageKeys struct {
	Number   Number       `json:"number"`
	Octets   key          `json:"octets,omitempty"` // none for a duplicate
	OctetsIn Number       `json:"octets_in,omitempty"`
	Record   key          `json:"record,omitempty"`
	Content  []contentKey `json:"content,omitempty"`
	Shredded *time.Time   `json:"shredded,omitempty"` // when what was here was left out
}

// root returns the number of the message whose octets these are: its own, unless it is a duplicate.
func (m messageKeys) root() Number { return cmp.Or(m.OctetsIn, m.Number) }

// gone reports whether the message was shredded.
func (m messageKeys) gone() bool { return m.Shredded != nil && m.Record == nil }

type contentKey struct {
	Recipient   []byte `json:"recipient"`
	Key         key    `json:"key"`
	Certificate string `json:"certificate,omitempty"`
}

// maxKeys bounds the octets of a segment's keys.
const maxKeys = 16 << 20

// keyName is what the Keeper knows a segment key by.
func keyName(archive string, segment, generation int) string {
	return fmt.Sprintf("archive:%s:%s.k%02d", archive, segmentDigits(segment), generation)
}

// of returns the keys of a message.
func (k *segmentKeys) of(n Number) (messageKeys, bool) {
	i, found := slices.BinarySearchFunc(k.Messages, n, func(m messageKeys, n Number) int { return int(m.Number - n) })
	if !found {
		return messageKeys{}, false
	}
	return k.Messages[i], true
}

// seal returns the keys, encrypted under a segment key and to recovery certificates.
func (k *segmentKeys) seal(ctx context.Context, a *Archive, segmentKey key) ([]byte, error) {
	text, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	var sealed bytes.Buffer
	w, err := newSealer(ctx, &sealed, segmentKey, keyName(k.Archive, k.Segment, k.Generation), a.description.recovery)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if sealed.Len() > maxKeys {
		return nil, fmt.Errorf("keys of segment %d: %w", k.Segment, ErrTooLarge)
	}
	return sealed.Bytes(), nil
}

// generation returns which generation of a segment's keys is the present one.
func (h *Head) generation(segment int) (generation int, ok bool) {
	first := keysName(segment, 1)
	i, _ := slices.BinarySearchFunc(h.Objects, ObjectSum{Name: first}, compareObjects)
	for ; i < len(h.Objects); i++ {
		s, g, isKeys := keysOf(h.Objects[i].Name)
		if !isKeys || s != segment {
			break
		}
		generation, ok = g, true
	}
	return generation, ok
}

// keys opens the keys of a segment: by the segment key, or by that of a recovery certificate. The error wraps ErrNoKey where
// nobody here has one, ErrAltered where the object is not the one that the head speaks of, and ErrSealed where the keys are not
// those that were sealed.
func (a *Archive) keys(ctx context.Context, h *Head, segment int) (*segmentKeys, error) {
	generation, ok := h.generation(segment)
	if !ok {
		return nil, fmt.Errorf("segment %d: %w", segment, ErrNoKey)
	}
	name := keysName(segment, generation)
	raw, err := readObject(ctx, a.storage, name, maxKeys)
	if err != nil {
		return nil, err
	}
	if sum, _ := h.Sum(name); !h.undigested && sum != sha512.Sum512(raw) {
		return nil, fmt.Errorf("%s: %w", name, ErrAltered)
	}
	var text bytes.Buffer
	text.Grow(len(raw)) // where it grew later, what is cleared would not be all
	defer func() { clear(text.Bytes()) }()
	if err := a.openKeys(ctx, raw, keyName(a.description.ID, segment, generation), &text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	k := &segmentKeys{}
	if err := json.Unmarshal(text.Bytes(), k); err != nil || k.Archive != a.description.ID || k.Segment != segment || k.Generation != generation {
		return nil, fmt.Errorf("%s: %w", name, ErrSealed)
	}
	return k, nil
}

// eachKeys calls f for the keys of each segment from that of a message to that of another; 0: there is none. f may change them:
// they are not those of an open Segment.
func (a *Archive) eachKeys(ctx context.Context, first, last Number, f func(k *segmentKeys) error) error {
	if first == 0 || last == 0 {
		return nil
	}
	s, err := a.SegmentOf(ctx, first)
	if err != nil {
		return err
	}
	for segment := s.Number; segment <= a.Segments(); segment++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := a.keys(ctx, a.head, segment)
		if err != nil {
			return err
		}
		if err := f(k); err != nil {
			return err
		}
		if n := len(k.Messages); n > 0 && k.Messages[n-1].Number >= last {
			return nil
		}
	}
	return nil
}

// openKeys decrypts a segment's keys, or a statement: by the key that the Keeper has under a name, or else by that of a recovery
// certificate.
func (a *Archive) openKeys(ctx context.Context, raw []byte, name string, dst *bytes.Buffer) error {
	if a.o.Keeper != nil {
		k, err := a.o.Keeper.Key(ctx, name)
		switch {
		case err == nil:
			defer clear(k)
			err := key(k).open(ctx, bytes.NewReader(raw), name, dst)
			if len(a.o.Recovery) == 0 || !errors.Is(err, ErrSealed) {
				return err
			}
			dst.Reset() // it is not the key that this was sealed under, perhaps: another one was made when it was lost
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	info, err := cms.Read(bytes.NewReader(raw), cms.Limits{Recipients: maxRecipients})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSealed, err)
	}
	sealed, ok := info.(*cms.EnvelopedData)
	if !ok || !sealed.Authenticated {
		return ErrSealed
	}
	for _, u := range a.o.Recovery {
		for _, r := range sealed.Recipients {
			cek, err := u.Unwrap(ctx, r)
			if errors.Is(err, cms.ErrNotRecipient) {
				continue
			}
			if err != nil {
				return sealedError(err)
			}
			defer clear(cek)
			return sealedError(sealed.Decrypt(ctx, dst, cek, cms.DecryptOptions{}))
		}
	}
	return ErrNoKey
}
