package revocation

import (
	"bytes"
	"crypto"
	"crypto/sha1" // CertID is most often made with it (RFC 5019 section 2.1.1); it names, and protects nothing
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Media types of OCSP over HTTP (RFC 6960 appendix A.1).
const (
	RequestType  = "application/ocsp-request"
	ResponseType = "application/ocsp-response"
)

// NonceSize is the length of the nonces of requests, in octets (RFC 9654 section 2.1).
const NonceSize = 32

const (
	oidSHA1          certpath.OID = "\x2b\x0e\x03\x02\x1a"                 // 1.3.14.3.2.26
	oidSHA256        certpath.OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x01" // 2.16.840.1.101.3.4.2.1
	oidSHA384        certpath.OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x02" // 2.16.840.1.101.3.4.2.2
	oidSHA512        certpath.OID = "\x60\x86\x48\x01\x65\x03\x04\x02\x03" // 2.16.840.1.101.3.4.2.3
	oidBasic         certpath.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x01" // 1.3.6.1.5.5.7.48.1.1
	oidNonce         certpath.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x02" // 1.3.6.1.5.5.7.48.1.2
	oidArchiveCutoff certpath.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x06" // 1.3.6.1.5.5.7.48.1.6
	oidCRLReferences certpath.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x03" // 1.3.6.1.5.5.7.48.1.3
	oidExtRevoked    certpath.OID = "\x2b\x06\x01\x05\x05\x07\x30\x01\x09" // 1.3.6.1.5.5.7.48.1.9
)

// certIDHashes are those that a CertID is understood with.
var certIDHashes = map[certpath.OID]crypto.Hash{
	oidSHA1: crypto.SHA1, oidSHA256: crypto.SHA256, oidSHA384: crypto.SHA384, oidSHA512: crypto.SHA512,
}

// CertID names a certificate by its issuer and number (RFC 6960 section 4.1.1).
type CertID struct {
	HashAlgorithm  certpath.OID
	IssuerNameHash []byte
	IssuerKeyHash  []byte
	SerialNumber   *big.Int
}

// NewCertID returns the name of c, which issuer issued, with SHA-1: that is what every responder knows. The name of the
// issuer is hashed as c has it.
func NewCertID(c, issuer *certpath.Certificate) CertID {
	name, key := sha1.Sum(c.Issuer.Raw), sha1.Sum(publicKeyBits(issuer))
	return CertID{HashAlgorithm: oidSHA1, IssuerNameHash: name[:], IssuerKeyHash: key[:], SerialNumber: c.SerialNumber}
}

// names reports whether the identifier is that of c, which issuer issued.
func (id CertID) names(c, issuer *certpath.Certificate) bool {
	hash, ok := certIDHashes[id.HashAlgorithm]
	if !ok || !hash.Available() || id.SerialNumber.Cmp(c.SerialNumber) != 0 {
		return false
	}
	digest := func(octets []byte) []byte {
		h := hash.New()
		h.Write(octets)
		return h.Sum(nil)
	}
	// The name is that in the certificate; responders also take it from their own, where it may be written otherwise.
	return bytes.Equal(id.IssuerKeyHash, digest(publicKeyBits(issuer))) &&
		(bytes.Equal(id.IssuerNameHash, digest(issuer.Subject.Raw)) || bytes.Equal(id.IssuerNameHash, digest(c.Issuer.Raw)))
}

// publicKeyBits returns the octets of subjectPublicKey, without the tag and the unused bits (RFC 6960 section 4.1.1).
func publicKeyBits(c *certpath.Certificate) []byte {
	in, content := cryptobyte.String(c.RawSubjectPublicKeyInfo), cryptobyte.String(nil)
	var bits []byte
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || !content.SkipASN1(cbasn1.SEQUENCE) || !content.ReadASN1BitStringAsBytes(&bits) {
		return nil
	}
	return bits
}

// MarshalRequest returns an OCSPRequest in DER (RFC 6960 section 4.1.1) about one certificate, unsigned, with this nonce
// (RFC 9654 section 2.1); without one if it is nil.
func MarshalRequest(id CertID, nonce []byte) ([]byte, error) {
	var b cryptobyte.Builder
	sequence := func(b *cryptobyte.Builder, f cryptobyte.BuilderContinuation) { b.AddASN1(cbasn1.SEQUENCE, f) }
	oid := func(b *cryptobyte.Builder, id certpath.OID) {
		b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id)) })
	}
	sequence(&b, func(b *cryptobyte.Builder) { // OCSPRequest
		sequence(b, func(b *cryptobyte.Builder) { // TBSRequest
			sequence(b, func(b *cryptobyte.Builder) { // requestList
				sequence(b, func(b *cryptobyte.Builder) { // Request
					sequence(b, func(b *cryptobyte.Builder) { // CertID
						sequence(b, func(b *cryptobyte.Builder) {
							oid(b, id.HashAlgorithm)
							b.AddASN1NULL()
						})
						b.AddASN1OctetString(id.IssuerNameHash)
						b.AddASN1OctetString(id.IssuerKeyHash)
						b.AddASN1BigInt(id.SerialNumber)
					})
				})
			})
			if nonce == nil {
				return
			}
			b.AddASN1(tagExplicit2, func(b *cryptobyte.Builder) { // requestExtensions
				sequence(b, func(b *cryptobyte.Builder) {
					sequence(b, func(b *cryptobyte.Builder) {
						oid(b, oidNonce)
						b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
					})
				})
			})
		})
	})
	return b.Bytes()
}
