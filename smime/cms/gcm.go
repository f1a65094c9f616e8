package cms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
)

const (
	gcmTagSize      = 16
	gcmMinTagSize   = 12 // RFC 5084 section 3.2
	gcmNonceSize    = 12
	gcmRunSize      = 16 << 10   // what is hashed and encrypted in turn, so that it stays in the nearest cache
	gcmMaxTextSize  = 1<<36 - 32 // octets; NIST SP 800-38D section 5.2.1.1
	gcmCounterRange = 1 << 36    // octets after which the 32-bit block counter is where it was
)

var errTextTooLong = errors.New("content is longer than AES-GCM can encrypt")

// gcm is AES-GCM (NIST SP 800-38D) over a text that comes in pieces. cipher.AEAD wants the whole text at once; here
// the text goes through AES-CTR and a [ghash], both at the speed of the hardware, and the additional data may come
// before or after it. A gcm serves one message in one direction.
type gcm struct {
	block  cipher.Block
	hash   *ghash
	first  [aes.BlockSize]byte // the pre-counter block J0
	stream cipher.Stream
	// untilWrap is how many octets are left until the 32-bit counter wraps. Go's CTR would carry into the nonce there.
	untilWrap int64
	size      int64        // octets of text so far
	text      fieldElement // running product over the ciphertext
}

