package certstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Bounds on files of certificates and keys.
const (
	maxFileSize     = 16 << 20
	maxCertificates = 4096
	maxKeys         = 64
)

// Reasons why a file of certificates or keys cannot be used.
var (
	// ErrNoCertificate says that a file holds no certificate in PEM or DER.
	ErrNoCertificate = errors.New("no certificate found")
	// ErrNoKey says that a file holds no private key in PEM or DER.
	ErrNoKey = errors.New("no private key found")
	// ErrEncryptedKey says that a private key is encrypted with a password, which only PKCS#12 files may be here.
	ErrEncryptedKey = errors.New("private key is encrypted; put it into a PKCS#12 file")
	// ErrUnsupportedKey says that a private key is of a kind that is not supported.
	ErrUnsupportedKey = errors.New("unsupported kind of private key")
	// ErrMalformed says that a file is not what it claims to be.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge says that a file is larger, or holds more, than anybody's certificates would.
	ErrTooLarge = errors.New("too large")
)

// PEM block types.
const (
	pemCertificate  = "CERTIFICATE"
	pemPrivateKey   = "PRIVATE KEY"           // PKCS#8
	pemRSAKey       = "RSA PRIVATE KEY"       // PKCS#1
	pemECKey        = "EC PRIVATE KEY"        // SEC 1
	pemEncryptedKey = "ENCRYPTED PRIVATE KEY" // PKCS#8
)

// ParseCertificates reads all certificates from PEM, with any text between the blocks, or from DER, one behind the
// other. Blocks of other types are passed over. A certificate that cannot be parsed is an error that says which.
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

// Bundle is what a file of certificates and keys held, in its order.
type Bundle struct {
	Certificates []*x509.Certificate
	Keys         []crypto.PrivateKey
}

// KeyPairs joins each key with its certificate and that one's issuers as far as the bundle has them. A key with several
// certificates makes as many pairs. Keys without a certificate are left out; rest holds the certificates that belong
// to no key's chain.
func (b Bundle) KeyPairs() (pairs []KeyPair, rest []*x509.Certificate) {
	used, leaves := make(map[string]bool), make(map[string]bool)
	for _, key := range b.Keys {
		for _, c := range b.Certificates {
			if leaves[string(c.Raw)] || !matchesKey(c, key) {
				continue
			}
			leaves[string(c.Raw)] = true
			chain := orderChain(c, b.Certificates)
			for _, link := range chain {
				used[string(link.Raw)] = true
			}
			pairs = append(pairs, KeyPair{Key: key, Chain: chain})
		}
	}
	for _, c := range b.Certificates {
		if !used[string(c.Raw)] {
			rest = append(rest, c)
		}
	}
	return pairs, rest
}

// ParsePEM reads all certificates and private keys from PEM in any mix, or from DER one behind the other.
func ParsePEM(data []byte) (Bundle, error) {
	if len(data) > maxFileSize {
		return Bundle{}, fmt.Errorf("certificates: %w: %d octets", ErrTooLarge, len(data))
	}
	var bundle Bundle
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return bundle, bundle.addDER(data)
	}
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return bundle, nil
		}
		if err := bundle.addBlock(block); err != nil {
			return Bundle{}, err
		}
	}
}

func (b *Bundle) addBlock(block *pem.Block) error {
	switch block.Type {
	case pemCertificate, "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		der := block.Bytes
		if block.Type == "TRUSTED CERTIFICATE" { // OpenSSL puts its trust settings behind the certificate
			der = firstElement(der)
		}
		return b.addCertificate(der)
	case pemPrivateKey, pemRSAKey, pemECKey:
		if block.Headers["DEK-Info"] != "" { // RFC 1421's encryption, from before PKCS#8
			return ErrEncryptedKey
		}
		return b.addKey(block.Bytes)
	case pemEncryptedKey:
		return ErrEncryptedKey
	}
	return nil
}

func (b *Bundle) addCertificate(der []byte) error {
	if len(b.Certificates) == maxCertificates {
		return fmt.Errorf("certificates: %w: more than %d", ErrTooLarge, maxCertificates)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("certificate %d: %w: %s", len(b.Certificates)+1, ErrMalformed, reasonOf(err))
	}
	b.Certificates = append(b.Certificates, c)
	return nil
}

func (b *Bundle) addKey(der []byte) error {
	if len(b.Keys) == maxKeys {
		return fmt.Errorf("private keys: %w: more than %d", ErrTooLarge, maxKeys)
	}
	key, err := parseKeyDER(der)
	if err != nil {
		return err
	}
	b.Keys = append(b.Keys, key)
	return nil
}

// addDER takes elements one behind the other: certificates, or one private key.
func (b *Bundle) addDER(data []byte) error {
	for rest := data; len(rest) > 0; {
		der := firstElement(rest)
		if der == nil {
			if len(b.Certificates)+len(b.Keys) == 0 {
				return fmt.Errorf("%w: neither PEM nor DER", ErrMalformed)
			}
			return fmt.Errorf("%w: octets behind the last certificate", ErrMalformed)
		}
		switch kind := derKind(der); kind {
		case derCertificate:
			if err := b.addCertificate(der); err != nil {
				return err
			}
		case derEncryptedKey:
			return ErrEncryptedKey
		case derKey:
			if err := b.addKey(der); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: neither a certificate nor a private key", ErrMalformed)
		}
		rest = rest[len(der):]
	}
	return nil
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
