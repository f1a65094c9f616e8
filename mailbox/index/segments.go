package index

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// Octets are sealed by AES-256-GCM in chunks, as the STREAM construction has it: the nonce is the number of the chunk, and
// whether it is the last. A key seals one message once.
const (
	chunkSize = 64 << 10
	tagSize   = 16
	keySize   = 32
	// maxSegment is how large a segment grows, but for a message that is larger by itself.
	maxSegment    = 64 << 20
	segmentSuffix = ".seg"
)

func nonce(chunk uint64, last bool) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n[3:], chunk)
	if last {
		n[11] = 1
	}
	return n
}

// sealedSize is how many octets so many become.
func sealedSize(size int64) int64 {
	chunks := max(1, (size+chunkSize-1)/chunkSize)
	return size + chunks*tagSize
}

func newSealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// What is sealed of a message, each in segments of its own: a search goes through all texts, and past no octets.
const (
	kindOctets int64 = iota
	kindText
)

// place is where the octets of a message, or its text, are.
type place struct {
	segment, start int64
	size           int64 // of the octets
	key            []byte
}

// appender appends octets to segments within one transaction, which lets nobody else do so meanwhile.
type appender struct {
	x      *Index
	kind   int64
	id     int64 // of the segment; 0: none yet
	size   int64
	live   int64
	made   bool // anew: its name is not on the disk yet
	file   *os.File
	out    *bufio.Writer
	buffer []byte
}

func (x *Index) segmentPath(id int64) string {
	return filepath.Join(x.dir, fmt.Sprintf("%08d%s", id, segmentSuffix))
}

// room opens a segment that has room for so many octets more.
func (a *appender) room(size int64) error {
	if a.file != nil && a.size+size <= maxSegment {
		return nil
	}
	if err := a.finish(); err != nil {
		return err
	}
	if a.id == 0 { // the last one, if it is not full
		err := a.x.rows(func(s *sqlite3.Stmt) error {
			a.id, a.size, a.live = s.ColumnInt64(0), s.ColumnInt64(1), s.ColumnInt64(2)
			return nil
		}, "SELECT id, size, live FROM segments WHERE id = (SELECT max(id) FROM segments WHERE kind = ?) AND size + ? <= ?",
			a.kind, size, int64(maxSegment))
		if err != nil {
			return err
		}
		if a.id != 0 {
			return a.open()
		}
	}
	return a.begin()
}

// begin begins a new segment.
func (a *appender) begin() error {
	if err := a.x.exec("INSERT INTO segments(kind, size, live) VALUES(?, 0, 0)", a.kind); err != nil {
		return err
	}
	a.id, a.size, a.live, a.made = a.x.db.LastInsertRowID(), 0, 0, true
	return a.open()
}

