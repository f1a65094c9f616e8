package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxManifest bounds the octets of a manifest.
const maxManifest = 64 << 20

// inside verifies what is in a segment: all of it, if the level is so or the ZIP file is not what it should be; else what was
// drawn for a sample.
func (r *segmentResult) inside(ctx context.Context, s *Segment, altered bool) {
	if !altered && r.v.v.Level != Full {
		from, _ := slices.BinarySearch(r.v.chosen, s.First)
		for _, n := range r.v.chosen[from:] {
			if n > s.Last || !r.message(ctx, s, n, nil) {
				break
			}
		}
		return
	}
	before := len(r.findings)
	bad := r.manifests(ctx, s)
	if r.err != nil {
		return
	}
	var there Contents
	opened, checked := true, r.checked
	for n := s.First; n <= s.Last && opened; n++ {
		if bad[n] {
			r.v.advance(0, 1)
			continue
		}
		opened = r.message(ctx, s, n, &there)
	}
	if opened && r.err == nil && !bad[0] {
		r.contents(ctx, s, &there, r.checked-checked < int64(s.Last-s.First)+1)
	}
	if altered && r.err == nil && len(r.findings) == before {
		reason := "its files are as they were archived: only what holds them together is another"
		if !opened {
			reason = "its files fit the lists in it, which are another's perhaps: without keys it is not known which messages are what was archived"
		}
		r.damage(SegmentAltered, segmentName(s.Number, suffixZIP), 0, 0, reason)
	}
}

