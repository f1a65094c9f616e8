package entity

import (
	"bufio"
	"io"
	"strings"
	"sync"
)

// Source is content that can be read as often as wanted: an *io.SectionReader, a *bytes.Reader, a *spool.Spool.
type Source interface {
	io.ReaderAt
	Size() int64
}

// windowSize returns how much of a body of this size is looked at in one go. A short one is not worth a long buffer: there
// are many of them, and making the buffer would cost more than the work.
func windowSize(body int64) int {
	const long = 64 << 10
	if body > longBody {
		return long
	}
	return shortWindow
}

const shortWindow = 4 << 10

// longBody is from when on a body is worth a long buffer.
const longBody = 256 << 10

// Entity is a MIME entity as a range of a source.
type Entity struct {
	Header      Header
	Type        MediaType // of Content-Type, or the default of the place
	Disposition MediaType // of Content-Disposition; Type is "" if absent
	Encoding    string    // of Content-Transfer-Encoding, lower case; "" if absent
	Start       int64     // where the header starts
	Body        int64     // where the body starts
	End         int64     // where the entity ends
	Notes       []Note

	source io.ReaderAt
	fields [8]Field // behind Header, where that is short
}

// Parse reads the header of the entity that src is.
func Parse(src Source, l Limits) (*Entity, error) {
	return parse(src, 0, src.Size(), defaultType, l.withDefaults().HeaderBytes)
}

// RFC 2045 section 5.2 and RFC 2046 section 5.1.5.
const (
	defaultType       = "text/plain"
	defaultDigestType = "message/rfc822"
)

// headerReader reads the header of an entity.
type headerReader struct {
	section io.SectionReader
	buffer  *bufio.Reader
}

// headerReaders have wiped buffers. A message has several entities.
var headerReaders = sync.Pool{New: func() any { return &headerReader{buffer: bufio.NewReaderSize(nil, 1<<10)} }}

func parse(src io.ReaderAt, start, end int64, typ string, maxHeader int) (*Entity, error) {
	r := headerReaders.Get().(*headerReader)
	r.section = *io.NewSectionReader(src, start, end-start)
	r.buffer.Reset(&r.section)
	e := &Entity{Start: start, End: end, source: src}
	header, raw, notes, err := readHeader(r.buffer, maxHeader, e.fields[:0])
	wipe(r.buffer)
	r.section = io.SectionReader{}
	headerReaders.Put(r)
	if err != nil {
		return nil, err
	}
	e.Header, e.Notes, e.Body = header, notes, start+int64(len(raw))
	e.Type = e.contentType(typ)
	e.Disposition = ParseMediaType(header.Value("Content-Disposition"))
	// A comment may follow the token (RFC 2045 section 6.1).
	e.Encoding = ParseMediaType(header.Value("Content-Transfer-Encoding")).Type
	return e, nil
}

func (e *Entity) contentType(typ string) MediaType {
	first, count := Field{}, 0
	for _, f := range e.Header {
		if !f.Is("Content-Type") {
			continue
		}
		if count++; count == 1 {
			first = f
		}
	}
	switch {
	case count == 0:
		return MediaType{Type: typ}
	case count > 1:
		e.Notes = add(e.Notes, NoteSeveralContentTypes)
	}
	m := ParseMediaType(first.Value())
	main, sub, ok := strings.Cut(m.Type, "/")
	if !ok || main == "" || sub == "" || strings.ContainsAny(m.Type, " \t\"") {
		// RFC 2045 section 5.2 recommends text/plain for a type that cannot be read; bytes are the safer view.
		e.Notes = add(e.Notes, NoteContentType)
		if main != "text" {
			return MediaType{Type: "application/octet-stream", Params: m.Params}
		}
		return MediaType{Type: defaultType, Params: m.Params}
	}
	return m
}

// Section returns the whole entity as it stands: header and body.
func (e *Entity) Section() *io.SectionReader {
	return io.NewSectionReader(e.source, e.Start, e.End-e.Start)
}

// BodySection returns the body as it stands, in its transfer encoding.
func (e *Entity) BodySection() *io.SectionReader {
	return io.NewSectionReader(e.source, e.Body, e.End-e.Body)
}

// RawHeader returns the header section as it stands, with the empty line behind it.
func (e *Entity) RawHeader() *io.SectionReader {
	return io.NewSectionReader(e.source, e.Start, e.Body-e.Start)
}

// Filename returns the file name that the sender gave, decoded and otherwise as it came: it may contain anything.
func (e *Entity) Filename() string {
	name := e.Disposition.Params.Get("filename")
	if name == "" {
		name = e.Type.Params.Get("name")
	}
	return DecodeWords(name) // RFC 2047 forbids encoded words here; many write them
}

// Message reports whether the entity is a message within a message, in an encoding in which it can be looked into.
func (e *Entity) Message() bool {
	return e.Type.Is("message/rfc822", "message/global") && e.identity()
}

// identity reports whether the transfer encoding is none (RFC 2045 section 6.2), or unknown.
func (e *Entity) identity() bool { return e.Encoding != "base64" && e.Encoding != "quoted-printable" }

// New returns an entity without header whose body is a range of src, as if fields with this type and transfer encoding
// stood before it.
func New(src Source, body Range, mediaType, encoding string) *Entity {
	return &Entity{
		Type: MediaType{Type: mediaType}, Encoding: encoding,
		Start: body.Start, Body: body.Start, End: body.End, source: src,
	}
}
