package certstore

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sealmail/sealmail/smime/cms"
)

// Bounds on files of certificates and keys.
const (
	maxListSize     = 256 << 20 // of certificates one behind the other, as an address book has them
	maxFileSize     = 16 << 20  // of PKCS#12 and PKCS#7
	maxCertificates = 1 << 18
	maxKeys         = 64
)

// ReadFile reads the certificates and private keys in a file of whatever kind people have: PEM in any mix and with any
// text around (RFC 7468), DER one behind the other, PKCS#7 (.p7b, .p7c) and PKCS#12, each in DER, BER, PEM or base64
// without more; keys in PKCS#8, PKCS#1 or SEC 1, clear or encrypted.
//
// Where something is encrypted, password is asked for it, once; it may be nil. Empty passwords of PKCS#12 files are tried
// before. What cannot be used is in the bundle's Oddities. Where there is nothing else, the first of them is the error, and
// the bundle has these alone.
//
// The error wraps [ErrPassword] where the password is wrong, [ErrEncryptedKey] where there is none to ask for, or one of
// the other errors of this package; an error of password is returned as it is.
func ReadFile(data []byte, password func() ([]byte, error)) (Bundle, error) {
	bundle, err := readFile(data, password, maxIterations)
	if err != nil {
		return Bundle{}, err
	}
	if len(bundle.Certificates)+len(bundle.Keys) == 0 {
		if len(bundle.Oddities) > 0 {
			return Bundle{Oddities: bundle.Oddities}, bundle.Oddities[0]
		}
		return Bundle{}, fmt.Errorf("%w: neither certificates nor private keys in it", ErrMalformed)
	}
	return bundle, nil
}

// fileReader reads one file.
type fileReader struct {
	bundle   Bundle
	password func() ([]byte, error)
	asked    bool
	secret   []byte
	budget   int // of iterations, for everything in the file

	certificatesOnly bool // private keys are passed over
}

func readFile(data []byte, password func() ([]byte, error), budget int) (Bundle, error) {
	if len(data) > maxListSize {
		return Bundle{}, fmt.Errorf("certificates: %w: %d octets", ErrTooLarge, len(data))
	}
	r := fileReader{password: password, budget: budget}
	defer func() { clear(r.secret) }()
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if kindOf(data) == kindUnknown && bytes.Contains(data, []byte(pemBegin)) { // what is signed may be PEM itself
		err := r.readPEM(bytes.NewReader(data), func() error { return nil })
		return r.bundle, err
	}
	if der, ok := bareBase64(data); ok {
		data = der
	}
	err := r.readBinary(data)
	return r.bundle, err
}

// ask returns the password, for which it asks once.
func (r *fileReader) ask() ([]byte, error) {
	if r.password == nil {
		return nil, ErrEncryptedKey
	}
	if !r.asked {
		secret, err := r.password()
		if err != nil {
			return nil, err
		}
		r.secret, r.asked = bytes.Clone(secret), true
	}
	return r.secret, nil
}

func (r *fileReader) readBlock(block *pem.Block) error {
	switch block.Type {
	case pemCertificate, "X509 CERTIFICATE":
		return r.bundle.takeCertificate(block.Bytes)
	case "TRUSTED CERTIFICATE": // OpenSSL puts its trust settings behind the certificate
		return r.bundle.takeCertificate(firstElement(block.Bytes))
	case "PKCS7", "PKCS #7 SIGNED DATA", "CMS": // RFC 7468 sections 8 and 9
		return r.readPKCS7(block.Bytes)
	case "PKCS12": // GnuTLS
		return r.readPKCS12(block.Bytes)
	}
	if r.certificatesOnly {
		return nil
	}
	switch block.Type {
	case pemPrivateKey, pemRSAKey, pemECKey:
		if block.Headers["DEK-Info"] != "" {
			return r.readOldEncryption(block)
		}
		return r.bundle.takeKey(block.Bytes)
	case pemEncryptedKey:
		return r.readEncryptedKey(block.Bytes)
	}
	if kind, ok := strings.CutSuffix(block.Type, " PRIVATE KEY"); ok { // DSA, OPENSSH
		return r.bundle.odd(Oddity{What: "private key", Err: fmt.Errorf("%w: %s", ErrUnsupportedKey, kind)})
	}
	return nil
}

