package certpath

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
)

// ErrSignature is a signature that was not made by that key over those octets.
var ErrSignature = errors.New("the signature does not verify")

// UnsupportedError is an algorithm or key that nothing here can check. What is a clause such as "the signature algorithm
// DSA with SHA-1".
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return e.What + " is not supported" }

// WeakError is an algorithm or key that the policy does not allow, or that nobody should.
type WeakError struct{ What string }

func (e *WeakError) Error() string { return e.What + " is too weak" }

// AlgorithmPolicy says which signatures count. The zero value allows SHA-2, and RSA keys of 2048 bits or more.
type AlgorithmPolicy struct {
	AllowSHA1 bool
	// MinRSABits is the length of the shortest RSA key; 0 means 2048. Under 1024 none is taken.
	MinRSABits int
}

// MaxRSABits is the length of the longest RSA key that signatures are checked with. One check costs as the square of the
// length, and a message may bring along a key of a million bits: minutes, and hours for a longer one. crypto/tls has this
// bound.
const MaxRSABits = 8192

type signatureScheme uint8

const (
	schemePKCS1v15 signatureScheme = iota + 1
	schemePSS
	schemeECDSA
	schemeEd25519
)

// signatureAlgorithm is what an identifier says.
type signatureAlgorithm struct {
	scheme signatureScheme // 0: not supported
	hash   crypto.Hash
	name   string
}

// signatureAlgorithms are those of RFC 3279 section 2.2, RFC 4055 section 5, RFC 5758 section 3 and RFC 8410 section 3,
// and those that are named only to refuse them.
var signatureAlgorithms = map[OID]signatureAlgorithm{
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05": {schemePKCS1v15, crypto.SHA1, "RSA with SHA-1"},
	"\x2b\x0e\x03\x02\x1d":                 {schemePKCS1v15, crypto.SHA1, "RSA with SHA-1"}, // 1.3.14.3.2.29
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b": {schemePKCS1v15, crypto.SHA256, "RSA with SHA-256"},
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c": {schemePKCS1v15, crypto.SHA384, "RSA with SHA-384"},
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d": {schemePKCS1v15, crypto.SHA512, "RSA with SHA-512"},
	oidRSAPSS:                              {schemePSS, 0, "RSASSA-PSS"},
	"\x2a\x86\x48\xce\x3d\x04\x01":         {schemeECDSA, crypto.SHA1, "ECDSA with SHA-1"},
	"\x2a\x86\x48\xce\x3d\x04\x03\x02":     {schemeECDSA, crypto.SHA256, "ECDSA with SHA-256"},
	"\x2a\x86\x48\xce\x3d\x04\x03\x03":     {schemeECDSA, crypto.SHA384, "ECDSA with SHA-384"},
	"\x2a\x86\x48\xce\x3d\x04\x03\x04":     {schemeECDSA, crypto.SHA512, "ECDSA with SHA-512"},
	oidEd25519:                             {schemeEd25519, 0, "Ed25519"},

	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02": {name: "RSA with MD2"},
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04": {name: "RSA with MD5"},
	"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e": {name: "RSA with SHA-224"},
	"\x2b\x24\x03\x03\x01\x02":             {name: "RSA with RIPEMD-160"}, // 1.3.36.3.3.1.2
	"\x2a\x86\x48\xce\x3d\x04\x03\x01":     {name: "ECDSA with SHA-224"},
	"\x2a\x86\x48\xce\x38\x04\x03":         {name: "DSA with SHA-1"},
	"\x60\x86\x48\x01\x65\x03\x04\x03\x01": {name: "DSA with SHA-224"},
	"\x60\x86\x48\x01\x65\x03\x04\x03\x02": {name: "DSA with SHA-256"},
	oidEd448:                               {name: "Ed448"},
}

// String names the algorithm of a signature, such as "RSA with SHA-256"; one that is not known by its identifier.
func (a AlgorithmIdentifier) String() string {
	if known, ok := signatureAlgorithms[a.Algorithm]; ok {
		return known.name
	}
	return a.Algorithm.String()
}

// CheckSignature checks a signature over octets that the key of c is said to have made, such as that of a certificate,
// a CRL or an OCSP response. The errors are ErrSignature, *[UnsupportedError] and *[WeakError].
func (c *Certificate) CheckSignature(algorithm AlgorithmIdentifier, signed, signature []byte, policy AlgorithmPolicy) error {
	return c.key().check(algorithm, signed, signature, policy)
}

// key returns the certificate's key as the working public key (RFC 5280 section 6.1.2 (h) to (j)).
func (c *Certificate) key() workingKey {
	return workingKey{public: c.PublicKey, algorithm: c.PublicKeyAlgorithm, name: c.KeyName}
}

// workingKey is working_public_key, working_public_key_algorithm and working_public_key_parameters in one.
type workingKey struct {
	public    crypto.PublicKey
	algorithm AlgorithmIdentifier
	name      func() string
}