// open opens the segment's file, and cuts off what was written and never committed.
func (a *appender) open() error {
	path := a.x.segmentPath(a.id)
	if err := step(a.x.disk, safeio.OpCreate, path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	a.file = file
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < a.size {
		return fmt.Errorf("%w: segment %d is shorter than it was", ErrDamaged, a.id)
	}
	if info.Size() > a.size {
		if err := step(a.x.disk, safeio.OpWrite, path); err != nil {
			return err
		}
		if err := file.Truncate(a.size); err != nil {
			return err
		}
	}
	if _, err := file.Seek(a.size, io.SeekStart); err != nil {
		return err
	}
	if a.out == nil {
		a.out = bufio.NewWriterSize(nil, 4*chunkSize)
	}
	a.out.Reset(steppedWriter{a})
	return nil
}

// steppedWriter tells of each write to the segment.
type steppedWriter struct{ a *appender }

func (w steppedWriter) Write(p []byte) (int, error) {
	if err := step(w.a.x.disk, safeio.OpWrite, w.a.file.Name()); err != nil {
		return 0, err
	}
	return w.a.file.Write(p)
}

// add seals octets and appends them.
func (a *appender) add(octets *io.SectionReader) (place, error) {
	p := place{size: octets.Size(), key: make([]byte, keySize)}
	if err := a.room(sealedSize(p.size)); err != nil {
		return p, err
	}
	_, _ = rand.Read(p.key) // never fails
	sealer, err := newSealer(p.key)
	if err != nil {
		return p, err
	}
	if a.buffer == nil {
		a.buffer = make([]byte, chunkSize, chunkSize+tagSize)
	}
	p.segment, p.start = a.id, a.size
	for chunk, at := uint64(0), int64(0); ; chunk++ {
		piece := a.buffer[:min(chunkSize, p.size-at)]
		if n, err := octets.ReadAt(piece, at); n < len(piece) {
			return p, fmt.Errorf("octets of a message: %w", err)
		}
		at += int64(len(piece))
		last := at == p.size
		if _, err := a.out.Write(sealer.Seal(piece[:0], nonce(chunk, last), piece, nil)); err != nil {
			return p, err
		}
		if last {
			a.grow(sealedSize(p.size))
			return p, nil
		}
	}
}

func (a *appender) grow(by int64) { a.size, a.live = a.size+by, a.live+by }

// copy appends what another segment has of a message, as it is sealed.
func (a *appender) copy(from io.ReaderAt, p place) (place, error) {
	n := sealedSize(p.size)
	if err := a.room(n); err != nil {
		return p, err
	}
	if m, err := io.Copy(a.out, io.NewSectionReader(from, p.start, n)); err != nil || m < n {
		return p, errors.Join(err, fmt.Errorf("%w: %d of %d octets are left in segment %d", ErrDamaged, m, n, p.segment))
	}
	p.segment, p.start = a.id, a.size
	a.grow(n)
	return p, nil
}

// finish brings the segment to the disk, and writes down how far it goes. It is to be called before the transaction ends.
func (a *appender) finish() error {
	if a.file == nil {
		return nil
	}
	err := a.out.Flush()
	if err == nil {
		err = step(a.x.disk, safeio.OpSync, a.file.Name())
	}
	if err == nil {
		err = a.file.Sync()
	}
	if err == nil && a.made {
		a.made = false
		err = a.x.disk.SyncDir(a.x.dir)
	}
	if err == nil {
		err = a.x.exec("UPDATE segments SET size = ?, live = ? WHERE id = ?", a.size, a.live, a.id)
	}
	return errors.Join(err, a.close())
}

// close closes the file, whatever became of it.
func (a *appender) close() error {
	if a.file == nil {
		return nil
	}
	file := a.file
	a.file = nil
	return file.Close()
}

// Octets writes the octets of a message to dst, each chunk after it was authenticated. It returns mailbox.ErrNotFound where
// they are not kept, and ErrDamaged where they are not what was kept; dst may then have got a part.
func (x *Index) Octets(ctx context.Context, folder string, uid mailbox.UID, dst io.Writer) error {
	for try := 0; ; try++ {
		var p place
		var file *os.File
		err := x.read(ctx, func() error {
			err := x.rows(func(s *sqlite3.Stmt) error {
				p = placeIn(s, 0)
				return nil
			}, `SELECT s.segment, s.start, s.size, s.key FROM sealed s JOIN messages m ON m.id = s.message JOIN folders f ON f.id = m.folder
				WHERE f.name = ? AND m.uid = ? AND s.kind = ?`, folder, int64(uid), kindOctets)
			if err != nil || p.key == nil {
				return err
			}
			file, err = os.Open(x.segmentPath(p.segment))
			return err
		})
		switch {
		case errors.Is(err, fs.ErrNotExist) && try == 0:
			continue // moved to another segment between the two steps
		case errors.Is(err, fs.ErrNotExist):
			return x.met(fmt.Errorf("%w: segment %d is missing", ErrDamaged, p.segment))
		case err != nil:
			return err
		case file == nil:
			return mailbox.ErrNotFound
		}
		return x.met(errors.Join(p.open(ctx, file, dst), file.Close()))
	}
}

func placeIn(s *sqlite3.Stmt, col int) place {
	return place{segment: s.ColumnInt64(col), start: s.ColumnInt64(col + 1), size: s.ColumnInt64(col + 2), key: s.ColumnBlob(col+3, nil)}
}

// open writes what is sealed at a place to dst.
func (p place) open(ctx context.Context, file io.ReaderAt, dst io.Writer) error {
	sealer, err := newSealer(p.key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	buffer := make([]byte, min(chunkSize, p.size)+tagSize)
	at := p.start
	for chunk, left := uint64(0), p.size; ; chunk++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		sealed := buffer[:min(chunkSize, left)+tagSize]
		if n, err := file.ReadAt(sealed, at); n < len(sealed) {
			return fmt.Errorf("%w: segment %d: %w", ErrDamaged, p.segment, err)
		}
		left -= int64(len(sealed) - tagSize)
		at += int64(len(sealed))
		plain, err := sealer.Open(sealed[:0], nonce(chunk, left == 0), sealed, nil)
		if err != nil {
			return fmt.Errorf("%w: segment %d: %w", ErrDamaged, p.segment, err)
		}
		if _, err := dst.Write(plain); err != nil || left == 0 {
			return err
		}
	}
}
