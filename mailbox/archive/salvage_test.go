package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// zipOf makes a ZIP file with what may be the files of a segment, whose sizes stand behind them.
func zipOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "000001/" + files[i]})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSalvage reads files without a directory whose content looks like what stands between files.
func TestSalvage(t *testing.T) {
	behind := func(size uint32) string {
		return descriptor + "crc_" + string(binary.LittleEndian.AppendUint32(nil, size)) + "size" + localHeader
	}
	want := map[string]string{
		infoName:   fieldMessages + ": 1-1\n",
		"data/one": strings.Replace(behind(0), localHeader, "none", 1) + behind(7) + strings.Repeat("x", 70_000) + behind(0) + localHeader + strings.Repeat("y", 30) + directoryHeader,
		"data/two": "",
	}
	data := zipOf(t, infoName, want[infoName], "data/one", want["data/one"], "data/two", want["data/two"])
	data = data[:bytes.LastIndex(data, []byte("PK\x05\x06"))-60]
	a := &Archive{storage: octetsStorage{segmentName(1, suffixZIP): data}}
	if _, err := a.openSegment(t.Context(), &Head{Segments: 1}, 1); !errors.Is(err, ErrAltered) {
		t.Fatal(err)
	}
	s, guessed, err := a.salvageSegment(t.Context(), &Head{Segments: 1}, 1)
	if err != nil || guessed {
		t.Fatal(guessed, err)
	}
	for name, text := range want {
		if got, err := s.small(name, 1<<20); err != nil || string(got) != text {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
	}
	if len(s.files) != len(want) {
		t.Errorf("files %v", s.files)
	}
}

// TestHostileZIP refuses ZIP files that make much out of little.
func TestHostileZIP(t *testing.T) {
	data := zipOf(t, infoName, fieldMessages+": 1-1\n"+strings.Repeat("x", 1000), "data/1", "", "data/2", "")
	directory := bytes.Index(data, []byte(directoryHeader))
	first := bytes.Clone(data[directory:])
	for at := directory + 1; ; at++ {
		i := bytes.Index(data[at:], []byte(directoryHeader))
		if i < 0 {
			break
		}
		at += i
		copy(data[at+16:at+28], first[16:28]) // CRC and sizes
		copy(data[at+42:at+46], first[42:46]) // where it is
	}
	a := &Archive{storage: octetsStorage{segmentName(1, suffixZIP): data}}
	if _, err := a.openSegment(t.Context(), &Head{Segments: 1}, 1); !errors.Is(err, ErrAltered) {
		t.Errorf("files that lie upon one another: %v", err)
	}

	var many bytes.Buffer
	z := zip.NewWriter(&many)
	for range 200_000 {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: strings.Repeat("x", 200)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a.storage = octetsStorage{segmentName(1, suffixZIP): many.Bytes()}
	if _, err := a.openSegment(t.Context(), &Head{Segments: 1}, 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a directory without end: %v", err)
	}

	// The beginnings of files everywhere, each of which has to be looked behind.
	beginning := data[:localHeaderSize+len("000001/"+infoName)]
	object := &counting{Object: octetsObject{bytes.NewReader(bytes.Repeat(beginning, 100_000))}}
	s := &Segment{Number: 1, object: object, files: map[string]segmentFile{}}
	if err := (&salvager{s, 16 * object.Size()}).walk(t.Context()); !errors.Is(err, ErrAltered) {
		t.Errorf("%d files, %v", len(s.files), err)
	}
	if object.octets > 100*object.Size() {
		t.Errorf("%d octets were read of %d", object.octets, object.Size())
	}
}

// counting counts what is read of an object.
type counting struct {
	Object
	octets int64
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Object.ReadAt(p, at)
	c.octets += int64(n)
	return n, err
}
