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
	RSAPKCS1v15    KeyManagement = iota + 1 // RSA, PKCS #1 v1.5 (RFC 3370 section 4.2.1)
	RSAOAEPSHA256                           // RSA, OAEP with SHA-256 throughout and no label (RFC 3560)
	RSAOAEPSHA384                           // the same with SHA-384
	RSAOAEPSHA512                           // the same with SHA-512
	ECDHStdSHA256                           // ephemeral-static ECDH with the key derivation of ANSI X9.63 (RFC 5753, RFC 8418 section 2.1)
	ECDHStdSHA384                           // the same with SHA-384
	ECDHStdSHA512                           // the same with SHA-512
	ECDHHKDFSHA256                          // ephemeral-static ECDH with HKDF (RFC 8418 section 2.2)
	ECDHHKDFSHA384                          // the same with SHA-384
	ECDHHKDFSHA512                          // the same with SHA-512
	AESKeyWrap                              // AES key wrap under a key-encryption key that both sides have (RFC 3565 section 2.3)
	PasswordPBKDF2                          // a password, by PBKDF2 with HMAC-SHA-256 and AES-256 (RFC 5652 section 6.2.4, RFC 3211)
)

// keyManagements is in the order of the constants.
var keyManagements = [...]struct {
	name   string
	oaep   crypto.Hash           // of a key transport with OAEP
	scheme asn1.ObjectIdentifier // of a key agreement
}{
	{"rsa-pkcs1v15", 0, nil},
	{"rsa-oaep-sha256", crypto.SHA256, nil},
	{"rsa-oaep-sha384", crypto.SHA384, nil},
	{"rsa-oaep-sha512", crypto.SHA512, nil},
	{"ecdh-sha256kdf", 0, oidStdDHSHA256KDF},
	{"ecdh-sha384kdf", 0, oidStdDHSHA384KDF},
	{"ecdh-sha512kdf", 0, oidStdDHSHA512KDF},
	{"ecdh-hkdf-sha256", 0, oidStdDHHKDFSHA256},
	{"ecdh-hkdf-sha384", 0, oidStdDHHKDFSHA384},
	{"ecdh-hkdf-sha512", 0, oidStdDHHKDFSHA512},
	{"aes-key-wrap", 0, nil},
	{"pwri-kek", 0, nil},
}

func (m KeyManagement) valid() bool { return m >= RSAPKCS1v15 && m <= PasswordPBKDF2 }

func (m KeyManagement) isKeyTransport() bool { return m >= RSAPKCS1v15 && m <= RSAOAEPSHA512 }

// String returns a name such as "rsa-pkcs1v15" or "ecdh-sha256kdf".
func (m KeyManagement) String() string {
	if !m.valid() {
		return "unknown"
	}
	return keyManagements[m-1].name
}

// DefaultKeyManagement returns the way that suits the certificate's key and that its owner's program is to know, by RFC
// 8551 section 2.3: RSA with PKCS #1 v1.5; ECDH with the hash that has the strength of the curve; X25519 with HKDF. See
// [ChooseKeyManagement] where more is known of the recipient. A key that cannot be encrypted to is an
// *[UnsupportedError].
func DefaultKeyManagement(c *x509.Certificate) (KeyManagement, error) {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok {
		if err := checkRSAKey(key); err != nil {
			return 0, err
		}
		return RSAPKCS1v15, nil
	}
	public, err := agreementKey(c)
	if err != nil {
		return 0, err
	}
	switch public.Curve() {
	case ecdh.X25519():
		return ECDHHKDFSHA256, nil
	case ecdh.P384():
		return ECDHStdSHA384, nil
	case ecdh.P521():
		return ECDHStdSHA512, nil
	}
	return ECDHStdSHA256, nil
}

// keyKind names the algorithm of the certificate's key.
func keyKind(c *x509.Certificate) string {
	if c.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
		if _, err := agreementKey(c); err == nil {
			return "X25519"
		}
		return "unknown"
	}
	return c.PublicKeyAlgorithm.String()
}

