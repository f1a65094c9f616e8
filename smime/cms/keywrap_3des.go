package cms

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"slices"
)

// tripleDESWrapIV is the initialization vector of the outer encryption (RFC 3217 section 3.1).
var tripleDESWrapIV = [des.BlockSize]byte{0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05}

const (
	tripleDESKeySize     = 24
	tripleDESWrappedSize = des.BlockSize + tripleDESKeySize + des.BlockSize // IV, key, checksum
)

// unwrapTripleDES unwraps a Triple-DES key (RFC 3217 section 3.2). Its parity bits are not looked at: they carry nothing.
// A wrapped key that is altered, or under another key, is [ErrDecrypt].
func unwrapTripleDES(kek, wrapped []byte) ([]byte, error) {
	if len(wrapped) != tripleDESWrappedSize {
		return nil, ErrDecrypt
	}
	block, err := des.NewTripleDESCipher(kek)
	if err != nil {
		return nil, ErrDecrypt
	}
	b := make([]byte, tripleDESWrappedSize)
	defer clear(b)
	cipher.NewCBCDecrypter(block, tripleDESWrapIV[:]).CryptBlocks(b, wrapped)
	slices.Reverse(b)
	iv, rest := b[:des.BlockSize], b[des.BlockSize:]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(rest, rest)
	key, checksum := rest[:tripleDESKeySize], rest[tripleDESKeySize:]
	sum := sha1.Sum(key)
	if subtle.ConstantTimeCompare(sum[:des.BlockSize], checksum) != 1 {
		return nil, ErrDecrypt
	}
	return slices.Clone(key), nil
}
