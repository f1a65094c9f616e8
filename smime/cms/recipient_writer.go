package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// KeyManagement is a way to hand the content-encryption key to a recipient. The zero value is none: a caller says what
// it wants, for example by [DefaultKeyManagement].
type KeyManagement int

// The ways that messages are written with. The key wrap of a key agreement is AES with a key of the same size as the
// content's (RFC 8551 section 2.3).
const (
	RSAPKCS1v15   KeyManagement = iota + 1 // RSA, PKCS #1 v1.5 (RFC 3370 section 4.2.1)
	ECDHStdSHA256                          // ephemeral-static ECDH, dhSinglePass-stdDH-sha256kdf-scheme (RFC 5753)
	ECDHStdSHA384                          // the same with SHA-384
	ECDHStdSHA512                          // the same with SHA-512
)

// String returns a name such as "rsa-pkcs1v15" or "ecdh-sha256kdf".
func (m KeyManagement) String() string {
	switch m {
	case RSAPKCS1v15:
		return "rsa-pkcs1v15"
	case ECDHStdSHA256:
		return "ecdh-sha256kdf"
	case ECDHStdSHA384:
		return "ecdh-sha384kdf"
	case ECDHStdSHA512:
		return "ecdh-sha512kdf"
	}
	return "unknown"
}

// agreement returns scheme and hash of a key agreement; nil for another way.
func (m KeyManagement) agreement() (scheme asn1.ObjectIdentifier, hash crypto.Hash) {
	switch m {
	case ECDHStdSHA256:
		return oidStdDHSHA256KDF, crypto.SHA256
	case ECDHStdSHA384:
		return oidStdDHSHA384KDF, crypto.SHA384
	case ECDHStdSHA512:
		return oidStdDHSHA512KDF, crypto.SHA512
	}
	return nil, 0
}

// DefaultKeyManagement returns the way that suits the certificate's key: RSA, or ECDH with the hash that has the
// strength of the curve. A key that cannot be encrypted to is an *[UnsupportedError].
func DefaultKeyManagement(c *x509.Certificate) (KeyManagement, error) {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if err := checkRSAKey(key); err != nil {
			return 0, err
		}
		return RSAPKCS1v15, nil
	case *ecdsa.PublicKey:
		public, err := agreementKey(key)
		if err != nil {
			return 0, err
		}
		switch public.Curve() {
		case ecdh.P384():
			return ECDHStdSHA384, nil
		case ecdh.P521():
			return ECDHStdSHA512, nil
		}
		return ECDHStdSHA256, nil
	}
	return 0, &UnsupportedError{What: "encryption to a key of kind " + keyKind(c)}
}

// keyKind names the algorithm of the certificate's key.
func keyKind(c *x509.Certificate) string {
	if c.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
		return "unknown"
	}
	return c.PublicKeyAlgorithm.String()
}

// agreementKey returns the key for ECDH. Go has it for the curves that S/MIME uses: P-256, P-384 and P-521.
func agreementKey(key *ecdsa.PublicKey) (*ecdh.PublicKey, error) {
	public, err := key.ECDH()
	if err != nil {
		return nil, &UnsupportedError{What: "encryption to a key on curve " + key.Params().Name}
	}
	return public, nil
}

// Recipient is who shall be able to decrypt a message. Whether the certificate is valid, trusted and meant for
// encryption is for the caller to have found out.
type Recipient struct {
	Certificate   *x509.Certificate
	ID            IdentifierForm // how the message names the certificate
	KeyManagement KeyManagement  // must be stated
}

// marshalRecipientInfos returns the DER of RecipientInfos. plain says that all of them have version 0, which the
// version of the message depends on.
func marshalRecipientInfos(recipients []Recipient, cek []byte) (der []byte, plain bool, err error) {
	if len(recipients) == 0 {
		return nil, false, errors.New("no recipient is stated")
	}
	plain = true
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		for i, r := range recipients {
			if err = r.add(b, cek); err != nil {
				err = fmt.Errorf("recipient %d: %w", i+1, err)
				return
			}
			plain = plain && r.KeyManagement == RSAPKCS1v15 && r.ID == IssuerAndSerialNumber
		}
	})
	if err != nil {
		return nil, false, err
	}
	der, err = b.Bytes()
	return der, plain, err
}

// add appends the RecipientInfo.
func (r Recipient) add(b *cryptobyte.Builder, cek []byte) error {
	if r.Certificate == nil {
		return errors.New("no certificate")
	}
	rid, err := NewCertificateIdentifier(r.Certificate, r.ID)
	if err != nil {
		return err
	}
	switch r.KeyManagement {
	case RSAPKCS1v15:
		key, ok := r.Certificate.PublicKey.(*rsa.PublicKey)
		if !ok {
			return r.mismatch()
		}
		if err := checkRSAKey(key); err != nil {
			return err
		}
		return addKeyTransRecipientInfo(b, rid, key, cek)
	case ECDHStdSHA256, ECDHStdSHA384, ECDHStdSHA512:
		key, ok := r.Certificate.PublicKey.(*ecdsa.PublicKey)
		if !ok {
			return r.mismatch()
		}
		public, err := agreementKey(key)
		if err != nil {
			return err
		}
		return addKeyAgreeRecipientInfo(b, rid, public, r.KeyManagement, cek)
	}
	return errors.New("no key management is stated")
}

func (r Recipient) mismatch() error {
	return fmt.Errorf("key management %v does not fit a key of kind %s", r.KeyManagement, keyKind(r.Certificate))
}