// readBinary reads one structure, or certificates and keys one behind the other.
func (r *fileReader) readBinary(data []byte) error {
	switch kindOf(data) {
	case kindPKCS12:
		return r.readPKCS12(data)
	case kindCMS:
		return r.readPKCS7(data)
	}
	for rest := data; len(rest) > 0; {
		der := firstElement(rest)
		if der == nil {
			return behind(data, rest)
		}
		var err error
		switch kindOf(der) {
		case kindCertificate:
			err = r.bundle.takeCertificate(der)
		case kindEncryptedKey:
			err = r.readEncryptedKey(der)
		case kindKey:
			err = r.bundle.takeKey(der)
		default:
			err = behind(data, rest)
		}
		if err != nil {
			return err
		}
		rest = rest[len(der):]
	}
	return nil
}

// behind says what is wrong with the rest of data, which is no certificate and no key: with all of it, people take it for
// what it is not.
func behind(data, rest []byte) error {
	if len(rest) < len(data) {
		return fmt.Errorf("%w: octets behind the last certificate", ErrMalformed)
	}
	if head := data[:min(len(data), 4096)]; bytes.Contains(head, []byte("private-key")) && bytes.ContainsRune(head, '(') {
		return fmt.Errorf("%w: a key in GnuPG's own format, which `gpgsm --export-secret-key-p12` exports", ErrUnsupportedKey)
	}
	return fmt.Errorf("%w: neither PEM nor DER of a certificate or private key", ErrMalformed)
}

// readPKCS7 takes the certificates out of a SignedData, of which they are all in a .p7b or .p7c.
func (r *fileReader) readPKCS7(data []byte) error {
	info, err := cms.Read(bytes.NewReader(data), cms.Limits{Certificates: maxCertificates, Structure: maxFileSize})
	if err != nil {
		return fmt.Errorf("%w: PKCS#7: %w", ErrMalformed, err)
	}
	signed, ok := info.(*cms.SignedData)
	if !ok {
		return fmt.Errorf("%w: a PKCS#7 file that is no bag of certificates", ErrMalformed)
	}
	if _, err := signed.ReadContent(context.Background(), io.Discard); err != nil {
		return fmt.Errorf("%w: PKCS#7: %w", ErrMalformed, err)
	}
	for _, raw := range signed.Certificates {
		if err := r.bundle.takeCertificate(raw); err != nil {
			return err
		}
	}
	return nil
}

func (r *fileReader) readPKCS12(data []byte) error {
	p, err := parsePFX(data, r.budget)
	if err != nil {
		return fmt.Errorf("PKCS#12: %w", err)
	}
	budget := r.budget
	defer func() { r.budget = max(0, r.budget-p.spent) }()
	empty, err := p.takesEmptyPassword(budget)
	if err != nil {
		return fmt.Errorf("PKCS#12: %w", err)
	}
	var secret []byte
	if !empty {
		if secret, err = r.ask(); err != nil {
			return err
		}
	}
	bundle, err := p.open(string(secret), budget)
	if err != nil {
		return fmt.Errorf("PKCS#12: %w", err)
	}
	r.bundle.Join(bundle)
	return nil
}

// readEncryptedKey reads a key in encrypted PKCS#8.
func (r *fileReader) readEncryptedKey(der []byte) error {
	secret, err := r.ask()
	if err != nil {
		return err
	}
	var key []byte
	var weak string
	for _, reading := range passwordReadings(string(secret)) {
		key, weak, err = decryptPKCS8(cryptobyte.String(der), reading, &r.budget)
		if !errors.Is(err, errUndecryptable) {
			break
		}
	}
	if errors.Is(err, errUndecryptable) {
		err = ErrPassword // or damage, which looks the same
	}
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	defer clear(key)
	r.bundle.warnWeak(weak)
	return r.bundle.takeKey(key)
}
