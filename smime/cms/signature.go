package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// RSA keys under weakRSABits are weak, under 1024 the standard library refuses them, and over maxRSABits a signature
// costs more to check than any honest one.
const (
	weakRSABits = 2048
	maxRSABits  = 16384
)

// scheme is one way to make a signature value.
type scheme struct {
	kind       schemeKind
	hash       crypto.Hash
	saltLength int // of PSS
}

type schemeKind string

const (
	kindPKCS1v15 schemeKind = "rsa-pkcs1v15"
	kindPSS      schemeKind = "rsa-pss"
	kindECDSA    schemeKind = "ecdsa"
	kindEd25519  schemeKind = "ed25519"
)

// signatureAlgorithms lists what may stand in SignatureAlgorithm. hash is 0 where the identifier leaves it to the
// digest algorithm: the names of mere key types are used for signatures, too (RFC 3370 section 3.2).
var signatureAlgorithms = []struct {
	oid  asn1.ObjectIdentifier
	kind schemeKind
	hash crypto.Hash
}{
	{oidRSAEncryption, kindPKCS1v15, 0},
	{oidSHA256WithRSA, kindPKCS1v15, crypto.SHA256},
	{oidSHA384WithRSA, kindPKCS1v15, crypto.SHA384},
	{oidSHA512WithRSA, kindPKCS1v15, crypto.SHA512},
	{oidSHA224WithRSA, kindPKCS1v15, crypto.SHA224},
	{oidSHA1WithRSA, kindPKCS1v15, crypto.SHA1},
	{oidRSASSAPSS, kindPSS, 0},
	{oidECPublicKey, kindECDSA, 0},
	{oidECDSAWithSHA256, kindECDSA, crypto.SHA256},
	{oidECDSAWithSHA384, kindECDSA, crypto.SHA384},
	{oidECDSAWithSHA512, kindECDSA, crypto.SHA512},
	{oidECDSAWithSHA224, kindECDSA, crypto.SHA224},
	{oidECDSAWithSHA1, kindECDSA, crypto.SHA1},
	{oidEd25519, kindEd25519, crypto.SHA512}, // RFC 8419 section 3.1: with SHA-512
}

// scheme returns how the signature was made, given the hash of the digest algorithm.
func (si *SignerInfo) scheme(digest crypto.Hash) (scheme, error) {
	a := si.SignatureAlgorithm
	if a.Algorithm.Equal(oidMD5WithRSA) {
		return scheme{}, ErrBrokenDigest
	}
	for _, known := range signatureAlgorithms {
		if !known.oid.Equal(a.Algorithm) {
			continue
		}
		if known.hash != 0 && known.hash != digest {
			return scheme{}, fmt.Errorf("%w: digest %s, but signature with %s", ErrAlgorithmMismatch,
				DigestName(digest), DigestName(known.hash))
		}
		s := scheme{kind: known.kind, hash: digest}
		switch {
		case known.kind == kindPSS:
			parameters, err := parsePSSParameters(a.Parameters)
			if err != nil {
				return scheme{}, err
			}
			// RFC 4056 section 3: the digest algorithm is that of the parameters.
			if parameters.hash != digest {
				return scheme{}, fmt.Errorf("%w: digest %s, but RSASSA-PSS with %s", ErrAlgorithmMismatch,
					DigestName(digest), DigestName(parameters.hash))
			}
			s.saltLength = parameters.saltLength
		case a.Algorithm.Equal(oidECPublicKey): // may carry the curve, which the certificate says
		case !a.noParameters():
			return scheme{}, &UnsupportedError{What: "parameters of signature algorithm", Algorithm: a.Algorithm}
		}
		return s, nil
	}
	return scheme{}, &UnsupportedError{What: "signature algorithm", Algorithm: a.Algorithm}
}

// signedInput is what a signature value stands over: the digest for most schemes, the message itself for Ed25519.
type signedInput struct {
	digest  []byte
	message []byte // nil if it is a content, of which only the digest is kept
}

