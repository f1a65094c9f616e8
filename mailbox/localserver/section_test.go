package localserver

import (
	"bytes"
	"io"
	"testing"

	"github.com/emersion/go-imap/v2"
)

func FuzzSection(f *testing.F) {
	for _, s := range []string{
		"", "\r\n", "\n", "no header", "a: b\r\n\r\nbody", "a: b\n c\n\nbody", " continued\r\na: b\r\n\r\n", "odd\r\n x\r\na: b\r\n\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nc: d\r\n\r\ntwo\r\n--b--\r\n",
		"Content-Type: multipart/mixed\r\n\r\n--\r\n", ": x\r\n\r\n", "a:\r\n", "Content-Transfer-Encoding: base64\r\n\r\n!!!!",
	} {
		f.Add([]byte(s), int64(3), int64(5))
	}
	f.Fuzz(func(t *testing.T, raw []byte, offset, length int64) {
		r, size := bytes.NewReader(raw), int64(len(raw))
		read := func(item *imap.FetchItemBodySection) []byte {
			t.Helper()
			s, err := section(r, size, item)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(s)
			if err != nil || int64(len(b)) != s.Size() {
				t.Fatalf("%d of %d octets: %v", len(b), s.Size(), err)
			}
			return b
		}
		whole := read(&imap.FetchItemBodySection{})
		header := read(&imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader})
		text := read(&imap.FetchItemBodySection{Specifier: imap.PartSpecifierText})
		if !bytes.Equal(whole, raw) || !bytes.Equal(append(header, text...), raw) {
			t.Fatalf("%q: header %q, text %q", raw, header, text)
		}
		// A piece and what is before and after it are the whole.
		at := func(offset, length int64) []byte {
			return read(&imap.FetchItemBodySection{Partial: &imap.SectionPartial{Offset: offset, Size: length}})
		}
		if offset >= 0 && length >= 0 && offset <= size {
			end := min(length, size-offset) + offset
			if got := bytes.Join([][]byte{at(0, offset), at(offset, length), at(end, size)}, nil); !bytes.Equal(got, raw) {
				t.Fatalf("%q from %d, %d octets: %q", raw, offset, length, got)
			}
		}
		// Each field is found, and nothing that is not in the header.
		fields, err := headerFields(r, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range fields {
			if got := read(&imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{fieldName(field)}}); !bytes.Contains(got, field) {
				t.Fatalf("field %q of %q is not in %q", field, raw, got)
			}
		}
		read(&imap.FetchItemBodySection{Part: []int{1}})
		read(&imap.FetchItemBodySection{Part: []int{2, 1}, Specifier: imap.PartSpecifierHeader})
		if _, err := bodyStructure(r, size); err != nil {
			t.Fatal(err)
		}
		if _, err := binarySection(r, size, &imap.FetchItemBinarySection{Part: []int{1}}); err != nil {
			t.Fatal(err)
		}
	})
}
