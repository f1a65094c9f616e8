package certstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// encodeIterations is what trying a password on a file costs: some hundredths of a second, three times over.
const encodeIterations = 100_000

// legacyAttempts bounds the search for salts that GnuPG can read: one in 64 is none.
const legacyAttempts = 100

// EncodePKCS12 writes a key with its chain as a PKCS#12 file, encrypted with AES-256-CBC under PBKDF2 (PBES2), with an
// HMAC-SHA-256 over it: what OpenSSL 1.1.1, Windows Server 2019 and Thunderbird can read.
func EncodePKCS12(pair KeyPair, password string) ([]byte, error) {
	return encodePKCS12(pkcs12.Modern2023.WithIterations(encodeIterations), pair, password)
}

// EncodeLegacyPKCS12 is [EncodePKCS12] for old programs: Triple-DES, and an HMAC-SHA-1, under the key derivation of
// RFC 7292 appendix B with SHA-1. GnuPG up to 2.2.40 computes that derivation wrongly for one salt in some hundred; salts
// on which it does are not used.
func EncodeLegacyPKCS12(pair KeyPair, password string) ([]byte, error) {
	return drawSalts(password, func() ([]byte, error) { return encodePKCS12(pkcs12.LegacyDES, pair, password) })
}

// drawSalts encodes until the salts are such that GnuPG can read the file.
func drawSalts(password string, encode func() ([]byte, error)) ([]byte, error) {
	for range legacyAttempts {
		data, err := encode()
		if err != nil {
			return nil, err
		}
		agrees, err := gnupgAgrees(data, password)
		if err != nil {
			return nil, err
		}
		if agrees {
			return data, nil
		}
	}
	return nil, errors.New("PKCS#12: no salt was found that GnuPG can read")
}

func encodePKCS12(encoder *pkcs12.Encoder, pair KeyPair, password string) ([]byte, error) {
	if len(pair.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	if !KeyMatches(pair.Chain[0], pair.Key) {
		return nil, ErrKeyMismatch
	}
	if password == "" {
		return nil, fmt.Errorf("PKCS#12: %w", errors.New("an empty password would protect nothing"))
	}
	data, err := encoder.Encode(pair.Key, pair.Chain[0], pair.Chain[1:], password)
	if err != nil {
		return nil, fmt.Errorf("PKCS#12: %s", strings.TrimPrefix(err.Error(), "pkcs12: "))
	}
	return data, nil
}

// gnupgAgrees reports whether GnuPG derives the keys for this file as it should: the one derivation then gives the same as
// the other.
func gnupgAgrees(data []byte, password string) (bool, error) {
	p, err := parsePFX(data, maxIterations)
	if err != nil {
		return false, err
	}
	secret := newPasswordForms(password)
	agrees := func(scheme *passwordScheme, encrypted []byte) bool {
		if scheme.gnupg == nil {
			return true
		}
		right, err := scheme.decrypt(secret, encrypted)
		if err != nil {
			return false
		}
		theirs, err := scheme.gnupg(secret, encrypted)
		return err == nil && bytes.Equal(right, theirs)
	}
	for _, s := range p.safes {
		if s.scheme != nil {
			if !agrees(s.scheme, s.data) {
				return false, nil
			}
			continue
		}
		bags, err := parseBags(s.data)
		if err != nil {
			return false, err
		}
		for _, b := range bags {
			if !b.id.Equal(oidShroudedKeyBag) {
				continue
			}
			scheme, encrypted, err := parseShrouded(b.value)
			if err != nil {
				return false, err
			}
			if !agrees(scheme, encrypted) {
				return false, nil
			}
		}
	}
	return true, nil
}
