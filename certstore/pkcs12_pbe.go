package certstore

import (
	"bytes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms/rc2"
)

var (
	// ErrUnsupportedEncryption says that something is encrypted under a password in a way that is not supported.
	ErrUnsupportedEncryption = errors.New("unsupported encryption")
	// ErrWeakEncryption says that a private key lay under an encryption that can be broken whatever the password is.
	ErrWeakEncryption = errors.New("weak encryption")
	// errUndecryptable is what a wrong password looks like where nothing else shows it.
	errUndecryptable = fmt.Errorf("%w: what was encrypted does not decrypt", ErrMalformed)
)

// algorithm is an AlgorithmIdentifier with its parameters as they are.
type algorithm struct {
	id     asn1.ObjectIdentifier
	params cryptobyte.String
}

func (a *algorithm) read(in *cryptobyte.String) bool {
	var body cryptobyte.String
	if !in.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&a.id) {
		return false
	}
	a.params = body
	return true
}

// passwordScheme is a way to encrypt under a password. The decrypting functions return errUndecryptable where they can
// tell that the password is wrong; not every scheme can.
type passwordScheme struct {
	iterations int
	weak       string // its name, where the password does not matter for breaking it
	decrypt    func(secret passwordForms, data []byte) ([]byte, error)
	gnupg      func(secret passwordForms, data []byte) ([]byte, error) // with gnupgKDF, where that differs; may be nil
}

var (
	oidPBES2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}

	oidPBETwoKey3DES = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 4}
)

// pbes1 lists the schemes of RFC 8018 section 6.1 and of RFC 7292 appendix C, which differ in how a key comes from a
// password. Those with MD2 are left out.
var pbes1 = []struct {
	id        asn1.ObjectIdentifier
	hash      func() hash.Hash
	pkcs12    bool // the key derivation of RFC 7292
	keyLength int
	newCipher func([]byte) (cipher.Block, error) // nil: RC4
	weak      string
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3}, md5.New, false, 8, des.NewCipher, "DES with a key of 56 bits"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 6}, md5.New, false, 8, newRC2, "RC2 with a key of 64 bits"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 10}, sha1.New, false, 8, des.NewCipher, "DES with a key of 56 bits"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 11}, sha1.New, false, 8, newRC2, "RC2 with a key of 64 bits"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 1}, sha1.New, true, 16, nil, ""},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 2}, sha1.New, true, 5, nil, "RC4 with a key of 40 bits"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}, sha1.New, true, 24, des.NewTripleDESCipher, ""},
	{oidPBETwoKey3DES, sha1.New, true, 16, newTwoKeyTripleDES, ""},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}, sha1.New, true, 16, newRC2, ""},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}, sha1.New, true, 5, newRC2, "RC2 with a key of 40 bits"},
}

// newRC2 returns RC2 with all bits of the key effective.
func newRC2(key []byte) (cipher.Block, error) { return rc2.NewCipher(key, 8*len(key)) }

func newTwoKeyTripleDES(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(bytes.Clone(key), key[:8]...))
}

// parseScheme reads the parameters of a password based encryption.
func parseScheme(a algorithm) (*passwordScheme, error) {
	if a.id.Equal(oidPBES2) {
		return parsePBES2(a.params)
	}
	for _, known := range pbes1 {
		if !known.id.Equal(a.id) {
			continue
		}
		var body, salt cryptobyte.String
		scheme := &passwordScheme{weak: known.weak}
		if !a.params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1(&salt, cryptobyteasn1.OCTET_STRING) ||
			!body.ReadASN1Integer(&scheme.iterations) {
			return nil, fmt.Errorf("%w: parameters of the encryption", ErrMalformed)
		}
		with := func(kdf func(func() hash.Hash, byte, []byte, []byte, int, int) []byte) func(passwordForms, []byte) ([]byte, error) {
			return func(secret passwordForms, data []byte) ([]byte, error) {
				if !known.pkcs12 {
					derived := pbkdf1(known.hash, secret.utf8, salt, scheme.iterations, 16)
					return decryptCBC(known.newCipher, derived[:8], derived[8:], data)
				}
				key := kdf(known.hash, kdfKey, secret.bmp, salt, scheme.iterations, known.keyLength)
				if known.newCipher == nil {
					return decryptRC4(key, data)
				}
				iv := kdf(known.hash, kdfIV, secret.bmp, salt, scheme.iterations, des.BlockSize) // as RC2's
				return decryptCBC(known.newCipher, key, iv, data)
			}
		}
		scheme.decrypt = with(pkcs12KDF)
		if known.pkcs12 && known.keyLength > sha1.Size {
			scheme.gnupg = with(gnupgKDF)
		}
		return scheme, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnsupportedEncryption, algorithmName(a.id))
}

