package certstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
)

// KeyType is a kind of key that is made here.
type KeyType string

// The kinds of keys.
const (
	P256    KeyType = "p256"
	P384    KeyType = "p384"
	RSA2048 KeyType = "rsa2048"
	RSA3072 KeyType = "rsa3072"
	Ed25519 KeyType = "ed25519"
)

// ParseKeyType returns the kind of this name. The error wraps [ErrUnsupportedKey].
func ParseKeyType(name string) (KeyType, error) {
	if t := KeyType(name); slices.Contains([]KeyType{P256, P384, RSA2048, RSA3072, Ed25519}, t) {
		return t, nil
	}
	return "", fmt.Errorf("%w: %q is not one of p256, p384, rsa2048, rsa3072, ed25519", ErrUnsupportedKey, name)
}

// Generate makes a key.
func (t KeyType) Generate() (crypto.Signer, error) {
	switch t {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("%w: %q", ErrUnsupportedKey, string(t))
}

// KeyTypeOf returns the kind of key that comes nearest to a certificate's: the one to make when it is renewed.
func KeyTypeOf(c *x509.Certificate) KeyType {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() > 2048 {
			return RSA3072
		}
		return RSA2048
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return P384
		}
	case ed25519.PublicKey:
		return Ed25519
	}
	return P256
}

// MailUse is what a certificate for mail is for.
type MailUse string

// The uses, by their names on the command line.
const (
	ForMail       MailUse = "mail"    // signing and encryption with one key
	ForSigning    MailUse = "sign"    // signing only
	ForEncryption MailUse = "encrypt" // encryption only
)

// ParseMailUse returns the use of this name.
func ParseMailUse(name string) (MailUse, error) {
	if u := MailUse(name); slices.Contains([]MailUse{ForMail, ForSigning, ForEncryption}, u) {
		return u, nil
	}
	return "", fmt.Errorf("purpose %q is not one of mail, sign, encrypt", name)
}

// MailUseOf returns what a certificate for mail is for.
func MailUseOf(c *x509.Certificate) MailUse {
	switch {
	case !AllowsUse(c, SignMail):
		return ForEncryption
	case !AllowsUse(c, EncryptMail):
		return ForSigning
	}
	return ForMail
}

// KeyUsage returns the key usage of a certificate for this use of a key (RFC 8550 section 4.4.2; RFC 8813 section 3 for EC
// keys, which never get keyEncipherment; RFC 8410 section 5). The error wraps [ErrUnsupportedKey] where the key cannot be
// used so.
func (u MailUse) KeyUsage(public crypto.PublicKey) (x509.KeyUsage, error) {
	encryption := x509.KeyUsageKeyEncipherment
	switch public.(type) {
	case *ecdsa.PublicKey:
		encryption = x509.KeyUsageKeyAgreement
	case ed25519.PublicKey:
		if u != ForSigning {
			return 0, fmt.Errorf("%w: nothing can be encrypted to an Ed25519 key; use it for purpose sign", ErrUnsupportedKey)
		}
	}
	switch u {
	case ForSigning:
		return x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, nil
	case ForEncryption:
		return encryption, nil
	}
	return x509.KeyUsageDigitalSignature | encryption, nil
}
