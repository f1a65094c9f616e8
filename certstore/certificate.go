package certstore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Purpose is what a trust anchor is trusted for. An anchor for one purpose is nothing for the others.
type Purpose string

const (
	Mail         Purpose = "mail"   // e-mail protection
	TimeStamping Purpose = "tsa"    // time stamp authorities (RFC 3161)
	Server       Purpose = "server" // the TLS certificates of mail servers
)

// Purposes returns all purposes, in the order in which they are listed to people.
func Purposes() []Purpose { return []Purpose{Mail, TimeStamping, Server} }

// ParsePurpose returns the purpose of this name.
func ParsePurpose(name string) (Purpose, error) {
	if p := Purpose(name); slices.Contains(Purposes(), p) {
		return p, nil
	}
	return "", fmt.Errorf("purpose %q is not known: it is one of mail, tsa, server", name)
}

// Use is what the key of an end-entity certificate is used for. Each belongs to one [Purpose].
type Use string

const (
	SignMail    Use = "sign-mail"    // signatures over mail
	EncryptMail Use = "encrypt-mail" // content encryption keys of mail are sent to the key
	TimeStamp   Use = "time-stamp"   // signatures over time stamp tokens
	ServeTLS    Use = "serve-tls"    // a TLS server's handshake
	SignArchive Use = "sign-archive" // signatures over archives of mail: what SignMail asks for, and document signing (RFC 9336)
)

// Purpose returns the purpose for which anchors must be trusted so that the use is covered.
func (u Use) Purpose() Purpose {
	switch u {
	case TimeStamp:
		return TimeStamping
	case ServeTLS:
		return Server
	}
	return Mail
}

// Fingerprint returns the SHA-256 of the certificate's DER in lower-case hex: the name under which a certificate is
// filed and shown everywhere.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// KeyFingerprint returns the SHA-256 of the certificate's SubjectPublicKeyInfo in lower-case hex. Certificates over the
// same key share it.
func KeyFingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

var (
	oidPublicKeyX25519  = asn1.ObjectIdentifier{1, 3, 101, 110} // RFC 8410
	oidPublicKeyX448    = asn1.ObjectIdentifier{1, 3, 101, 111}
	oidPublicKeyEd448   = asn1.ObjectIdentifier{1, 3, 101, 113}
	oidPublicKeyRSAPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10} // RFC 4055
	oidPublicKeyRSAOAEP = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
)

// publicKeyAlgorithm reads the key's algorithm from the SubjectPublicKeyInfo itself, because the standard library
// leaves those it cannot use (X25519, RSA-PSS) unnamed.
func publicKeyAlgorithm(c *x509.Certificate) asn1.ObjectIdentifier {
	input := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var info, algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !input.ReadASN1(&info, cryptobyteasn1.SEQUENCE) || !info.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) {
		return nil
	}
	return oid
}

// KeyAlgorithm names the certificate's key with its size: "rsa-2048", "ecdsa-p256", "ed25519", "x25519"; a key that is
// not known is named by its object identifier.
func KeyAlgorithm(c *x509.Certificate) string {
	oid := publicKeyAlgorithm(c)
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ecdsa-p" + key.Curve.Params().Name[len("P-"):]
	}
	switch {
	case c.PublicKeyAlgorithm == x509.Ed25519:
		return "ed25519"
	case oid.Equal(oidPublicKeyX25519):
		return "x25519"
	case oid.Equal(oidPublicKeyX448):
		return "x448"
	case oid.Equal(oidPublicKeyEd448):
		return "ed448"
	case oid.Equal(oidPublicKeyRSAPSS):
		return "rsa-pss"
	case oid.Equal(oidPublicKeyRSAOAEP):
		return "rsa-oaep"
	}
	return oid.String()
}

// isAgreementKey reports whether content encryption keys reach this key by key agreement, where other keys take them
// by key transport.
func isAgreementKey(c *x509.Certificate) bool {
	if c.PublicKeyAlgorithm == x509.ECDSA {
		return true
	}
	oid := publicKeyAlgorithm(c)
	return oid.Equal(oidPublicKeyX25519) || oid.Equal(oidPublicKeyX448)
}

// isEncryptionKey reports whether the key's algorithm can take part in encryption at all.
func isEncryptionKey(c *x509.Certificate) bool {
	return isAgreementKey(c) || c.PublicKeyAlgorithm == x509.RSA || publicKeyAlgorithm(c).Equal(oidPublicKeyRSAOAEP)
}

// isSigningKey reports whether the key's algorithm can sign at all.
func isSigningKey(c *x509.Certificate) bool {
	oid := publicKeyAlgorithm(c)
	switch c.PublicKeyAlgorithm {
	case x509.RSA, x509.ECDSA, x509.Ed25519:
		return true
	}
	return oid.Equal(oidPublicKeyRSAPSS) || oid.Equal(oidPublicKeyEd448)
}

// selfIssued reports whether subject and issuer are the same name (RFC 5280 section 3.2).
func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }
