package cms

import (
	"crypto"
	"crypto/hkdf"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// deriveKey derives a key-encryption key of so many octets from the shared secret of a key agreement.
func (k keyAgreement) deriveKey(secret []byte, keyWrap AlgorithmIdentifier, ukm []byte, size int) ([]byte, error) {
	info, err := eccSharedInfo(keyWrap, ukm, size)
	if err != nil {
		return nil, err
	}
	if k.hkdf {
		// RFC 8418 section 2.2: the user keying material, if there is any, is the salt, and in the information as well.
		return hkdf.Key(k.hash.New, secret, ukm, string(info), size)
	}
	return x963KDF(k.hash, secret, info, size), nil
}

// x963KDF derives size octets from a shared secret (ANSI X9.63, as in SEC 1 section 3.6.1).
func x963KDF(hash crypto.Hash, secret, sharedInfo []byte, size int) []byte {
	key := make([]byte, 0, size+hash.Size())
	h := hash.New()
	for counter := uint32(1); len(key) < size; counter++ {
		h.Reset()
		h.Write(secret)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		h.Write(sharedInfo)
		key = h.Sum(key)
	}
	return key[:size]
}

// eccSharedInfo is the DER of ECC-CMS-SharedInfo (RFC 5753 section 7.2): what the key-encryption key is for, the user
// keying material if there is any, and the length of the key-encryption key.
func eccSharedInfo(keyWrap AlgorithmIdentifier, ukm []byte, keySize int) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		keyWrap.add(b, cbasn1.SEQUENCE)
		if ukm != nil {
			b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(ukm)
			})
		}
		b.AddASN1(cbasn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(binary.BigEndian.AppendUint32(nil, uint32(keySize)*8)) // in bits
		})
	})
	return b.Bytes()
}
