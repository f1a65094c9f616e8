package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// oneShotGCM is the reference: the standard library's AEAD over everything at once.
func oneShotGCM(t testing.TB, key, nonce, text, additional []byte) (ciphertext, tag []byte) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithNonceSize(block, len(nonce))
	if err != nil {
		t.Fatal(err)
	}
	sealed := aead.Seal(nil, nonce, text, additional)
	return sealed[:len(text)], sealed[len(text):]
}

// inPieces calls f with pieces of whole blocks, of sizes that cut chooses, and with what is left at the end.
func inPieces(b []byte, cut func() int, f func([]byte) error) error {
	for len(b) > 0 {
		n := min(cut()*aes.BlockSize, len(b))
		if err := f(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func checkGCM(t testing.TB, key, nonce, text, additional []byte, cut func() int) {
	t.Helper()
	wantText, wantTag := oneShotGCM(t, key, nonce, text, additional)

	enc, err := newGCM(key, nonce)
	if err != nil {
		t.Fatal(err)
	}
	buf := bytes.Clone(text)
	if err := inPieces(buf, cut, enc.encrypt); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf, wantText) {
		t.Fatalf("ciphertext of %d octets differs from the one-shot cipher", len(text))
	}
	if tag := enc.tag(additional); !bytes.Equal(tag[:], wantTag) {
		t.Fatalf("tag over %d octets of text and %d of additional data is %x, want %x", len(text), len(additional), tag, wantTag)
	}

	dec, err := newGCM(key, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if err := inPieces(buf, cut, dec.decrypt); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf, text) {
		t.Fatalf("text of %d octets does not come back", len(text))
	}
	if tag := dec.tag(additional); !bytes.Equal(tag[:], wantTag) {
		t.Fatalf("tag on decryption is %x, want %x", tag, wantTag)
	}
}

func TestGCMEqualsOneShot(t *testing.T) {
	seed := rand.NewChaCha8([32]byte{1})
	r := rand.New(seed)
	random := func(n int) []byte {
		b := make([]byte, n)
		_, _ = seed.Read(b) // never fails
		return b
	}
	textSizes := []int{0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129, 255, 256, 1000, 4096, 16<<10 + 5}
	additionalSizes := []int{0, 1, 15, 16, 17, 31, 32, 33, 48, 100, 5000}
	for _, keySize := range []int{16, 24, 32} {
		for _, nonceSize := range []int{12, 1, 8, 11, 13, 16, 17, 32, 60, 129} {
			t.Run(fmt.Sprintf("key %d nonce %d", keySize, nonceSize), func(t *testing.T) {
				key, nonce := random(keySize), random(nonceSize)
				for _, size := range textSizes {
					text, additional := random(size), random(additionalSizes[r.IntN(len(additionalSizes))])
					for _, most := range []int{1, 7, 4096} {
						checkGCM(t, key, nonce, text, additional, func() int { return 1 + r.IntN(most) })
					}
				}
				for _, size := range additionalSizes {
					checkGCM(t, key, nonce, random(50), random(size), func() int { return 1 })
				}
				checkGCM(t, key, nonce, random(3*largeChunk+1), random(7), func() int { return largeChunk / 16 })
			})
		}
	}
}

// TestGCMCounterWrap takes nonces whose J0 lies just below the end of the 32-bit counter: GCM wraps within those 32
// bits, where CTR mode would carry into the octets before.
func TestGCMCounterWrap(t *testing.T) {
	key := []byte("a key of 16 byte")
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := newGHASH(block)
	if err != nil {
		t.Fatal(err)
	}
	inverse := inverseElement(hash.key)
	for below := range uint32(6) {
		// A nonce N of one block gives J0 = (N·H ⊕ L)·H. Solve for N.
		first := bytes.Repeat([]byte{0xff}, aes.BlockSize)
		binary.BigEndian.PutUint32(first[12:], -below)
		length := fieldElement{lo: 128}
		nonce := make([]byte, aes.BlockSize)
		loadElement(first).mul(inverse).add(length).mul(inverse).put(nonce)

		g, err := newGCM(key, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(g.first[:], first) {
			t.Fatalf("J0 is %x, want %x", g.first, first)
		}
		text := bytes.Repeat([]byte("text "), 100)
		for pieces := 1; pieces < 12; pieces++ {
			checkGCM(t, key, nonce, text, []byte("additional"), func() int { return pieces })
		}
	}
}

func inverseElement(x fieldElement) fieldElement {
	// x^(2^128-2), by Fermat.
	z := fieldElement{hi: 1 << 63}
	for range 127 {
		x = x.mul(x)
		z = z.mul(x)
	}
	return z
}

func TestFieldElement(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{2}))
	one := fieldElement{hi: 1 << 63}
	for range 100 {
		x, y, z := fieldElement{r.Uint64(), r.Uint64()}, fieldElement{r.Uint64(), r.Uint64()}, fieldElement{r.Uint64(), r.Uint64()}
		if x.mul(one) != x || one.mul(x) != x {
			t.Fatalf("%x times one", x)
		}
		if x.mul(y) != y.mul(x) {
			t.Fatalf("%x times %x does not commute", x, y)
		}
		if x.mul(y.mul(z)) != x.mul(y).mul(z) {
			t.Fatal("multiplication does not associate")
		}
		if x.mul(y.add(z)) != x.mul(y).add(x.mul(z)) {
			t.Fatal("multiplication does not distribute")
		}
		if x.mul(inverseElement(x)) != one {
			t.Fatalf("%x times its inverse is not one", x)
		}
	}
	x := fieldElement{3, 5}
	if x.power(0) != one || x.power(1) != x || x.power(6) != x.mul(x).mul(x).mul(x).mul(x).mul(x) {
		t.Fatal("power")
	}
}

func TestGCMLimit(t *testing.T) {
	g, err := newGCM(make([]byte, 16), make([]byte, 12))
	if err != nil {
		t.Fatal(err)
	}
	g.size = gcmMaxTextSize - 16
	if err := g.encrypt(make([]byte, 17)); err != errTextTooLong {
		t.Fatalf("one octet too many: %v", err)
	}
	if err := g.decrypt(make([]byte, 16)); err != nil {
		t.Fatalf("the last block: %v", err)
	}
	if _, err := newGCM(make([]byte, 16), nil); err == nil {
		t.Fatal("an empty nonce was accepted")
	}
	if _, err := newGCM(make([]byte, 15), make([]byte, 12)); err == nil {
		t.Fatal("a key of 15 octets was accepted")
	}
}

func TestGHASHRestoresItsInput(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGHASH(block)
	if err != nil {
		t.Fatal(err)
	}
	for size := range 70 {
		b := bytes.Repeat([]byte{7}, size)
		g.update(fieldElement{1, 2}, b)
		if !bytes.Equal(b, bytes.Repeat([]byte{7}, size)) {
			t.Fatalf("input of %d octets was changed", size)
		}
	}
}

func FuzzGCMStream(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("nonce of 12."), []byte("text"), []byte("additional"), uint8(1))
	f.Add([]byte("0123456789abcdef01234567"), []byte("a nonce of another size"), bytes.Repeat([]byte("text"), 100), []byte{}, uint8(3))
	f.Add([]byte("0123456789abcdef0123456789abcdef"), []byte("8 octets"), []byte{}, bytes.Repeat([]byte{0}, 100), uint8(200))
	f.Fuzz(func(t *testing.T, key, nonce, text, additional []byte, blocks uint8) {
		if _, err := newGCM(key, nonce); err != nil {
			if len(nonce) > 0 && (len(key) == 16 || len(key) == 24 || len(key) == 32) {
				t.Fatal(err)
			}
			return
		}
		checkGCM(t, key, nonce, text, additional, func() int { return int(blocks)%9 + 1 })
	})
}

func BenchmarkGCM(b *testing.B) {
	key, nonce := make([]byte, 32), make([]byte, 12)
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		buf := make([]byte, size)
		b.Run(fmt.Sprintf("stream/%d", size), func(b *testing.B) {
			g, err := newGCM(key, nonce)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			for b.Loop() {
				g.size = 0
				if err := g.decrypt(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("one-shot/%d", size), func(b *testing.B) {
			block, err := aes.NewCipher(key)
			if err != nil {
				b.Fatal(err)
			}
			aead, err := cipher.NewGCM(block)
			if err != nil {
				b.Fatal(err)
			}
			out := make([]byte, 0, size+gcmTagSize)
			b.SetBytes(int64(size))
			for b.Loop() {
				aead.Seal(out, nonce, buf, nil)
			}
		})
	}
	b.Run("multiplication", func(b *testing.B) {
		x := fieldElement{1, 2}
		for b.Loop() {
			x = x.mul(fieldElement{3, 4})
		}
	})
}
