package cms

import (
	"crypto"
	"crypto/hkdf"
	"encoding/binary"

	"github.com/sealmail/sealmail/smime/cms/ber"
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
	var count [4]byte
	for counter := uint32(1); len(key) < size; counter++ {
		binary.BigEndian.PutUint32(count[:], counter)
		h.Reset()
		h.Write(secret)
		h.Write(count[:])
		h.Write(sharedInfo)
		key = h.Sum(key)
	}
	return key[:size]
}

// eccSharedInfo is the DER of ECC-CMS-SharedInfo (RFC 5753 section 7.2): what the key-encryption key is for, the user
// keying material if there is any, and the length of the key-encryption key.
func eccSharedInfo(keyWrap AlgorithmIdentifier, ukm []byte, keySize int) ([]byte, error) {
	keyInfo, err := keyWrap.marshal()
	if err != nil {
		return nil, err
	}
	var entityUInfo []byte // without the material itself, which may be long
	if ukm != nil {
		octets := ber.AppendHeader(nil, ber.Header{Number: ber.TagOctetString, Length: int64(len(ukm))})
		explicit := ber.Header{Class: ber.ContextSpecific, Constructed: true, Length: int64(len(octets) + len(ukm))}
		entityUInfo = append(ber.AppendHeader(nil, explicit), octets...)
	}
	bits := binary.BigEndian.AppendUint32(nil, uint32(keySize)*8)
	suppPubInfo := derElement(ber.ContextSpecific, true, 2, derOctetString(bits))
	return derSequence(keyInfo, entityUInfo, ukm, suppPubInfo), nil
}