// newGCM expects an AES key of 16, 24 or 32 octets and a nonce of at least one.
func newGCM(key, nonce []byte) (*gcm, error) {
	if len(nonce) == 0 {
		return nil, errors.New("AES-GCM with an empty nonce")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	hash, err := newGHASH(block)
	if err != nil {
		return nil, err
	}
	g := &gcm{block: block, hash: hash}
	// SP 800-38D section 7.1, step 2.
	if len(nonce) == gcmNonceSize {
		copy(g.first[:], nonce)
		g.first[aes.BlockSize-1] = 1
	} else {
		product := hash.update(fieldElement{}, bytes.Clone(nonce))
		hash.sum(product, fieldElement{lo: uint64(len(nonce)) * 8}).put(g.first[:])
	}
	counter := binary.BigEndian.Uint32(g.first[12:]) + 1
	g.restart(counter)
	return g, nil
}

// restart lets the key stream go on from a value of the 32-bit block counter.
func (g *gcm) restart(counter uint32) {
	iv := g.first
	binary.BigEndian.PutUint32(iv[12:], counter)
	g.stream = cipher.NewCTR(g.block, iv[:])
	g.untilWrap = gcmCounterRange - int64(counter)*aes.BlockSize
}

// encrypt encrypts buf in place. Every piece but the last must consist of whole blocks.
func (g *gcm) encrypt(buf []byte) error {
	if err := g.grow(len(buf)); err != nil {
		return err
	}
	for len(buf) > 0 {
		run := buf[:min(gcmRunSize, len(buf))]
		buf = buf[len(run):]
		g.xorKeyStream(run)
		g.text = g.hash.update(g.text, run)
	}
	return nil
}

// decrypt decrypts buf in place, on the same terms as encrypt. The text is unverified until the tag was compared.
func (g *gcm) decrypt(buf []byte) error {
	if err := g.grow(len(buf)); err != nil {
		return err
	}
	for len(buf) > 0 {
		run := buf[:min(gcmRunSize, len(buf))]
		buf = buf[len(run):]
		g.text = g.hash.update(g.text, run)
		g.xorKeyStream(run)
	}
	return nil
}

// finish encrypts the last piece, of any length.
func (g *gcm) finish(buf []byte) ([]byte, error) { return buf, g.encrypt(buf) }

// decryptTo writes the text of a whole ciphertext to dst, where it is unverified until the tag was compared.
func (g *gcm) decryptTo(ctx context.Context, dst io.Writer, src io.Reader) error {
	return readAhead(ctx, src, 0, func(buf []byte, _ bool) error {
		if err := g.decrypt(buf); err != nil {
			return err
		}
		_, err := dst.Write(buf)
		return err
	})
}

func (g *gcm) grow(n int) error {
	if int64(n) > gcmMaxTextSize-g.size {
		return errTextTooLong
	}
	g.size += int64(n)
	return nil
}

func (g *gcm) xorKeyStream(buf []byte) {
	for len(buf) > 0 {
		n := int(min(int64(len(buf)), g.untilWrap))
		g.stream.XORKeyStream(buf[:n], buf[:n])
		buf = buf[n:]
		g.untilWrap -= int64(n)
		if g.untilWrap == 0 {
			g.restart(0)
		}
	}
}

// tag returns the full authentication tag over additional data and the text so far.
//
// GHASH reads the additional data A before the ciphertext C, but it is linear: with c blocks of ciphertext,
// GHASH(A ‖ C) = GHASH(A)·H^c ⊕ GHASH(C). AuthEnvelopedData has its attributes behind the ciphertext, so this matters.
func (g *gcm) tag(additional []byte) [gcmTagSize]byte {
	product := g.text
	if len(additional) > 0 {
		blocks := uint64(g.size+aes.BlockSize-1) / aes.BlockSize
		product = g.hash.update(fieldElement{}, bytes.Clone(additional)).mul(g.hash.key.power(blocks)).add(product)
	}
	sum := g.hash.sum(product, fieldElement{hi: uint64(len(additional)) * 8, lo: uint64(g.size) * 8})
	var mask, tag [gcmTagSize]byte
	g.block.Encrypt(mask[:], g.first[:])
	sum.add(loadElement(mask[:])).put(tag[:])
	return tag
}

// ghash is the universal hash of GCM (SP 800-38D section 6.4) over data in pieces, on top of the one-shot AEAD of the
// standard library, which reaches the processor's carry-less multiplication.
//
// The tag that the AEAD computes over additional data X of n blocks, without a text, is
//
//	E(J0) ⊕ (S ⊕ L)·H   where S = X₁·Hⁿ ⊕ X₂·Hⁿ⁻¹ ⊕ … ⊕ Xₙ·H and L is the length of X
//
// Taking E(J0) and L·H off leaves the product S·H. To go on from a product S·H of the data before, it is added to the
// second block of the next piece: S is due there times Hⁿ, and the second block is what is multiplied by Hⁿ⁻¹. So a
// piece costs one multiplication in software, for L·H.
//
// The nonce of that AEAD is no secret and never leaves this type, and neither do its tags.
type ghash struct {
	aead  cipher.AEAD
	nonce [gcmNonceSize]byte
	out   [gcmTagSize]byte
	key   fieldElement // H, the encryption of the zero block
	mask  fieldElement // E(J0) for nonce
	// lengthTerm is L·H for pieces of the size that most have.
	lengthTerm fieldElement
}

func newGHASH(block cipher.Block) (*ghash, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	g := &ghash{aead: aead}
	var b [aes.BlockSize]byte
	block.Encrypt(b[:], b[:])
	g.key = loadElement(b[:])
	b = [aes.BlockSize]byte{aes.BlockSize - 1: 1} // J0 for the nonce of zeros
	block.Encrypt(b[:], b[:])
	g.mask = loadElement(b[:])
	return g, nil
}

// update takes the product (S·H, see [ghash]) of the data so far and returns that of the data with chunk appended.
// A last block that is not whole counts as padded with zeros. chunk is written to and restored.
func (g *ghash) update(product fieldElement, chunk []byte) fieldElement {
	if len(chunk) <= aes.BlockSize {
		if len(chunk) > 0 {
			var b [aes.BlockSize]byte
			copy(b[:], chunk)
			product = loadElement(b[:]).mul(g.key).add(product).mul(g.key)
		}
		return product
	}
	if len(chunk) < 2*aes.BlockSize {
		// No room for a whole block to be added to the second one.
		product = g.update(product, chunk[:aes.BlockSize])
		return g.update(product, chunk[aes.BlockSize:])
	}
	second := chunk[aes.BlockSize : 2*aes.BlockSize]
	product.add(loadElement(second)).put(second)
	tag := loadElement(g.aead.Seal(g.out[:0], g.nonce[:], nil, chunk))
	product.add(loadElement(second)).put(second)

	length := g.lengthTerm
	if len(chunk) != gcmRunSize {
		length = fieldElement{hi: uint64(len(chunk)) * 8}.mul(g.key)
	} else if length == (fieldElement{}) {
		length = fieldElement{hi: gcmRunSize * 8}.mul(g.key)
		g.lengthTerm = length
	}
	return tag.add(g.mask).add(length)
}

// sum ends the hash with the block of lengths.
func (g *ghash) sum(product, lengths fieldElement) fieldElement {
	return product.add(lengths.mul(g.key))
}

// fieldElement is a polynomial over GF(2) modulo x¹²⁸ + x⁷ + x² + x + 1 in the bit order of GCM: the coefficient of x⁰
// is the most significant bit of hi (SP 800-38D section 6.3). Its operations take the same time for all values.
type fieldElement struct{ hi, lo uint64 }

func loadElement(b []byte) fieldElement {
	return fieldElement{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x fieldElement) put(b []byte) {
	binary.BigEndian.PutUint64(b, x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
}

func (x fieldElement) add(y fieldElement) fieldElement {
	return fieldElement{x.hi ^ y.hi, x.lo ^ y.lo}
}

func (x fieldElement) mul(y fieldElement) fieldElement {
	var z fieldElement
	for _, word := range [2]uint64{x.hi, x.lo} {
		for range 64 {
			take := -(word >> 63) // all ones or zero: a mask in place of a branch
			z.hi ^= y.hi & take
			z.lo ^= y.lo & take
			word <<= 1
			// y times x, reduced.
			carry := -(y.lo & 1)
			y.lo = y.lo>>1 | y.hi<<63
			y.hi = y.hi>>1 ^ carry&(0xe1<<56)
		}
	}
	return z
}

// power returns x to the nth. Time depends on n, which is a length and public.
func (x fieldElement) power(n uint64) fieldElement {
	z := fieldElement{hi: 1 << 63} // one
	for i := bits.Len64(n) - 1; i >= 0; i-- {
		z = z.mul(z)
		if n>>i&1 == 1 {
			z = z.mul(x)
		}
	}
	return z
}
