package archive

import (
	"cmp"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// mend looks for what a writer that was killed left behind. A segment that was signed is taken in: perhaps somebody was told of
// it, and the head was put back; and so is a statement: what is forbidden stays so. Everything else that the head does not speak of is
// removed, where it has a name that only a writer gives, and no writer that lived on can have left it.
func (w *Writer) mend(ctx context.Context) error {
	names, err := w.a.storage.List(ctx)
	if err != nil {
		return err
	}
	h := w.a.head
	var left []string
	for _, name := range names {
		if h.has(name) || name == headName {
			continue
		}
		segment, ofSegment := segmentOf(name)
		statement, ofStatement := statementOf(name)
		switch {
		case ofSegment && segment > h.Segments+1, ofStatement && statement > h.Statements+1:
			return fmt.Errorf("%s: %w", name, ErrRolledBack)
		case ofSegment, ofStatement:
			if err := w.notBehind(ctx, name); err != nil {
				return err
			}
			left = append(left, name)
		}
	}
	if err := w.takeIn(ctx, left); err != nil {
		return err
	}
	left = slices.DeleteFunc(left, w.a.head.has)
	if left, err = w.takeInStatement(ctx, left); err != nil {
		return err
	}
	// The ZIP file goes last: while it is there, the rest is not what somebody else put there.
	slices.SortFunc(left, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
	for _, name := range left {
		if err := w.a.storage.Remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func rank(name string) int {
	if strings.HasSuffix(name, suffixZIP) {
		return 1
	}
	return 0
}

// notBehind looks whether the head is older than keys of a segment that are there beside those that it speaks of. Who shreds lets go
// of the present ones, and of their segment key, after the head has moved: where they are gone, it had, and what is left are the
// only keys.
func (w *Writer) notBehind(ctx context.Context, name string) error {
	segment, generation, ok := keysOf(name)
	present, listed := w.a.head.generation(segment)
	if !ok || !listed {
		return nil
	}
	if _, err := w.a.read(ctx, keysName(segment, present)); err != nil {
		return fmt.Errorf("%s: %w: %w", name, ErrRolledBack, err)
	}
	if generation < present || len(w.a.o.Recovery) > 0 { // whoever lost the segment keys opens with these
		return nil
	}
	k, err := w.a.o.Keeper.Key(ctx, keyName(w.a.description.ID, segment, present))
	clear(k)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, ErrRolledBack)
	}
	return err
}

// takeIn makes the segment behind the last one part of the archive, if it was signed. Then a writer made all of it, and it must be
// good: else it was damaged, which is no reason to remove it.
func (w *Writer) takeIn(ctx context.Context, names []string) error {
	segment := w.a.head.Segments + 1
	zipName, keysName, signatureName := segmentName(segment, suffixZIP), keysName(segment, 1), segmentName(segment, suffixSignature)
	if !slices.Contains(names, signatureName) {
		return nil
	}
	sum, _, err := hashObject(ctx, w.a.storage, zipName, nil)
	if err != nil {
		return err
	}
	signature, err := readObject(ctx, w.a.storage, signatureName, maxSmall)
	if err != nil {
		return err
	}
	signed, err := openSigned(ctx, signature, sumLine(sum[:], segment))
	if err != nil {
		return fmt.Errorf("%s: %w", zipName, err)
	}
	_, head, err := openHead(ctx, w.a.raw)
	if err != nil {
		return err
	}
	if !signed.signer.Equal(head.signer) && (len(w.o.Signer.Chain) == 0 || !signed.signer.Equal(w.o.Signer.Chain[0])) {
		// Who wrote it was not the last one to write, nor is it this one.
		return fmt.Errorf("%s: signed with another certificate: %w", zipName, ErrRolledBack)
	}
	keys, err := readObject(ctx, w.a.storage, keysName, maxKeys)
	if err != nil {
		return err
	}
	h := w.a.head.clone()
	h.Segments = segment
	h.put(ObjectSum{zipName, sum}, ObjectSum{signatureName, sha512.Sum512(signature)}, ObjectSum{keysName, sha512.Sum512(keys)})
	s, err := w.a.openSegment(ctx, h, segment)
	if err != nil {
		return err
	}
	defer s.Close()
	if last, _ := w.a.head.Sum(segmentName(segment-1, suffixZIP)); s.previous != last || s.First != Number(w.a.head.Messages+1) {
		return fmt.Errorf("%s: it does not follow on the last segment: %w", zipName, ErrRolledBack)
	}
	if _, err := s.Contents(ctx); err != nil {
		return err
	}
	h.Messages = int64(s.Last)
	if err := w.takeInStamps(ctx, h, s, signature); err != nil {
		return err
	}
	for _, name := range names {
		if n, _ := segmentOf(name); n == segment && !h.has(name) {
			if err := w.a.storage.Remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return w.a.moveHead(ctx, h, w.o.Signer)
}

// takeInStamps has a head speak of what proves the time of a segment, if that is there and good: it may be older than what could be got
// now. Else the segment is without, until it is got again.
func (w *Writer) takeInStamps(ctx context.Context, h *Head, s *Segment, signature []byte) error {
	tokenName, recordName := segmentName(s.Number, suffixToken), segmentName(s.Number, suffixEvidence)
	token, err := readObject(ctx, w.a.storage, tokenName, maxKeys)
	var record []byte
	if err == nil {
		record, err = readObject(ctx, w.a.storage, recordName, maxKeys)
	}
	if err == nil && w.o.Proves != nil {
		var commits [][]byte
		if commits, err = s.commitments(ctx); err != nil {
			return err
		}
		if err = w.o.Proves(ctx, token, record, leaves(signature, commits)); err == nil {
			h.put(ObjectSum{tokenName, sha512.Sum512(token)}, ObjectSum{recordName, sha512.Sum512(record)})
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.Unstamped = append(h.Unstamped, s.Number)
	return nil
}

// takeInStatement makes the statement behind the last one part of the archive, if it is among these objects, and is good, and
// returns those that are left. That something was shredded is said together with what shreds it, and is never taken in alone.
func (w *Writer) takeInStatement(ctx context.Context, left []string) ([]string, error) {
	number := w.a.head.Statements + 1
	name := statementName(number)
	if !slices.Contains(left, name) {
		return left, nil
	}
	sum, _, err := hashObject(ctx, w.a.storage, name, nil)
	if err != nil {
		return nil, err
	}
	h := w.a.head.clone()
	h.Statements = number
	h.put(ObjectSum{name, sum})
	beside := &Archive{storage: w.a.storage, o: w.a.o, description: w.a.description, head: h}
	s, err := beside.statement(ctx, number)
	for _, bad := range []error{ErrAltered, ErrTooLarge, ErrSealed, ErrSignature, ErrStatement} {
		if errors.Is(err, bad) {
			return left, nil
		}
	}
	if err != nil {
		return nil, err
	}
	switch s.Kind {
	case StatementHold, StatementRelease, StatementRetain:
	case StatementShredded, StatementContentKeysShredded:
		return left, nil
	default:
		return nil, fmt.Errorf("%s: %q: %w", name, s.Kind, ErrVersion)
	}
	if len(w.o.Signer.Chain) == 0 || !s.Signer.Equal(w.o.Signer.Chain[0]) {
		// It may have been part of the archive already, before the head was put back.
		return nil, fmt.Errorf("%s: signed with another certificate: %w", name, ErrRolledBack)
	}
	if err := w.a.moveHead(ctx, h, w.o.Signer); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(left, func(n string) bool { return n == name }), nil
}
