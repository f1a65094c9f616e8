package certstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Errors of PKCS#12 files.
var (
	// ErrPassword says that the password of a PKCS#12 file is wrong.
	ErrPassword = errors.New("wrong password")
	// ErrUnsupportedPKCS12 says that a PKCS#12 file is well formed and uses something that is not supported.
	ErrUnsupportedPKCS12 = errors.New("unsupported PKCS#12 file")
)

// encodeIterations is what trying a password on a file costs: some hundredths of a second, three times over.
const encodeIterations = 100_000

// DecodePKCS12 reads the keys and certificates in a PKCS#12 file (RFC 7292), whose integrity is checked with the
// password first. The error wraps [ErrPassword] where the password does not fit, [ErrUnsupportedPKCS12] where the file
// needs something that is missing here, and [ErrMalformed] where it is damaged or no PKCS#12 file at all.
func DecodePKCS12(data []byte, password string) (Bundle, error) {
	bundle, err := decodePKCS12(data, password, maxIterations)
	if err != nil {
		return Bundle{}, fmt.Errorf("PKCS#12: %w", err)
	}
	return bundle, nil
}

func decodePKCS12(data []byte, password string, budget int) (Bundle, error) {
	if len(data) > maxFileSize {
		return Bundle{}, fmt.Errorf("%w: %d octets", ErrTooLarge, len(data))
	}
	pfx, err := parsePFX(data, budget)
	if err != nil {
		return Bundle{}, err
	}
	if pfx.mac != nil { // otherwise nobody has vouched for the cost of what is inside the encryption
		bundle, err := decodeByLibrary(data, password)
		if err == nil {
			return bundle, nil
		}
		if errors.Is(err, pkcs12.ErrIncorrectPassword) {
			return Bundle{}, ErrPassword
		}
	}
	// The library opens DER with exactly one key in at most two safes, and gives no reasons for the rest.
	return pfx.open(password, budget)
}

func decodeByLibrary(data []byte, password string) (Bundle, error) {
	key, leaf, issuers, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return Bundle{}, err
	}
	bundle := Bundle{Certificates: append([]*x509.Certificate{leaf}, issuers...)}
	if publicKey(key) == nil {
		return Bundle{}, ErrUnsupportedKey
	}
	bundle.Keys = append(bundle.Keys, key)
	return bundle, nil
}

// EncodePKCS12 writes a key with its chain as a PKCS#12 file, encrypted with AES-256-CBC under PBKDF2 (PBES2), with an
// HMAC-SHA-256 over it: what OpenSSL 1.1.1, Windows Server 2019 and Thunderbird can read.
func EncodePKCS12(pair KeyPair, password string) ([]byte, error) {
	if len(pair.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	if !matchesKey(pair.Chain[0], pair.Key) {
		return nil, ErrKeyMismatch
	}
	if password == "" {
		return nil, fmt.Errorf("PKCS#12: %w", errors.New("an empty password would protect nothing"))
	}
	data, err := pkcs12.Modern2023.WithIterations(encodeIterations).Encode(pair.Key, pair.Chain[0], pair.Chain[1:], password)
	if err != nil {
		return nil, fmt.Errorf("PKCS#12: %s", strings.TrimPrefix(err.Error(), "pkcs12: "))
	}
	return data, nil
}
