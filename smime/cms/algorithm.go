package cms

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // registers the hash
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// AlgorithmIdentifier names an algorithm (RFC 5652 section 10.1).
type AlgorithmIdentifier struct {
	Algorithm  asn1.ObjectIdentifier // nil for an identifier with an arc that does not fit an int
	Parameters []byte                // DER; nil if absent
}

var derNull = []byte{5, 0}

// noParameters reports whether the parameters are absent or NULL, which mean the same where an algorithm has none.
func (a AlgorithmIdentifier) noParameters() bool {
	return len(a.Parameters) == 0 || bytes.Equal(a.Parameters, derNull)
}

// equal compares two identifiers and takes absent parameters and NULL for the same.
func (a AlgorithmIdentifier) equal(b AlgorithmIdentifier) bool {
	return len(a.Algorithm) > 0 && a.Algorithm.Equal(b.Algorithm) &&
		(a.noParameters() && b.noParameters() || bytes.Equal(a.Parameters, b.Parameters))
}

// ReadAlgorithmIdentifier reads an AlgorithmIdentifier from DER, under its own tag (SEQUENCE) or an implicit one.
func ReadAlgorithmIdentifier(in *cryptobyte.String, tag cbasn1.Tag) (a AlgorithmIdentifier, ok bool) {
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, tag) {
		return a, false
	}
	if a.Algorithm, ok = readOID(&seq); !ok {
		return a, false
	}
	if !seq.Empty() {
		var parameters cryptobyte.String
		if !seq.ReadAnyASN1Element(&parameters, new(cbasn1.Tag)) || !seq.Empty() {
			return a, false
		}
		a.Parameters = parameters
	}
	return a, true
}

// AddTo appends the identifier to b, under its own tag (SEQUENCE) or an implicit one.
func (a AlgorithmIdentifier) AddTo(b *cryptobyte.Builder, tag cbasn1.Tag) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(a.Algorithm)
		b.AddBytes(a.Parameters)
	})
}

// maxOIDSize bounds the octets of an OBJECT IDENTIFIER that is looked at: in memory it takes eight times as many.
const maxOIDSize = 128

// readOID reads an OBJECT IDENTIFIER. One that is very long, or has arcs that do not fit an int, is read as nil: it is none
// that is known here.
func readOID(in *cryptobyte.String) (oid asn1.ObjectIdentifier, ok bool) {
	try := *in
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.OBJECT_IDENTIFIER) || len(content) == 0 {
		return nil, false
	}
	if oid, ok = usualOIDs[string(content)]; ok {
		return oid, true
	}
	if len(content) > maxOIDSize || !try.ReadASN1ObjectIdentifier(&oid) {
		return nil, true
	}
	return oid, true
}

// usualOIDs holds identifiers of today's messages by their DER, without the header: a message has some twenty, and need not
// make each anew.
var usualOIDs = byContent(
	OIDData, OIDSignedData, OIDEnvelopedData, OIDAuthEnvelopedData, OIDTSTInfo,
	OIDAttributeContentType, OIDAttributeMessageDigest, OIDAttributeSigningTime, OIDAttributeSMIMECapabilities,
	OIDAttributeSigningCertificateV2, OIDAttributeAlgorithmProtection, OIDAttributeTimeStampToken, OIDAttributeEncryptionKeyPreference,
	oidSHA256, oidSHA384, oidSHA512, oidRSAEncryption, oidRSASSAPSS, oidMGF1, oidSHA256WithRSA, oidSHA384WithRSA, oidSHA512WithRSA,
	oidECPublicKey, oidECDSAWithSHA256, oidECDSAWithSHA384, oidECDSAWithSHA512, oidEd25519,
	oidAES128CBC, oidAES256CBC, oidAES128GCM, oidAES256GCM, oidRSAESOAEP, oidX25519,
	oidStdDHSHA256KDF, oidStdDHSHA384KDF, oidStdDHSHA512KDF, oidAES128Wrap, oidAES256Wrap,
)

func byContent(list ...asn1.ObjectIdentifier) map[string]asn1.ObjectIdentifier {
	known := make(map[string]asn1.ObjectIdentifier, len(list))
	for _, oid := range list {
		if der, err := marshalOID(oid); err == nil {
			known[string(der[2:])] = oid // they are short, and so are their headers
		}
	}
	return known
}

// digests lists the digest algorithms that are implemented.
var digests = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
	name string
}{
	{oidSHA256, crypto.SHA256, "sha256"},
	{oidSHA384, crypto.SHA384, "sha384"},
	{oidSHA512, crypto.SHA512, "sha512"},
	{oidSHA224, crypto.SHA224, "sha224"},
	{oidSHA1, crypto.SHA1, "sha1"},
}

// digestByOID returns the hash that the identifier names; its error is [ErrBrokenDigest] or an *[UnsupportedError].
func digestByOID(oid asn1.ObjectIdentifier) (crypto.Hash, error) {
	for _, d := range digests {
		if d.oid.Equal(oid) {
			return d.hash, nil
		}
	}
	if isBroken(oid) {
		return 0, fmt.Errorf("%w: %s", ErrBrokenDigest, signingAlgorithmName(oid))
	}
	return 0, &UnsupportedError{What: "digest algorithm", Algorithm: oid}
}

// digestIdentifier returns the identifier of a hash, with absent parameters as RFC 5754 section 2 wants them.
func digestIdentifier(h crypto.Hash) (AlgorithmIdentifier, error) {
	for _, d := range digests {
		if d.hash == h {
			return AlgorithmIdentifier{Algorithm: d.oid}, nil
		}
	}
	return AlgorithmIdentifier{}, &UnsupportedError{What: "digest algorithm " + h.String()}
}

// DigestName returns the short name of a hash, as in "sha256"; "" for one that is not implemented.
func DigestName(h crypto.Hash) string {
	for _, d := range digests {
		if d.hash == h {
			return d.name
		}
	}
	return ""
}