func decryptRC4(key, data []byte) ([]byte, error) {
	stream, err := rc4.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	stream.XORKeyStream(out, data)
	return out, nil
}

// decryptCBC decrypts and takes off the padding of RFC 8018 section 6.1.1. Nobody can ask often enough to learn from its
// error: the file is the reader's own.
func decryptCBC(newCipher func([]byte) (cipher.Block, error), key, iv, data []byte) ([]byte, error) {
	block, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, fmt.Errorf("%w: encrypted data of a wrong size", ErrMalformed)
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, data)
	padding := int(out[len(out)-1])
	if padding < 1 || padding > size || !bytes.Equal(out[len(out)-padding:], bytes.Repeat([]byte{byte(padding)}, padding)) {
		return nil, errUndecryptable
	}
	return out[:len(out)-padding], nil
}

// algorithmName names what is not supported, so that people can look for it where the file was made.
func algorithmName(id asn1.ObjectIdentifier) string {
	if name, ok := algorithmNames[id.String()]; ok {
		return name
	}
	return id.String()
}

var algorithmNames = map[string]string{
	"1.2.392.200011.61.1.1.1.2": "Camellia-128-CBC",
	"1.2.392.200011.61.1.1.1.3": "Camellia-192-CBC",
	"1.2.392.200011.61.1.1.1.4": "Camellia-256-CBC",
	"1.2.410.200046.1.1.2":      "ARIA-128-CBC",
	"1.2.410.200046.1.1.7":      "ARIA-192-CBC",
	"1.2.410.200046.1.1.12":     "ARIA-256-CBC",
	"1.2.410.200004.1.4":        "SEED-CBC",
	"1.2.156.10197.1.104.2":     "SM4-CBC",
	"1.2.156.10197.1.401":       "SM3",
	"1.2.156.10197.1.401.3.1":   "HMAC-SM3",
	"1.3.6.1.4.1.3029.1.2":      "Blowfish-CBC",
	"1.2.840.113533.7.66.10":    "CAST5-CBC",
	"1.3.6.1.4.1.188.7.1.1.2":   "IDEA-CBC",
	"1.2.840.113549.1.5.1":      "MD2 with DES",
	"1.2.840.113549.1.5.4":      "MD2 with RC2",
	"1.2.840.113549.3.4":        "RC4",
	"2.16.840.1.101.3.4.1.6":    "AES-128-GCM",
	"2.16.840.1.101.3.4.1.26":   "AES-192-GCM",
	"2.16.840.1.101.3.4.1.46":   "AES-256-GCM",
	"1.2.643.7.1.1.4.2":         "HMAC with GOST R 34.11-2012",
	"1.2.643.2.2.21":            "GOST 28147-89",
	"1.2.840.10040.4.1":         "DSA",
	"1.2.840.113549.1.1.7":      "RSA for OAEP alone",
	"1.2.840.113549.1.1.10":     "RSA for PSS alone",
	"1.2.840.113549.1.3.1":      "Diffie-Hellman",
	"1.3.101.111":               "X448",
	"1.3.101.113":               "Ed448",
	"1.2.840.10045.3.1.1":       "the curve P-192",
	"1.3.132.0.33":              "the curve P-224",
	"1.3.132.0.10":              "the curve secp256k1",
	"1.3.36.3.3.2.8.1.1.1":      "the curve brainpoolP160r1",
	"1.3.36.3.3.2.8.1.1.3":      "the curve brainpoolP192r1",
	"1.3.36.3.3.2.8.1.1.5":      "the curve brainpoolP224r1",
	"1.3.36.3.3.2.8.1.1.7":      "the curve brainpoolP256r1",
	"1.3.36.3.3.2.8.1.1.9":      "the curve brainpoolP320r1",
	"1.3.36.3.3.2.8.1.1.11":     "the curve brainpoolP384r1",
	"1.3.36.3.3.2.8.1.1.13":     "the curve brainpoolP512r1",
}
