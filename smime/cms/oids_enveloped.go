package cms

import "encoding/asn1"

// Object identifiers of EnvelopedData, AuthEnvelopedData, EncryptedData and their algorithms.
var (
	// Content encryption: RFC 3565 section 4.1 (CBC), RFC 5084 section 3.2 (GCM).
	oidAES128CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidAES128GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 6}
	oidAES192GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 26}
	oidAES256GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}

	// The same of the past: RFC 3370 section 5.
	oidTripleDESCBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidRC2CBC       = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2}

	// Key transport: RFC 8017 appendix C.
	oidRSAESOAEP  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidPSpecified = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 9}

	// Key agreement: RFC 5753 section 7.1.4.
	oidStdDHSHA1KDF        = asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 2}
	oidStdDHSHA224KDF      = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 0}
	oidStdDHSHA256KDF      = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1}
	oidStdDHSHA384KDF      = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 2}
	oidStdDHSHA512KDF      = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 3}
	oidCofactorDHSHA1KDF   = asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 3}
	oidCofactorDHSHA224KDF = asn1.ObjectIdentifier{1, 3, 132, 1, 14, 0}
	oidCofactorDHSHA256KDF = asn1.ObjectIdentifier{1, 3, 132, 1, 14, 1}
	oidCofactorDHSHA384KDF = asn1.ObjectIdentifier{1, 3, 132, 1, 14, 2}
	oidCofactorDHSHA512KDF = asn1.ObjectIdentifier{1, 3, 132, 1, 14, 3}

	// The same with HKDF: RFC 8418 section 2.2.
	oidStdDHHKDFSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 19}
	oidStdDHHKDFSHA384 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 20}
	oidStdDHHKDFSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 21}

	// Keys for key agreement only: RFC 5480 section 2.1.2, RFC 8410 section 3.
	oidECDH   = asn1.ObjectIdentifier{1, 3, 132, 1, 12}
	oidX25519 = asn1.ObjectIdentifier{1, 3, 101, 110}

	// Key wrap: RFC 3565 section 4.1, RFC 3370 section 4.3.1.
	oidAES128Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 5}
	oidAES192Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 25}
	oidAES256Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}

	oidTripleDESWrap = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 6}

	// Passwords: RFC 3211 section 2, RFC 8018 appendices A.2 and B.1.
	oidPWRIKEK        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 9}
	oidPBKDF2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACWithSHA224 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}
	oidHMACWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}
	oidHMACWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
)

// algorithmNames names algorithms of encrypted messages beside the ciphers and key wraps: some that are met in old or
// foreign messages and cannot be opened.
var algorithmNames = []struct {
	oid  asn1.ObjectIdentifier
	name string
}{
	{oidPWRIKEK, "pwri-kek"},
	{oidPBKDF2, "pbkdf2"},
	{oidX25519, "x25519"},
	{asn1.ObjectIdentifier{1, 3, 101, 111}, "x448"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 4}, "rc4"},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 7}, "des-cbc"},
	{asn1.ObjectIdentifier{1, 2, 840, 113533, 7, 66, 10}, "cast5-cbc"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 7}, "aes-128-ccm"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 27}, "aes-192-ccm"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 47}, "aes-256-ccm"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 18}, "chacha20-poly1305"},
	{asn1.ObjectIdentifier{1, 2, 392, 200011, 61, 1, 1, 1, 2}, "camellia-128-cbc"},
	{asn1.ObjectIdentifier{1, 2, 392, 200011, 61, 1, 1, 1, 4}, "camellia-256-cbc"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 5}, "esdh"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 7}, "rc2-wrap"},
	{asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0, 16}, "ecmqv"},
}

// algorithmName is the short name of an algorithm, or else its number.
func algorithmName(oid asn1.ObjectIdentifier) string {
	if c, ok := CipherByOID(oid); ok {
		return c.String()
	}
	if w, ok := keyWrapByOID(oid); ok {
		return w.name
	}
	for _, known := range algorithmNames {
		if known.oid.Equal(oid) {
			return known.name
		}
	}
	if len(oid) == 0 {
		return "unknown"
	}
	return oid.String()
}
