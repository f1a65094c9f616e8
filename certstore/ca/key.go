package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore"
)

// KeyType is a kind of key that the authority makes. Its own are of the kinds P256, P384 and RSA3072.
type KeyType = certstore.KeyType

// The kinds of keys.
const (
	P256    = certstore.P256
	P384    = certstore.P384
	RSA2048 = certstore.RSA2048
	RSA3072 = certstore.RSA3072
	Ed25519 = certstore.Ed25519
)

// checkPublicKey refuses keys that are too weak, or that mail programs do not know (RFC 8550 section 4.3).
func checkPublicKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return fmt.Errorf("%w: RSA key of %d bits; 2048 to 8192 are allowed", ErrProfile, bits)
		}
		return checkRSA(key)
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("%w: keys of type %T are not certified", ErrProfile, key)
}

// fermatRounds is how many steps are tried to factor a modulus whose primes are close, as broken generators make them.
const fermatRounds = 100

// checkRSA refuses what the baseline refuses: odd exponents below 65537 are weak with broken padding, and even ones, small
// factors and close primes are those of keys that give their secret away.
func checkRSA(key *rsa.PublicKey) error {
	if key.E < 65537 || key.E%2 == 0 {
		return fmt.Errorf("%w: RSA key with exponent %d", ErrProfile, key.E)
	}
	if hasSmallFactor(key.N) {
		return fmt.Errorf("%w: RSA key whose modulus has a small factor", ErrProfile)
	}
	// Fermat: N is the difference of two squares, the first being just above it where the primes are close.
	one := big.NewInt(1)
	a := new(big.Int).Sqrt(key.N)
	square, rest, root := new(big.Int), new(big.Int), new(big.Int)
	for range fermatRounds {
		if square.Mul(a, a).Cmp(key.N) >= 0 {
			root.Sqrt(rest.Sub(square, key.N))
			if root.Mul(root, root).Cmp(rest) == 0 {
				return fmt.Errorf("%w: RSA key whose primes are close to each other", ErrProfile)
			}
		}
		a.Add(a, one)
	}
	return nil
}

// hasSmallFactor reports whether a prime below 752 divides n, or 2 does.
func hasSmallFactor(n *big.Int) bool {
	remainder := new(big.Int)
	for p := int64(2); p < 752; p++ {
		if remainder.Mod(n, big.NewInt(p)).Sign() == 0 {
			return true
		}
	}
	return false
}

// subjectKeyID is method 1 of RFC 7093: the leftmost 160 bits of the SHA-256 of the key.
func subjectKeyID(key crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	bits, err := publicKeyBits(spki)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(bits)
	return sum[:20], nil
}

// publicKeyBits returns the subjectPublicKey in a SubjectPublicKeyInfo, which is what key identifiers are made of.
func publicKeyBits(spki []byte) ([]byte, error) {
	input := cryptobyte.String(spki)
	var body, algorithm cryptobyte.String
	var bits asn1.BitString
	if !input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) || !body.ReadASN1BitString(&bits) {
		return nil, fmt.Errorf("%w: key", ErrProfile)
	}
	return bits.Bytes, nil
}

// newSerial returns 128 random bits: RFC 5280 section 4.1.2.2 wants a positive number of at most 20 octets, and nobody
// should be able to guess the next.
func newSerial() *big.Int {
	for {
		raw := make([]byte, 16)
		_, _ = rand.Read(raw) // does not fail
		if serial := new(big.Int).SetBytes(raw); serial.BitLen() > 64 {
			return serial
		}
	}
}
