package certpath

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// OID is an object identifier of any length and with arcs of any size: the content octets of its DER. So it can be
// compared, switched on, and be a key of a map.
type OID string

// String returns the dotted form.
func (o OID) String() string {
	var parsed x509.OID
	if len(o) > maxOID || parsed.UnmarshalBinary([]byte(o)) != nil {
		return fmt.Sprintf("object identifier of %d octets", len(o))
	}
	return parsed.String()
}

// NewOID returns the OID of these arcs, or "" where there is none.
func NewOID(arcs asn1.ObjectIdentifier) OID {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(arcs)
	der, err := b.Bytes()
	if err != nil {
		return ""
	}
	in, content := cryptobyte.String(der), cryptobyte.String(nil)
	in.ReadASN1(&content, cbasn1.OBJECT_IDENTIFIER)
	return OID(content)
}

// maxOID is the longest identifier that is written out, in octets: registered ones have some ten.
const maxOID = 256

// readOID reads an OBJECT IDENTIFIER.
func readOID(in *cryptobyte.String) (OID, bool) {
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.OBJECT_IDENTIFIER) {
		return "", false
	}
	return newOID(content)
}

// newOID checks content octets: no arc begins with a padding octet, and the last one ends (X.690 section 8.19.2).
func newOID(content []byte) (OID, bool) {
	if len(content) == 0 || content[len(content)-1]&0x80 != 0 {
		return "", false
	}
	start := true
	for _, b := range content {
		if start && b == 0x80 {
			return "", false
		}
		start = b&0x80 == 0
	}
	return OID(content), true
}

// Extensions of certificates (RFC 5280 section 4.2).
const (
	OIDSubjectKeyIdentifier   OID = "\x55\x1d\x0e"                     // 2.5.29.14
	OIDKeyUsage               OID = "\x55\x1d\x0f"                     // 2.5.29.15
	OIDSubjectAltName         OID = "\x55\x1d\x11"                     // 2.5.29.17
	OIDIssuerAltName          OID = "\x55\x1d\x12"                     // 2.5.29.18
	OIDBasicConstraints       OID = "\x55\x1d\x13"                     // 2.5.29.19
	OIDNameConstraints        OID = "\x55\x1d\x1e"                     // 2.5.29.30
	OIDCRLDistributionPoints  OID = "\x55\x1d\x1f"                     // 2.5.29.31
	OIDCertificatePolicies    OID = "\x55\x1d\x20"                     // 2.5.29.32
	OIDPolicyMappings         OID = "\x55\x1d\x21"                     // 2.5.29.33
	OIDAuthorityKeyIdentifier OID = "\x55\x1d\x23"                     // 2.5.29.35
	OIDPolicyConstraints      OID = "\x55\x1d\x24"                     // 2.5.29.36
	OIDExtendedKeyUsage       OID = "\x55\x1d\x25"                     // 2.5.29.37
	OIDFreshestCRL            OID = "\x55\x1d\x2e"                     // 2.5.29.46
	OIDInhibitAnyPolicy       OID = "\x55\x1d\x36"                     // 2.5.29.54
	OIDAuthorityInfoAccess    OID = "\x2b\x06\x01\x05\x05\x07\x01\x01" // 1.3.6.1.5.5.7.1.1
)

// Other identifiers of RFC 5280.
const (
	OIDAnyPolicy           OID = "\x55\x1d\x20\x00"                 // 2.5.29.32.0
	OIDAnyExtendedKeyUsage OID = "\x55\x1d\x25\x00"                 // 2.5.29.37.0
	OIDServerAuth          OID = "\x2b\x06\x01\x05\x05\x07\x03\x01" // 1.3.6.1.5.5.7.3.1
	OIDClientAuth          OID = "\x2b\x06\x01\x05\x05\x07\x03\x02" // 1.3.6.1.5.5.7.3.2
	OIDEmailProtection     OID = "\x2b\x06\x01\x05\x05\x07\x03\x04" // 1.3.6.1.5.5.7.3.4
	OIDTimeStamping        OID = "\x2b\x06\x01\x05\x05\x07\x03\x08" // 1.3.6.1.5.5.7.3.8
	OIDOCSPSigning         OID = "\x2b\x06\x01\x05\x05\x07\x03\x09" // 1.3.6.1.5.5.7.3.9
	OIDAccessOCSP          OID = "\x2b\x06\x01\x05\x05\x07\x30\x01" // 1.3.6.1.5.5.7.48.1
	OIDAccessCAIssuers     OID = "\x2b\x06\x01\x05\x05\x07\x30\x02" // 1.3.6.1.5.5.7.48.2
	OIDSmtpUTF8Mailbox     OID = "\x2b\x06\x01\x05\x05\x07\x08\x09" // 1.3.6.1.5.5.7.8.9, RFC 9598 section 3
)
