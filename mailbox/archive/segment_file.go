package archive

import (
	"archive/zip"
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// readDirectory reads what the ZIP file has, and bag-info.txt.
func (s *Segment) readDirectory() error {
	bounded := &boundedReader{s.object, maxDirectory}
	z, err := zip.NewReader(bounded, s.object.Size())
	bounded.left = math.MaxInt64 // the files are read through it as well
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAltered, err)
	}
	if len(z.File) > maxEntries {
		return ErrTooLarge
	}
	base := segmentDigits(s.Number) + "/"
	left := uint64(s.object.Size()) // of which no octet is two files'
	for _, f := range z.File {
		if f.CompressedSize64 > left || f.UncompressedSize64 != f.CompressedSize64 {
			return fmt.Errorf("file %.100q: its size: %w", f.Name, ErrAltered)
		}
		left -= f.CompressedSize64
		name, found := strings.CutPrefix(f.Name, base)
		if _, twice := s.files[name]; !found || twice || f.Method != zip.Store {
			return fmt.Errorf("file %.100q: %w", f.Name, ErrAltered)
		}
		s.files[name] = f
	}
	return s.readInfo()
}

// boundedReader reads no more than so many octets. What a directory says takes several times as much in memory.
type boundedReader struct {
	io.ReaderAt
	left int64
}

// ReadAt reads, and fails with ErrTooLarge where it is too much.
func (r *boundedReader) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, at)
	if r.left -= int64(n); r.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// readInfo reads bag-info.txt.
func (s *Segment) readInfo() error {
	text, err := s.small(infoName, maxSmall)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		label, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		switch label {
		case fieldMessages:
			first, last, _ := strings.Cut(value, "-")
			from, _ := strconv.ParseInt(first, 10, 64)
			to, _ := strconv.ParseInt(last, 10, 64)
			s.First, s.Last = Number(from), Number(to)
		case fieldArchive:
			id, _, _ := strings.Cut(strings.TrimPrefix(value, archiveScheme), "/")
			if isIdentifier(id) {
				s.archive = id
			}
		case fieldPrevious:
			if sum, err := hex.DecodeString(value); err == nil && len(sum) == len(s.previous) {
				s.previous = [sha512.Size]byte(sum)
			}
		}
	}
	if s.First < 1 || s.Last < s.First || int64(s.Last-s.First) >= int64(len(s.files)) {
		return fmt.Errorf("%s: %w", infoName, ErrAltered)
	}
	return nil
}

// file opens a file of the segment; its CRC is checked while it is read.
func (s *Segment) file(name string) (io.ReadCloser, error) {
	f, found := s.files[name]
	if !found {
		return nil, fmt.Errorf("%s: %w", name, ErrMissing)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrAltered, err)
	}
	return r, nil
}

// small reads a small file of the segment whole.
func (s *Segment) small(name string, limit int64) (data []byte, err error) {
	f, err := s.file(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, alteredZIP(err))
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s: %w", name, ErrTooLarge)
	}
	return data, nil
}

type limitedBuffer struct {
	bytes.Buffer
	left int64
}

// Write appends, up to the limit.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, ErrTooLarge
	}
	return b.Buffer.Write(p)
}