// numberOf reads the number of the message out of the name of a file; 0: it is no message's.
func numberOf(name string) Number {
	digits, suffix, _ := strings.Cut(strings.TrimPrefix(name, payloadFolder), ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || payloadFolder+Number(n).String()+"."+suffix != name {
		return 0
	}
	return Number(n)
}

// manifest is one of the lists of a bag.
type manifest struct {
	name string
	hash func() hash.Hash
	sums map[string]string // hexadecimal; nil: it cannot be read
}

// lists are the manifests of a segment, of the payload and of tag files.
func (r *segmentResult) lists(ctx context.Context, s *Segment, kind string) (lists []*manifest) {
	for _, m := range []*manifest{{name: kind + "-sha512.txt", hash: sha512.New}, {name: kind + "-sha256.txt", hash: sha256.New}} {
		text, err := s.small(m.name, maxManifest)
		if ctx.Err() != nil {
			r.err = ctx.Err()
			return nil
		}
		lists = append(lists, m)
		if err != nil {
			r.damage(ManifestAltered, segmentName(s.Number, suffixZIP), 0, 0, err.Error())
			continue
		}
		m.sums = make(map[string]string, min(bytes.Count(text, []byte("\n")), len(s.files)+1)) // a hostile list may have very many lines
		for line := range strings.Lines(string(text)) {
			sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
			if m.sums[name] = sum; len(m.sums) > maxEntries {
				break
			}
		}
	}
	return lists
}

// manifests holds all files of a segment against both kinds of manifests. bad are the messages that have a file that is not what
// was archived, and 0 where that is one of no message.
func (r *segmentResult) manifests(ctx context.Context, s *Segment) (bad map[Number]bool) {
	bad = map[Number]bool{}
	object := segmentName(s.Number, suffixZIP)
	file := func(name, reason string, missing bool) {
		n := numberOf(name)
		code := SegmentAltered
		switch {
		case n >= s.First && n <= s.Last:
			bad[n] = true
			code = MessageAltered
			if missing {
				code = MessageMissing
			}
			// Which of its files it is makes a range out of messages that have the same.
			r.damage(code, object, n, n, name[strings.Index(name, ".")+1:]+": "+reason)
			return
		case strings.Contains(name, "manifest-"):
			code = ManifestAltered
		default:
			bad[0] = true
		}
		r.damage(code, object, 0, 0, fmt.Sprintf("%.200q: %s", name, reason))
	}
	payload, tags := r.lists(ctx, s, "manifest"), r.lists(ctx, s, "tagmanifest")
	if r.err != nil {
		return bad
	}
	seen := map[*manifest]bool{} // that contradict the other one
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		lists := payload
		switch {
		case strings.HasPrefix(name, "tagmanifest-"):
			continue
		case !strings.HasPrefix(name, payloadFolder):
			lists = tags
		}
		sums, err := r.fileSums(ctx, s, name, lists)
		if r.err != nil {
			return bad
		}
		if err != nil {
			file(name, strings.ReplaceAll(err.Error(), name+": ", ""), false)
			continue
		}
		fits, listed, not := 0, 0, (*manifest)(nil)
		for i, m := range lists {
			switch want, ok := m.sums[name]; {
			case !ok:
				not = m
			case want == sums[i]:
				fits++
				listed++
			default:
				listed++
				not = m
			}
		}
		switch {
		case listed == 0 && lists[0].sums == nil && lists[1].sums == nil:
		case listed == 0:
			file(name, "it is not in the lists", false)
		case fits == 0:
			file(name, "it is not what was archived", false)
		case not != nil && not.sums != nil && !seen[not]:
			seen[not] = true
			r.damage(ManifestAltered, object, 0, 0, fmt.Sprintf("%s is not what was archived", not.name))
		}
	}
	missing := map[string]bool{}
	for _, list := range slices.Concat(payload, tags) {
		for name := range list.sums {
			if _, there := s.files[name]; !there {
				missing[name] = true
			}
		}
	}
	for _, name := range []string{"bagit.txt", infoName, payloadFolder + contentsName, payloadFolder + validationName} {
		if _, there := s.files[name]; !there {
			missing[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if n := numberOf(name); n == 0 || !bad[n] {
			file(name, "it is not there", true)
		}
	}
	for n := s.First; n <= s.Last; n++ {
		for _, suffix := range []string{suffixRecord, suffixCommit} {
			if _, there := s.files[payloadFolder+n.String()+suffix]; !there && !bad[n] {
				file(payloadFolder+n.String()+suffix, "it is not there", true)
			}
		}
	}
	return bad
}

// fileSums hashes a file of a segment. The error says why it cannot be read.
func (r *segmentResult) fileSums(ctx context.Context, s *Segment, name string, lists []*manifest) ([]string, error) {
	f, err := s.file(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var hashes []hash.Hash
	var all []io.Writer
	for _, m := range lists {
		h := m.hash()
		hashes, all = append(hashes, h), append(all, h)
	}
	_, err = io.Copy(io.MultiWriter(all...), f)
	if ctx.Err() != nil {
		r.err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	sums := make([]string, len(hashes))
	for i, h := range hashes {
		sums[i] = hex.EncodeToString(h.Sum(nil))
	}
	return sums, nil
}

// message opens a message, and holds octets, record and commitment against one another. more is false where it makes no sense to
// go on, because there are no keys or something failed.
func (r *segmentResult) message(ctx context.Context, s *Segment, n Number, there *Contents) (more bool) {
	defer r.v.advance(0, 1)
	object := segmentName(s.Number, suffixZIP)
	if s.keys == nil {
		if _, err := s.segmentKeys(ctx); err != nil {
			r.keysFailed(ctx, s, err)
			return false
		}
	}
	record, err := s.Record(ctx, n)
	if err == nil {
		if err = r.octetsOf(ctx, s, record); err == nil && there != nil {
			there.add(record.Origin)
		}
	}
	var shredded *ShreddedError
	switch {
	case ctx.Err() != nil:
		r.err = ctx.Err()
		return false
	case err == nil:
		r.checked++
	case errors.As(err, &shredded):
		r.shredded++
	default:
		// Without its own number, so that messages that have the same make a range.
		r.damage(MessageAltered, object, n, n, strings.NewReplacer(n.String()+".", "", fmt.Sprintf("message %d: ", n), "").Replace(err.Error()))
	}
	return true
}

// keysFailed says why nothing can be opened; that nobody here has the keys is no finding.
func (r *segmentResult) keysFailed(ctx context.Context, s *Segment, err error) {
	generation, _ := s.h.generation(s.Number)
	name := keysName(s.Number, generation)
	said := slices.ContainsFunc(r.findings, func(f Finding) bool { return f.Object == name })
	switch {
	case ctx.Err() != nil:
		r.err = ctx.Err()
	case errors.Is(err, ErrNoKey):
		r.withoutKeys = true
	case !said && !r.v.superseded(ctx, name):
		r.damage(KeysAltered, name, 0, 0, err.Error())
	}
}

// octetsOf opens the octets of a message, wherever they are.
func (r *segmentResult) octetsOf(ctx context.Context, s *Segment, record *Record) error {
	in, number := s, record.Number
	if record.OctetsIn != 0 {
		number = record.OctetsIn
		var err error
		if in, err = r.other(ctx, s, number); err != nil {
			return fmt.Errorf("the octets that it shares: %w", err)
		}
	}
	return s.octetsIn(ctx, record, in, number, io.Discard)
}

// other returns the segment that another message is in. It stays open until another one is wanted.
func (r *segmentResult) other(ctx context.Context, s *Segment, n Number) (*Segment, error) {
	for _, open := range []*Segment{s, r.beside} {
		if open != nil && open.First <= n && n <= open.Last {
			return open, nil
		}
	}
	if r.beside != nil {
		_ = r.beside.Close() // it was only read
		r.beside = nil
	}
	for low, high := 1, s.Number-1; low <= high; {
		middle := (low + high) / 2
		r.v.mu.Lock()
		found := r.v.spans[middle]
		r.v.mu.Unlock()
		if !found.known() || found.first <= n && n <= found.last {
			o, err := r.v.a.openSegment(ctx, s.h, middle)
			if err != nil {
				return nil, err
			}
			found = span{o.First, o.Last}
			r.v.remember(middle, found)
			if found.first <= n && n <= found.last {
				r.beside = o
				return o, nil
			}
			_ = o.Close() // it was only read
		}
		if n < found.first {
			high = middle - 1
		} else {
			low = middle + 1
		}
	}
	return nil, fmt.Errorf("message %d: %w", n, ErrMissing)
}

// contents holds the contents of a segment against its records, and looks at the material. Where some is only what could still
// be opened.
func (r *segmentResult) contents(ctx context.Context, s *Segment, there *Contents, some bool) {
	object := segmentName(s.Number, suffixZIP)
	said, err := s.Contents(ctx)
	if err == nil {
		if reason := there.within(said, some); reason != "" {
			err = fmt.Errorf("%s: %s", contentsName, reason)
		}
	}
	if err == nil {
		err = s.checkMaterial(ctx)
	}
	switch {
	case ctx.Err() != nil:
		r.err = ctx.Err()
	case err != nil:
		r.damage(SegmentAltered, object, 0, 0, err.Error())
	}
}

// within says what is wrong with contents, by those of records; some: there are more messages.
func (c *Contents) within(said *Contents, some bool) string {
	for _, f := range c.Folders {
		i := slices.IndexFunc(said.Folders, func(o FolderContents) bool {
			return o.Account == f.Account && o.Folder == f.Folder && o.UIDValidity == f.UIDValidity
		})
		if i < 0 {
			return fmt.Sprintf("the folder %.200q is not in it", f.Folder)
		}
		both := UIDSet{slices.Clone(said.Folders[i].UIDs.ranges)}
		both.Union(f.UIDs)
		if both.Len() != said.Folders[i].UIDs.Len() {
			return fmt.Sprintf("there are more messages of the folder %.200q than it says", f.Folder)
		}
		if !some && f.UIDs.Len() != both.Len() {
			return fmt.Sprintf("there are fewer messages of the folder %.200q than it says", f.Folder)
		}
	}
	if !some && len(c.Folders) != len(said.Folders) {
		return "it has a folder that no message is of"
	}
	return ""
}

// checkMaterial makes sure that all material is DER.
func (s *Segment) checkMaterial(ctx context.Context) error {
	keys, err := s.segmentKeys(ctx)
	if err != nil {
		return err
	}
	text, err := s.openedSmall(ctx, validationName, keys.Validation, maxMaterial)
	if err != nil {
		return err
	}
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var m Material
		var element asn1.RawValue
		err := lines.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			var rest []byte
			if rest, err = asn1.Unmarshal(m.DER, &element); err == nil && len(rest) > 0 {
				err = errors.New("octets behind its end")
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w: %w", validationName, ErrAltered, err)
		}
	}
}
