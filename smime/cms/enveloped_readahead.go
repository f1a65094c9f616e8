package cms

import (
	"context"
	"crypto/aes"
	"errors"
	"io"
	"sync"
)

// Sizes of what is read and decrypted at once, in whole blocks. Most messages end in the first chunk; what does not end
// in the second is worth two large buffers and a goroutine.
const (
	firstChunk  = 16 << 10
	secondChunk = 64 << 10
	largeChunk  = 256 << 10
)

// firstBuffer is where the first chunk goes. The room in front is at most one block.
type firstBuffer [aes.BlockSize + firstChunk]byte

// firstBuffers holds wiped buffers: of a short message, making a new one would be a good part of the work.
var firstBuffers = sync.Pool{New: func() any { return new(firstBuffer) }}

// release wipes the buffer and leaves it to others.
func (b *firstBuffer) release() {
	clear(b[:])
	firstBuffers.Put(b)
}

// readAhead reads src to its end and gives it to use, chunk by chunk, each in a buffer with room in front for so many
// octets. A chunk that is not the last has the size of one of the constants. While use works on a chunk of a long src,
// the next one is read; nothing is read any more when readAhead returns.
func readAhead(ctx context.Context, src io.Reader, room int, use func(buf []byte, end bool) error) error {
	first := firstBuffers.Get().(*firstBuffer)
	defer first.release()
	for _, buf := range [...][]byte{first[:room+firstChunk], nil} {
		if buf == nil {
			buf = make([]byte, room+secondChunk)
		}
		n, end, err := fill(ctx, src, buf[room:])
		if err != nil {
			return err
		}
		if err := use(buf[:room+n], end); err != nil || end {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	// Neither side ever waits to send: there are two buffers.
	free, full := make(chan []byte, 2), make(chan chunk, 2)
	for range cap(free) {
		free <- make([]byte, room+largeChunk)
	}
	go func() {
		defer close(full)
		for buf := range free {
			n, end, err := fill(ctx, src, buf[room:])
			full <- chunk{buf[:room+n], end, err}
			if end || err != nil {
				return
			}
		}
	}()
	defer func() {
		cancel()
		close(free)
		for range full { // closed by the goroutine as its last act
		}
	}()
	for c := range full {
		if c.err != nil {
			return c.err
		}
		if err := use(c.buf, c.end); err != nil || c.end {
			return err
		}
		free <- c.buf
	}
	return nil // not reached: the last chunk has an end or an error
}

type chunk struct {
	buf []byte
	end bool
	err error
}

// fill reads until buf is full or src has ended. Unlike io.ReadFull it tells a regular end of src from an
// io.ErrUnexpectedEOF that src itself reports for a message cut short.
func fill(ctx context.Context, src io.Reader, buf []byte) (n int, end bool, err error) {
	for n < len(buf) {
		if err := ctx.Err(); err != nil {
			return n, false, err
		}
		m, err := src.Read(buf[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
