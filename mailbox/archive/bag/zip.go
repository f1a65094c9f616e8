package bag

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"
)

// maxSpooled is the size up to which a file is held in memory until it is complete: then its size and checksum stand before it, and
// what reads the ZIP file from its start needs no look at its end.
const maxSpooled = 1 << 20

// ZIP is a [Sink] that writes a ZIP file in which nothing is compressed, with all files in one folder. The same files in the same order
// make the same octets. It is for use by one goroutine.
type ZIP struct {
	zip    *zip.Writer
	base   string
	time   time.Time
	buffer bytes.Buffer
	open   bool
	err    error // the first failure, or ErrOrder once closed
}

// NewZIP begins a ZIP file in w. The base is the name of the folder that everything is in. All files get the time, rounded down to two
// seconds, in UTC; it has to be of the years 1980 to 2107, which a ZIP file can tell.
func NewZIP(w io.Writer, base string, modified time.Time) (*ZIP, error) {
	if err := checkName(base); err != nil {
		return nil, err
	}
	if strings.Contains(base, "/") {
		return nil, badName(base, "it is no single folder")
	}
	modified = modified.UTC()
	if y := modified.Year(); y < 1980 || y > 2107 {
		return nil, fmt.Errorf("a ZIP file cannot tell of the year %d", y)
	}
	return &ZIP{zip: zip.NewWriter(w), base: base, time: modified}, nil
}

// Create begins a file. Up to a mebioctet of it is held in memory.
func (z *ZIP) Create(name string) (io.WriteCloser, error) {
	if z.err != nil {
		return nil, z.err
	}
	if z.open {
		return nil, ErrOrder
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	header, err := zip.FileInfoHeader(zipInfo{z.base + "/" + name, z.time})
	if err != nil {
		return nil, err
	}
	header.Modified = time.Time{} // set, it is written once more, as an extra field
	header.Method = zip.Store
	z.buffer.Reset()
	z.open = true
	return &zipFile{zip: z, header: header}, nil
}

// Close completes the ZIP file. What it was written to stays open.
func (z *ZIP) Close() error {
	if z.err != nil {
		return z.err
	}
	if z.open {
		return ErrOrder
	}
	z.err = ErrOrder
	return z.zip.Close()
}

// zipFile writes a file of a ZIP file.
type zipFile struct {
	zip    *ZIP
	header *zip.FileHeader
	to     io.Writer // once there is too much to hold; nil until then
	closed bool
}

// Write appends to the file.
func (f *zipFile) Write(p []byte) (n int, err error) {
	if f.closed {
		return 0, ErrOrder
	}
	if f.zip.err != nil {
		return 0, f.zip.err
	}
	if f.to == nil {
		if f.zip.buffer.Len()+len(p) <= maxSpooled {
			return f.zip.buffer.Write(p)
		}
		if f.to, f.zip.err = f.zip.zip.CreateHeader(f.header); f.zip.err != nil {
			return 0, f.zip.err
		}
		if _, f.zip.err = f.to.Write(f.zip.buffer.Bytes()); f.zip.err != nil {
			return 0, f.zip.err
		}
	}
	n, f.zip.err = f.to.Write(p)
	return n, f.zip.err
}

// Close completes the file.
func (f *zipFile) Close() error {
	if f.closed {
		return ErrOrder
	}
	f.closed, f.zip.open = true, false
	if f.zip.err == nil && f.to == nil {
		f.zip.err = f.flush()
	}
	return f.zip.err // what is behind a large file is written before the next one, or in the end
}

// flush writes a file that was held in memory.
func (f *zipFile) flush() error {
	const (
		version = 20      // of the format
		utf8Bit = 1 << 11 // says that the name is UTF-8
	)
	h, content := f.header, f.zip.buffer.Bytes()
	h.CreatorVersion |= version
	h.ReaderVersion = version
	if strings.ContainsFunc(h.Name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		h.Flags |= utf8Bit
	}
	h.CRC32 = crc32.ChecksumIEEE(content)
	h.CompressedSize64, h.UncompressedSize64 = uint64(len(content)), uint64(len(content))
	to, err := f.zip.zip.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = to.Write(content)
	return err
}

// zipInfo is what there is to say of a file before its content is known.
type zipInfo struct {
	name string
	time time.Time
}

// Name returns the path.
func (i zipInfo) Name() string { return i.name }

// Size returns nothing: the header gets it later.
func (zipInfo) Size() int64 { return 0 }

// Mode returns the permissions.
func (zipInfo) Mode() fs.FileMode { return 0o644 }

// ModTime returns the time that all files have.
func (i zipInfo) ModTime() time.Time { return i.time }

// IsDir reports that it is no folder.
func (zipInfo) IsDir() bool { return false }

// Sys returns nothing.
func (zipInfo) Sys() any { return nil }
