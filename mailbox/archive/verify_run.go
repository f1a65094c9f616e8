package archive

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// verification is one run of Verify.
type verification struct {
	storage Storage
	o       Options
	v       VerifyOptions
	each    func(Finding) error

	a      *Archive // that is believed: its head is what was signed, or else what there is
	signed *signedObject
	names  []string // that lie in the storage, ascending
	chosen []Number // of a sample, ascending

	summary  Summary
	mu       sync.Mutex // over what is below
	progress Progress
	spans    map[int]span // of segments
}

// found takes a finding of what is not one segment's.
func (v *verification) found(f Finding) error {
	if f.Severity == Damage {
		v.summary.Damage++
	} else {
		v.summary.Notes++
	}
	v.summary.Codes[f.Code]++
	return v.each(f)
}

func (v *verification) run(ctx context.Context) (*Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v.summary = Summary{
		Level: v.v.Level, SignersJudged: v.v.Signer != nil, TimesJudged: v.v.Token != nil && v.v.Evidence != nil, WitnessChecked: v.v.Witness != nil,
		Codes: map[Code]int{},
	}
	v.spans = map[int]span{}
	for _, step := range []func(context.Context) error{v.look, v.witness, v.consistency, v.segments, v.others, v.unexpected, v.judgeHead} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &v.summary, ctx.Err()
}

// look reads what says what there should be, and finds out what there is.
func (v *verification) look(ctx context.Context) error {
	names, err := v.storage.List(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if err := v.found(Finding{Severity: Damage, Code: ObjectUnreadable, Reason: "what else is there is not known: " + err.Error()}); err != nil {
			return err
		}
	}
	v.names = names
	v.a = &Archive{storage: v.storage, o: v.o, description: &description{}}
	raw, err := readObject(ctx, v.storage, headName, maxHead)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist) && !slices.ContainsFunc(names, isArchiveName):
		return fmt.Errorf("%w: %w", ErrNoArchive, err)
	case err != nil:
		err = v.found(unreadable(headName, HeadMissing, err))
	default:
		var h *Head
		if h, v.signed, err = openHead(ctx, raw); err == nil {
			v.a.head, v.a.raw = h, raw
		} else {
			err = v.found(Finding{Severity: Damage, Code: HeadAltered, Object: headName, Reason: err.Error()})
		}
	}
	if err != nil {
		return err
	}
	if v.signed == nil {
		v.headless()
	}
	if err := v.readDescription(ctx); err != nil {
		return err
	}
	h := v.a.head
	v.summary.Archive, v.summary.Segments, v.summary.Messages = v.a.description.ID, h.Segments, h.Messages
	v.summary.Headless, v.summary.Sequence, v.summary.HeadTime = v.signed == nil, h.Sequence, h.Time
	return v.choose(ctx)
}

func isArchiveName(name string) bool {
	_, ofSegment := segmentOf(name)
	_, ofStatement := statementOf(name)
	return ofSegment || ofStatement || name == descriptionName
}

// unreadable says why an object was not read; missing is the code where it is because there is none.
func unreadable(name string, missing Code, err error) Finding {
	f := Finding{Severity: Damage, Code: ObjectUnreadable, Object: name, Reason: err.Error()}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Code, f.Reason = missing, "it is not there"
	case errors.Is(err, ErrTooLarge):
		f.Code = ObjectAltered
		if name == headName {
			f.Code = HeadAltered
		}
	}
	return f
}

// headless makes a head of what there is, for want of one that was signed. It has no digests.
func (v *verification) headless() {
	h := &Head{undigested: true}
	for _, name := range v.names {
		segment, ok := segmentOf(name)
		if !ok {
			continue
		}
		h.Objects = append(h.Objects, ObjectSum{Name: name})
		h.Segments = max(h.Segments, segment)
	}
	slices.SortFunc(h.Objects, compareObjects)
	v.a.head = h
}