func (k workingKey) check(algorithm AlgorithmIdentifier, signed, signature []byte, policy AlgorithmPolicy) error {
	known, ok := signatureAlgorithms[algorithm.Algorithm]
	if !ok || known.scheme == 0 {
		return &UnsupportedError{"the signature algorithm " + algorithm.String()}
	}
	mismatch := func() error {
		return fmt.Errorf("%w: it is %s, and the key is %s", ErrSignature, known.name, k.name())
	}
	switch key := k.public.(type) {
	case *rsa.PublicKey:
		if known.scheme != schemePKCS1v15 && known.scheme != schemePSS {
			return mismatch()
		}
		return k.checkRSA(key, known, algorithm, signed, signature, policy)
	case *ecdsa.PublicKey:
		if known.scheme != schemeECDSA {
			return mismatch()
		}
		if !supportedCurve(key.Curve) || !algorithm.noParameters() { // RFC 5758 section 3.2
			return &UnsupportedError{k.name() + " with these parameters"}
		}
		digest, err := digestOf(known.hash, signed, policy)
		if err != nil {
			return err
		}
		if !ecdsa.VerifyASN1(key, digest, signature) {
			return ErrSignature
		}
		return nil
	case ed25519.PublicKey:
		if known.scheme != schemeEd25519 || algorithm.Parameters != nil { // RFC 8410 section 3
			return mismatch()
		}
		if !ed25519.Verify(key, signed, signature) {
			return ErrSignature
		}
		return nil
	}
	return &UnsupportedError{"a signature by " + k.name()}
}

func (k workingKey) checkRSA(key *rsa.PublicKey, known signatureAlgorithm, algorithm AlgorithmIdentifier, signed, signature []byte, policy AlgorithmPolicy) error {
	minimum := policy.MinRSABits
	if minimum == 0 {
		minimum = 2048
	}
	switch bits := key.N.BitLen(); {
	case bits < max(minimum, 1024):
		return &WeakError{fmt.Sprintf("an RSA key of %d bits", bits)}
	case bits > MaxRSABits:
		return &UnsupportedError{fmt.Sprintf("an RSA key of %d bits", bits)}
	}
	if known.scheme == schemePSS {
		pss, err := parsePSS(algorithm.Parameters)
		if err != nil {
			return err
		}
		if err := k.allowsPSS(pss); err != nil {
			return err
		}
		digest, err := digestOf(pss.hash, signed, policy)
		if err != nil {
			return err
		}
		if rsa.VerifyPSS(key, pss.hash, digest, signature, &rsa.PSSOptions{SaltLength: pss.salt}) != nil {
			return ErrSignature
		}
		return nil
	}
	// RFC 4055 section 1.2: a key under id-RSASSA-PSS is for nothing else.
	if k.algorithm.Algorithm == oidRSAPSS {
		return fmt.Errorf("%w: it is %s, and the key is for RSASSA-PSS alone", ErrSignature, known.name)
	}
	if !algorithm.noParameters() {
		return &UnsupportedError{known.name + " with parameters"}
	}
	digest, err := digestOf(known.hash, signed, policy)
	if err != nil {
		return err
	}
	if rsa.VerifyPKCS1v15(key, known.hash, digest, signature) != nil {
		return ErrSignature
	}
	return nil
}

func digestOf(hash crypto.Hash, signed []byte, policy AlgorithmPolicy) ([]byte, error) {
	if hash == crypto.SHA1 && !policy.AllowSHA1 {
		return nil, &WeakError{"SHA-1"}
	}
	if !hash.Available() {
		return nil, &UnsupportedError{hash.String()}
	}
	h := hash.New()
	h.Write(signed)
	return h.Sum(nil), nil
}

// pssParameters is RSASSA-PSS-params (RFC 4055 section 3.1), with one hash for the message and for the mask.
type pssParameters struct {
	hash crypto.Hash
	salt int
}

// allowsPSS checks the restrictions of the key itself, where it is one for RSASSA-PSS (RFC 4055 section 3.3).
func (k workingKey) allowsPSS(pss pssParameters) error {
	if k.algorithm.Algorithm != oidRSAPSS || k.algorithm.Parameters == nil {
		return nil
	}
	restriction, err := parsePSS(k.algorithm.Parameters)
	if err != nil {
		return err
	}
	if restriction.hash != pss.hash || pss.salt < restriction.salt {
		return fmt.Errorf("%w: the parameters of RSASSA-PSS are not those of the key", ErrSignature)
	}
	return nil
}

// parsePSS reads parameters with SHA-2, which have no field but the last at its default.
func parsePSS(der []byte) (pssParameters, error) {
	type identifier struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	var parameters struct {
		Hash    identifier `asn1:"explicit,tag:0"`
		Mask    identifier `asn1:"explicit,tag:1"`
		Salt    int        `asn1:"explicit,tag:2"`
		Trailer int        `asn1:"optional,explicit,tag:3,default:1"`
	}
	unsupported := &UnsupportedError{"RSASSA-PSS with these parameters"}
	if rest, err := asn1.Unmarshal(der, &parameters); err != nil || len(rest) > 0 || parameters.Trailer != 1 {
		return pssParameters{}, unsupported
	}
	// RFC 4055 section 3.1: the mask generation function is MGF1, and its hash should be the same.
	var maskHash identifier
	if rest, err := asn1.Unmarshal(parameters.Mask.Parameters.FullBytes, &maskHash); err != nil || len(rest) > 0 ||
		!parameters.Mask.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}) ||
		!maskHash.Algorithm.Equal(parameters.Hash.Algorithm) {
		return pssParameters{}, unsupported
	}
	for _, raw := range [][]byte{parameters.Hash.Parameters.FullBytes, maskHash.Parameters.FullBytes} {
		if len(raw) > 0 && !(AlgorithmIdentifier{Parameters: raw}).noParameters() {
			return pssParameters{}, unsupported
		}
	}
	// A salt of no octets is what crypto/rsa takes for one of any length.
	if parameters.Salt <= 0 || parameters.Salt > MaxRSABits/8 {
		return pssParameters{}, unsupported
	}
	for arc, hash := range map[int]crypto.Hash{1: crypto.SHA256, 2: crypto.SHA384, 3: crypto.SHA512} {
		if parameters.Hash.Algorithm.Equal(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, arc}) {
			return pssParameters{hash: hash, salt: parameters.Salt}, nil
		}
	}
	return pssParameters{}, unsupported
}
