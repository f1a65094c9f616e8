package certpath

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// AlgorithmIdentifier is RFC 5280 section 4.1.1.2.
type AlgorithmIdentifier struct {
	Algorithm  OID
	Parameters []byte // DER; nil where absent
}

// Equal reports whether two identifiers are the same, parameters included.
func (a AlgorithmIdentifier) Equal(other AlgorithmIdentifier) bool {
	return a.Algorithm == other.Algorithm && bytes.Equal(a.Parameters, other.Parameters)
}

// noParameters reports whether the parameters are absent or NULL.
func (a AlgorithmIdentifier) noParameters() bool {
	return a.Parameters == nil || bytes.Equal(a.Parameters, []byte{5, 0})
}

// ReadAlgorithmIdentifier reads an AlgorithmIdentifier.
func ReadAlgorithmIdentifier(in *cryptobyte.String) (a AlgorithmIdentifier, ok bool) {
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) {
		return a, false
	}
	if a.Algorithm, ok = readOID(&content); !ok {
		return a, false
	}
	if !content.Empty() { // whatever it is: no algorithm takes what is malformed
		a.Parameters = content
	}
	return a, true
}

// Key types.
const (
	oidRSAEncryption OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" // 1.2.840.113549.1.1.1
	oidRSAOAEP       OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07" // 1.2.840.113549.1.1.7
	oidRSAPSS        OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" // 1.2.840.113549.1.1.10
	oidECPublicKey   OID = "\x2a\x86\x48\xce\x3d\x02\x01"         // 1.2.840.10045.2.1
	oidDSA           OID = "\x2a\x86\x48\xce\x38\x04\x01"         // 1.2.840.10040.4.1
	oidX25519        OID = "\x2b\x65\x6e"                         // 1.3.101.110, RFC 8410 section 3
	oidX448          OID = "\x2b\x65\x6f"
	oidEd25519       OID = "\x2b\x65\x70"
	oidEd448         OID = "\x2b\x65\x71"
)

// curveNames are the curves that certificates are met with (RFC 5480 section 2.1.1.1, RFC 5639 section 4.1).
var curveNames = map[OID]string{
	"\x2b\x81\x04\x00\x21":             "P-224",
	"\x2a\x86\x48\xce\x3d\x03\x01\x07": "P-256",
	"\x2b\x81\x04\x00\x22":             "P-384",
	"\x2b\x81\x04\x00\x23":             "P-521",
	"\x2b\x81\x04\x00\x0a":             "secp256k1",

	"\x2b\x24\x03\x03\x02\x08\x01\x01\x01": "brainpoolP160r1",
	"\x2b\x24\x03\x03\x02\x08\x01\x01\x03": "brainpoolP192r1",
	"\x2b\x24\x03\x03\x02\x08\x01\x01\x05": "brainpoolP224r1",
	"\x2b\x24\x03\x03\x02\x08\x01\x01\x07": "brainpoolP256r1",
	"\x2b\x24\x03\x03\x02\x08\x01\x01\x09": "brainpoolP320r1",
	"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b": "brainpoolP384r1",
	"\x2b\x24\x03\x03\x02\x08\x01\x01\x0d": "brainpoolP512r1",
}

// readKey reads SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). A key of a kind that is not known is no problem: its
// certificate can only not issue others.
func (c *Certificate) readKey(element []byte, key crypto.PublicKey) {
	c.RawSubjectPublicKeyInfo = element
	in, content := cryptobyte.String(element), cryptobyte.String(nil)
	in.ReadASN1(&content, cbasn1.SEQUENCE)
	var bits []byte
	var ok bool
	if c.PublicKeyAlgorithm, ok = ReadAlgorithmIdentifier(&content); !ok || !content.ReadASN1BitStringAsBytes(&bits) {
		c.problem("", "4.1.2.7", "the public key is malformed")
		return
	}
	if c.PublicKeyAlgorithm.Algorithm == oidRSAPSS {
		if key, err := x509.ParsePKCS1PublicKey(bits); err == nil { // RFC 4055 section 1.2
			c.PublicKey = key
		}
		return
	}
	if key == nil {
		var err error
		if key, err = x509.ParsePKIXPublicKey(element); err != nil {
			return
		}
	}
	switch key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		c.PublicKey = key
	}
}

// KeyName names the kind of the key, and its size or curve: "RSA of 2048 bits", "ECDSA on P-256", "Ed25519", "DSA",
// "an elliptic curve with explicit parameters".
func (c *Certificate) KeyName() string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA on " + key.Curve.Params().Name
	}
	switch c.PublicKeyAlgorithm.Algorithm {
	case oidRSAEncryption, oidRSAOAEP, oidRSAPSS:
		return "RSA in a form that is not supported"
	case oidDSA:
		return "DSA"
	case oidEd25519:
		return "Ed25519"
	case oidX25519:
		return "X25519"
	case oidX448:
		return "X448"
	case oidEd448:
		return "Ed448"
	case oidECPublicKey:
		in := cryptobyte.String(c.PublicKeyAlgorithm.Parameters)
		id, ok := readOID(&in)
		name, known := curveNames[id]
		switch {
		case !ok:
			return "an elliptic curve with explicit parameters"
		case known:
			return "the elliptic curve " + name
		}
		return "the elliptic curve " + id.String()
	}
	return "a key of type " + c.PublicKeyAlgorithm.Algorithm.String()
}

// supportedCurve reports whether signatures on a curve are checked.
func supportedCurve(curve elliptic.Curve) bool {
	return curve == elliptic.P256() || curve == elliptic.P384() || curve == elliptic.P521()
}