// readDescription reads archive.json, as far as it is what the head says; whether it is comes later. Without it, segments say
// which archive they are of.
func (v *verification) readDescription(ctx context.Context) error {
	text, err := readObject(ctx, v.storage, descriptionName, maxDescription)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var d *description
	if err == nil {
		d, err = parseDescription(text)
	}
	if v.signed != nil {
		v.a.description.ID = v.a.head.Archive
		if sum, ok := v.a.head.Sum(descriptionName); !ok || sha512.Sum512(text) != sum {
			return nil // which is found later
		}
		switch {
		case errors.Is(err, ErrVersion):
			return err
		case err == nil && d.ID == v.a.head.Archive:
			v.a.description = d
			return nil
		}
		return v.found(Finding{Severity: Damage, Code: HeadInconsistent, Object: descriptionName, Reason: "it is not the description of this archive"})
	}
	if err == nil {
		v.a.description = d
		return nil
	}
	f := unreadable(descriptionName, ObjectMissing, err)
	if errors.Is(err, ErrAltered) {
		f.Code = ObjectAltered
	}
	for _, o := range v.a.head.Objects {
		if n, _ := segmentOf(o.Name); !strings.HasSuffix(o.Name, suffixZIP) || o.Name != segmentName(n, suffixZIP) {
			continue
		} else if s, err := v.a.openSegment(ctx, v.a.head, n); err == nil {
			v.a.description.ID = s.archive
			_ = s.Close() // it was only read
			break
		}
	}
	return v.found(f)
}

