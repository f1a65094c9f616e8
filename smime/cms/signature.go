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
// costs more to check than any honest one: crypto/tls has the same bound.
const (
	weakRSABits = 2048
	maxRSABits  = 8192
)

// SignatureScheme is a way to make a signature value. The zero value is none: a caller says what it wants, for example
// by [DefaultSignature].
type SignatureScheme int

// The schemes that are implemented, all of them for writing and for reading.
const (
	RSASSAPKCS1v15 SignatureScheme = iota + 1 // RSA with the padding of PKCS #1 v1.5 (RFC 3370 section 3.2)
	RSASSAPSS                                 // RSA with PSS and MGF1 (RFC 4056)
	ECDSA                                     // ECDSA on P-256, P-384 or P-521 (RFC 5753 section 2.1)
	Ed25519                                   // Ed25519, which goes with SHA-512 (RFC 8419)
)

// String returns "rsa-pkcs1v15", "rsa-pss", "ecdsa" or "ed25519".
func (s SignatureScheme) String() string {
	switch s {
	case RSASSAPKCS1v15:
		return "rsa-pkcs1v15"
	case RSASSAPSS:
		return "rsa-pss"
	case ECDSA:
		return "ecdsa"
	case Ed25519:
		return "ed25519"
	}
	return fmt.Sprintf("signature scheme %d", int(s))
}

// signatureAlgorithm is a scheme with all that it leaves open.
type signatureAlgorithm struct {
	scheme     SignatureScheme
	hash       crypto.Hash
	saltLength int // of PSS
}

// signatureAlgorithms lists what may stand in SignatureAlgorithm. hash is 0 where the identifier leaves it to the
// digest algorithm: the names of mere key types are used for signatures, too (RFC 3370 section 3.2).
var signatureAlgorithms = []struct {
	oid    asn1.ObjectIdentifier
	scheme SignatureScheme
	hash   crypto.Hash
}{
	{oidRSAEncryption, RSASSAPKCS1v15, 0},
	{oidSHA256WithRSA, RSASSAPKCS1v15, crypto.SHA256},
	{oidSHA384WithRSA, RSASSAPKCS1v15, crypto.SHA384},
	{oidSHA512WithRSA, RSASSAPKCS1v15, crypto.SHA512},
	{oidSHA224WithRSA, RSASSAPKCS1v15, crypto.SHA224},
	{oidSHA1WithRSA, RSASSAPKCS1v15, crypto.SHA1},
	{oidOIWSHA1WithRSA, RSASSAPKCS1v15, crypto.SHA1},
	{oidRSASSAPSS, RSASSAPSS, 0},
	{oidECPublicKey, ECDSA, 0},
	{oidECDSAWithSHA256, ECDSA, crypto.SHA256},
	{oidECDSAWithSHA384, ECDSA, crypto.SHA384},
	{oidECDSAWithSHA512, ECDSA, crypto.SHA512},
	{oidECDSAWithSHA224, ECDSA, crypto.SHA224},
	{oidECDSAWithSHA1, ECDSA, crypto.SHA1},
	{oidEd25519, Ed25519, crypto.SHA512}, // RFC 8419 section 2.3: with SHA-512
}

// signatureAlgorithm returns how the signature was made, given the hash of the digest algorithm.
func (si *SignerInfo) signatureAlgorithm(digest crypto.Hash) (signatureAlgorithm, error) {
	id := si.SignatureAlgorithm
	for _, known := range signatureAlgorithms {
		if !known.oid.Equal(id.Algorithm) {
			continue
		}
		if known.hash != 0 && known.hash != digest {
			return signatureAlgorithm{}, digestMismatch(digest, known.scheme, known.hash)
		}
		a := signatureAlgorithm{scheme: known.scheme, hash: digest}
		switch {
		case known.scheme == RSASSAPSS:
			parameters, err := parsePSSParameters(id.Parameters)
			if err != nil {
				return signatureAlgorithm{}, err
			}
			// RFC 4056 section 3: the digest algorithm is that of the parameters.
			if parameters.hash != digest {
				return signatureAlgorithm{}, digestMismatch(digest, RSASSAPSS, parameters.hash)
			}
			a.saltLength = parameters.saltLength
		case id.Algorithm.Equal(oidECPublicKey): // may carry the curve, which the certificate says
		case !id.noParameters():
			return signatureAlgorithm{}, &UnsupportedError{What: "parameters of signature algorithm", Algorithm: id.Algorithm}
		}
		return a, nil
	}
	if isBroken(id.Algorithm) {
		return signatureAlgorithm{}, fmt.Errorf("%w: %s", ErrBrokenDigest, signingAlgorithmName(id.Algorithm))
	}
	return signatureAlgorithm{}, &UnsupportedError{What: "signature algorithm", Algorithm: id.Algorithm}
}

func digestMismatch(digest crypto.Hash, scheme SignatureScheme, hash crypto.Hash) error {
	return fmt.Errorf("%w: digest algorithm %s, but %v signature with %s", ErrDigestAlgorithm,
		DigestName(digest), scheme, DigestName(hash))
}

