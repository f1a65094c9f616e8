package interop

import (
	"crypto"
	"encoding/asn1"
)

var (
	oidAES       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1}
	oidSMIMEAlgs = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3}
	oidCerticom  = asn1.ObjectIdentifier{1, 3, 132, 1}
	oidX963      = asn1.ObjectIdentifier{1, 3, 133, 16, 840, 63, 0}
	oidNISTHash  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2}
	oidPKCS1     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1}
	oidDigests   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2}
	oidRSADSI    = asn1.ObjectIdentifier{1, 2, 840, 113549, 3}
)

func arc(base asn1.ObjectIdentifier, last int) asn1.ObjectIdentifier {
	return append(base[:len(base):len(base)], last)
}

var (
	oidRSAEncryption = arc(oidPKCS1, 1)
	oidRSAESOAEP     = arc(oidPKCS1, 7)
	oidPWRIKEK       = arc(oidSMIMEAlgs, 9)
	oidTripleDESWrap = arc(oidSMIMEAlgs, 6)

	oidRevocationValues = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 24} // RFC 5126 section 6.3.4
)

// hashOIDs are those of RFC 5754, and hmacOIDs of RFC 8018 appendix B.1.
var (
	hashOIDs = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1: {1, 3, 14, 3, 2, 26}, crypto.SHA224: arc(oidNISTHash, 4), crypto.SHA256: arc(oidNISTHash, 1), crypto.SHA384: arc(oidNISTHash, 2), crypto.SHA512: arc(oidNISTHash, 3),
	}
	hmacOIDs = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1: arc(oidDigests, 7), crypto.SHA224: arc(oidDigests, 8), crypto.SHA256: arc(oidDigests, 9), crypto.SHA384: arc(oidDigests, 10), crypto.SHA512: arc(oidDigests, 11),
	}
)

// cipherOIDs are those of RFC 3565, RFC 5084 and RFC 3370.
var cipherOIDs = map[string]asn1.ObjectIdentifier{
	"aes-128-cbc": arc(oidAES, 2), "aes-192-cbc": arc(oidAES, 22), "aes-256-cbc": arc(oidAES, 42),
	"aes-128-gcm": arc(oidAES, 6), "aes-192-gcm": arc(oidAES, 26), "aes-256-gcm": arc(oidAES, 46),
	"3des-cbc": arc(oidRSADSI, 7), "rc2-40-cbc": arc(oidRSADSI, 2), "rc2-64-cbc": arc(oidRSADSI, 2), "rc2-128-cbc": arc(oidRSADSI, 2),
}

// wrapOIDs are those of RFC 3394, by the bits of the key.
var wrapOIDs = map[int]asn1.ObjectIdentifier{128: arc(oidAES, 5), 192: arc(oidAES, 25), 256: arc(oidAES, 45)}

// schemeOIDs are those of RFC 5753 section 7.1.4 and RFC 8418 section 7.
var schemeOIDs = map[way]map[crypto.Hash]asn1.ObjectIdentifier{
	agreeX963: {
		crypto.SHA1: arc(oidX963, 2), crypto.SHA224: arc(arc(oidCerticom, 11), 0), crypto.SHA256: arc(arc(oidCerticom, 11), 1),
		crypto.SHA384: arc(arc(oidCerticom, 11), 2), crypto.SHA512: arc(arc(oidCerticom, 11), 3),
	},
	agreeCofactor: {
		crypto.SHA1: arc(oidX963, 3), crypto.SHA224: arc(arc(oidCerticom, 14), 0), crypto.SHA256: arc(arc(oidCerticom, 14), 1),
		crypto.SHA384: arc(arc(oidCerticom, 14), 2), crypto.SHA512: arc(arc(oidCerticom, 14), 3),
	},
	agreeHKDF: {crypto.SHA256: arc(oidSMIMEAlgs, 19), crypto.SHA384: arc(oidSMIMEAlgs, 20), crypto.SHA512: arc(oidSMIMEAlgs, 21)},
}