// choose draws the messages of a sample. Without a head, those of the last segment say how many there are.
func (v *verification) choose(ctx context.Context) error {
	h := v.a.head
	if v.signed == nil {
		if s, err := v.a.openSegment(ctx, h, h.Segments); err == nil {
			h.Messages = int64(s.Last)
			_ = s.Close() // it was only read
		}
	}
	switch v.v.Level {
	case Full:
		v.progress.AllMessages = h.Messages
	case Sample:
		count := min(int64(v.v.Sample), h.Messages)
		// Floyd's: each set of so many numbers is as likely.
		drawn := map[Number]bool{}
		for limit := h.Messages - count + 1; limit <= h.Messages; limit++ {
			n, err := rand.Int(rand.Reader, big.NewInt(limit))
			if err != nil {
				return err
			}
			one := Number(n.Int64() + 1)
			if drawn[one] {
				one = Number(limit)
			}
			drawn[one] = true
			v.chosen = append(v.chosen, one)
		}
		slices.Sort(v.chosen)
		v.progress.AllMessages = count
	}
	for n := 1; v.v.Progress != nil && n <= h.Segments; n++ {
		if !h.has(segmentName(n, suffixZIP)) {
			continue
		}
		if o, err := v.storage.Open(ctx, segmentName(n, suffixZIP)); err == nil {
			v.progress.AllOctets += o.Size()
			_ = o.Close() // it was only read
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// segments verifies all segments, several at a time, and tells what was found in their order.
func (v *verification) segments(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	workers := cmp.Or(max(v.v.Workers, 0), runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	busy, results := make(chan struct{}, workers), make(chan chan *segmentResult, workers)
	running.Go(func() {
		defer close(results)
		for n := 1; n <= v.a.head.Segments; n++ {
			if v.signed == nil && !v.there(n) {
				continue
			}
			result := make(chan *segmentResult, 1)
			select {
			case busy <- struct{}{}:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				defer func() { <-busy }()
				result <- v.segment(ctx, n)
			})
			select {
			case results <- result:
			case <-ctx.Done():
				return
			}
		}
	})
	last := &segmentResult{}
	for result := range results {
		r := <-result
		if r.err != nil {
			return r.err
		}
		if err := v.take(r, last); err != nil {
			return err
		}
		last = r
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if h := v.a.head; v.signed != nil && last.span.known() && int64(last.span.last) != h.Messages {
		return v.found(Finding{Severity: Damage, Code: HeadInconsistent, Object: headName,
			Reason: fmt.Sprintf("it speaks of %d messages, and the last segment ends with message %d", h.Messages, last.span.last)})
	}
	return nil
}

// there reports whether there is anything of a segment.
func (v *verification) there(n int) bool {
	for _, prefix := range []string{segmentName(n, "."), keyFolder + "/" + segmentDigits(n) + "."} {
		i, _ := slices.BinarySearch(v.names, prefix)
		if i < len(v.names) && strings.HasPrefix(v.names[i], prefix) {
			return true
		}
	}
	return false
}

// take tells what was found in a segment, and whether it follows on the last one.
func (v *verification) take(r, last *segmentResult) error {
	h := v.a.head
	if r.number > last.number+1 {
		f := Finding{Severity: Damage, Code: ObjectMissing, Object: segmentName(last.number+1, suffixZIP), Segment: last.number + 1,
			Reason: "nothing of this segment is there"}
		if r.number > last.number+2 {
			f.Reason = fmt.Sprintf("nothing of the segments %d to %d is there", last.number+1, r.number-1)
		}
		if err := v.found(f); err != nil {
			return err
		}
	}
	for _, f := range r.findings {
		if err := v.found(f); err != nil {
			return err
		}
	}
	broken := func(reason string) error {
		return v.found(Finding{Severity: Damage, Code: ChainBroken, Object: segmentName(r.number, suffixZIP), Segment: r.number, Reason: reason})
	}
	before, known := h.Sum(segmentName(r.number-1, suffixZIP))
	if v.signed == nil {
		before, known = last.sum, last.hashed && r.number == last.number+1
	}
	if r.span.known() && known && r.previous != before {
		if err := broken(fmt.Sprintf("it was not written behind segment %d as it is", r.number-1)); err != nil {
			return err
		}
	}
	if r.span.known() && (r.number == 1 || last.span.known() && r.number == last.number+1) && r.span.first != last.span.last+1 {
		if err := broken(fmt.Sprintf("it begins with message %d, and %d is the next", r.span.first, last.span.last+1)); err != nil {
			return err
		}
	}
	s := &v.summary
	s.Objects, s.Octets = s.Objects+r.objects, s.Octets+r.octets
	s.Checked, s.Shredded = s.Checked+r.checked, s.Shredded+r.shredded
	if r.unstamped {
		s.Unstamped++
	}
	if r.withoutKeys {
		s.WithoutKeys++
	}
	if at := r.proven; !at.IsZero() {
		if s.Earliest.IsZero() || at.Before(s.Earliest) {
			s.Earliest = at
		}
		if at.After(s.Latest) {
			s.Latest = at
		}
	}
	return nil
}

// others verifies the objects that are not a segment's.
func (v *verification) others(ctx context.Context) error {
	if v.signed == nil {
		return nil
	}
	r := &segmentResult{v: v}
	for _, o := range v.a.head.Objects {
		if _, ofSegment := segmentOf(o.Name); ofSegment {
			continue
		}
		r.read(ctx, o.Name, maxKeys)
		if r.err != nil {
			return r.err
		}
	}
	for _, f := range r.findings {
		if err := v.found(f); err != nil {
			return err
		}
	}
	v.summary.Objects, v.summary.Octets = v.summary.Objects+r.objects+1, v.summary.Octets+r.octets+int64(len(v.a.raw))
	if v.v.Level < Full {
		return nil
	}
	return v.statements(ctx)
}

// statements opens all statements. Where nobody here has their key, they are objects like others.
func (v *verification) statements(ctx context.Context) error {
	number := 0
	for s, err := range v.a.Statements(ctx) {
		number++
		name := statementName(number)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrNoKey), errors.Is(err, ErrMissing), errors.Is(err, ErrAltered):
			return nil // there is nothing more to say of it
		case err != nil:
			return v.found(Finding{Severity: Damage, Code: StatementsAltered, Object: name, Reason: err.Error()})
		}
		if f := v.judge(ctx, name, 0, &signedObject{signer: s.Signer, bag: s.Bag, whole: true}, s.Time); f != nil {
			if err := v.found(*f); err != nil {
				return err
			}
		}
	}
	return nil
}

// advance tells how far it is.
func (v *verification) advance(octets, messages int64) {
	if v.v.Progress == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress.Octets += octets
	v.progress.Messages += messages
	v.v.Progress(v.progress)
}

// hashObject hashes an object; read, unless nil, is told of the octets as they come.
func hashObject(ctx context.Context, s Storage, name string, read func(n int64)) (sum [sha512.Size]byte, size int64, err error) {
	o, err := s.Open(ctx, name)
	if err != nil {
		return sum, 0, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	h := sha512.New()
	buffer := make([]byte, min(o.Size()+1, 1<<20))
	for size < o.Size() {
		if err := ctx.Err(); err != nil {
			return sum, size, err
		}
		n, err := o.ReadAt(buffer[:min(int64(len(buffer)), o.Size()-size)], size)
		h.Write(buffer[:n])
		size += int64(n)
		if read != nil {
			read(int64(n))
		}
		if err != nil && !(errors.Is(err, io.EOF) && size == o.Size()) {
			return sum, size, err
		}
	}
	h.Sum(sum[:0])
	return sum, size, nil
}
