package certstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"

	"github.com/sealmail/sealmail/smime/cms/rc2"
)

var (
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidRC2CBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2}
)

// maxScryptMemory bounds what scrypt may take: the 64 MiB of N = 65536 with r = 8, four times OpenSSL's default.
const maxScryptMemory = 64 << 20

// hashByOID returns the hash behind the identifier of the hash itself or of HMAC with it.
func hashByOID(id asn1.ObjectIdentifier) (func() hash.Hash, bool) {
	for _, known := range []struct {
		hashID, hmacID string
		hash           func() hash.Hash
	}{
		{"1.2.840.113549.2.5", "1.2.840.113549.2.6", md5.New},
		{"1.3.14.3.2.26", "1.2.840.113549.2.7", sha1.New},
		{"2.16.840.1.101.3.4.2.4", "1.2.840.113549.2.8", sha256.New224},
		{"2.16.840.1.101.3.4.2.1", "1.2.840.113549.2.9", sha256.New},
		{"2.16.840.1.101.3.4.2.2", "1.2.840.113549.2.10", sha512.New384},
		{"2.16.840.1.101.3.4.2.3", "1.2.840.113549.2.11", sha512.New},
		{"2.16.840.1.101.3.4.2.5", "1.2.840.113549.2.12", sha512.New512_224},
		{"2.16.840.1.101.3.4.2.6", "1.2.840.113549.2.13", sha512.New512_256},
		{"2.16.840.1.101.3.4.2.7", "2.16.840.1.101.3.4.2.13", func() hash.Hash { return sha3.New224() }},
		{"2.16.840.1.101.3.4.2.8", "2.16.840.1.101.3.4.2.14", func() hash.Hash { return sha3.New256() }},
		{"2.16.840.1.101.3.4.2.9", "2.16.840.1.101.3.4.2.15", func() hash.Hash { return sha3.New384() }},
		{"2.16.840.1.101.3.4.2.10", "2.16.840.1.101.3.4.2.16", func() hash.Hash { return sha3.New512() }},
	} {
		if text := id.String(); text == known.hashID || text == known.hmacID {
			return known.hash, true
		}
	}
	return nil, false
}

// pbes2Ciphers are the ciphers of PBES2 whose parameters are the IV alone.
var pbes2Ciphers = []struct {
	id        asn1.ObjectIdentifier
	keyLength int
	newCipher func([]byte) (cipher.Block, error)
	weak      string
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, aes.NewCipher, ""},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, aes.NewCipher, ""},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher, ""},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher, ""},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 7}, 8, des.NewCipher, "DES with a key of 56 bits"},
}

// parsePBES2 reads PBES2-params (RFC 8018 section 6.2).
func parsePBES2(params cryptobyte.String) (*passwordScheme, error) {
	var body cryptobyte.String
	var kdf, encryption algorithm
	if !params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !kdf.read(&body) || !encryption.read(&body) {
		return nil, fmt.Errorf("%w: parameters of PBES2", ErrMalformed)
	}
	derive, err := parseKDF(kdf)
	if err != nil {
		return nil, err
	}
	c, err := parsePBES2Cipher(encryption, derive.keyLength)
	if err != nil {
		return nil, err
	}
	// A length that is stated must be that of the cipher's keys (RFC 8018 appendix A.2, RFC 7914 section 7.1).
	if derive.keyLength != 0 && derive.keyLength != c.keyLength {
		return nil, fmt.Errorf("%w: key length of PBES2", ErrMalformed)
	}
	return &passwordScheme{iterations: derive.cost, weak: c.weak, decrypt: func(secret passwordForms, data []byte) ([]byte, error) {
		key, err := derive.key(secret, c.keyLength)
		if err != nil {
			return nil, err
		}
		return decryptCBC(c.newCipher, key, c.iv, data)
	}}, nil
}

// pbes2Cipher is a cipher with its IV.
type pbes2Cipher struct {
	keyLength int
	newCipher func([]byte) (cipher.Block, error)
	weak      string
	iv        []byte
}

// parsePBES2Cipher reads the encryptionScheme of PBES2 (RFC 8018 appendix B.2).
func parsePBES2Cipher(a algorithm, statedLength int) (c pbes2Cipher, err error) {
	var iv cryptobyte.String
	if a.id.Equal(oidRC2CBC) {
		return parseRC2(a, statedLength)
	}
	for _, known := range pbes2Ciphers {
		if !known.id.Equal(a.id) {
			continue
		}
		if !a.params.ReadASN1(&iv, cryptobyteasn1.OCTET_STRING) {
			return c, fmt.Errorf("%w: parameters of PBES2", ErrMalformed)
		}
		return pbes2Cipher{known.keyLength, known.newCipher, known.weak, iv}, nil
	}
	return c, fmt.Errorf("%w: %s", ErrUnsupportedEncryption, algorithmName(a.id))
}

