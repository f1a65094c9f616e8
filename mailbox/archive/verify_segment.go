package archive

import (
	"context"
	"crypto/sha512"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// segmentResult is what verification finds out about one segment.
type segmentResult struct {
	v        *verification
	number   int
	findings []Finding
	err      error // that ends all

	sum      [sha512.Size]byte // of the ZIP file that is there
	hashed   bool
	span     span
	previous [sha512.Size]byte // that it names

	objects           int
	octets            int64
	checked, shredded int64
	unstamped         bool
	withoutKeys       bool
	proven            time.Time

	beside *Segment // the last other one that octets were looked for in
}

// span is which messages are in a segment.
type span struct{ first, last Number }

func (s span) known() bool { return s.first > 0 }

// maxFindings bounds what is told of one segment. Messages that are next to one another, and have the same, count as one.
const maxFindings = 1 << 16

// damage takes a finding about an object or, unless they are 0, about messages in it.
func (r *segmentResult) damage(code Code, object string, first, last Number, reason string) {
	r.add(Finding{Severity: Damage, Code: code, Object: object, First: first, Last: last, Reason: reason})
}

func (r *segmentResult) add(f Finding) {
	f.Segment = r.number
	if n := len(r.findings); n > 0 && f.First > 0 {
		if l := &r.findings[n-1]; l.Code == f.Code && l.Object == f.Object && l.Reason == f.Reason && l.Last+1 == f.First {
			l.Last = f.Last
			return
		}
	}
	if len(r.findings) < maxFindings {
		r.findings = append(r.findings, f)
	}
}

// failed takes an error of reading, which may be that of the context.
func (r *segmentResult) failed(ctx context.Context, name string, err error) {
	switch {
	case ctx.Err() != nil:
		r.err = ctx.Err()
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(name, keyFolder+"/") && r.v.superseded(ctx, name):
		// Something was shredded since the head was read.
	default:
		r.add(unreadable(name, ObjectMissing, err))
	}
}

// read reads a small object, and holds it against the head; nil: it is not what it should be, which was said.
func (r *segmentResult) read(ctx context.Context, name string, limit int64) []byte {
	data, err := readObject(ctx, r.v.storage, name, limit)
	if err != nil {
		r.failed(ctx, name, err)
		return nil
	}
	r.objects, r.octets = r.objects+1, r.octets+int64(len(data))
	if sum, _ := r.v.a.head.Sum(name); r.v.signed != nil && sha512.Sum512(data) != sum {
		r.damage(ObjectAltered, name, 0, 0, "it is not the one that the head speaks of")
		return nil
	}
	return data
}

// segment verifies one segment.
func (v *verification) segment(ctx context.Context, n int) *segmentResult {
	r := &segmentResult{v: v, number: n}
	h := v.a.head
	zipName := segmentName(n, suffixZIP)
	altered := r.zip(ctx, zipName)
	if r.err != nil {
		return r
	}
	small := map[string][]byte{} // by name; what is read, and good
	for _, name := range h.ofSegment(n) {
		if name == zipName {
			continue
		}
		if data := r.read(ctx, name, maxKeys); data != nil {
			small[name] = data
		}
		if r.err != nil {
			return r
		}
	}
	s := r.open(ctx, &altered)
	if s != nil {
		defer s.Close()
	}
	signature := small[segmentName(n, suffixSignature)]
	signed := r.signature(ctx, signature, &altered)
	r.evidence(ctx, s, signature, small, altered)
	if r.err == nil && signed != nil {
		at := r.proven
		if at.IsZero() {
			at = v.o.Now()
		}
		if f := v.judge(ctx, segmentName(n, suffixSignature), n, signed, at); f != nil {
			r.add(*f)
		}
	}
	switch {
	case r.err != nil || ctx.Err() != nil:
	case s == nil:
		if lost := r.between(ctx); lost.known() {
			r.damage(MessageMissing, zipName, lost.first, lost.last, "nothing of them is there")
		}
	default:
		if !altered {
			r.span, r.previous = span{s.First, s.Last}, s.previous
			v.remember(n, r.span)
		}
		r.inside(ctx, s, altered)
	}
	if r.beside != nil {
		_ = r.beside.Close() // it was only read
		r.beside = nil
	}
	if ctx.Err() != nil {
		r.err = ctx.Err()
	}
	return r
}

// ofSegment returns the names of a segment's objects.
func (h *Head) ofSegment(n int) (names []string) {
	for _, prefix := range []string{keyFolder + "/" + segmentDigits(n) + ".", segmentName(n, ".")} {
		i, _ := slices.BinarySearchFunc(h.Objects, ObjectSum{Name: prefix}, compareObjects)
		for ; i < len(h.Objects) && strings.HasPrefix(h.Objects[i].Name, prefix); i++ {
			names = append(names, h.Objects[i].Name)
		}
	}
	return names
}

// zip hashes the ZIP file. altered says that it has to be looked into, because it is not the one that the head speaks of.
func (r *segmentResult) zip(ctx context.Context, name string) (altered bool) {
	sum, size, err := hashObject(ctx, r.v.storage, name, func(n int64) { r.v.advance(n, 0) })
	if err != nil {
		r.failed(ctx, name, err)
		return true
	}
	r.sum, r.hashed = sum, true
	r.objects, r.octets = r.objects+1, r.octets+size
	if want, _ := r.v.a.head.Sum(name); r.v.signed != nil && want != sum {
		r.damage(ObjectAltered, name, 0, 0, "it is not the one that the head speaks of")
		return true
	}
	return false
}

// signature verifies the segment's signature: over what the head says the ZIP file is, or else over what it is.
func (r *segmentResult) signature(ctx context.Context, raw []byte, altered *bool) *signedObject {
	if raw == nil || r.err != nil || !r.hashed && r.v.signed == nil {
		return nil
	}
	sum := r.sum
	if r.v.signed != nil {
		sum, _ = r.v.a.head.Sum(segmentName(r.number, suffixZIP))
	}
	signed, err := openSigned(ctx, raw, sumLine(sum[:], r.number))
	if err == nil {
		return signed
	}
	if ctx.Err() != nil {
		r.err = ctx.Err()
		return nil
	}
	r.damage(SignatureRefused, segmentName(r.number, suffixSignature), 0, 0, err.Error())
	*altered = *altered || r.v.signed == nil
	return nil
}

// evidence verifies what proves the time of the segment.
func (r *segmentResult) evidence(ctx context.Context, s *Segment, signature []byte, small map[string][]byte, altered bool) {
	h := r.v.a.head
	tokenName := segmentName(r.number, suffixToken)
	recordName, _ := h.newestEvidence(r.number)
	if !h.has(tokenName) || recordName == "" {
		r.unstamped = true
		r.add(Finding{Severity: Note, Code: TimeStampMissing, Object: segmentName(r.number, suffixZIP), Reason: "it has no time-stamp yet"})
	}
	if signature == nil || r.err != nil {
		return
	}
	proves := func(proof *Proof, err error, name string, code Code) bool {
		switch {
		case ctx.Err() != nil:
			r.err = ctx.Err()
			return false
		case err != nil:
			r.damage(code, name, 0, 0, err.Error())
			return false
		}
		if r.proven.IsZero() || proof.Time.Before(r.proven) {
			r.proven = proof.Time
		}
		return true
	}
	renewed := false
	if record := small[recordName]; record != nil && r.v.v.Evidence != nil {
		all := [][]byte{signature}
		if r.v.v.Level == Full && s != nil && !altered {
			lines, err := s.commitments(ctx)
			if err == nil {
				all = leaves(signature, lines)
			} else if ctx.Err() == nil {
				r.damage(EvidenceRefused, recordName, 0, 0, "it is not known what it is over: "+err.Error())
			}
		}
		proof, err := r.v.v.Evidence(ctx, record, all)
		if proves(proof, err, recordName, EvidenceRefused) {
			if renewed = !proof.Outdated; !renewed {
				r.add(Finding{Severity: Note, Code: EvidenceExpired, Object: recordName, Reason: "a certificate of its time-stamp authority has expired, and it was not renewed before"})
			}
		}
	}
	if token := small[tokenName]; token != nil && r.v.v.Token != nil && r.err == nil {
		proof, err := r.v.v.Token(ctx, token, signature)
		if err != nil && ctx.Err() == nil && renewed && isRenewed(recordName) {
			// What it proved is proven by what was put on top of it in time.
			r.add(Finding{Severity: Note, Code: EvidenceExpired, Object: tokenName, Reason: "it proves nothing by itself any more: " + err.Error()})
			return
		}
		if proves(proof, err, tokenName, TimeStampRefused) && proof.Outdated && recordName == "" {
			r.add(Finding{Severity: Note, Code: EvidenceExpired, Object: tokenName, Reason: "a certificate of its time-stamp authority has expired"})
		}
	}
}

// open opens the ZIP file, if need be without its directory.
func (r *segmentResult) open(ctx context.Context, altered *bool) *Segment {
	s, err := r.v.a.openSegment(ctx, r.v.a.head, r.number)
	if err == nil || ctx.Err() != nil {
		return s
	}
	if !*altered {
		r.damage(SegmentAltered, segmentName(r.number, suffixZIP), 0, 0, err.Error())
		*altered = true
	}
	s, guessed, err := r.v.a.salvageSegment(ctx, r.v.a.head, r.number)
	if between := r.between(ctx); err == nil && guessed && between.known() && between.last-between.first < maxEntries {
		s.First, s.Last = min(s.First, between.first), max(s.Last, between.last)
	}
	if err != nil {
		if r.hashed && ctx.Err() == nil {
			r.damage(SegmentAltered, segmentName(r.number, suffixZIP), 0, 0, "nothing can be read of it: "+err.Error())
		}
		return nil
	}
	return s
}

// between returns which messages should be in the segment by what is in those beside it.
func (r *segmentResult) between(ctx context.Context) span {
	h := r.v.a.head
	before, after := span{}, span{first: Number(h.Messages + 1)}
	if r.number > 1 {
		if before = r.v.spanOf(ctx, r.number-1); !before.known() {
			return span{}
		}
	}
	if r.number < h.Segments {
		after = r.v.spanOf(ctx, r.number+1)
	}
	if after.first <= before.last+1 {
		return span{}
	}
	return span{before.last + 1, after.first - 1}
}

// spanOf returns which messages are in a segment, as far as it can be opened.
func (v *verification) spanOf(ctx context.Context, n int) span {
	v.mu.Lock()
	known := v.spans[n]
	v.mu.Unlock()
	if known.known() {
		return known
	}
	s, err := v.a.openSegment(ctx, v.a.head, n)
	if err != nil {
		return span{}
	}
	known = span{s.First, s.Last}
	_ = s.Close() // it was only read
	v.remember(n, known)
	return known
}

// remember notes which messages are in a segment.
func (v *verification) remember(n int, s span) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.spans[n] = s
}
