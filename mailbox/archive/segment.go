package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Bounds on what is read of a segment.
const (
	maxSmall   = 1 << 20 // signatures, tokens, tag files but manifests
	maxCommit  = 1 << 10
	maxRecord  = 16 << 20 // the record of a message
	maxEntries = 1 << 18  // files of a segment

	maxDirectory       = 32 << 20 // octets of the directory of a ZIP file
	maxSegmentMessages = 1 << 16
)

// Segment is a segment that was opened for reading. What is in it is held against its keys and its commitments, and not
// against the archive's signature: see [Archive.Verify].
type Segment struct {
	Number      int
	First, Last Number

	a        *Archive
	h        *Head
	object   Object
	files    map[string]segmentFile // by their names below the base folder
	archive  string                 // identifier of the archive that it says it is of
	previous [sha512.Size]byte
	keys     *segmentKeys // nil: not opened yet
}

// segmentFile is a file in a segment: a zip.File, mostly.
type segmentFile interface{ Open() (io.ReadCloser, error) }

// Segments returns how many segments there are; their numbers begin with 1.
func (a *Archive) Segments() int { return a.head.Segments }

// Messages returns how many messages were archived: their numbers are 1 to this one.
func (a *Archive) Messages() Number { return Number(a.head.Messages) }

// Segment opens a segment for reading. It stays open until another one is opened, or the archive is closed.
func (a *Archive) Segment(ctx context.Context, number int) (*Segment, error) {
	if a.open != nil && a.open.Number == number && a.open.h == a.head {
		return a.open, nil
	}
	if number < 1 || number > a.head.Segments {
		return nil, fmt.Errorf("segment %d: %w", number, ErrMissing)
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	s, err := a.openSegment(ctx, a.head, number)
	if err != nil {
		return nil, err
	}
	a.open = s
	return s, nil
}

// SegmentOf opens the segment that a message is in.
func (a *Archive) SegmentOf(ctx context.Context, n Number) (*Segment, error) {
	if n < 1 || n > a.Messages() {
		return nil, fmt.Errorf("message %d: %w", n, ErrMissing)
	}
	if a.open != nil && a.open.h == a.head && a.open.First <= n && n <= a.open.Last {
		return a.open, nil
	}
	for low, high := 1, a.head.Segments; low <= high; {
		middle := (low + high) / 2
		s, err := a.Segment(ctx, middle)
		switch {
		case err != nil:
			return nil, err
		case n < s.First:
			high = middle - 1
		case n > s.Last:
			low = middle + 1
		default:
			return s, nil
		}
	}
	return nil, fmt.Errorf("message %d: %w", n, ErrAltered)
}

// openSegment opens a segment that a head speaks of.
func (a *Archive) openSegment(ctx context.Context, h *Head, number int) (*Segment, error) {
	name := segmentName(number, suffixZIP)
	object, err := a.storage.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrMissing)
	}
	if err != nil {
		return nil, err
	}
	s := &Segment{Number: number, a: a, h: h, object: object, files: map[string]segmentFile{}}
	if err := s.readDirectory(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), object.Close())
	}
	return s, nil
}

// Close closes the segment. Who got it from an Archive leaves that to the archive.
func (s *Segment) Close() error { return s.object.Close() }

// opened decrypts a file below data/ into a quarantine.
func (s *Segment) opened(ctx context.Context, name string, k key, quarantine io.Writer) error {
	if len(k) == 0 {
		return fmt.Errorf("%s: %w", name, ErrNoKey)
	}
	f, err := s.file(payloadFolder + name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := k.open(ctx, f, name, quarantine); err != nil {
		return fmt.Errorf("%s: %w", name, alteredZIP(err))
	}
	return nil
}

// alteredZIP tells what is wrong with a ZIP file from what is wrong with reading it.
func alteredZIP(err error) error {
	if errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrAltered, err)
	}
	return err
}

// openedSmall decrypts a small file below data/.
func (s *Segment) openedSmall(ctx context.Context, name string, k key, limit int64) ([]byte, error) {
	var text limitedBuffer
	text.left = limit
	if err := s.opened(ctx, name, k, &text); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// segmentKeys opens the keys, once.
func (s *Segment) segmentKeys(ctx context.Context) (*segmentKeys, error) {
	if s.keys == nil {
		k, err := s.a.keys(ctx, s.h, s.Number)
		if err != nil {
			return nil, err
		}
		s.keys = k
	}
	return s.keys, nil
}

// messageKeys returns the keys of a message. The error wraps ErrNoKey where they were shredded; it is then a *ShreddedError.
func (s *Segment) messageKeys(ctx context.Context, n Number) (messageKeys, error) {
	all, err := s.segmentKeys(ctx)
	if err != nil {
		return messageKeys{}, err
	}
	keys, found := all.of(n)
	switch {
	case !found:
		return keys, fmt.Errorf("message %d: %w", n, ErrMissing)
	case keys.gone():
		return keys, &ShreddedError{Number: n, At: *keys.Shredded}
	}
	return keys, nil
}

// Contents returns which messages of which folders are in the segment.
func (s *Segment) Contents(ctx context.Context) (*Contents, error) {
	keys, err := s.segmentKeys(ctx)
	if err != nil {
		return nil, err
	}
	text, err := s.openedSmall(ctx, contentsName, keys.Contents, maxMaterial)
	if err != nil {
		return nil, err
	}
	c := &Contents{}
	if err := json.Unmarshal(text, c); err != nil || c.Segment != s.Number || c.First != s.First || c.Last != s.Last {
		return nil, fmt.Errorf("%s: %w", contentsName, ErrAltered)
	}
	return c, nil
}

// Material returns what the findings of the segment's messages rest on, by the SHA-256 of its DER.
func (s *Segment) Material(ctx context.Context) (map[[sha256.Size]byte]Material, error) {
	keys, err := s.segmentKeys(ctx)
	if err != nil {
		return nil, err
	}
	text, err := s.openedSmall(ctx, validationName, keys.Validation, maxMaterial)
	if err != nil {
		return nil, err
	}
	material := map[[sha256.Size]byte]Material{}
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var m Material
		err := lines.Decode(&m)
		if errors.Is(err, io.EOF) {
			return material, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", validationName, ErrAltered)
		}
		material[sha256.Sum256(m.DER)] = m
	}
}

