package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// Names of the files in a segment, below data/.
const (
	suffixOctets     = ".eml" + suffixStatement
	suffixRecord     = ".json" + suffixStatement
	suffixCommit     = ".commit"
	contentsName     = "contents.json" + suffixStatement
	validationName   = "validation.json" + suffixStatement
	infoName         = "bag-info.txt"
	payloadFolder    = "data/"
	fieldPrevious    = "Previous-Segment-SHA512"
	fieldMessages    = "Message-Numbers"
	fieldArchive     = "External-Identifier"
	fieldDescription = "External-Description"
	fieldDate        = "Bagging-Date"
	fieldAgent       = "Bag-Software-Agent"
	archiveScheme    = "sealmail:"
)

// segmentWriter writes one segment, which is a bag in a ZIP file. It is used for one.
type segmentWriter struct {
	a        *Archive
	ctx      context.Context // of the object, which is made by several calls
	number   int
	previous [sha512.Size]byte // of the segment before
	now      time.Time

	output   *segmentOutput
	zip      *bag.ZIP
	bag      *bag.Writer
	keys     segmentKeys
	keysSize int // about as many octets as they have
	contents Contents
	commits  [][]byte // content of the commit files, in order
	material map[[sha256.Size]byte]bool
	lines    bytes.Buffer // the material, a JSON value a line
	buffer   []byte       // between a message and what takes it
}

// copiedAtOnce is how many octets of a message are copied together. io.Copy would make room for as many with each message.
const copiedAtOnce = 32 << 10

// maxMaterial bounds the octets of the material of a segment, and of its contents.
const maxMaterial = 256 << 20

// What the keys of a message take in JSON, at the most, and one that opens a layer of it.
const (
	messageKeysSize = 256
	contentKeySize  = 192
)

// full reports whether what is bounded has come near its bounds.
func (s *segmentWriter) full() bool {
	return s.messages() >= maxSegmentMessages || s.lines.Len() >= maxMaterial/4 || s.keysSize >= maxKeys/2
}

func (a *Archive) newSegment(ctx context.Context, h *Head) (*segmentWriter, error) {
	s := &segmentWriter{a: a, ctx: ctx, number: h.Segments + 1, now: a.o.Now(), material: map[[sha256.Size]byte]bool{}, buffer: make([]byte, copiedAtOnce)}
	if s.number > maxSegment || len(h.marshal()) > maxHead-headReserve {
		return nil, errors.New("the archive has as many segments as it can: begin another one")
	}
	if h.Segments > 0 {
		s.previous, _ = h.Sum(segmentName(h.Segments, suffixZIP))
	}
	s.keys = segmentKeys{Archive: a.description.ID, Segment: s.number, Generation: 1, Contents: newKey(), Validation: newKey()}
	s.contents = Contents{Segment: s.number, First: Number(h.Messages + 1)}
	object, err := a.storage.Create(ctx, segmentName(s.number, suffixZIP))
	if err != nil {
		return nil, err
	}
	s.output = newSegmentOutput(object)
	if s.zip, err = bag.NewZIP(s.output, segmentDigits(s.number), s.now); err == nil {
		s.bag, err = bag.NewWriter(s.zip)
	}
	if err != nil {
		return nil, errors.Join(err, s.abort())
	}
	return s, nil
}

func (s *segmentWriter) abort() error { return s.output.object.Abort() }

func (s *segmentWriter) messages() int { return len(s.keys.Messages) }

