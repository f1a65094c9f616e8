package certstore

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
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

// matchesKey reports whether the certificate is over this key.
func matchesKey(c *x509.Certificate, key crypto.PrivateKey) bool {
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

// What a DER file may hold.
const (
	derUnknown = iota
	derCertificate
	derKey
	derEncryptedKey
)

// derKind tells from the outermost elements what a structure is.
func derKind(der []byte) int {
	input := cryptobyte.String(der)
	var body, first cryptobyte.String
	var tag cryptobyteasn1.Tag
	if !input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadAnyASN1(&first, &tag) {
		return derUnknown
	}
	switch {
	case tag == cryptobyteasn1.INTEGER: // the version of PKCS#8, PKCS#1 and SEC 1
		return derKey
	case tag == cryptobyteasn1.SEQUENCE && body.PeekASN1Tag(cryptobyteasn1.SEQUENCE): // tbsCertificate, signatureAlgorithm
		return derCertificate
	case tag == cryptobyteasn1.SEQUENCE && body.PeekASN1Tag(cryptobyteasn1.OCTET_STRING): // EncryptedPrivateKeyInfo
		return derEncryptedKey
	}
	return derUnknown
}

// firstElement returns the first DER element of data, header and all, or nil.
func firstElement(data []byte) []byte {
	input := cryptobyte.String(data)
	var element cryptobyte.String
	var tag cryptobyteasn1.Tag
	if !input.ReadAnyASN1Element(&element, &tag) {
		return nil
	}
	return element
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
		return nil, fmt.Errorf("%w: PKCS#8 with an algorithm or curve that is not known, or with damaged values", ErrUnsupportedKey)
	}
	return nil, fmt.Errorf("private key: %w", ErrMalformed)
}

// isPKCS8 reports whether der has the outline of a PrivateKeyInfo (RFC 5958).
func isPKCS8(der []byte) bool {
	input := cryptobyte.String(der)
	var body, algorithm, key cryptobyte.String
	var version int
	return input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) && body.ReadASN1Integer(&version) &&
		body.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) && body.ReadASN1(&key, cryptobyteasn1.OCTET_STRING)
}