// verify checks a signature value.
func (s scheme) verify(key crypto.PublicKey, in signedInput, signature []byte) error {
	ok := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		if s.kind != kindPKCS1v15 && s.kind != kindPSS {
			return keyMismatch(s, "RSA")
		}
		if err := checkRSASize(key); err != nil {
			return err
		}
		if s.kind == kindPKCS1v15 {
			ok = rsa.VerifyPKCS1v15(key, s.hash, in.digest, signature) == nil
		} else {
			ok = s.verifyPSS(key, in.digest, signature)
		}
	case pssKey:
		if s.kind != kindPSS {
			return keyMismatch(s, "RSASSA-PSS")
		}
		if err := checkRSASize(key.PublicKey); err != nil {
			return err
		}
		if !key.allows(s) {
			return fmt.Errorf("%w: RSASSA-PSS parameters are not those of the key", ErrAlgorithmMismatch)
		}
		ok = s.verifyPSS(key.PublicKey, in.digest, signature)
	case *ecdsa.PublicKey:
		if s.kind != kindECDSA {
			return keyMismatch(s, "ECDSA")
		}
		if curveName(key.Curve) == "" {
			return &UnsupportedError{What: "elliptic curve " + key.Params().Name}
		}
		ok = ecdsa.VerifyASN1(key, in.digest, signature)
	case ed25519.PublicKey:
		if s.kind != kindEd25519 {
			return keyMismatch(s, "Ed25519")
		}
		if in.message == nil {
			return &UnsupportedError{What: "Ed25519 signature without signed attributes"}
		}
		ok = ed25519.Verify(key, in.message, signature)
	default:
		return &UnsupportedError{What: "public key"}
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

func keyMismatch(s scheme, key string) error {
	return fmt.Errorf("%w: %s signature, but %s key", ErrAlgorithmMismatch, s.kind, key)
}

// checkRSASize refuses what is too weak or too costly to check at all.
func checkRSASize(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < 1024:
		return &WeakError{What: fmt.Sprintf("RSA key of %d bits", bits)}
	case bits > maxRSABits:
		return &UnsupportedError{What: fmt.Sprintf("RSA key of %d bits", bits)}
	}
	return nil
}

func (s scheme) verifyPSS(key *rsa.PublicKey, digest, signature []byte) bool {
	return rsa.VerifyPSS(key, s.hash, digest, signature, &rsa.PSSOptions{SaltLength: s.saltLength}) == nil
}

// pssKey is an RSA key that is for RSASSA-PSS alone (RFC 4055 section 1.2).
type pssKey struct {
	*rsa.PublicKey
	parameters *pssParameters // nil: unrestricted
}

// allows checks the restrictions of RFC 4055 section 3.3.
func (k pssKey) allows(s scheme) bool {
	return k.parameters == nil || k.parameters.hash == s.hash && s.saltLength >= k.parameters.saltLength
}

// publicKey returns the public key of cert, also the kind that crypto/x509 leaves out.
func publicKey(cert *x509.Certificate) (crypto.PublicKey, error) {
	if cert.PublicKey != nil {
		return cert.PublicKey, nil
	}
	in := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var seq cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, &UnsupportedError{What: "public key"}
	}
	a, ok := readAlgorithmIdentifier(&seq, cbasn1.SEQUENCE)
	if !ok || !seq.ReadASN1BitStringAsBytes(&bits) || !seq.Empty() || !a.Algorithm.Equal(oidRSASSAPSS) {
		return nil, &UnsupportedError{What: "public key", Algorithm: a.Algorithm}
	}
	key, err := x509.ParsePKCS1PublicKey(bits)
	if err != nil {
		return nil, fmt.Errorf("%w: public key of the certificate: %w", ErrMalformed, err)
	}
	restricted := pssKey{PublicKey: key}
	if a.Parameters != nil {
		parameters, err := parsePSSParameters(a.Parameters)
		if err != nil {
			return nil, err
		}
		restricted.parameters = &parameters
	}
	return restricted, nil
}

func rsaBits(key crypto.PublicKey) int {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen()
	case pssKey:
		return key.N.BitLen()
	}
	return 0
}

// curveName returns the short name of a curve that signatures may be on, or "".
func curveName(c elliptic.Curve) string {
	switch c {
	case elliptic.P256():
		return "p256"
	case elliptic.P384():
		return "p384"
	case elliptic.P521():
		return "p521"
	}
	return ""
}

// SignatureName returns the short name of the signature's algorithm: "rsa-pkcs1v15", "rsa-pss", "ecdsa-p256",
// "ed25519". The curve is known from the certificate only: without one, "ecdsa". An unknown algorithm is "".
func SignatureName(si *SignerInfo, cert *x509.Certificate) string {
	for _, known := range signatureAlgorithms {
		if !known.oid.Equal(si.SignatureAlgorithm.Algorithm) {
			continue
		}
		if known.kind == kindECDSA && cert != nil {
			if key, ok := cert.PublicKey.(*ecdsa.PublicKey); ok && curveName(key.Curve) != "" {
				return "ecdsa-" + curveName(key.Curve)
			}
		}
		return string(known.kind)
	}
	return ""
}
