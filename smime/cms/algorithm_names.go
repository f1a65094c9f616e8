package cms

import "encoding/asn1"

// unimplemented lists digest and signature algorithms, and kinds of keys, that may be met and are not implemented, so
// that an error can say what a message would need. Those over a broken digest prove nothing at all.
var unimplemented = []struct {
	oid    asn1.ObjectIdentifier
	name   string
	broken bool
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 2}, "md2", true},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 4}, "md4", true},
	{oidMD5, "md5", true},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 18}, "sha", true}, // SHA-0
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 5}, "sha512-224", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 6}, "sha512-256", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 7}, "sha3-224", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 8}, "sha3-256", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 9}, "sha3-384", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 10}, "sha3-512", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 11}, "shake128", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 12}, "shake256", false},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 2, 1}, "ripemd160", false},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 2, 2}, "ripemd128", false},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 2, 3}, "ripemd256", false},
	{asn1.ObjectIdentifier{1, 0, 10118, 3, 0, 55}, "whirlpool", false},
	{asn1.ObjectIdentifier{1, 2, 643, 2, 2, 9}, "gost-r-34.11-94", false},
	{asn1.ObjectIdentifier{1, 2, 643, 7, 1, 1, 2, 2}, "gost-r-34.11-2012-256", false},
	{asn1.ObjectIdentifier{1, 2, 643, 7, 1, 1, 2, 3}, "gost-r-34.11-2012-512", false},
	{asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}, "sm3", false},

	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 2}, "rsa-md2", true},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 3}, "rsa-md4", true},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, "rsa-md5", true},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 2}, "rsa-md4", true},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 3}, "rsa-md5", true},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 4}, "rsa-md4", true},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 15}, "rsa-sha512-224", false},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 16}, "rsa-sha512-256", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 13}, "rsa-sha3-224", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 14}, "rsa-sha3-256", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 15}, "rsa-sha3-384", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 16}, "rsa-sha3-512", false},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 1, 2}, "rsa-ripemd160", false},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 1, 3}, "rsa-ripemd128", false},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 1, 4}, "rsa-ripemd256", false},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 6, 30}, "rsa-pss-shake128", false},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 6, 31}, "rsa-pss-shake256", false},
	{asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, "dsa", false},
	{asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 3}, "dsa-sha1", false},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 12}, "dsa", false},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 13}, "dsa-sha", true},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 27}, "dsa-sha1", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 1}, "dsa-sha224", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 2}, "dsa-sha256", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 3}, "dsa-sha384", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 4}, "dsa-sha512", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 9}, "ecdsa-sha3-224", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 10}, "ecdsa-sha3-256", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 11}, "ecdsa-sha3-384", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 12}, "ecdsa-sha3-512", false},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 6, 32}, "ecdsa-shake128", false},
	{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 6, 33}, "ecdsa-shake256", false},
	{asn1.ObjectIdentifier{0, 4, 0, 127, 0, 7, 1, 1, 4, 1, 1}, "ecdsa-plain-sha1", false},
	{asn1.ObjectIdentifier{0, 4, 0, 127, 0, 7, 1, 1, 4, 1, 2}, "ecdsa-plain-sha224", false},
	{asn1.ObjectIdentifier{0, 4, 0, 127, 0, 7, 1, 1, 4, 1, 3}, "ecdsa-plain-sha256", false},
	{asn1.ObjectIdentifier{0, 4, 0, 127, 0, 7, 1, 1, 4, 1, 4}, "ecdsa-plain-sha384", false},
	{asn1.ObjectIdentifier{0, 4, 0, 127, 0, 7, 1, 1, 4, 1, 5}, "ecdsa-plain-sha512", false},
	{asn1.ObjectIdentifier{1, 3, 101, 110}, "x25519", false},
	{asn1.ObjectIdentifier{1, 3, 101, 111}, "x448", false},
	{asn1.ObjectIdentifier{1, 3, 101, 113}, "ed448", false},
	{asn1.ObjectIdentifier{1, 2, 643, 2, 2, 19}, "gost-r-34.10-2001", false},
	{asn1.ObjectIdentifier{1, 2, 643, 2, 2, 3}, "gost-r-34.10-2001", false},
	{asn1.ObjectIdentifier{1, 2, 643, 7, 1, 1, 1, 1}, "gost-r-34.10-2012-256", false},
	{asn1.ObjectIdentifier{1, 2, 643, 7, 1, 1, 1, 2}, "gost-r-34.10-2012-512", false},
	{asn1.ObjectIdentifier{1, 2, 643, 7, 1, 1, 3, 2}, "gost-r-34.10-2012-256", false},
	{asn1.ObjectIdentifier{1, 2, 643, 7, 1, 1, 3, 3}, "gost-r-34.10-2012-512", false},
	{asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}, "sm2-sm3", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}, "ml-dsa-44", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}, "ml-dsa-65", false},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}, "ml-dsa-87", false},
}

// signingAlgorithmName returns the name of a digest or signature algorithm, "" for one that is not known.
func signingAlgorithmName(oid asn1.ObjectIdentifier) string {
	for _, known := range digests {
		if known.oid.Equal(oid) {
			return known.name
		}
	}
	for _, known := range unimplemented {
		if known.oid.Equal(oid) {
			return known.name
		}
	}
	return ""
}

// isBroken reports whether the algorithm is a broken digest, or a signature over one.
func isBroken(oid asn1.ObjectIdentifier) bool {
	for _, known := range unimplemented {
		if known.oid.Equal(oid) {
			return known.broken
		}
	}
	return false
}
