package cms

import "encoding/asn1"

// Cipher is a content-encryption algorithm. The zero value is none.
type Cipher int

// The ciphers. Messages are written with AES in CBC mode (RFC 3565), which goes into EnvelopedData and authenticates
// nothing, or in Galois/Counter Mode (RFC 5084), which goes into AuthEnvelopedData. Triple-DES and RC2 (RFC 3370) are for
// reading old mail, where [DecryptOptions] allow it.
const (
	AES128CBC Cipher = iota + 1
	AES192CBC
	AES256CBC
	AES128GCM
	AES192GCM
	AES256GCM
	TripleDESCBC
	RC2CBC // with keys of 40, 64 or 128 bits
)

type cipherInfo struct {
	cipher        Cipher
	name          string
	oid           asn1.ObjectIdentifier
	keySize       int
	authenticated bool
}

// ciphers is in the order of the constants, and so is weakCiphers behind it.
var ciphers = [...]cipherInfo{
	{AES128CBC, "aes-128-cbc", oidAES128CBC, 16, false},
	{AES192CBC, "aes-192-cbc", oidAES192CBC, 24, false},
	{AES256CBC, "aes-256-cbc", oidAES256CBC, 32, false},
	{AES128GCM, "aes-128-gcm", oidAES128GCM, 16, true},
	{AES192GCM, "aes-192-gcm", oidAES192GCM, 24, true},
	{AES256GCM, "aes-256-gcm", oidAES256GCM, 32, true},
}

var weakCiphers = [...]cipherInfo{
	{TripleDESCBC, "3des-cbc", oidTripleDESCBC, 24, false},
	{RC2CBC, "rc2-cbc", oidRC2CBC, 0, false},
}

func (c Cipher) info() cipherInfo {
	switch {
	case c.writable():
		return ciphers[c-1]
	case c.Weak():
		return weakCiphers[c-TripleDESCBC]
	}
	return cipherInfo{name: "unknown"}
}

// writable reports whether messages are encrypted with it.
func (c Cipher) writable() bool { return c >= AES128CBC && c <= AES256GCM }

// Weak reports whether the cipher is one of the past, which no message is to be encrypted with any more: its blocks of 64
// bits give text away in long messages, and the keys of RC2 may be as short as 40 bits.
func (c Cipher) Weak() bool { return c == TripleDESCBC || c == RC2CBC }

// String returns a name such as "aes-256-gcm", or "unknown".
func (c Cipher) String() string { return c.info().name }

// OID returns the algorithm's object identifier, or nil for an unknown cipher.
func (c Cipher) OID() asn1.ObjectIdentifier { return c.info().oid }

// KeySize returns the octets of the content-encryption key, or 0 for an unknown cipher and for RC2CBC, where each message
// states it.
func (c Cipher) KeySize() int { return c.info().keySize }

// Authenticated reports whether the cipher notices an altered ciphertext. It names no sender all the same.
func (c Cipher) Authenticated() bool { return c.info().authenticated }

// CipherByOID returns the cipher that an algorithm identifier or an S/MIME capability names.
func CipherByOID(oid asn1.ObjectIdentifier) (c Cipher, ok bool) {
	for _, known := range ciphers {
		if known.oid.Equal(oid) {
			return known.cipher, true
		}
	}
	for _, known := range weakCiphers {
		if known.oid.Equal(oid) {
			return known.cipher, true
		}
	}
	return 0, false
}
