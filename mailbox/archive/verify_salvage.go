package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// The parts of a ZIP file that stand before a file and behind it (APPNOTE.TXT 6.3.10, sections 4.3.7 and 4.3.9).
const (
	localHeader     = "PK\x03\x04"
	localHeaderSize = 30
	descriptor      = "PK\x07\x08"
	directoryHeader = "PK\x01\x02"
	sizesBehind     = 1 << 3 // flag: sizes stand in the descriptor
)

// salvagedFile is a file of a ZIP file whose directory is not to be had.
type salvagedFile struct {
	object   Object
	at, size int64
	crc      uint32
}

// Open reads the file, and checks its CRC, as that of zip.File does.
func (f *salvagedFile) Open() (io.ReadCloser, error) {
	return &checkedReader{src: io.NewSectionReader(f.object, f.at, f.size), want: f.crc}, nil
}

type checkedReader struct {
	src  io.Reader
	crc  uint32
	want uint32
}

// Read reads, and returns zip.ErrChecksum in place of the end if what was read is something else.
func (r *checkedReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.crc = crc32.Update(r.crc, crc32.IEEETable, p[:n])
	if errors.Is(err, io.EOF) && r.crc != r.want {
		err = zip.ErrChecksum
	}
	return n, err
}

// Close does nothing.
func (r *checkedReader) Close() error { return nil }

// salvageSegment opens a segment by what stands before each of its files, for want of a directory that can be read. What is
// damaged is stepped over. guessed says that which messages are in it is what the names of its files tell. The caller closes it.
func (a *Archive) salvageSegment(ctx context.Context, h *Head, number int) (s *Segment, guessed bool, err error) {
	object, err := a.storage.Open(ctx, segmentName(number, suffixZIP))
	if err != nil {
		return nil, false, err
	}
	s = &Segment{Number: number, a: a, h: h, object: object, files: map[string]segmentFile{}}
	if err := (&salvager{s, 16*object.Size() + 1<<20}).walk(ctx); err != nil {
		return nil, false, errors.Join(err, object.Close())
	}
	if guessed = s.readInfo() != nil; guessed {
		// The names of the files tell which messages are here.
		s.First, s.Last = 0, 0
		for name := range s.files {
			if n := numberOf(name); n > 0 {
				if s.First == 0 || n < s.First {
					s.First = n
				}
				s.Last = max(s.Last, n)
			}
		}
	}
	if s.First < 1 || int64(s.Last-s.First) >= int64(len(s.files)) {
		return nil, false, errors.Join(ErrAltered, object.Close())
	}
	return s, guessed, nil
}

// salvager goes through a ZIP file without its directory.
type salvager struct {
	s      *Segment
	budget int64 // octets that may be read yet to find something: what is hostile can have the beginnings of files everywhere
}

// walk goes from file to file.
func (w *salvager) walk(ctx context.Context) error {
	s := w.s
	prefix := segmentDigits(s.Number) + "/"
	for at := int64(0); len(s.files) < maxEntries; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		head := make([]byte, localHeaderSize+512)
		n, _ := s.object.ReadAt(head, at) // what cannot be read is not there
		if !bytes.HasPrefix(head[:n], []byte(localHeader)) {
			if at = w.find(ctx, localHeader, at+1); at < 0 {
				break
			}
			continue
		}
		name, f, next := s.localFile(head[:n], at)
		below, ours := strings.CutPrefix(name, prefix)
		if ours && f == nil { // its size stands behind it
			f, next = w.described(ctx, next)
		}
		if _, twice := s.files[below]; !ours || f == nil || twice {
			next = at + 1
		} else {
			s.files[below] = f
		}
		at = next
	}
	if len(s.files) == 0 {
		return fmt.Errorf("%w: no file was found in it", ErrAltered)
	}
	return nil
}

// localFile reads what stands before a file. f is nil where the size stands behind it, and next is then where it begins.
func (s *Segment) localFile(head []byte, at int64) (name string, f *salvagedFile, next int64) {
	if len(head) < localHeaderSize {
		return "", nil, 0
	}
	u16 := func(i int) int64 { return int64(binary.LittleEndian.Uint16(head[i:])) }
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(head[i:])) }
	nameSize := u16(26)
	if u16(8) != 0 || localHeaderSize+nameSize > int64(len(head)) { // stored
		return "", nil, 0
	}
	name = string(head[localHeaderSize : localHeaderSize+nameSize])
	begin := at + localHeaderSize + nameSize + u16(28)
	if u16(6)&sizesBehind != 0 {
		return name, nil, begin
	}
	size := u32(18)
	if begin+size > s.object.Size() {
		return "", nil, 0
	}
	return name, &salvagedFile{s.object, begin, size, uint32(u32(14))}, begin + size
}

// described looks for the descriptor of a file that begins at a place.
func (w *salvager) described(ctx context.Context, begin int64) (f *salvagedFile, next int64) {
	for at := begin; ; at++ {
		if at = w.find(ctx, descriptor, at); at < 0 {
			return nil, 0
		}
		tail := make([]byte, 4+4+16+4)
		n, _ := w.s.object.ReadAt(tail, at)
		for _, wide := range []bool{false, true} {
			size, end := int64(0), int64(16)
			if wide {
				end = 24
			}
			if int64(n) < end+4 {
				continue
			}
			if size = int64(binary.LittleEndian.Uint32(tail[8:])); wide {
				size = int64(binary.LittleEndian.Uint64(tail[8:]))
			}
			behind := string(tail[end : end+4])
			if size == at-begin && (behind == localHeader || behind == directoryHeader) {
				return &salvagedFile{w.s.object, begin, size, binary.LittleEndian.Uint32(tail[4:])}, at + end
			}
		}
	}
}

// find returns the next place of a word from a place on; -1: there is none. What cannot be read is stepped over.
func (w *salvager) find(ctx context.Context, word string, from int64) int64 {
	buffer := make([]byte, 64<<10)
	size := w.s.object.Size()
	for at, length := from, 1<<10; at < size && ctx.Err() == nil && w.budget > 0; length = len(buffer) {
		n, err := w.s.object.ReadAt(buffer[:length], at)
		w.budget -= int64(max(n, len(word)))
		if i := bytes.Index(buffer[:n], []byte(word)); i >= 0 {
			return at + int64(i)
		}
		switch {
		case n == length:
			at += int64(n - len(word) + 1)
		case err == nil || errors.Is(err, io.EOF):
			return -1
		default:
			const sector = 4096
			at += int64(n) + sector - (at+int64(n))%sector
		}
	}
	return -1
}
