package rc2

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestVectors are those of RFC 2268 section 5.
func TestVectors(t *testing.T) {
	for _, v := range []struct {
		key           string
		bits          int
		plain, cipher string
	}{
		{"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
		{"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
		{"88", 64, "0000000000000000", "61a8a244adacccf0"},
		{"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
		{"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
		{"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"},
	} {
		key, plain, want := unhex(t, v.key), unhex(t, v.plain), unhex(t, v.cipher)
		c, err := NewCipher(key, v.bits)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, c.BlockSize())
		c.Encrypt(got, plain)
		if !bytes.Equal(got, want) {
			t.Errorf("key %s, %d bits: %x, want %x", v.key, v.bits, got, want)
		}
		c.Decrypt(got, want)
		if !bytes.Equal(got, plain) {
			t.Errorf("key %s, %d bits: decrypted to %x", v.key, v.bits, got)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, v := range []struct{ size, bits int }{{0, 40}, {129, 40}, {5, 0}, {5, -1}, {5, 1025}} {
		if _, err := NewCipher(make([]byte, v.size), v.bits); err == nil {
			t.Errorf("key of %d octets, %d bits: no error", v.size, v.bits)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
