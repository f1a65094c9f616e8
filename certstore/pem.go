package certstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Reasons why a file of certificates or keys cannot be used.
var (
	// ErrNoCertificate says that a file holds no certificate.
	ErrNoCertificate = errors.New("no certificate found")
	// ErrNoKey says that a file holds no private key.
	ErrNoKey = errors.New("no private key found")
	// ErrEncryptedKey says that a private key is encrypted, and that there is no password to open it.
	ErrEncryptedKey = errors.New("private key is encrypted, and no password is given")
	// ErrUnsupportedKey says that a private key is of a kind that is not supported.
	ErrUnsupportedKey = errors.New("unsupported kind of private key")
	// ErrUnsupportedCertificate says that a certificate is broken, or of a kind that is not supported.
	ErrUnsupportedCertificate = errors.New("certificate cannot be used")
	// ErrMalformed says that a file is not what it claims to be.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge says that a file is larger, or holds more, than anybody's certificates would.
	ErrTooLarge = errors.New("too large")
)

// PEM block types (RFC 7468, and what programs used before).
const (
	pemCertificate  = "CERTIFICATE"
	pemPrivateKey   = "PRIVATE KEY"           // PKCS#8
	pemRSAKey       = "RSA PRIVATE KEY"       // PKCS#1
	pemECKey        = "EC PRIVATE KEY"        // SEC 1
	pemEncryptedKey = "ENCRYPTED PRIVATE KEY" // PKCS#8
)

// ParseCertificates reads all certificates from PEM, with any text between the blocks, from DER, one behind the other, or
// from PKCS#7. Keys and other things are passed over. A certificate that cannot be parsed is an error that says which.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	bundle, err := ParsePEM(data)
	if err == nil && len(bundle.Certificates) == 0 {
		err = ErrNoCertificate
	}
	if err != nil {
		return nil, err
	}
	return bundle.Certificates, nil
}

// ParsePrivateKey reads the first private key from PEM or DER: PKCS#8, PKCS#1 or SEC 1. The result is a
// *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey or *ecdh.PrivateKey (X25519).
func ParsePrivateKey(data []byte) (crypto.PrivateKey, error) {
	bundle, err := ParsePEM(data)
	if err != nil {
		return nil, err
	}
	if len(bundle.Keys) == 0 {
		return nil, ErrNoKey
	}
	return bundle.Keys[0], nil
}

// ParsePEM is [ReadFile] for a file without a password, all of which must be understood: the first oddity is an error.
func ParsePEM(data []byte) (Bundle, error) {
	bundle, err := readFile(data, nil, maxIterations)
	if err == nil && len(bundle.Oddities) > 0 {
		err = bundle.Oddities[0]
	}
	if err != nil {
		return Bundle{}, err
	}
	return bundle, nil
}

// EncodeCertificates returns the certificates as PEM, in the order given.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw}))
	}
	return out.Bytes()
}

// EncodePrivateKey returns the key as PEM of an unencrypted PKCS#8 structure.
func EncodePrivateKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %T", ErrUnsupportedKey, key)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: der}), nil
}
