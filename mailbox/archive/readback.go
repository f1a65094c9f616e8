package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ReadBack reads a segment from the storage and opens every message in it: file, signature, records, octets and commitments are
// what they are to be. After that, if there is no error, the messages whose records read was told of need be nowhere else. Messages that
// were shredded are passed over. Who signed is not asked, and time-stamps are not looked at.
func (a *Archive) ReadBack(ctx context.Context, segment int, read func(*Record)) error {
	name := segmentName(segment, suffixZIP)
	sum, _, err := hashObject(ctx, a.storage, name, func(int64) {})
	if err != nil {
		return err
	}
	if want, ok := a.head.Sum(name); !ok || sum != want {
		return fmt.Errorf("%s: %w", name, ErrAltered)
	}
	signature, err := a.read(ctx, segmentName(segment, suffixSignature))
	if err != nil {
		return err
	}
	if _, err := openSigned(ctx, signature, sumLine(sum[:], segment)); err != nil {
		return fmt.Errorf("%s: %w", segmentName(segment, suffixSignature), err)
	}
	// From the storage, and not from what the writer still knows.
	fresh := &Archive{storage: a.storage, o: a.o, description: a.description, head: a.head}
	s, err := fresh.openSegment(ctx, a.head, segment)
	if err != nil {
		return err
	}
	defer s.Close()
	for n := s.First; n <= s.Last; n++ {
		r, err := s.Record(ctx, n)
		if err == nil {
			err = s.Octets(ctx, r, io.Discard)
		}
		var gone *ShreddedError
		switch {
		case errors.As(err, &gone):
		case err != nil:
			return err
		default:
			read(r)
		}
	}
	return nil
}