// identifier returns how the algorithm is named in a message.
func (a signatureAlgorithm) identifier() (AlgorithmIdentifier, error) {
	switch a.scheme {
	case RSASSAPKCS1v15:
		// RFC 3370 section 3.2: rsaEncryption is what every reader knows; the digest is named beside it.
		return AlgorithmIdentifier{Algorithm: oidRSAEncryption, Parameters: derNull}, nil
	case RSASSAPSS:
		parameters, err := pssParameters{hash: a.hash, saltLength: a.saltLength}.marshal()
		return AlgorithmIdentifier{Algorithm: oidRSASSAPSS, Parameters: parameters}, err
	}
	for _, known := range signatureAlgorithms {
		if known.scheme == a.scheme && known.hash == a.hash {
			return AlgorithmIdentifier{Algorithm: known.oid}, nil // RFC 5754 section 3.3: parameters absent
		}
	}
	return AlgorithmIdentifier{}, fmt.Errorf("%w: %v with %v", ErrDigestAlgorithm, a.scheme, a.hash)
}

// DefaultSignature returns the scheme and the digest algorithm that suit the key of a certificate: for RSA PKCS #1 v1.5,
// which every reader knows, or PSS where the certificate says that the key is for nothing else, with SHA-256 or what the
// certificate restricts the key to; for ECDSA the hash of the curve's strength (RFC 5480 section 4); for Ed25519 SHA-512
// (RFC 8419 section 2.3). A key that cannot sign is an *[UnsupportedError].
func DefaultSignature(c *x509.Certificate) (SignatureScheme, crypto.Hash, error) {
	key, err := publicKey(c)
	if err != nil {
		return 0, 0, err
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		return RSASSAPKCS1v15, crypto.SHA256, nil
	case pssKey:
		if key.parameters != nil {
			return RSASSAPSS, key.parameters.hash, nil
		}
		return RSASSAPSS, crypto.SHA256, nil
	case *ecdsa.PublicKey:
		switch curveName(key.Curve) {
		case "p256":
			return ECDSA, crypto.SHA256, nil
		case "p384":
			return ECDSA, crypto.SHA384, nil
		case "p521":
			return ECDSA, crypto.SHA512, nil
		}
		return 0, 0, &UnsupportedError{What: "elliptic curve " + key.Params().Name}
	case ed25519.PublicKey:
		return Ed25519, crypto.SHA512, nil
	}
	return 0, 0, &UnsupportedError{What: fmt.Sprintf("public key %T", key)}
}

// checkKey says why a key cannot be used with the algorithm, if it cannot.
func (a signatureAlgorithm) checkKey(key crypto.PublicKey) error {
	mismatch := func(name string) error {
		return fmt.Errorf("%w: %v signature, but %s key", ErrAlgorithmMismatch, a.scheme, name)
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if a.scheme != RSASSAPKCS1v15 && a.scheme != RSASSAPSS {
			return mismatch("RSA")
		}
		return checkRSASize(key)
	case pssKey:
		if a.scheme != RSASSAPSS {
			return mismatch("RSASSA-PSS")
		}
		if !key.allows(a) {
			return fmt.Errorf("%w: RSASSA-PSS parameters are not those of the key", ErrAlgorithmMismatch)
		}
		return checkRSASize(key.PublicKey)
	case *ecdsa.PublicKey:
		if a.scheme != ECDSA {
			return mismatch("ECDSA")
		}
		if curveName(key.Curve) == "" {
			return &UnsupportedError{What: "elliptic curve " + key.Params().Name}
		}
		return nil
	case ed25519.PublicKey:
		if a.scheme != Ed25519 {
			return mismatch("Ed25519")
		}
		return nil
	}
	return &UnsupportedError{What: fmt.Sprintf("public key %T", key)}
}

// verify checks a signature value.
func (a signatureAlgorithm) verify(key crypto.PublicKey, in signedInput, signature []byte) error {
	if err := a.checkKey(key); err != nil {
		return err
	}
	if restricted, ok := key.(pssKey); ok {
		key = restricted.PublicKey
	}
	ok := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		if a.scheme == RSASSAPSS {
			ok = rsa.VerifyPSS(key, a.hash, in.digest, signature, &rsa.PSSOptions{SaltLength: a.saltLength}) == nil
		} else {
			ok = rsa.VerifyPKCS1v15(key, a.hash, in.digest, signature) == nil
		}
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, in.digest, signature)
	case ed25519.PublicKey:
		message, err := in.message()
		if err != nil {
			return err
		}
		ok = ed25519.Verify(key, message, signature)
	}
	if !ok {
		return ErrSignature
	}
	return nil
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

// pssKey is an RSA key that is for RSASSA-PSS alone (RFC 4055 section 1.2).
type pssKey struct {
	*rsa.PublicKey
	parameters *pssParameters // nil: unrestricted
}

// allows checks the restrictions of RFC 4055 section 3.3.
func (k pssKey) allows(a signatureAlgorithm) bool {
	return k.parameters == nil || k.parameters.hash == a.hash && a.saltLength >= k.parameters.saltLength
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
	a, ok := ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE)
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
// "ed25519". The curve is known from the certificate only: without one, "ecdsa". An algorithm that is not implemented,
// but known, has a name such as "dsa-sha1"; another is "".
func SignatureName(si *SignerInfo, cert *x509.Certificate) string {
	for _, known := range signatureAlgorithms {
		if !known.oid.Equal(si.SignatureAlgorithm.Algorithm) {
			continue
		}
		if known.scheme == ECDSA && cert != nil {
			if key, ok := cert.PublicKey.(*ecdsa.PublicKey); ok && curveName(key.Curve) != "" {
				return "ecdsa-" + curveName(key.Curve)
			}
		}
		return known.scheme.String()
	}
	return signingAlgorithmName(si.SignatureAlgorithm.Algorithm)
}
