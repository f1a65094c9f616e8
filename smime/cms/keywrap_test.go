package cms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeyWrapVectors are those of RFC 3394 section 4.
func TestKeyWrapVectors(t *testing.T) {
	const (
		kek = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
		key = "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F"
	)
	tests := []struct {
		kekSize, keySize int
		want             string
	}{
		{16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{24, 16, "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{32, 16, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
		{24, 24, "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"},
		{32, 24, "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"},
		{32, 32, "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
	}
	for _, test := range tests {
		kek, key := unhex(t, kek)[:test.kekSize], unhex(t, key)[:test.keySize]
		wrapped, err := wrapKey(kek, key)
		if err != nil || !bytes.Equal(wrapped, unhex(t, test.want)) {
			t.Errorf("wrapping %d octets under %d: %x, %v", len(key), len(kek), wrapped, err)
		}
		got, err := unwrapKey(kek, wrapped)
		if err != nil || !bytes.Equal(got, key) {
			t.Errorf("unwrapping %d octets under %d: %x, %v", len(key), len(kek), got, err)
		}
		for i := range wrapped {
			changed := bytes.Clone(wrapped)
			changed[i] ^= 0x40
			if got, err := unwrapKey(kek, changed); err != ErrDecrypt || got != nil {
				t.Errorf("octet %d changed: %x, %v", i, got, err)
			}
		}
	}
}

func TestKeyWrapRefuses(t *testing.T) {
	kek := make([]byte, 16)
	for _, size := range []int{0, 8, 15, 17, 23} {
		if _, err := wrapKey(kek, make([]byte, size)); err == nil {
			t.Errorf("a key of %d octets was wrapped", size)
		}
	}
	for _, size := range []int{0, 8, 16, 23, 25} {
		if _, err := unwrapKey(kek, make([]byte, size)); !errors.Is(err, ErrDecrypt) {
			t.Errorf("%d octets unwrapped: %v", size, err)
		}
	}
	if _, err := wrapKey(make([]byte, 5), make([]byte, 16)); err == nil {
		t.Error("wrapped under a key of 5 octets")
	}
}

func FuzzKeyWrap(f *testing.F) {
	f.Add(make([]byte, 16), make([]byte, 16))
	f.Add(make([]byte, 24), make([]byte, 24))
	f.Add(make([]byte, 32), bytes.Repeat([]byte{0xa6}, 40))
	f.Add([]byte{1}, []byte{2})
	f.Fuzz(func(t *testing.T, kek, key []byte) {
		// Whatever was wrapped comes back, and what comes back from anything wraps to the same.
		if wrapped, err := wrapKey(kek, key); err == nil {
			got, err := unwrapKey(kek, wrapped)
			if err != nil || !bytes.Equal(got, key) {
				t.Fatalf("%x does not come back: %x, %v", key, got, err)
			}
		}
		if got, err := unwrapKey(kek, key); err == nil {
			again, err := wrapKey(kek, got)
			if err != nil || !bytes.Equal(again, key) {
				t.Fatalf("%x unwraps to %x, which wraps to %x, %v", key, got, again, err)
			}
		}
	})
}
