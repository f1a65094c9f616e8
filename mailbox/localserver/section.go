package localserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-message/textproto"
)

const (
	// maxHeader bounds how much of a header is looked into; what a client fetches is not cut.
	maxHeader = 1 << 20
	// maxEntities bounds the multipart and attached-message fields of a message that is taken apart for the client.
	// The library goes down into them by recursion and line by line, so the price grows with their square.
	maxEntities = 128
)

// headerEnd returns the offset of the body: behind the first empty line, or size if there is none.
func headerEnd(r io.ReaderAt, size int64) (int64, error) {
	br := bufio.NewReader(io.NewSectionReader(r, 0, size))
	var end int64
	lineStart := true
	for {
		line, err := br.ReadSlice('\n')
		end += int64(len(line))
		if lineStart && err == nil && len(bytes.TrimRight(line, "\r\n")) == 0 {
			return end, nil
		}
		switch {
		case err == nil:
			lineStart = true
		case errors.Is(err, bufio.ErrBufferFull):
			lineStart = false
		case errors.Is(err, io.EOF):
			return size, nil
		default:
			return 0, err
		}
	}
}

// headerFields returns the raw fields of a header, each with its continuation lines. Lines that are not fields are
// passed over: one odd line must not hide the others.
func headerFields(r io.ReaderAt, size int64) ([][]byte, error) {
	end, err := headerEnd(r, size)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, min(end, maxHeader))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, end), raw); err != nil {
		return nil, err
	}
	var fields [][]byte
	continued := false
	for line := range bytes.Lines(raw) {
		switch name, _, isField := bytes.Cut(line, []byte(":")); {
		case line[0] == ' ' || line[0] == '\t':
			if continued {
				last := len(fields) - 1
				fields[last] = slices.Concat(fields[last], line)
			}
		case isField && len(bytes.TrimSpace(name)) > 0:
			fields = append(fields, line)
			continued = true
		default:
			continued = false
		}
	}
	return fields, nil
}

func fieldName(field []byte) string {
	name, _, _ := bytes.Cut(field, []byte(":"))
	return strings.ToLower(string(bytes.TrimSpace(name)))
}

// parsedHeader returns the header for the library's use.
func parsedHeader(r io.ReaderAt, size int64) (textproto.Header, error) {
	fields, err := headerFields(r, size)
	if err != nil {
		return textproto.Header{}, err
	}
	var h textproto.Header
	for _, field := range slices.Backward(fields) { // each goes on top
		h.AddRaw(field)
	}
	return h, nil
}

// tolerantReader returns the message without the lines of its header that are not fields: the library gives up at one.
func tolerantReader(r io.ReaderAt, size int64) (io.Reader, error) {
	end, err := headerEnd(r, size)
	if err != nil {
		return nil, err
	}
	fields, err := headerFields(r, size)
	if err != nil {
		return nil, err
	}
	header := append(bytes.Join(fields, nil), "\r\n"...)
	return io.MultiReader(bytes.NewReader(header), io.NewSectionReader(r, end, size-end)), nil
}

// section returns the octets of a body section (RFC 3501 section 6.4.5). The whole message, its header and its text
// are read from the file as they are; parts of a multipart message are taken out by the library, in memory.
func section(r io.ReaderAt, size int64, item *imap.FetchItemBodySection) (*io.SectionReader, error) {
	whole, err := wholeSection(r, size, item)
	if err != nil {
		return nil, err
	}
	return partial(whole, item.Partial), nil
}

func wholeSection(r io.ReaderAt, size int64, item *imap.FetchItemBodySection) (*io.SectionReader, error) {
	if len(item.Part) > 0 {
		if !divisible(r, size) {
			return io.NewSectionReader(r, 0, 0), nil
		}
		tolerant, err := tolerantReader(r, size)
		if err != nil {
			return nil, err
		}
		unpartial := *item
		unpartial.Partial = nil
		b := imapserver.ExtractBodySection(tolerant, &unpartial)
		return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), nil
	}
	if item.Specifier == imap.PartSpecifierNone {
		return io.NewSectionReader(r, 0, size), nil
	}
	end, err := headerEnd(r, size)
	if err != nil {
		return nil, err
	}
	if item.Specifier == imap.PartSpecifierText {
		return io.NewSectionReader(r, end, size-end), nil
	}
	if len(item.HeaderFields) == 0 && len(item.HeaderFieldsNot) == 0 {
		return io.NewSectionReader(r, 0, end), nil
	}
	fields, err := headerFields(r, size)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, field := range fields {
		named := func(name string) bool { return strings.EqualFold(name, fieldName(field)) }
		if len(item.HeaderFields) > 0 && !slices.ContainsFunc(item.HeaderFields, named) ||
			slices.ContainsFunc(item.HeaderFieldsNot, named) {
			continue
		}
		b.Write(field)
	}
	b.WriteString("\r\n")
	return io.NewSectionReader(bytes.NewReader(b.Bytes()), 0, int64(b.Len())), nil
}

// partial cuts a section as the client asked; what lies outside is left away (RFC 3501 section 6.4.5).
func partial(s *io.SectionReader, p *imap.SectionPartial) *io.SectionReader {
	if p == nil {
		return s
	}
	start := min(max(p.Offset, 0), s.Size())
	return io.NewSectionReader(s, start, min(max(p.Size, 0), s.Size()-start))
}

// binarySection returns a part with its transfer encoding undone (RFC 3516).
func binarySection(r io.ReaderAt, size int64, item *imap.FetchItemBinarySection) (*io.SectionReader, error) {
	if !divisible(r, size) {
		return io.NewSectionReader(r, 0, 0), nil
	}
	tolerant, err := tolerantReader(r, size)
	if err != nil {
		return nil, err
	}
	b := imapserver.ExtractBinarySection(tolerant, &imap.FetchItemBinarySection{Part: item.Part})
	return partial(io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), item.Partial), nil
}

// bodyStructure returns the MIME structure. A message with too many levels is told as one unknown body.
func bodyStructure(r io.ReaderAt, size int64) (imap.BodyStructure, error) {
	if divisible(r, size) {
		tolerant, err := tolerantReader(r, size)
		if err != nil {
			return nil, err
		}
		return imapserver.ExtractBodyStructure(tolerant), nil
	}
	return &imap.BodyStructureSinglePart{
		Type: "application", Subtype: "octet-stream", Encoding: "binary", Size: uint32(min(size, 1<<32-1)),
		Extended: &imap.BodyStructureSinglePartExt{},
	}, nil
}

// divisible tells whether a message may be taken apart: whether its possible levels are few.
func divisible(r io.ReaderAt, size int64) bool {
	br := bufio.NewReader(io.NewSectionReader(r, 0, size))
	count := 0
	for {
		line, err := br.ReadSlice('\n')
		if lower := bytes.ToLower(line); bytes.Contains(lower, []byte("multipart/")) ||
			bytes.Contains(lower, []byte("message/")) {
			count++
		}
		if count > maxEntities {
			return false
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return errors.Is(err, io.EOF)
		}
	}
}