// agreementKey returns the certificate's key for ECDH. Go has it for the curves that S/MIME uses: P-256, P-384, P-521 and
// X25519.
func agreementKey(c *x509.Certificate) (*ecdh.PublicKey, error) {
	if key, ok := c.PublicKey.(*ecdsa.PublicKey); ok {
		public, err := key.ECDH()
		if err != nil {
			return nil, &UnsupportedError{What: "encryption to a key on curve " + key.Params().Name}
		}
		return public, nil
	}
	if c.PublicKey == nil { // so crypto/x509 leaves X25519
		key, _ := x509.ParsePKIXPublicKey(c.RawSubjectPublicKeyInfo) // nil where it is no key at all
		if public, ok := key.(*ecdh.PublicKey); ok {
			return public, nil
		}
	}
	kind := "unknown"
	if c.PublicKeyAlgorithm != x509.UnknownPublicKeyAlgorithm {
		kind = c.PublicKeyAlgorithm.String()
	}
	return nil, &UnsupportedError{What: "encryption to a key of kind " + kind}
}

// Recipient is who shall be able to decrypt a message: the owner of a certificate, or whoever has a key-encryption key.
// Whether the certificate is valid, trusted and meant for encryption is for the caller to have found out.
type Recipient struct {
	Certificate   *x509.Certificate
	ID            IdentifierForm // how the message names the certificate
	KeyManagement KeyManagement  // must be stated

	// With AESKeyWrap, and only then, there is no certificate, but:

	KeyIdentifier    []byte // names the key-encryption key to those who have it
	KeyEncryptionKey []byte // 16, 24 or 32 octets

	// With PasswordPBKDF2, and only then, there is no certificate either, but:

	Password   []byte // not empty; its octets are taken as they are
	Iterations int    // of PBKDF2, [MinPasswordIterations] at least; 0 means that many
}

// marshalRecipientInfos returns the DER of RecipientInfos and the version that an EnvelopedData with them has (RFC 5652
// section 6.1).
func marshalRecipientInfos(recipients []Recipient, cek []byte) (der []byte, version int64, err error) {
	if len(recipients) == 0 {
		return nil, 0, errors.New("no recipient is stated")
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		for i, r := range recipients {
			if err = r.add(b, cek); err != nil {
				err = fmt.Errorf("recipient %d: %w", i+1, err)
				return
			}
			switch {
			case r.KeyManagement == PasswordPBKDF2:
				version = 3
			case !r.KeyManagement.isKeyTransport() || r.ID != IssuerAndSerialNumber:
				version = max(version, 2)
			}
		}
	})
	if err != nil {
		return nil, 0, err
	}
	der, err = b.Bytes()
	return der, version, err
}

// add appends the RecipientInfo.
func (r Recipient) add(b *cryptobyte.Builder, cek []byte) error {
	if !r.KeyManagement.valid() {
		return errors.New("no key management is stated")
	}
	if r.KeyManagement == PasswordPBKDF2 {
		if r.Certificate != nil {
			return r.mismatch()
		}
		return addPasswordRecipientInfo(b, r.Password, r.Iterations, cek)
	}
	if r.Password != nil {
		return errors.New("a password that is not asked for")
	}
	if r.KeyManagement == AESKeyWrap {
		if r.Certificate != nil {
			return r.mismatch()
		}
		return addKEKRecipientInfo(b, r.KeyIdentifier, r.KeyEncryptionKey, cek)
	}
	if r.Certificate == nil {
		return errors.New("no certificate")
	}
	if r.KeyIdentifier != nil || r.KeyEncryptionKey != nil {
		return errors.New("both a certificate and a key-encryption key")
	}
	rid, err := NewCertificateIdentifier(r.Certificate, r.ID)
	if err != nil {
		return err
	}
	key, isRSA := r.Certificate.PublicKey.(*rsa.PublicKey)
	if isRSA != r.KeyManagement.isKeyTransport() {
		return r.mismatch()
	}
	if isRSA {
		if err := checkRSAKey(key); err != nil {
			return err
		}
		return addKeyTransRecipientInfo(b, rid, key, keyManagements[r.KeyManagement-1].oaep, cek)
	}
	public, err := agreementKey(r.Certificate)
	if err != nil {
		return err
	}
	scheme, ok := keyAgreementByOID(keyManagements[r.KeyManagement-1].scheme)
	if !ok {
		return r.mismatch()
	}
	return addKeyAgreeRecipientInfo(b, rid, public, scheme, cek)
}

func (r Recipient) mismatch() error {
	return fmt.Errorf("key management %v does not fit a key of kind %s", r.KeyManagement, keyKind(r.Certificate))
}
