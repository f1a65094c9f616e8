package cms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"io"
	"runtime"
	"sync"
)

const (
	cbcBufferSize = 256 << 10
	cbcPartSize   = 32 << 10 // least worth a goroutine of its own
)

// cbcDecrypter decrypts AES-CBC. In this direction no block waits for another, so that a big buffer is cut into parts
// for several processors.
type cbcDecrypter struct {
	block    cipher.Block
	previous [aes.BlockSize]byte // the last block of ciphertext, or the IV
	parts    int                 // at most so many at once
}

// newCBCDecrypter expects an AES key of 16, 24 or 32 octets and an IV of one block.
func newCBCDecrypter(key, iv []byte) (*cbcDecrypter, error) {
	if len(iv) != aes.BlockSize {
		return nil, errors.New("AES-CBC with an IV that is not one block")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &cbcDecrypter{block: block, previous: [aes.BlockSize]byte(iv), parts: runtime.GOMAXPROCS(0)}, nil
}

// decrypt decrypts whole blocks in place.
func (d *cbcDecrypter) decrypt(buf []byte) {
	if len(buf) == 0 {
		return
	}
	parts := max(1, min(d.parts, len(buf)/cbcPartSize))
	size := (len(buf)/parts + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize
	var others sync.WaitGroup
	for len(buf) > 0 {
		part := buf[:min(size, len(buf))]
		buf = buf[len(part):]
		mode := cipher.NewCBCDecrypter(d.block, d.previous[:])
		copy(d.previous[:], part[len(part)-aes.BlockSize:]) // before it is overwritten
		if len(buf) == 0 {
			mode.CryptBlocks(part, part)
			break
		}
		others.Go(func() { mode.CryptBlocks(part, part) })
	}
	others.Wait()
}

// decryptTo writes the text of a whole ciphertext to dst. A ciphertext without valid padding is [ErrDecrypt], and what
// was written then is worth nothing.
func (d *cbcDecrypter) decryptTo(ctx context.Context, dst io.Writer, src io.Reader) error {
	buf := make([]byte, aes.BlockSize+cbcBufferSize)
	held := 0 // octets of text kept back at the front of buf: they may be padding
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, end, err := fill(src, buf[held:])
		if err != nil {
			return err
		}
		if n%aes.BlockSize != 0 {
			return ErrDecrypt
		}
		d.decrypt(buf[held : held+n])
		text := buf[:held+n]
		if end {
			size, ok := unpad(text)
			if !ok {
				return ErrDecrypt
			}
			_, err := dst.Write(text[:size])
			return err
		}
		last := len(text) - aes.BlockSize
		if _, err := dst.Write(text[:last]); err != nil {
			return err
		}
		held = copy(buf, text[last:])
	}
}

// pad appends the padding of RFC 5652 section 6.3.
func pad(text []byte) []byte {
	n := aes.BlockSize - len(text)%aes.BlockSize
	for range n {
		text = append(text, byte(n))
	}
	return text
}

// unpad returns the length of text, which is whole blocks, without its padding (RFC 5652 section 6.3). Its time tells
// nothing about the last block.
func unpad(text []byte) (size int, ok bool) {
	if len(text) < aes.BlockSize {
		return 0, false
	}
	last := text[len(text)-aes.BlockSize:]
	n := int(last[aes.BlockSize-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, aes.BlockSize)
	for i := range aes.BlockSize {
		outside := subtle.ConstantTimeLessOrEq(n, i)
		good &= outside | subtle.ConstantTimeByteEq(last[aes.BlockSize-1-i], byte(n))
	}
	return len(text) - n, good == 1
}

// fill reads until buf is full or src has ended. Unlike io.ReadFull it tells a regular end of src from an
// io.ErrUnexpectedEOF that src itself reports for a message cut short.
func fill(src io.Reader, buf []byte) (n int, end bool, err error) {
	for n < len(buf) {
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

// cbcEncrypter encrypts AES-CBC, where each block waits for the one before.
type cbcEncrypter struct{ mode cipher.BlockMode }

func newCBCEncrypter(key, iv []byte) (*cbcEncrypter, error) {
	if len(iv) != aes.BlockSize {
		return nil, errors.New("AES-CBC with an IV that is not one block")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
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
	buf = pad(buf)
	e.mode.CryptBlocks(buf, buf)
	return buf, nil
}
