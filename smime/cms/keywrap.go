package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/asn1"
	"encoding/binary"
	"errors"
)

// keyWrap is an algorithm that encrypts a content-encryption key under a key-encryption key.
type keyWrap struct {
	oid     asn1.ObjectIdentifier
	keySize int // octets of the key-encryption key
	growth  int // octets by which the wrapped key is longer
	name    string
	weak    bool
	unwrap  func(kek, wrapped []byte) ([]byte, error) // its error is ErrDecrypt
}

var keyWraps = []keyWrap{
	{oidAES128Wrap, 16, keyWrapBlock, "aes-128-wrap", false, unwrapKey},
	{oidAES192Wrap, 24, keyWrapBlock, "aes-192-wrap", false, unwrapKey},
	{oidAES256Wrap, 32, keyWrapBlock, "aes-256-wrap", false, unwrapKey},
	{oidTripleDESWrap, 24, tripleDESWrappedSize - tripleDESKeySize, "3des-wrap", true, unwrapTripleDES},
}

func keyWrapByOID(oid asn1.ObjectIdentifier) (keyWrap, bool) {
	for _, w := range keyWraps {
		if w.oid.Equal(oid) {
			return w, true
		}
	}
	return keyWrap{}, false
}

// aesKeyWrap returns AES key wrap under keys of this size.
func aesKeyWrap(keySize int) (keyWrap, bool) {
	for _, w := range keyWraps {
		if w.keySize == keySize && !w.weak {
			return w, true
		}
	}
	return keyWrap{}, false
}

// keyWrapFor returns the wrap that the identifier names, for such a content-encryption key. Its error is an
// *[UnsupportedError].
func keyWrapFor(a AlgorithmIdentifier, key contentKey) (keyWrap, error) {
	w, ok := keyWrapByOID(a.Algorithm)
	if !ok {
		return keyWrap{}, &UnsupportedError{What: "key wrap algorithm", Algorithm: a.Algorithm}
	}
	if w.weak && !key.weak {
		// RFC 3370 section 4.3.1 has it for Triple-DES keys only. Whoever allows weak ciphers for those, later, has not
		// said that a strong one may come in a weak wrap.
		return keyWrap{}, &UnsupportedError{What: w.name + " of the key of another cipher than 3des-cbc"}
	}
	return w, nil
}

// unwrap unwraps the content-encryption key. Any failure is [ErrDecrypt].
func (k contentKey) unwrap(w keyWrap, kek, wrapped []byte) ([]byte, error) {
	if len(kek) != w.keySize || len(wrapped) != k.size+w.growth {
		return nil, ErrDecrypt
	}
	cek, err := w.unwrap(kek, wrapped)
	if err != nil {
		return nil, ErrDecrypt
	}
	return cek, nil
}

const keyWrapBlock = 8 // octets that the key wrap works on at a time

// keyWrapIV is the default initial value (RFC 3394 section 2.2.3.1).
var keyWrapIV = [keyWrapBlock]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}

// wrapKey encrypts a key under a key-encryption key of 16, 24 or 32 octets (RFC 3394 section 2.2.1). The key is at
// least 16 octets long and a multiple of 8; the result is 8 octets longer.
func wrapKey(kek, key []byte) ([]byte, error) {
	if len(key) < 2*keyWrapBlock || len(key)%keyWrapBlock != 0 {
		return nil, errors.New("AES key wrap of a key that is not a multiple of 8 octets, at least 16")
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := append(keyWrapIV[:len(keyWrapIV):len(keyWrapIV)], key...)
	a, n := out[:keyWrapBlock], len(key)/keyWrapBlock
	var b [aes.BlockSize]byte
	for t := 1; t <= 6*n; t++ {
		i := (t-1)%n + 1
		r := out[i*keyWrapBlock : (i+1)*keyWrapBlock]
		copy(b[:keyWrapBlock], a)
		copy(b[keyWrapBlock:], r)
		block.Encrypt(b[:], b[:])
		binary.BigEndian.PutUint64(a, binary.BigEndian.Uint64(b[:])^uint64(t))
		copy(r, b[keyWrapBlock:])
	}
	return out, nil
}

// unwrapKey reverses wrapKey (RFC 3394 section 2.2.2). A wrapped key that is too short, ragged, altered, or under
// another key is [ErrDecrypt].
func unwrapKey(kek, wrapped []byte) ([]byte, error) {
	if len(wrapped) < 3*keyWrapBlock || len(wrapped)%keyWrapBlock != 0 {
		return nil, ErrDecrypt
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	var a [keyWrapBlock]byte
	copy(a[:], wrapped)
	key := append([]byte(nil), wrapped[keyWrapBlock:]...)
	n := len(key) / keyWrapBlock
	var b [aes.BlockSize]byte
	for t := 6 * n; t >= 1; t-- {
		i := (t - 1) % n
		r := key[i*keyWrapBlock : (i+1)*keyWrapBlock]
		binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(a[:])^uint64(t))
		copy(b[keyWrapBlock:], r)
		block.Decrypt(b[:], b[:])
		copy(a[:], b[:])
		copy(r, b[keyWrapBlock:])
	}
	if subtle.ConstantTimeCompare(a[:], keyWrapIV[:]) != 1 {
		clear(key)
		return nil, ErrDecrypt
	}
	return key, nil
}
