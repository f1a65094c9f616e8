package certstore

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestRC2 has those vectors of RFC 2268 section 5 in which all bits of the key are effective.
func TestRC2(t *testing.T) {
	for _, v := range []struct{ key, plain, cipher string }{
		{"ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", "1000000000000001", "30649edf9be7d2c2"},
		{"88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6"},
	} {
		key, plain, want := unhex(t, v.key), unhex(t, v.plain), unhex(t, v.cipher)
		c, err := newRC2(key)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, rc2BlockSize)
		c.Encrypt(got, plain)
		if !bytes.Equal(got, want) {
			t.Errorf("key %s: %x, want %x", v.key, got, want)
		}
		c.Decrypt(got, want)
		if !bytes.Equal(got, plain) {
			t.Errorf("key %s: decrypted to %x", v.key, got)
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
