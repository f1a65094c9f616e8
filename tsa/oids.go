package tsa

import (
	"crypto"
	_ "crypto/sha1" // tokens of old mail, where weak algorithms are allowed
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
)

var (
	// oidTimeStamping is id-kp-timeStamping (RFC 3161 section 2.3).
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}

	oidExtKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// digests lists the hash algorithms that imprints and signing-certificate attributes may use.
var digests = []struct {
	hash crypto.Hash
	oid  asn1.ObjectIdentifier
	weak bool
}{
	{crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, false},
	{crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, false},
	{crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, false},
	{crypto.SHA1, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, true},
}

// hashByOID returns the hash that the identifier names.
func hashByOID(oid asn1.ObjectIdentifier) (crypto.Hash, bool) {
	for _, d := range digests {
		if d.oid.Equal(oid) {
			return d.hash, true
		}
	}
	return 0, false
}