// add archives a message under the next number.
func (s *segmentWriter) add(ctx context.Context, m Message, octets io.Reader) (*Record, error) {
	if s.messages() >= maxSegmentMessages {
		return nil, fmt.Errorf("segment %d: %w", s.number, ErrTooLarge)
	}
	number := s.contents.First + Number(s.messages())
	if number > maxNumber {
		return nil, errors.New("the archive has as many messages as it can: begin another one")
	}
	r := &Record{
		Number: number, Origin: m.Origin, Flags: append([]string{}, m.Flags...), Archived: s.now.UTC().Truncate(time.Second),
		Salt: make([]byte, saltSize), OctetsIn: m.Duplicate, Findings: m.Findings,
	}
	if !m.InternalDate.IsZero() {
		at := m.InternalDate.UTC()
		r.InternalDate = &at
	}
	_, _ = rand.Read(r.Salt) // never fails
	keys := messageKeys{Number: number, OctetsIn: m.Duplicate, Record: newKey()}
	for _, k := range m.ContentKeys {
		keys.Content = append(keys.Content, contentKey{Recipient: k.Recipient[:], Key: bytes.Clone(k.Key), Certificate: k.Certificate})
	}
	digest, commit := sha256.New(), sha512.New()
	commit.Write(r.Salt)
	counted := &counter{}
	sums := io.MultiWriter(digest, commit, counted)
	if m.Duplicate == 0 {
		keys.Octets = newKey()
		err := s.seal(ctx, number.String()+suffixOctets, keys.Octets, func(w io.Writer) error {
			_, err := io.CopyBuffer(io.MultiWriter(w, sums), octets, s.buffer)
			return err
		})
		if err != nil {
			return nil, err
		}
	} else if _, err := io.CopyBuffer(sums, octets, s.buffer); err != nil {
		return nil, err
	}
	r.Size, r.SHA256 = counted.n, hex.EncodeToString(digest.Sum(nil))
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(text) > maxRecord {
		return nil, fmt.Errorf("record of message %d: %w", number, ErrTooLarge)
	}
	err = s.seal(ctx, number.String()+suffixRecord, keys.Record, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	line := commitLine(commit.Sum(nil))
	if err := s.file(number.String()+suffixCommit, line); err != nil {
		return nil, err
	}
	s.commits = append(s.commits, line)
	s.keys.Messages = append(s.keys.Messages, keys)
	s.keysSize += messageKeysSize + contentKeySize*len(keys.Content)
	s.contents.Last = number
	s.contents.add(m.Origin)
	return r, s.keep(m.Material)
}

// commitLine is what a commit file holds: what sha512sum prints for salt and octets, one behind the other.
func commitLine(sum []byte) []byte { return fmt.Appendf(nil, "%x  -\n", sum) }

type counter struct{ n int64 }

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// add notes where a message was. Messages come by folders, mostly.
func (c *Contents) add(o Origin) {
	i := len(c.Folders) - 1
	for ; i >= 0; i-- {
		if f := &c.Folders[i]; f.Account == o.Account && f.Folder == o.Folder && f.UIDValidity == o.UIDValidity {
			break
		}
	}
	if i < 0 {
		c.Folders = append(c.Folders, FolderContents{Account: o.Account, Folder: o.Folder, UIDValidity: o.UIDValidity})
		i = len(c.Folders) - 1
	}
	c.Folders[i].UIDs.Add(o.UID)
}

// keep puts material that is new to the segment with the rest.
func (s *segmentWriter) keep(material []Material) error {
	for _, m := range material {
		sum := sha256.Sum256(m.DER)
		if s.material[sum] {
			continue
		}
		s.material[sum] = true
		if err := json.NewEncoder(&s.lines).Encode(m); err != nil {
			return err
		}
	}
	if s.lines.Len() > maxMaterial {
		return fmt.Errorf("material of segment %d: %w", s.number, ErrTooLarge)
	}
	return nil
}

// seal writes a sealed file into the bag.
func (s *segmentWriter) seal(ctx context.Context, name string, k key, write func(io.Writer) error) error {
	f, err := s.bag.Create(name)
	if err != nil {
		return err
	}
	w, err := newSealer(ctx, f, k, name, nil)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}

// file writes a file into the bag as it is.
func (s *segmentWriter) file(name string, data []byte) error {
	f, err := s.bag.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Close()
}

// finish completes the ZIP file and makes it durable.
func (s *segmentWriter) finish(ctx context.Context) error {
	text, err := json.Marshal(s.contents)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		key  key
		text []byte
	}{{contentsName, s.keys.Contents, text}, {validationName, s.keys.Validation, s.lines.Bytes()}} {
		err := s.seal(ctx, part.name, part.key, func(w io.Writer) error {
			_, err := w.Write(part.text)
			return err
		})
		if err != nil {
			return err
		}
	}
	info := []bag.Field{
		{Label: fieldArchive, Value: archiveScheme + s.keys.Archive + "/" + segmentDigits(s.number)},
		{Label: fieldDescription, Value: "Segment of a mail archive; README.txt of the archive says how to verify it"},
		{Label: fieldDate, Value: s.now.UTC().Format(time.DateOnly)},
		{Label: fieldAgent, Value: "sealmail"},
		{Label: fieldMessages, Value: fmt.Sprintf("%d-%d", s.contents.First, s.contents.Last)},
	}
	if s.number > 1 {
		info = append(info, bag.Field{Label: fieldPrevious, Value: hex.EncodeToString(s.previous[:])})
	}
	if err := s.bag.Close(info); err != nil {
		return err
	}
	if err := s.zip.Close(); err != nil {
		return err
	}
	return s.output.commit()
}

// sumLine is what the archiving signature is over: what sha512sum prints for a segment's ZIP file.
func sumLine(sum []byte, segment int) []byte {
	return fmt.Appendf(nil, "%x  %s\n", sum, strings.TrimPrefix(segmentName(segment, suffixZIP), segmentFolder+"/"))
}
