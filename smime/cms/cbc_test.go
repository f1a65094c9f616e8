package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

func encryptCBC(t testing.TB, key, iv, padded []byte) []byte {
	t.Helper()
	e, err := newCBCEncrypter(newAES(t, key), iv)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(padded)
	if err := e.encrypt(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func decryptCBC(t testing.TB, key, iv []byte, src io.Reader) ([]byte, error) {
	t.Helper()
	d, err := newCBCDecrypter(newAES(t, key), iv)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = d.decryptTo(t.Context(), &out, src)
	return out.Bytes(), err
}

func TestCBCRoundTrip(t *testing.T) {
	key, iv := make([]byte, 32), make([]byte, 16)
	_, _ = rand.Read(key)
	_, _ = rand.Read(iv)
	whole := make([]byte, 2*largeChunk+100)
	_, _ = rand.Read(whole)
	for _, size := range []int{0, 1, 15, 16, 17, 32, 33, largeChunk - 1, largeChunk, largeChunk + 1, largeChunk + 16, len(whole)} {
		ciphertext := encryptCBC(t, key, iv, padAES(bytes.Clone(whole[:size])))
		got, err := decryptCBC(t, key, iv, bytes.NewReader(ciphertext))
		if err != nil || !bytes.Equal(got, whole[:size]) {
			t.Errorf("%d octets: %d came back, %v", size, len(got), err)
		}
		got, err = decryptCBC(t, key, iv, iotest.HalfReader(bytes.NewReader(ciphertext)))
		if err != nil || !bytes.Equal(got, whole[:size]) {
			t.Errorf("%d octets by halves: %d came back, %v", size, len(got), err)
		}
	}
}

// TestCBCParts checks that cutting a buffer for several processors does not show.
func TestCBCParts(t *testing.T) {
	key, iv := make([]byte, 16), make([]byte, 16)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, blocks := range []int{1, 2, cbcPartSize/16 - 1, 2*cbcPartSize/16 + 1, 3*cbcPartSize/16 - 1, 5 * cbcPartSize / 16, 8*cbcPartSize/16 + 3} {
		ciphertext := make([]byte, 16*blocks)
		_, _ = rand.Read(ciphertext)
		want := make([]byte, len(ciphertext))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(want, ciphertext)
		for parts := 1; parts <= 5; parts++ {
			d, err := newCBCDecrypter(newAES(t, key), iv)
			if err != nil {
				t.Fatal(err)
			}
			d.parts = parts
			got := bytes.Clone(ciphertext)
			d.decrypt(got)
			if !bytes.Equal(got, want) {
				t.Errorf("%d blocks in %d parts differ", blocks, parts)
			}
			if !bytes.Equal(d.previous[:], ciphertext[len(ciphertext)-16:]) {
				t.Errorf("%d blocks in %d parts: the next IV is wrong", blocks, parts)
			}
		}
	}
}

func TestCBCPadding(t *testing.T) {
	key, iv := make([]byte, 16), make([]byte, 16)
	block := func(last ...byte) []byte { return append(bytes.Repeat([]byte{'x'}, 16-len(last)), last...) }
	tests := []struct {
		name   string
		padded []byte
		want   []byte // nil: ErrDecrypt
	}{
		{"one", block(1), bytes.Repeat([]byte{'x'}, 15)},
		{"two", block(2, 2), bytes.Repeat([]byte{'x'}, 14)},
		{"whole block", bytes.Repeat([]byte{16}, 16), []byte{}},
		{"zero", block(0), nil},
		{"17", bytes.Repeat([]byte{17}, 32), nil},
		{"255", block(255), nil},
		{"first octet wrong", block(2, 3, 3), nil},
		{"middle octet wrong", block(4, 4, 5, 4), nil},
		{"whole block but one", append([]byte{15}, bytes.Repeat([]byte{16}, 15)...), nil},
		{"no block", []byte{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := decryptCBC(t, key, iv, bytes.NewReader(encryptCBC(t, key, iv, test.padded)))
			if test.want == nil {
				if err != ErrDecrypt {
					t.Fatalf("%x, %v", got, err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, test.want) {
				t.Fatalf("%x, %v", got, err)
			}
		})
	}
	ciphertext := encryptCBC(t, key, iv, block(1))
	for size := 1; size < 16; size++ {
		if _, err := decryptCBC(t, key, iv, bytes.NewReader(ciphertext[:size])); err != ErrDecrypt {
			t.Errorf("ragged ciphertext of %d octets: %v", size, err)
		}
	}
}

// TestCBCTruncatedSource checks that the end of a source is not taken for the end of the ciphertext.
func TestCBCTruncatedSource(t *testing.T) {
	key, iv := make([]byte, 16), make([]byte, 16)
	ciphertext := encryptCBC(t, key, iv, padAES(make([]byte, 100)))
	src := io.MultiReader(bytes.NewReader(ciphertext), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := decryptCBC(t, key, iv, src); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
}

func BenchmarkCBC(b *testing.B) {
	key, iv := make([]byte, 32), make([]byte, 16)
	buf := make([]byte, largeChunk)
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				f()
			}
		})
	}
	d, err := newCBCDecrypter(newAES(b, key), iv)
	if err != nil {
		b.Fatal(err)
	}
	run(fmt.Sprintf("decrypt/%d parts", d.parts), func() { d.decrypt(buf) })
	one := *d
	one.parts = 1
	run("decrypt/1 part", func() { one.decrypt(buf) })
	mode := cipher.NewCBCDecrypter(d.block, iv)
	run("decrypt/one-shot", func() { mode.CryptBlocks(buf, buf) })
	e, err := newCBCEncrypter(newAES(b, key), iv)
	if err != nil {
		b.Fatal(err)
	}
	run("encrypt", func() { _ = e.encrypt(buf) })
}

// padAES appends padding for blocks of AES.
func padAES(text []byte) []byte { return pad(text, aes.BlockSize) }

func newAES(t testing.TB, key []byte) cipher.Block {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	return block
}
