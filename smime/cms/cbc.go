package cms

import (
	"context"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"io"
	"runtime"
	"sync"
)

const (
	maxCBCBlock = 16       // octets of the largest block, which is that of AES
	cbcPartSize = 32 << 10 // least worth a goroutine of its own
	cbcRunSize  = 4 << 10  // what is decrypted before it is chained, so that it stays in the nearest cache
)

// cbcDecrypter decrypts cipher block chaining. In this direction no block waits for another: a big buffer is cut into
// parts for several processors, and the chaining is undone for many blocks at once, which takes a third off the time of
// crypto/cipher with AES.
type cbcDecrypter struct {
	block    cipher.Block
	size     int
	previous [maxCBCBlock]byte // the last block of ciphertext, or the IV
	parts    int               // at most so many at once
}

// newCBCDecrypter expects a block of 8 or 16 octets and an IV of one block.
func newCBCDecrypter(block cipher.Block, iv []byte) (*cbcDecrypter, error) {
	size, err := checkCBC(block, iv)
	if err != nil {
		return nil, err
	}
	d := &cbcDecrypter{block: block, size: size, parts: runtime.GOMAXPROCS(0)}
	copy(d.previous[:], iv)
	return d, nil
}

func checkCBC(block cipher.Block, iv []byte) (size int, err error) {
	size = block.BlockSize()
	if size > maxCBCBlock {
		return 0, fmt.Errorf("CBC with blocks of %d octets", size)
	}
	if len(iv) != size {
		return 0, fmt.Errorf("CBC with an IV of %d octets", len(iv))
	}
	return size, nil
}

// decrypt decrypts whole blocks in place.
func (d *cbcDecrypter) decrypt(buf []byte) {
	if len(buf) == 0 {
		return
	}
	parts := max(1, min(d.parts, len(buf)/cbcPartSize))
	size := (len(buf)/parts + d.size - 1) / d.size * d.size
	var others sync.WaitGroup
	for len(buf) > 0 {
		part := buf[:min(size, len(buf))]
		buf = buf[len(part):]
		iv := d.previous
		copy(d.previous[:], part[len(part)-d.size:]) // before it is overwritten
		if len(buf) == 0 {
			d.decryptPart(part, iv)
			break
		}
		others.Go(func() { d.decryptPart(part, iv) })
	}
	others.Wait()
}

func (d *cbcDecrypter) decryptPart(part []byte, iv [maxCBCBlock]byte) {
	var chain [maxCBCBlock + cbcRunSize]byte // the block before the run, and the ciphertext of the run
	copy(chain[:d.size], iv[:])
	for len(part) > 0 {
		run := part[:min(cbcRunSize, len(part))]
		part = part[len(run):]
		copy(chain[d.size:], run)
		for at := 0; at < len(run); at += d.size {
			d.block.Decrypt(run[at:at+d.size], run[at:at+d.size])
		}
		subtle.XORBytes(run, run, chain[:len(run)])
		copy(chain[:d.size], chain[len(run):])
	}
}

// decryptTo writes the text of a whole ciphertext to dst. A ciphertext without valid padding is [ErrDecrypt], and what
// was written then is worth nothing.
func (d *cbcDecrypter) decryptTo(ctx context.Context, dst io.Writer, src io.Reader) error {
	var held [maxCBCBlock]byte // the last block of text, which may be padding
	holding := 0
	return readAhead(ctx, src, d.size, func(buf []byte, end bool) error {
		// buf has room for a block in front of the octets that were read.
		text := buf[d.size:]
		if len(text)%d.size != 0 {
			return ErrDecrypt
		}
		d.decrypt(text)
		if holding > 0 {
			text = buf[d.size-copy(buf[d.size-holding:], held[:holding]):]
		}
		size := len(text)
		if end {
			var ok bool
			if size, ok = unpad(text, d.size); !ok {
				return ErrDecrypt
			}
		} else {
			size -= d.size
			holding = copy(held[:d.size], text[size:])
		}
		_, err := dst.Write(text[:size])
		return err
	})
}

// pad appends the padding of RFC 5652 section 6.3 for blocks of this size.
func pad(text []byte, size int) []byte {
	n := size - len(text)%size
	for range n {
		text = append(text, byte(n))
	}
	return text
}

// unpad returns the length of text, which is whole blocks, without its padding (RFC 5652 section 6.3). Its time tells
// nothing about the last block.
func unpad(text []byte, blockSize int) (size int, ok bool) {
	if len(text) < blockSize {
		return 0, false
	}
	last := text[len(text)-blockSize:]
	n := int(last[blockSize-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, blockSize)
	for i := range blockSize {
		outside := subtle.ConstantTimeLessOrEq(n, i)
		good &= outside | subtle.ConstantTimeByteEq(last[blockSize-1-i], byte(n))
	}
	return len(text) - n, good == 1
}

// cbcEncrypter encrypts AES-CBC, where each block waits for the one before.
type cbcEncrypter struct {
	mode cipher.BlockMode
}

// newCBCEncrypter expects what newCBCDecrypter does.
func newCBCEncrypter(block cipher.Block, iv []byte) (*cbcEncrypter, error) {
	if _, err := checkCBC(block, iv); err != nil {
		return nil, err
	}
	return &cbcEncrypter{cipher.NewCBCEncrypter(block, iv)}, nil
}

// encrypt encrypts whole blocks in place.
func (e *cbcEncrypter) encrypt(buf []byte) error {
	e.mode.CryptBlocks(buf, buf)
	return nil
}

// finish pads and encrypts the last piece.
func (e *cbcEncrypter) finish(buf []byte) ([]byte, error) {
	buf = pad(buf, e.mode.BlockSize())
	e.mode.CryptBlocks(buf, buf)
	return buf, nil
}
