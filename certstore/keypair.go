package certstore

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// KeyPair is a private key with its certificate and that one's issuers.
type KeyPair struct {
	Key   crypto.PrivateKey   // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey or *ecdh.PrivateKey (X25519)
	Chain []*x509.Certificate // leaf first, as far up as known
	Label string              // what the file that they came from calls them, or empty
}

// maxChain bounds the issuers that are kept with a certificate.
const maxChain = 16

// publicKey returns the public half, or nil for a kind of key that is not known.
func publicKey(key crypto.PrivateKey) interface{ Equal(crypto.PublicKey) bool } {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return &k.PublicKey
	case *ecdsa.PrivateKey:
		return &k.PublicKey
	case ed25519.PrivateKey:
		if public, ok := k.Public().(ed25519.PublicKey); ok {
			return public
		}
	case *ecdh.PrivateKey:
		return k.PublicKey()
	}
	return nil
}

// KeyMatches reports whether the certificate is over this key, which is one of those that a [KeyPair] may have.
func KeyMatches(c *x509.Certificate, key crypto.PrivateKey) bool {
	public := publicKey(key)
	if public == nil {
		return false
	}
	if c.PublicKey != nil {
		return public.Equal(c.PublicKey)
	}
	// The standard library leaves PublicKey nil for X25519: compare the encoding.
	spki, err := x509.MarshalPKIXPublicKey(public)
	return err == nil && bytes.Equal(spki, c.RawSubjectPublicKeyInfo)
}

// orderChain returns the leaf and its issuers as far as pool has them. Each link is confirmed by its signature where
// that can be checked; two issuers of one name are told apart that way.
func orderChain(leaf *x509.Certificate, pool []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for current := leaf; !selfIssued(current) && len(chain) <= maxChain; {
		next := issuerIn(current, pool)
		if next == nil || slices.ContainsFunc(chain, next.Equal) {
			break
		}
		chain = append(chain, next)
		current = next
	}
	return chain
}

// IssuersIn returns the issuers of a certificate, the nearest first, as far as the bag has them.
func IssuersIn(bag []*x509.Certificate, leaf *x509.Certificate) []*x509.Certificate {
	return orderChain(leaf, bag)[1:]
}

func issuerIn(c *x509.Certificate, pool []*x509.Certificate) (issuer *x509.Certificate) {
	for _, candidate := range pool {
		if !bytes.Equal(candidate.RawSubject, c.RawIssuer) || isCostly(candidate) {
			continue
		}
		err := c.CheckSignatureFrom(candidate)
		if err == nil {
			return candidate
		}
		// Where the algorithm is too old or too new to be checked, the name must do.
		var insecure x509.InsecureAlgorithmError
		if issuer == nil && (errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm)) {
			issuer = candidate
		}
	}
	return issuer
}

// parseKeyDER reads a private key in any of its unencrypted forms.
func parseKeyDER(der []byte) (crypto.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	// Errors of parsers of secrets are not quoted: they might quote the secret.
	if isPKCS8(der) {
		return nil, unsupportedKey(der)
	}
	if curve := sec1Curve(der); algorithmNames[curve.String()] != "" {
		return nil, fmt.Errorf("%w: %s", ErrUnsupportedKey, algorithmName(curve))
	}
	return nil, fmt.Errorf("private key: %w", ErrMalformed)
}

// unsupportedKey says what a private key in PKCS#8 is, as far as it can be told without looking at the secret.
func unsupportedKey(der []byte) error {
	input := cryptobyte.String(der)
	var body cryptobyte.String
	var version int
	if !input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1Integer(&version) {
		return ErrUnsupportedKey
	}
	id := keyTypeIn(&body)
	if name, known := algorithmNames[id.String()]; known {
		return fmt.Errorf("%w: %s", ErrUnsupportedKey, name)
	}
	if id.Equal(oidPublicKeyEC) {
		return fmt.Errorf("%w: an elliptic curve that is given by its equation and not by its name", ErrUnsupportedKey)
	}
	return fmt.Errorf("%w: type %v, or damaged values", ErrUnsupportedKey, id)
}

// sec1Curve returns the curve that an ECPrivateKey names (RFC 5915 section 3), or nil.
func sec1Curve(der []byte) (curve asn1.ObjectIdentifier) {
	input := cryptobyte.String(der)
	var body, skipped, parameters cryptobyte.String
	if !input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1(&skipped, cryptobyteasn1.INTEGER) ||
		!body.ReadASN1(&skipped, cryptobyteasn1.OCTET_STRING) || !body.ReadASN1(&parameters, tagExplicit0) ||
		!parameters.ReadASN1ObjectIdentifier(&curve) {
		return nil
	}
	return curve
}

var oidPublicKeyEC = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}

// isPKCS8 reports whether der has the outline of a PrivateKeyInfo (RFC 5958).
func isPKCS8(der []byte) bool {
	input := cryptobyte.String(der)
	var body, algorithm, key cryptobyte.String
	var version int
	return input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) && body.ReadASN1Integer(&version) &&
		body.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) && body.ReadASN1(&key, cryptobyteasn1.OCTET_STRING)
}

// keyTypeIn reads the AlgorithmIdentifier of a key and returns what tells its kind: the curve, where one is named.
func keyTypeIn(in *cryptobyte.String) asn1.ObjectIdentifier {
	var a algorithm
	if !a.read(in) {
		return nil
	}
	var curve asn1.ObjectIdentifier
	if a.id.Equal(oidPublicKeyEC) && a.params.ReadASN1ObjectIdentifier(&curve) {
		return curve
	}
	return a.id
}
