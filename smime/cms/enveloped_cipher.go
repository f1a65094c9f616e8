package cms

import "encoding/asn1"

// Cipher is a content-encryption algorithm. The zero value is none.
type Cipher int

// The ciphers that messages are encrypted with: AES in CBC mode (RFC 3565), which goes into EnvelopedData and
// authenticates nothing, and in Galois/Counter Mode (RFC 5084), which goes into AuthEnvelopedData.
const (
	AES128CBC Cipher = iota + 1
	AES192CBC
	AES256CBC
	AES128GCM
	AES192GCM
	AES256GCM
)

// ciphers is in the order of the constants.
var ciphers = [...]struct {
	cipher        Cipher
	name          string
	oid           asn1.ObjectIdentifier
	keySize       int
	authenticated bool
}{
	{AES128CBC, "aes-128-cbc", oidAES128CBC, 16, false},
	{AES192CBC, "aes-192-cbc", oidAES192CBC, 24, false},
	{AES256CBC, "aes-256-cbc", oidAES256CBC, 32, false},
	{AES128GCM, "aes-128-gcm", oidAES128GCM, 16, true},
	{AES192GCM, "aes-192-gcm", oidAES192GCM, 24, true},
	{AES256GCM, "aes-256-gcm", oidAES256GCM, 32, true},
}

func (c Cipher) valid() bool { return c >= AES128CBC && c <= AES256GCM }

// String returns a name such as "aes-256-gcm", or "unknown".
func (c Cipher) String() string {
	if !c.valid() {
		return "unknown"
	}
	return ciphers[c-1].name
}

// OID returns the algorithm's object identifier, or nil for an unknown cipher.
func (c Cipher) OID() asn1.ObjectIdentifier {
	if !c.valid() {
		return nil
	}
	return ciphers[c-1].oid
}

// KeySize returns the octets of the content-encryption key, or 0 for an unknown cipher.
func (c Cipher) KeySize() int {
	if !c.valid() {
		return 0
	}
	return ciphers[c-1].keySize
}

// Authenticated reports whether the cipher notices an altered ciphertext. It names no sender all the same.
func (c Cipher) Authenticated() bool { return c.valid() && ciphers[c-1].authenticated }

// CipherByOID returns the cipher that an algorithm identifier or an S/MIME capability names.
func CipherByOID(oid asn1.ObjectIdentifier) (c Cipher, ok bool) {
	for _, known := range ciphers {
		if known.oid.Equal(oid) {
			return known.cipher, true
		}
	}
	return 0, false
}
