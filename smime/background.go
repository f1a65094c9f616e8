package smime

import (
	"io"
	"sync"
)

const (
	backgroundBlock  = 128 << 10
	backgroundBlocks = 4
)

// background passes what is written to it on to dst in a goroutine of its own, so that the work of both sides overlaps.
// What is short enough for one block is passed on without one. An error of dst comes back from a later Write, or from
// Close, which must be called in any case: it waits for the goroutine.
type background struct {
	dst    io.Writer
	block  []byte
	full   chan []byte // to the goroutine; nil as long as there is none
	free   chan []byte // back from it
	worker sync.WaitGroup
	failed chan error // what dst said
	err    error
}

// newBackground returns a background that writes to dst.
func newBackground(dst io.Writer) *background { return &background{dst: dst} }

func (b *background) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if b.err != nil {
			return total - len(p), b.err
		}
		if len(b.block) == backgroundBlock {
			b.send()
		}
		n := min(len(p), backgroundBlock-len(b.block))
		b.block = append(b.block, p[:n]...)
		p = p[n:]
	}
	return total, nil
}

// send hands a full block over and takes an empty one.
func (b *background) send() {
	if b.full == nil {
		b.full, b.free = make(chan []byte, backgroundBlocks), make(chan []byte, backgroundBlocks)
		b.failed = make(chan error, 1)
		for range backgroundBlocks - 1 {
			b.free <- make([]byte, 0, backgroundBlock)
		}
		b.worker.Go(b.work)
	}
	b.full <- b.block
	b.block = <-b.free
	select {
	case b.err = <-b.failed:
	default:
	}
}

// work writes the blocks. Behind an error it takes them and writes nothing.
func (b *background) work() {
	var err error
	for block := range b.full {
		if err == nil {
			if _, err = b.dst.Write(block); err != nil {
				b.failed <- err
			}
		}
		b.free <- block[:0]
	}
}

// Close passes on what is left and returns the first error of dst. It may be called more than once.
func (b *background) Close() error {
	if b.full != nil {
		close(b.full)
		b.worker.Wait()
		b.full = nil
		select {
		case b.err = <-b.failed:
		default:
		}
	}
	if b.err == nil && len(b.block) > 0 {
		_, b.err = b.dst.Write(b.block)
	}
	b.block = nil
	return b.err
}
