package certstore

import (
	"errors"
	"fmt"
)

// Errors of files under a password.
var (
	// ErrPassword says that the password of a file is wrong.
	ErrPassword = errors.New("wrong password")
	// ErrAltered says that the password of a PKCS#12 file is right, and its MAC does not fit what is in it.
	ErrAltered = errors.New("the password is right, but the file was altered or made wrongly: its MAC does not fit")
	// ErrUnsupportedPKCS12 says that a PKCS#12 file is well formed and uses something that is not supported.
	ErrUnsupportedPKCS12 = errors.New("unsupported PKCS#12 file")

	// ErrNoMAC says that nothing shows whether a PKCS#12 file was changed.
	ErrNoMAC = errors.New("the file has no MAC: nothing shows whether somebody changed it")
)

// DecodePKCS12 reads the keys and certificates in a PKCS#12 file (RFC 7292), whose integrity is checked with the
// password first. Certificates and keys that are of no known kind are passed over, and in the bundle's Oddities; where
// they are all that there is of a kind, the first of them is the error.
//
// The error wraps [ErrPassword] where the password does not fit, [ErrAltered] where it fits and the MAC does not,
// [ErrUnsupportedPKCS12] or [ErrUnsupportedEncryption] where the file needs something that is missing here, and
// [ErrMalformed] where it is damaged or no PKCS#12 file at all.
func DecodePKCS12(data []byte, password string) (Bundle, error) {
	bundle, err := decodePKCS12(data, password, maxIterations)
	if err == nil && len(bundle.Oddities) > 0 && (len(bundle.Keys) == 0 || len(bundle.Certificates) == 0) {
		err = bundle.Oddities[0]
	}
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
	return pfx.open(password, budget)
}
