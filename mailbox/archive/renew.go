package archive

import (
	"context"
	"errors"
	"fmt"
)

// Renewer makes a new evidence record (RFC 4998 section 5, DER) for each of these segments, and puts it. It finds what it needs in
// [Archive.Evidence] and [Archive.Leaves], and has verified what it puts.
type Renewer func(ctx context.Context, segments []int, put func(segment int, record []byte) error) error

// Renew renews the evidence of all segments that have any, and returns how many they are. It is one renewal, with a number of its
// own in the archive, and is made when Renew has returned; when it fails nothing was renewed. A segment that is made, or stamped,
// after it has a record that begins there, and is in the next one. Records that were renewed stay where they are.
func (w *Writer) Renew(ctx context.Context, renew Renewer) (renewed int, err error) {
	var segments []int
	for segment := 1; segment <= w.a.head.Segments; segment++ {
		if _, ok := w.a.head.newestEvidence(segment); ok {
			segments = append(segments, segment)
		}
	}
	if len(segments) == 0 {
		return 0, nil
	}
	if w.a.head.Renewals == maxRenewals {
		return 0, errors.New("the archive was renewed as often as it can be")
	}
	err = w.change(ctx, func(h *Head) error {
		h.Renewals++
		err := renew(ctx, segments, func(segment int, record []byte) error {
			if _, ok := w.a.head.newestEvidence(segment); !ok {
				return fmt.Errorf("segment %d: %w", segment, ErrUnstamped)
			}
			return w.make(ctx, h, renewedName(segment, h.Renewals), record)
		})
		if err != nil {
			return err
		}
		for _, segment := range segments {
			if !h.has(renewedName(segment, h.Renewals)) {
				return fmt.Errorf("segment %d: its new record: %w", segment, ErrMissing)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(segments), nil
}

// Leaves returns what the evidence of a segment is over: its signature, and the content of the commit file of each message, in their
// order. That the commit files are those that were archived is shown by the evidence itself.
func (a *Archive) Leaves(ctx context.Context, segment int) ([][]byte, error) {
	s, err := a.Segment(ctx, segment)
	if err != nil {
		return nil, err
	}
	signature, err := a.read(ctx, segmentName(segment, suffixSignature))
	if err != nil {
		return nil, err
	}
	commits, err := s.commitments(ctx)
	if err != nil {
		return nil, err
	}
	return leaves(signature, commits), nil
}
