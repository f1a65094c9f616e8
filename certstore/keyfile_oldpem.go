package certstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// oldPEMCiphers are those that OpenSSL has written into DEK-Info.
var oldPEMCiphers = []struct {
	name      string
	keyLength int
	newCipher func([]byte) (cipher.Block, error)
}{
	{"DES-CBC", 8, des.NewCipher},
	{"DES-EDE3-CBC", 24, des.NewTripleDESCipher},
	{"AES-128-CBC", 16, aes.NewCipher},
	{"AES-192-CBC", 24, aes.NewCipher},
	{"AES-256-CBC", 32, aes.NewCipher},
}

// readOldEncryption reads a key that OpenSSL encrypted before PKCS#8: with the header fields of RFC 1421 section 4.6.1.3,
// and a key that is the MD5 of the password and a salt.
func (r *fileReader) readOldEncryption(block *pem.Block) error {
	secret, err := r.ask()
	if err != nil {
		return err
	}
	name, ivHex, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	iv, err := hex.DecodeString(strings.TrimSpace(ivHex))
	if err != nil || len(iv) < 8 {
		return fmt.Errorf("%w: DEK-Info of a private key", ErrMalformed)
	}
	for _, c := range oldPEMCiphers {
		if !strings.EqualFold(c.name, strings.TrimSpace(name)) {
			continue
		}
		der, err := decryptCBC(c.newCipher, oldPEMKey(secret, iv[:8], c.keyLength), iv, block.Bytes)
		if err == nil && kindOf(der) != kindKey {
			err = errUndecryptable
		}
		if errors.Is(err, errUndecryptable) {
			err = ErrPassword // or damage, which looks the same
		}
		if err != nil {
			return fmt.Errorf("private key: %w", err)
		}
		defer clear(der)
		r.bundle.warnWeak("the old encryption of PEM, a single MD5 of the password")
		return r.bundle.takeKey(der)
	}
	return fmt.Errorf("%w: %q in DEK-Info of a private key", ErrUnsupportedEncryption, name)
}

// oldPEMKey derives a key as OpenSSL does for DEK-Info: each block is the MD5 of the one before, the password and the salt.
func oldPEMKey(password, salt []byte, n int) []byte {
	var key, block []byte
	for len(key) < n {
		h := md5.New()
		h.Write(block)
		h.Write(password)
		h.Write(salt)
		block = h.Sum(nil)
		key = append(key, block...)
	}
	return key[:n]
}