// Record returns what is known of a message. The error is a *ShreddedError where its keys were shredded.
func (s *Segment) Record(ctx context.Context, n Number) (*Record, error) {
	keys, err := s.messageKeys(ctx, n)
	if err != nil {
		return nil, err
	}
	text, err := s.openedSmall(ctx, n.String()+suffixRecord, keys.Record, maxRecord)
	if err != nil {
		return nil, err
	}
	r := &Record{}
	if err := json.Unmarshal(text, r); err != nil || r.Number != n || len(r.Salt) != saltSize {
		return nil, fmt.Errorf("message %d: its record: %w", n, ErrAltered)
	}
	return r, nil
}

// ContentKeys returns the keys that were kept to open a message. There are none of a message that was not encrypted, and none
// that were shredded.
func (s *Segment) ContentKeys(ctx context.Context, n Number) ([]ContentKey, error) {
	keys, err := s.messageKeys(ctx, n)
	if err != nil {
		return nil, err
	}
	var list []ContentKey
	for _, k := range keys.Content {
		if len(k.Recipient) == sha256.Size {
			list = append(list, ContentKey{Recipient: [sha256.Size]byte(k.Recipient), Key: bytes.Clone(k.Key), Certificate: k.Certificate})
		}
	}
	return list, nil
}

// Octets writes the octets of a message into a quarantine, which must be released to nobody before the error is nil: then they are
// what the record says, and what the commitment in the segment is for.
func (s *Segment) Octets(ctx context.Context, r *Record, quarantine io.Writer) error {
	in, number := s, r.Number
	if r.OctetsIn != 0 {
		number = r.OctetsIn
		var err error
		if in, err = s.a.segmentOfOther(ctx, s, number); err != nil {
			return err
		}
		if in != s {
			defer in.Close()
		}
	}
	return s.octetsIn(ctx, r, in, number, quarantine)
}

// octetsIn writes the octets of a message that are those of the message with this number, in the same segment or another.
func (s *Segment) octetsIn(ctx context.Context, r *Record, in *Segment, number Number, quarantine io.Writer) error {
	keys, err := in.messageKeys(ctx, number)
	if err != nil {
		return err
	}
	digest, commit, count := sha256.New(), sha512.New(), &counter{}
	commit.Write(r.Salt)
	if err := in.opened(ctx, number.String()+suffixOctets, keys.Octets, io.MultiWriter(quarantine, digest, commit, count)); err != nil {
		return err
	}
	line, err := s.Commitment(r.Number)
	if err != nil {
		return err
	}
	if hex.EncodeToString(digest.Sum(nil)) != r.SHA256 || count.n != r.Size || !bytes.Equal(line, commitLine(commit.Sum(nil))) {
		return fmt.Errorf("message %d: %w", r.Number, ErrAltered)
	}
	return nil
}

// segmentOfOther opens the segment of another message beside s, which stays open. The caller closes it, unless it is s.
func (a *Archive) segmentOfOther(ctx context.Context, s *Segment, n Number) (*Segment, error) {
	if s.First <= n && n <= s.Last {
		return s, nil
	}
	beside := &Archive{storage: a.storage, o: a.o, description: a.description, head: s.h}
	return beside.SegmentOf(ctx, n)
}

// Commitment returns the content of a message's commit file.
func (s *Segment) Commitment(n Number) ([]byte, error) {
	return s.small(payloadFolder+n.String()+suffixCommit, maxCommit)
}

// commitments returns the content of each commit file, in order.
func (s *Segment) commitments(ctx context.Context) ([][]byte, error) {
	lines := make([][]byte, 0, s.Last-s.First+1)
	for n := s.First; n <= s.Last; n++ {
		line, err := s.Commitment(n)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return lines, nil
}

// read reads a small immutable object that the head speaks of, and holds it against its digest.
func (a *Archive) read(ctx context.Context, name string) ([]byte, error) {
	sum, ok := a.head.Sum(name)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ErrMissing)
	}
	data, err := readObject(ctx, a.storage, name, maxKeys)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", name, ErrMissing)
	case err != nil:
		return nil, err
	case sha512.Sum512(data) != sum:
		return nil, fmt.Errorf("%s: %w", name, ErrAltered)
	}
	return data, nil
}
