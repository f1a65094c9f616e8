package certstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"hash"
	"unicode/utf16"

	"github.com/sealmail/sealmail/smime/cms/rc2"
	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
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

// passwordForms is a password as the two generations of key derivation take it.
type passwordForms struct {
	bmp  []byte // RFC 7292 appendix B.1: UTF-16, big-endian, ending in two zero octets
	utf8 []byte // RFC 8018
}

func newPasswordForms(password string) passwordForms {
	var bmp []byte
	for _, unit := range utf16.Encode([]rune(password)) {
		bmp = binary.BigEndian.AppendUint16(bmp, unit)
	}
	return passwordForms{bmp: append(bmp, 0, 0), utf8: []byte(password)}
}

// passwordScheme is a way to encrypt under a password.
type passwordScheme struct {
	iterations int
	decrypt    func(secret passwordForms, data []byte) ([]byte, error)
}

var (
	oidPBE3DES   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3} // pbeWithSHAAnd3-KeyTripleDES-CBC
	oidPBERC2128 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}
	oidPBERC240  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}
	oidPBES2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidPBMAC1    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}

	oidAES128CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidDESEDE3CBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
)

// hashByOID returns the hash behind the identifier of the hash itself or of HMAC with it.
func hashByOID(id asn1.ObjectIdentifier) (func() hash.Hash, bool) {
	for _, known := range []struct {
		id   string
		hash func() hash.Hash
	}{
		{"1.3.14.3.2.26", sha1.New}, {"1.2.840.113549.2.7", sha1.New},
		{"2.16.840.1.101.3.4.2.4", sha256.New224}, {"1.2.840.113549.2.8", sha256.New224},
		{"2.16.840.1.101.3.4.2.1", sha256.New}, {"1.2.840.113549.2.9", sha256.New},
		{"2.16.840.1.101.3.4.2.2", sha512.New384}, {"1.2.840.113549.2.10", sha512.New384},
		{"2.16.840.1.101.3.4.2.3", sha512.New}, {"1.2.840.113549.2.11", sha512.New},
	} {
		if id.String() == known.id {
			return known.hash, true
		}
	}
	return nil, false
}

// parseScheme reads the parameters of a password based encryption.
func parseScheme(a algorithm) (*passwordScheme, error) {
	switch {
	case a.id.Equal(oidPBES2):
		return parsePBES2(a.params)
	case a.id.Equal(oidPBE3DES), a.id.Equal(oidPBERC240), a.id.Equal(oidPBERC2128):
		var body, salt cryptobyte.String
		scheme := new(passwordScheme)
		if !a.params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1(&salt, cryptobyteasn1.OCTET_STRING) ||
			!body.ReadASN1Integer(&scheme.iterations) {
			return nil, fmt.Errorf("%w: parameters of the encryption", ErrMalformed)
		}
		keyLength, newCipher := 24, des.NewTripleDESCipher
		switch {
		case a.id.Equal(oidPBERC240):
			keyLength, newCipher = 5, newRC2
		case a.id.Equal(oidPBERC2128):
			keyLength, newCipher = 16, newRC2
		}
		scheme.decrypt = func(secret passwordForms, data []byte) ([]byte, error) {
			key := pkcs12KDF(sha1.New, kdfKey, secret.bmp, salt, scheme.iterations, keyLength)
			iv := pkcs12KDF(sha1.New, kdfIV, secret.bmp, salt, scheme.iterations, des.BlockSize) // as RC2's
			return decryptCBC(newCipher, key, iv, data)
		}
		return scheme, nil
	}
	return nil, fmt.Errorf("%w: encrypted with %v", ErrUnsupportedPKCS12, a.id)
}

// newRC2 returns RC2 with all bits of the key effective.
func newRC2(key []byte) (cipher.Block, error) { return rc2.NewCipher(key, 8*len(key)) }

// parsePBES2 reads PBES2-params (RFC 8018 section 6.2).
func parsePBES2(params cryptobyte.String) (*passwordScheme, error) {
	var body, iv cryptobyte.String
	var kdf, encryption algorithm
	if !params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !kdf.read(&body) || !encryption.read(&body) {
		return nil, fmt.Errorf("%w: parameters of PBES2", ErrMalformed)
	}
	derive, err := parsePBKDF2(kdf)
	if err != nil {
		return nil, err
	}
	keyLength, newCipher := 0, aes.NewCipher
	switch {
	case encryption.id.Equal(oidAES128CBC):
		keyLength = 16
	case encryption.id.Equal(oidAES192CBC):
		keyLength = 24
	case encryption.id.Equal(oidAES256CBC):
		keyLength = 32
	case encryption.id.Equal(oidDESEDE3CBC):
		keyLength, newCipher = 24, des.NewTripleDESCipher
	default:
		return nil, fmt.Errorf("%w: encrypted with %v", ErrUnsupportedPKCS12, encryption.id)
	}
	if !encryption.params.ReadASN1(&iv, cryptobyteasn1.OCTET_STRING) {
		return nil, fmt.Errorf("%w: parameters of PBES2", ErrMalformed)
	}
	return &passwordScheme{iterations: derive.iterations, decrypt: func(secret passwordForms, data []byte) ([]byte, error) {
		key, err := derive.key(secret, keyLength)
		if err != nil {
			return nil, err
		}
		return decryptCBC(newCipher, key, iv, data)
	}}, nil
}

