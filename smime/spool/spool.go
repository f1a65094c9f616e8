package spool

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Errors of a Spool; they arrive wrapped.
var (
	ErrTooLarge = errors.New("content exceeds its size limit")
	ErrClosed   = errors.New("spool is closed")
)

// DefaultMemory is how many octets a Spool keeps in memory where Options name no other number.
const DefaultMemory = 4 << 20

const (
	chunkSize   = 32 << 10 // memory grows by chunks, so that no outgrown copy of the text is left to the collector
	scratchSize = 128 << 10
)

// Options says where a Spool keeps its octets. The zero value is fit for use.
type Options struct {
	Memory int    // octets kept in memory before a file is made: 0 is DefaultMemory, below 0 none
	Dir    string // folder of the temporary file: "" is the system's
	Limit  int64  // octets it may hold at all: 0 is unbounded
}

// Spool is written once, front to back, and then read as often as wanted. Reading may be concurrent, writing must not
// be. It must be closed, and may be while somebody reads.
type Spool struct {
	options Options
	// mu lets nobody read while the spool is closed: its memory serves others then.
	mu      sync.RWMutex
	size    int64
	chunks  []*chunk // while in memory
	file    *os.File // afterwards
	remove  string   // path to be removed on Close, where the system could not unlink an open file
	block   cipher.Block
	stream  cipher.Stream // positioned at size
	scratch []byte
	closed  bool
}

// New returns an empty Spool. Nothing is created on disk before the threshold is passed.
func New(o Options) *Spool {
	switch {
	case o.Memory == 0:
		o.Memory = DefaultMemory
	case o.Memory < 0:
		o.Memory = 0
	}
	return &Spool{options: o}
}

// Size returns how many octets were written.
func (s *Spool) Size() int64 { return s.size }

// Write appends p. An error leaves the Spool good for nothing but Close.
func (s *Spool) Write(p []byte) (int, error) {
	if s.closed {
		return 0, ErrClosed
	}
	if s.options.Limit > 0 && int64(len(p)) > s.options.Limit-s.size {
		return 0, fmt.Errorf("%w: limit is %d octets", ErrTooLarge, s.options.Limit)
	}
	if s.file == nil {
		if s.size+int64(len(p)) <= int64(s.options.Memory) {
			s.keep(p)
			return len(p), nil
		}
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	return s.writeFile(p)
}

// chunk is a piece of memory that a spool grows by.
type chunk [chunkSize]byte

// unused are chunks of spools that were closed, without their text. Opening a short message takes one chunk and little
// else: making a new one each time would cost more than all that is done with it.
var unused = sync.Pool{New: func() any { return new(chunk) }}

func (s *Spool) keep(p []byte) {
	for len(p) > 0 {
		at := s.size % chunkSize
		if at == 0 {
			s.chunks = append(s.chunks, unused.Get().(*chunk))
		}
		n := copy(s.chunks[len(s.chunks)-1][at:], p)
		s.size += int64(n)
		p = p[n:]
	}
}

// release wipes chunks that hold so many octets, and leaves them to other spools.
func release(chunks []*chunk, size int64) {
	for _, c := range chunks {
		n := min(size, chunkSize)
		clear(c[:n])
		size -= n
		unused.Put(c)
	}
}

// spill moves what is in memory to a new temporary file.
func (s *Spool) spill() error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("spool key: %w", err)
	}
	block, err := aes.NewCipher(key)
	clear(key)
	if err != nil {
		return fmt.Errorf("spool cipher: %w", err)
	}
	file, err := os.CreateTemp(s.options.Dir, "sealmail-spool-*") // 0600
	if err != nil {
		return fmt.Errorf("create spool file: %w", err)
	}
	// Where the system lets an open file be unlinked, not even a kill leaves it behind.
	if err := os.Remove(file.Name()); err != nil {
		s.remove = file.Name()
	}
	s.file, s.block, s.stream = file, block, streamAt(block, 0)
	s.scratch = make([]byte, scratchSize)
	kept, chunks := s.size, s.chunks
	s.size, s.chunks = 0, nil
	defer release(chunks, kept) // also behind an error
	for left := kept; left > 0 && err == nil; left -= chunkSize {
		_, err = s.writeFile(chunks[(kept-left)/chunkSize][:min(left, chunkSize)])
	}
	return err
}

func (s *Spool) writeFile(p []byte) (written int, err error) {
	for written < len(p) {
		n := min(len(p)-written, len(s.scratch))
		s.stream.XORKeyStream(s.scratch[:n], p[written:written+n])
		if _, err := s.file.WriteAt(s.scratch[:n], s.size); err != nil {
			return written, fmt.Errorf("write spool file: %w", err)
		}
		written += n
		s.size += int64(n)
	}
	return written, nil
}

// ReadAt implements io.ReaderAt over what was written.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return 0, ErrClosed
	case off < 0:
		return 0, errors.New("negative offset")
	case off >= s.size:
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), s.size-off))
	if s.file != nil {
		if n, err := s.file.ReadAt(p[:want], off); n < want {
			return 0, fmt.Errorf("read spool file: %w", err)
		}
		streamAt(s.block, off).XORKeyStream(p[:want], p[:want])
	} else {
		for n := 0; n < want; {
			at := off + int64(n)
			n += copy(p[n:want], s.chunks[at/chunkSize][at%chunkSize:])
		}
	}
	if want < len(p) {
		return want, io.EOF
	}
	return want, nil
}

// streamAt returns the key stream from offset on. Each key serves one file that is written once, so the counter may
// start at zero.
func streamAt(block cipher.Block, offset int64) cipher.Stream {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[8:], uint64(offset/aes.BlockSize))
	stream := cipher.NewCTR(block, iv[:])
	if skip := offset % aes.BlockSize; skip > 0 {
		var lead [aes.BlockSize]byte
		stream.XORKeyStream(lead[:skip], lead[:skip])
	}
	return stream
}

// Section returns a reader over everything that was written so far.
func (s *Spool) Section() *io.SectionReader { return io.NewSectionReader(s, 0, s.size) }

// Close wipes the memory and removes the file. It may be called more than once.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	release(s.chunks, s.size)
	s.chunks, s.block, s.stream = nil, nil, nil
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.remove != "" {
		err = errors.Join(err, os.Remove(s.remove))
	}
	return err
}
