package cms

import "encoding/asn1"

// Object identifiers of EnvelopedData, AuthEnvelopedData and their algorithms.
var (
	// Content encryption: RFC 3565 section 4.1 (CBC), RFC 5084 section 3.2 (GCM).
	oidAES128CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidAES128GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 6}
	oidAES192GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 26}
	oidAES256GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}

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

	// Key wrap: RFC 3565 section 4.1.
	oidAES128Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 5}
	oidAES192Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 25}
	oidAES256Wrap = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}
)

// unsupportedNames names what is met in old or foreign messages and cannot be opened.
var unsupportedNames = []struct {
	oid  asn1.ObjectIdentifier
	name string
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, "3des-cbc"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2}, "rc2-cbc"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 4}, "rc4"},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 7}, "des-cbc"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 7}, "aes-128-ccm"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 27}, "aes-192-ccm"},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 47}, "aes-256-ccm"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 18}, "chacha20-poly1305"},
	{asn1.ObjectIdentifier{1, 2, 392, 200011, 61, 1, 1, 1, 2}, "camellia-128-cbc"},
	{asn1.ObjectIdentifier{1, 2, 392, 200011, 61, 1, 1, 1, 4}, "camellia-256-cbc"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 6}, "3des-wrap"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 9}, "pwri-kek"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 5}, "esdh"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 19}, "dh-hkdf-sha256"}, // RFC 8418
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 20}, "dh-hkdf-sha384"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 21}, "dh-hkdf-sha512"},
}

func unsupportedName(oid asn1.ObjectIdentifier) (name string, ok bool) {
	for _, u := range unsupportedNames {
		if u.oid.Equal(oid) {
			return u.name, true
		}
	}
	return "", false
}

// algorithmName is the name of an algorithm that is not implemented, or else its number.
func algorithmName(oid asn1.ObjectIdentifier) string {
	if name, ok := unsupportedName(oid); ok {
		return name
	}
	if len(oid) == 0 {
		return "unknown"
	}
	return oid.String()
}