// pbkdf2Params is PBKDF2-params (RFC 8018 appendix A.2).
type pbkdf2Params struct {
	salt       []byte
	iterations int
	keyLength  int // 0 where it is not stated
	hash       func() hash.Hash
}

func parsePBKDF2(a algorithm) (*pbkdf2Params, error) {
	if !a.id.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("%w: key derivation %v", ErrUnsupportedPKCS12, a.id)
	}
	var body, salt cryptobyte.String
	p := &pbkdf2Params{hash: sha1.New} // DEFAULT algid-hmacWithSHA1
	if !a.params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1(&salt, cryptobyteasn1.OCTET_STRING) ||
		!body.ReadASN1Integer(&p.iterations) ||
		body.PeekASN1Tag(cryptobyteasn1.INTEGER) && !body.ReadASN1Integer(&p.keyLength) {
		return nil, fmt.Errorf("%w: parameters of PBKDF2", ErrMalformed)
	}
	p.salt = salt
	if !body.Empty() {
		var prf algorithm
		if !prf.read(&body) {
			return nil, fmt.Errorf("%w: parameters of PBKDF2", ErrMalformed)
		}
		var ok bool
		if p.hash, ok = hashByOID(prf.id); !ok {
			return nil, fmt.Errorf("%w: key derivation with %v", ErrUnsupportedPKCS12, prf.id)
		}
	}
	return p, nil
}

func (p *pbkdf2Params) key(secret passwordForms, length int) ([]byte, error) {
	key, err := pbkdf2.Key(p.hash, string(secret.utf8), p.salt, p.iterations, length)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupportedPKCS12, err)
	}
	return key, nil
}

type pbmac1Params struct {
	kdf  *pbkdf2Params
	hash func() hash.Hash
}

// parsePBMAC1 reads PBMAC1-params (RFC 8018 appendix A.5) as RFC 9579 section 4 restricts them: the length of the key
// must be stated, and one under 20 octets is refused, because a short key can be guessed without the password.
func parsePBMAC1(a algorithm) (p pbmac1Params, err error) {
	var body cryptobyte.String
	var kdf, mac algorithm
	params := a.params
	if !params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !kdf.read(&body) || !mac.read(&body) {
		return p, fmt.Errorf("%w: parameters of PBMAC1", ErrMalformed)
	}
	if p.kdf, err = parsePBKDF2(kdf); err != nil {
		return p, err
	}
	if p.kdf.keyLength < 20 || p.kdf.keyLength > 64 {
		return p, fmt.Errorf("%w: key length of PBMAC1", ErrMalformed)
	}
	var ok bool
	if p.hash, ok = hashByOID(mac.id); !ok {
		return p, fmt.Errorf("%w: PBMAC1 with %v", ErrUnsupportedPKCS12, mac.id)
	}
	return p, nil
}

// What the key derivation of PKCS#12 is asked for (RFC 7292 appendix B.3).
const (
	kdfKey = 1
	kdfIV  = 2
	kdfMAC = 3
)

// pkcs12KDF derives n octets for one purpose (RFC 7292 appendix B.2). The names are the RFC's.
func pkcs12KDF(newHash func() hash.Hash, id byte, password, salt []byte, iterations, n int) []byte {
	h := newHash()
	v := h.BlockSize()
	d := bytes.Repeat([]byte{id}, v)
	i := append(repeatTo(salt, v), repeatTo(password, v)...)
	var out []byte
	for {
		h.Reset()
		h.Write(d)
		h.Write(i)
		a := h.Sum(nil)
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		out = append(out, a...)
		if len(out) >= n {
			return out[:n]
		}
		// Each block of I becomes I + B + 1, where B is A repeated, as a number of v octets.
		b := bytes.Repeat(a, v/len(a)+1)[:v]
		for j := 0; j < len(i); j += v {
			carry := uint16(1)
			for k := v - 1; k >= 0; k-- {
				sum := uint16(i[j+k]) + uint16(b[k]) + carry
				i[j+k], carry = byte(sum), sum>>8
			}
		}
	}
}

// repeatTo repeats s to the next multiple of v octets; nothing stays nothing.
func repeatTo(s []byte, v int) []byte {
	if len(s) == 0 {
		return nil
	}
	length := (len(s) + v - 1) / v * v
	return bytes.Repeat(s, length/len(s)+1)[:length:length]
}

// decryptCBC decrypts and takes off the padding of RFC 8018 section 6.1.1. The MAC was checked before, so that an error
// tells no stranger anything.
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
		return nil, fmt.Errorf("%w: what was encrypted does not decrypt", ErrMalformed)
	}
	return out[:len(out)-padding], nil
}
