package archive

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Stamps are what proves when a segment was there: each is over the octets of its signature.
type Stamps struct {
	Segment   int
	Signature []byte // the .p7s object, DER
	Token     []byte // RFC 3161
	Evidence  []byte // RFC 4998: the newest record
}

// newestEvidence returns the name of the newest evidence record of a segment.
func (h *Head) newestEvidence(segment int) (name string, ok bool) {
	prefix := segmentName(segment, ".")
	i, _ := slices.BinarySearchFunc(h.Objects, ObjectSum{Name: prefix}, compareObjects)
	newest := -1
	for ; i < len(h.Objects) && strings.HasPrefix(h.Objects[i].Name, prefix); i++ {
		if _, renewal, isRecord := renewalOf(h.Objects[i].Name); isRecord && renewal > newest {
			newest, name, ok = renewal, h.Objects[i].Name, true
		}
	}
	return name, ok
}

// Evidence returns the newest evidence record (RFC 4998, DER) of a segment's signature. The error wraps ErrUnstamped where there
// is none yet.
func (a *Archive) Evidence(ctx context.Context, segment int) ([]byte, error) {
	name, ok := a.head.newestEvidence(segment)
	switch {
	case segment < 1 || segment > a.head.Segments:
		return nil, fmt.Errorf("segment %d: %w", segment, ErrMissing)
	case !ok:
		return nil, fmt.Errorf("segment %d: %w", segment, ErrUnstamped)
	}
	return a.read(ctx, name)
}

// Stamps returns what proves the time of a segment. The error wraps ErrUnstamped where that is not complete yet: the record comes
// last.
func (a *Archive) Stamps(ctx context.Context, segment int) (s Stamps, err error) {
	s.Segment = segment
	if s.Evidence, err = a.Evidence(ctx, segment); err != nil {
		return s, err
	}
	if s.Signature, err = a.read(ctx, segmentName(segment, suffixSignature)); err != nil {
		return s, err
	}
	s.Token, err = a.read(ctx, segmentName(segment, suffixToken))
	return s, err
}
