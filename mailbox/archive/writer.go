package archive

import (
	"cmp"
	"context"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// WriteOptions say how an archive is written.
type WriteOptions struct {
	Signer Signer
	// Stamp returns an RFC 3161 token over data, Evidence an evidence record (RFC 4998) for the first of these data objects,
	// out of one hash tree over all of them. Both have verified what they return. Where they fail, a segment stays without
	// until the next Writer; nil: it is so from the beginning.
	Stamp    func(ctx context.Context, data []byte) (token []byte, err error)
	Evidence func(ctx context.Context, leaves [][]byte) (record []byte, err error)
	// Trusted judges who signed the head that is there, before anything is built on it: extra are certificates that came with the
	// signature, at is when it says that it was made. nil: whoever signed it is believed.
	Trusted func(ctx context.Context, signer *x509.Certificate, extra []*x509.Certificate, at time.Time) error
	// Proves verifies a token over the first of these leaves, and an evidence record of it out of a tree over all of them, which a writer
	// that was killed has left. nil: they are got again.
	Proves func(ctx context.Context, token, record []byte, leaves [][]byte) error
	// Unstamped, unless nil, is told why a segment stays without.
	Unstamped func(segment int, err error)

	// MaxMessages and MaxOctets are how much goes into a segment before it is full; zero means DefaultSegmentMessages and
	// DefaultSegmentOctets.
	MaxMessages int
	MaxOctets   int64
}

// How much goes into a segment where WriteOptions say nothing else.
const (
	DefaultSegmentMessages = 4096
	DefaultSegmentOctets   = 64 << 20
)

// Writer adds to an archive. Only one can be open at a time, by whatever process. It is for use by one goroutine.
type Writer struct {
	a       *Archive
	o       WriteOptions
	unlock  func() error
	segment *segmentWriter // nil: none is open
	failed  error          // of a change: what stands is not known, and the next Writer finds out

	shredded []*Statement // those of StatementShredded; nil: not read yet
}

// Sealed is a segment that has become part of the archive.
type Sealed struct {
	Segment     int
	First, Last Number
	Octets      int64 // of its ZIP file
	Stamped     bool
}

// Write begins to add to an archive. What a writer before it left half done is brought to its end, or removed, and the head is
// read again. The error is ErrBusy where another one is writing, and wraps ErrRolledBack where there are more segments than
// the head speaks of: then nothing is touched.
func (a *Archive) Write(ctx context.Context, o WriteOptions) (*Writer, error) {
	o.MaxMessages, o.MaxOctets = cmp.Or(o.MaxMessages, DefaultSegmentMessages), cmp.Or(o.MaxOctets, DefaultSegmentOctets)
	if a.o.Keeper == nil {
		return nil, fmt.Errorf("segment keys: %w", ErrNoKey)
	}
	unlock, err := a.storage.Lock(ctx)
	if err != nil {
		return nil, err
	}
	w := &Writer{a: a, o: o, unlock: unlock}
	if err = a.reload(ctx); err == nil {
		err = w.trusted(ctx)
	}
	if err == nil {
		err = w.mend(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return w, nil
}

// trusted refuses to go on from a head that somebody else has signed.
func (w *Writer) trusted(ctx context.Context) error {
	if w.o.Trusted == nil {
		return nil
	}
	h, signed, err := openHead(ctx, w.a.raw)
	if err != nil {
		return err
	}
	if err := w.o.Trusted(ctx, signed.signer, signed.bag, h.Time); err != nil {
		return fmt.Errorf("%s: %w: %w", headName, ErrSignature, err)
	}
	return nil
}

// Close gives up what was added and is in no sealed segment, and lets other writers in.
func (w *Writer) Close() error {
	var err error
	if w.segment != nil {
		err = w.segment.abort()
		w.segment = nil
	}
	return errors.Join(err, w.unlock())
}

// Add puts a message into the open segment. It is archived once Seal has returned. After an error the segment is lost, and
// nothing of it is archived; but for a *ShreddedError, which says that the octets that a duplicate was to share are gone: it can be
// added with its own.
func (w *Writer) Add(ctx context.Context, m Message, octets io.Reader) (*Record, error) {
	if w.failed != nil {
		return nil, w.failed
	}
	if m.Duplicate < 0 || int64(m.Duplicate) > w.a.head.Messages+int64(w.pending()) {
		return nil, fmt.Errorf("message %d: %w", m.Duplicate, ErrMissing)
	}
	if err := w.shareable(ctx, m.Duplicate); err != nil {
		return nil, err
	}
	if w.segment == nil {
		s, err := w.a.newSegment(ctx, w.a.head)
		if err != nil {
			return nil, err
		}
		w.segment = s
	}
	r, err := w.segment.add(ctx, m, octets)
	if err != nil {
		err = errors.Join(err, w.segment.abort())
		w.segment = nil
		return nil, err
	}
	return r, nil
}

// pending is how many messages are in the open segment.
func (w *Writer) pending() int {
	if w.segment == nil {
		return 0
	}
	return w.segment.messages()
}

// Full reports whether the open segment has as much in it as it should.
func (w *Writer) Full() bool {
	return w.segment != nil && (w.segment.messages() >= w.o.MaxMessages || w.segment.output.size >= w.o.MaxOctets || w.segment.full())
}

// Seal makes the open segment part of the archive: its file is on the disk, then its keys are kept, then it is signed and
// stamped, and then the head speaks of it. Without an open segment it returns nil. After an error nothing of the segment is
// archived, but a later Writer may find that it was complete, and take it in; this one is of no more use.
func (w *Writer) Seal(ctx context.Context) (*Sealed, error) {
	s := w.segment
	if s == nil || w.failed != nil {
		return nil, w.failed
	}
	w.segment = nil
	sealed, err := w.seal(ctx, s)
	w.failed = err
	return sealed, err
}

func (w *Writer) seal(ctx context.Context, s *segmentWriter) (*Sealed, error) {
	// An interruption gives it up before the file is there, and not after.
	if err := s.finish(ctx); err != nil {
		return nil, errors.Join(err, s.abort())
	}
	h := w.a.head.clone()
	h.Segments, h.Messages = s.number, int64(s.contents.Last)
	sum := s.output.sum.Sum(nil)
	h.put(ObjectSum{segmentName(s.number, suffixZIP), [sha512.Size]byte(sum)})

	name, segmentKey := keyName(s.keys.Archive, s.number, s.keys.Generation), newKey()
	if err := w.a.o.Keeper.Keep(ctx, name, segmentKey); err != nil {
		return nil, err
	}
	sealed, err := s.keys.seal(ctx, w.a, segmentKey)
	if err != nil {
		return nil, err
	}
	if err := w.put(ctx, h, keysName(s.number, s.keys.Generation), sealed); err != nil {
		return nil, err
	}
	signature, err := w.o.Signer.sign(ctx, sumLine(sum, s.number), true, w.a.o.Now())
	if err != nil {
		return nil, err
	}
	if err := w.put(ctx, h, segmentName(s.number, suffixSignature), signature); err != nil {
		return nil, err
	}
	stamped, err := w.stamp(ctx, h, s.number, signature, s.commits)
	if err != nil {
		return nil, err
	}
	if err := w.a.moveHead(ctx, h, w.o.Signer); err != nil {
		return nil, err
	}
	return &Sealed{Segment: s.number, First: s.contents.First, Last: s.contents.Last, Octets: s.output.size, Stamped: stamped}, nil
}

// put makes an object, and has the head speak of it.
func (w *Writer) put(ctx context.Context, h *Head, name string, data []byte) error {
	if err := writeObject(ctx, w.a.storage, name, data); err != nil {
		return err
	}
	h.put(ObjectSum{name, sha512.Sum512(data)})
	return nil
}

var errEmpty = errors.New("nothing was got")

// stamp gets what proves the time of a segment, as far as it has none, and has the head speak of it, or say that it is missing.
func (w *Writer) stamp(ctx context.Context, h *Head, segment int, signature []byte, commits [][]byte) (stamped bool, err error) {
	refused := func(why error) (bool, error) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if w.o.Unstamped != nil {
			w.o.Unstamped(segment, why)
		}
		if !slices.Contains(h.Unstamped, segment) {
			h.Unstamped = append(h.Unstamped, segment)
			slices.Sort(h.Unstamped)
		}
		return false, nil
	}
	if w.o.Stamp == nil || w.o.Evidence == nil {
		return refused(nil)
	}
	if name := segmentName(segment, suffixToken); !h.has(name) {
		token, err := w.o.Stamp(ctx, signature)
		if err == nil && len(token) == 0 {
			err = errEmpty
		}
		if err != nil {
			return refused(err)
		}
		if err := w.put(ctx, h, name, token); err != nil {
			return false, err
		}
	}
	if name := segmentName(segment, suffixEvidence); !h.has(name) {
		record, err := w.o.Evidence(ctx, leaves(signature, commits))
		if err == nil && len(record) == 0 {
			err = errEmpty
		}
		if err != nil {
			return refused(err)
		}
		if err := w.put(ctx, h, name, record); err != nil {
			return false, err
		}
	}
	h.Unstamped = slices.DeleteFunc(h.Unstamped, func(n int) bool { return n == segment })
	return true, nil
}

func (h *Head) has(name string) bool {
	_, ok := h.Sum(name)
	return ok
}

// leaves are what the hash tree of a segment is over: its signature, then the commit file of each message.
func leaves(signature []byte, commits [][]byte) [][]byte {
	return append([][]byte{signature}, commits...)
}

// Stamp gives segments that have no time-stamp yet theirs. done is how many got it. One that is not what was archived gets none,
// as WriteOptions.Unstamped is told.
func (w *Writer) Stamp(ctx context.Context) (done int, err error) {
	if w.failed != nil {
		return 0, w.failed
	}
	for _, segment := range slices.Clone(w.a.head.Unstamped) {
		signature, commits, err := w.stampable(ctx, segment)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return done, ctx.Err()
		default:
			if w.o.Unstamped != nil {
				w.o.Unstamped(segment, err)
			}
			continue
		}
		h := w.a.head.clone()
		stamped, err := w.stamp(ctx, h, segment, signature, commits)
		if err == nil && len(h.Objects) > len(w.a.head.Objects) { // also where there is a token alone
			err = w.a.moveHead(ctx, h, w.o.Signer)
		}
		if err != nil {
			w.failed = err
			return done, err
		}
		if stamped {
			done++
		}
	}
	return done, nil
}

// stampable reads what is to be stamped of a segment, which must be what was archived.
func (w *Writer) stampable(ctx context.Context, segment int) (signature []byte, commits [][]byte, err error) {
	name := segmentName(segment, suffixZIP)
	sum, _, err := hashObject(ctx, w.a.storage, name, nil)
	if err != nil {
		return nil, nil, err
	}
	if want, _ := w.a.head.Sum(name); sum != want {
		return nil, nil, fmt.Errorf("%s: %w", name, ErrAltered)
	}
	s, err := w.a.Segment(ctx, segment)
	if err != nil {
		return nil, nil, err
	}
	if commits, err = s.commitments(ctx); err != nil {
		return nil, nil, err
	}
	signature, err = w.a.read(ctx, segmentName(segment, suffixSignature))
	return signature, commits, err
}