// parseRC2 reads RC2-CBC-Parameter (RFC 8018 appendix B.2.3): a version that stands for the effective bits, and the IV.
func parseRC2(a algorithm, statedLength int) (pbes2Cipher, error) {
	var body, iv cryptobyte.String
	version := 0
	if !a.params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) ||
		body.PeekASN1Tag(cryptobyteasn1.INTEGER) && !body.ReadASN1Integer(&version) ||
		!body.ReadASN1(&iv, cryptobyteasn1.OCTET_STRING) {
		return pbes2Cipher{}, fmt.Errorf("%w: parameters of RC2", ErrMalformed)
	}
	bits, ok := map[int]int{0: 32, 160: 40, 120: 64, 58: 128}[version]
	if !ok {
		return pbes2Cipher{}, fmt.Errorf("%w: RC2 of version %d", ErrUnsupportedEncryption, version)
	}
	c := pbes2Cipher{keyLength: bits / 8, iv: iv}
	if statedLength > 0 && statedLength <= 128 {
		c.keyLength = statedLength
	}
	if min(bits, 8*c.keyLength) < 128 {
		c.weak = fmt.Sprintf("RC2 with a key of %d bits", min(bits, 8*c.keyLength))
	}
	c.newCipher = func(key []byte) (cipher.Block, error) { return rc2.NewCipher(key, bits) }
	return c, nil
}

// kdfParams is how a key comes from a password.
type kdfParams struct {
	keyLength int // 0 where it is not stated
	cost      int // in iterations
	key       func(secret passwordForms, length int) ([]byte, error)
}

func parseKDF(a algorithm) (kdfParams, error) {
	switch {
	case a.id.Equal(oidPBKDF2):
		return parsePBKDF2(a)
	case a.id.Equal(oidScrypt):
		return parseScrypt(a)
	}
	return kdfParams{}, fmt.Errorf("%w: key derivation %s", ErrUnsupportedEncryption, algorithmName(a.id))
}

// parsePBKDF2 reads PBKDF2-params (RFC 8018 appendix A.2).
func parsePBKDF2(a algorithm) (kdfParams, error) {
	var body, salt cryptobyte.String
	var p kdfParams
	if !a.params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1(&salt, cryptobyteasn1.OCTET_STRING) ||
		!body.ReadASN1Integer(&p.cost) ||
		body.PeekASN1Tag(cryptobyteasn1.INTEGER) && !body.ReadASN1Integer(&p.keyLength) {
		return p, fmt.Errorf("%w: parameters of PBKDF2", ErrMalformed)
	}
	newHash := sha1.New // DEFAULT algid-hmacWithSHA1
	if !body.Empty() {
		var prf algorithm
		if !prf.read(&body) {
			return p, fmt.Errorf("%w: parameters of PBKDF2", ErrMalformed)
		}
		var ok bool
		if newHash, ok = hashByOID(prf.id); !ok {
			return p, fmt.Errorf("%w: key derivation with %s", ErrUnsupportedEncryption, algorithmName(prf.id))
		}
	}
	p.key = func(secret passwordForms, length int) ([]byte, error) {
		key, err := pbkdf2.Key(newHash, string(secret.utf8), salt, p.cost, length)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnsupportedEncryption, err)
		}
		return key, nil
	}
	return p, nil
}

// parseScrypt reads scrypt-params (RFC 7914 section 7.1). One round of its inner loop costs about as much as an iteration
// of PBKDF2.
func parseScrypt(a algorithm) (kdfParams, error) {
	var body, salt cryptobyte.String
	var n, r, p int
	var k kdfParams
	if !a.params.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1(&salt, cryptobyteasn1.OCTET_STRING) ||
		!body.ReadASN1Integer(&n) || !body.ReadASN1Integer(&r) || !body.ReadASN1Integer(&p) ||
		!body.Empty() && !body.ReadASN1Integer(&k.keyLength) || n < 2 || r < 1 || p < 1 {
		return k, fmt.Errorf("%w: parameters of scrypt", ErrMalformed)
	}
	const most = maxScryptMemory / 128
	if n > most || r > most || p > most || n*r > most || n*r*p > maxIterations {
		return k, fmt.Errorf("%w: scrypt with N=%d, r=%d, p=%d", ErrTooLarge, n, r, p)
	}
	k.cost = n * r * p
	k.key = func(secret passwordForms, length int) ([]byte, error) {
		key, err := scrypt.Key(secret.utf8, salt, n, r, p, length)
		if err != nil {
			return nil, fmt.Errorf("%w: parameters of scrypt", ErrMalformed)
		}
		return key, nil
	}
	return k, nil
}

type pbmac1Params struct {
	kdf  kdfParams
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
	if p.kdf, err = parseKDF(kdf); err != nil {
		return p, err
	}
	if p.kdf.keyLength < 20 || p.kdf.keyLength > 64 {
		return p, fmt.Errorf("%w: key length of PBMAC1", ErrMalformed)
	}
	var ok bool
	if p.hash, ok = hashByOID(mac.id); !ok {
		return p, fmt.Errorf("%w: PBMAC1 with %s", ErrUnsupportedEncryption, algorithmName(mac.id))
	}
	return p, nil
}
