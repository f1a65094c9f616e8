package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxPasswordIterations bounds the key derivation of all password recipients of a message together: some seconds of
// work, where honest messages ask for a fraction of one.
const maxPasswordIterations = 10_000_000

// maxPasswordWrapped bounds a wrapped key, whose count of octets is one octet.
const maxPasswordWrapped = 512

// MinPasswordIterations is the least cost of PBKDF2 with HMAC-SHA-256 that is written: a quarter of a second, for each
// guess of who tries passwords as well.
const MinPasswordIterations = 600_000

const passwordSaltSize = 16 // octets; RFC 8018 section 4.1 asks for 8 at least

// PasswordRecipientInfo is a content-encryption key under a password (RFC 5652 section 6.2.4, RFC 3211).
type PasswordRecipientInfo struct {
	recipient
	Version       int
	KeyDerivation AlgorithmIdentifier // zero where the key-encryption key comes from elsewhere
	EncryptedKey  []byte

	derivation passwordDerivation
	broken     error // why the derivation cannot be used
}

// passwordDerivation is PBKDF2-params (RFC 8018 appendix A.2).
type passwordDerivation struct {
	salt       []byte
	iterations int
	keySize    int // 0 where it is not stated
	hash       crypto.Hash
}

// Type returns Password.
func (ri *PasswordRecipientInfo) Type() RecipientType { return Password }

// AlgorithmName returns "pwri-kek", or the number of an algorithm that is not implemented.
func (ri *PasswordRecipientInfo) AlgorithmName() string {
	return algorithmName(ri.algorithm.Algorithm)
}

func (s *structure) passwordRecipientInfo() (*PasswordRecipientInfo, error) {
	raw, err := s.der()
	if err != nil {
		return nil, err
	}
	ri := &PasswordRecipientInfo{}
	in := cryptobyte.String(raw)
	var seq, key cryptobyte.String
	ok := in.ReadASN1(&seq, cbasn1.Tag(3).ContextSpecific().Constructed()) && seq.ReadASN1Integer(&ri.Version)
	derivation := cbasn1.Tag(0).ContextSpecific().Constructed()
	if ok && seq.PeekASN1Tag(derivation) {
		ri.KeyDerivation, ok = ReadAlgorithmIdentifier(&seq, derivation)
	}
	if ok {
		ri.algorithm, ok = ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE)
	}
	if !ok || !seq.ReadASN1(&key, cbasn1.OCTET_STRING) || !seq.Empty() {
		return nil, fmt.Errorf("%w: recipient with a password", ErrMalformed)
	}
	ri.EncryptedKey = key
	ri.derivation, ri.broken = readPasswordDerivation(ri.KeyDerivation)
	return ri, nil
}

// charge takes the iterations off what a message may cost; where they are too many, Unwrap will say so.
func (ri *PasswordRecipientInfo) charge(left int) int {
	if ri.broken != nil {
		return left
	}
	if ri.derivation.iterations > left {
		ri.broken = fmt.Errorf("%w: %d iterations of a password's key derivation", ErrTooLarge, ri.derivation.iterations)
		return left
	}
	return left - ri.derivation.iterations
}

// passwordHashes are the pseudorandom functions of PBKDF2 (RFC 8018 appendix B.1), each HMAC with this hash.
var passwordHashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{oidHMACWithSHA1, crypto.SHA1},
	{oidHMACWithSHA224, crypto.SHA224},
	{oidHMACWithSHA256, crypto.SHA256},
	{oidHMACWithSHA384, crypto.SHA384},
	{oidHMACWithSHA512, crypto.SHA512},
}

func passwordHash(oid asn1.ObjectIdentifier) (crypto.Hash, bool) {
	for _, known := range passwordHashes {
		if known.oid.Equal(oid) {
			return known.hash, true
		}
	}
	return 0, false
}

// readPasswordDerivation reads how the password becomes a key.
func readPasswordDerivation(a AlgorithmIdentifier) (d passwordDerivation, err error) {
	if a.Algorithm == nil && a.Parameters == nil {
		// RFC 5652 section 6.2.4: the key comes from outside, from a smart card for example.
		return d, &UnsupportedError{What: "password recipient without a key derivation"}
	}
	if !a.Algorithm.Equal(oidPBKDF2) {
		return d, &UnsupportedError{What: "key derivation of a password", Algorithm: a.Algorithm}
	}
	bad := fmt.Errorf("%w: parameters of PBKDF2", ErrMalformed)
	in := cryptobyte.String(a.Parameters)
	var seq, salt cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return d, bad
	}
	if seq.PeekASN1Tag(cbasn1.SEQUENCE) {
		return d, &UnsupportedError{What: "salt of PBKDF2 from another source"}
	}
	if !seq.ReadASN1(&salt, cbasn1.OCTET_STRING) || !seq.ReadASN1Integer(&d.iterations) || d.iterations < 1 {
		return d, bad
	}
	d.salt = salt
	if seq.PeekASN1Tag(cbasn1.INTEGER) && (!seq.ReadASN1Integer(&d.keySize) || d.keySize < 1) {
		return d, bad
	}
	d.hash = crypto.SHA1 // the DEFAULT
	if !seq.Empty() {
		prf, ok := ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE)
		if !ok || !seq.Empty() {
			return d, bad
		}
		if d.hash, ok = passwordHash(prf.Algorithm); !ok {
			return d, &UnsupportedError{What: "pseudorandom function of PBKDF2", Algorithm: prf.Algorithm}
		}
	}
	return d, nil
}

// Unwrap derives the key-encryption key from the password, which is UTF-8 or whatever else the sender took its octets
// from, and unwraps the content-encryption key. This costs time, as the sender chose: the password recipients of one
// message together are bounded, and those beyond are [ErrTooLarge].
//
// A password that does not fit is [ErrDecrypt], and one wrong password in 16 million is noticed only by
// [EnvelopedData.Decrypt]. An algorithm that is not implemented is an *[UnsupportedError].
func (ri *PasswordRecipientInfo) Unwrap(password []byte) (cek []byte, err error) {
	if ri.key.unusable != nil {
		return nil, ri.key.unusable
	}
	if ri.broken != nil {
		return nil, ri.broken
	}
	p, err := ri.encryption()
	if err != nil {
		return nil, err
	}
	keySize := p.keySize
	if ri.derivation.keySize != 0 && ri.derivation.keySize != keySize {
		return nil, fmt.Errorf("%w: key length of PBKDF2", ErrMalformed)
	}
	kek, err := pbkdf2.Key(ri.derivation.hash.New, string(password), ri.derivation.salt, ri.derivation.iterations, keySize)
	if err != nil {
		return nil, &UnsupportedError{What: "key derivation of a password: " + err.Error()}
	}
	defer clear(kek)
	block, err := p.block(kek)
	if err != nil {
		return nil, err
	}
	return unwrapPassword(block, p.iv, ri.EncryptedKey, ri.key.size)
}

// encryption returns the cipher that the key is wrapped with: the parameter of id-alg-PWRI-KEK (RFC 3211 section 2.3).
func (ri *PasswordRecipientInfo) encryption() (p contentParameters, err error) {
	if !ri.algorithm.Algorithm.Equal(oidPWRIKEK) {
		return p, &UnsupportedError{What: "key encryption algorithm of a password", Algorithm: ri.algorithm.Algorithm}
	}
	in := cryptobyte.String(ri.algorithm.Parameters)
	inner, ok := ReadAlgorithmIdentifier(&in, cbasn1.SEQUENCE)
	if !ok || !in.Empty() {
		return p, fmt.Errorf("%w: parameters of a password's key encryption", ErrMalformed)
	}
	c, ok := CipherByOID(inner.Algorithm)
	if !ok || c.Authenticated() || c == RC2CBC {
		return p, &UnsupportedError{What: "cipher of a password's key encryption", Algorithm: inner.Algorithm}
	}
	if c.Weak() && !ri.key.weak {
		// As with keyWrapFor: a strong cipher does not come in a weak wrap.
		return p, &UnsupportedError{What: c.String() + " for the key of a stronger cipher"}
	}
	return readContentParameters(c, inner.Parameters)
}

// unwrapPassword undoes the double encryption of RFC 3211 section 2.3.2 and returns a key of this size. A wrapped key
// that is altered, or under another key, is [ErrDecrypt].
func unwrapPassword(block cipher.Block, iv, wrapped []byte, keySize int) ([]byte, error) {
	size := block.BlockSize()
	// Section 2.3.1: a count, three check octets, the key and padding, in two blocks at least.
	least := max(2*size, 4+keySize)
	if len(wrapped) < least || len(wrapped) > maxPasswordWrapped || len(wrapped)%size != 0 || len(iv) != size || keySize < 3 {
		return nil, ErrDecrypt
	}
	b := slices.Clone(wrapped)
	defer clear(b)
	// The last block of the outer encryption, whose text is the initialization vector of the others.
	var last [aes.BlockSize]byte
	outer := last[:size]
	cipher.NewCBCDecrypter(block, b[len(b)-2*size:len(b)-size]).CryptBlocks(outer, b[len(b)-size:])
	cipher.NewCBCDecrypter(block, outer).CryptBlocks(b[:len(b)-size], b[:len(b)-size])
	copy(b[len(b)-size:], outer)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(b, b)

	good := subtle.ConstantTimeByteEq(b[0], byte(keySize))
	for i := range 3 {
		good &= subtle.ConstantTimeByteEq(b[1+i]^b[4+i], 0xff)
	}
	if good != 1 {
		return nil, ErrDecrypt
	}
	return slices.Clone(b[4 : 4+keySize]), nil
}

// addPasswordRecipientInfo appends a PasswordRecipientInfo: PBKDF2 with HMAC-SHA-256, and AES-256-CBC for the double
// encryption of RFC 3211, whichever cipher the content has.
func addPasswordRecipientInfo(b *cryptobyte.Builder, password []byte, iterations int, cek []byte) error {
	if iterations == 0 {
		iterations = MinPasswordIterations
	}
	switch {
	case len(password) == 0:
		return errors.New("the password is empty")
	case iterations < MinPasswordIterations || iterations > maxPasswordIterations:
		return fmt.Errorf("%d iterations of a password's key derivation, not %d to %d", iterations, MinPasswordIterations, maxPasswordIterations)
	}
	var salt [passwordSaltSize]byte
	var iv [aes.BlockSize]byte
	_, _ = rand.Read(salt[:]) // never fails
	_, _ = rand.Read(iv[:])
	kek, err := pbkdf2.Key(crypto.SHA256.New, string(password), salt[:], iterations, AES256CBC.KeySize())
	if err != nil {
		return err
	}
	defer clear(kek)
	block, err := aes.NewCipher(kek)
	if err != nil {
		return err
	}
	b.AddASN1(cbasn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0) // RFC 5652 section 6.2.4
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidPBKDF2)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // PBKDF2-params, RFC 8018 appendix A.2
				b.AddASN1OctetString(salt[:])
				b.AddASN1Int64(int64(iterations))
				AlgorithmIdentifier{Algorithm: oidHMACWithSHA256, Parameters: derNull}.AddTo(b, cbasn1.SEQUENCE)
			})
		})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // RFC 3211 section 2.3
			b.AddASN1ObjectIdentifier(oidPWRIKEK)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(AES256CBC.OID())
				b.AddASN1OctetString(iv[:])
			})
		})
		b.AddASN1OctetString(wrapPassword(block, iv[:], cek))
	})
	return nil
}

// wrapPassword is the double encryption of RFC 3211 section 2.3.1.
func wrapPassword(block cipher.Block, iv, key []byte) []byte {
	size := block.BlockSize()
	b := append([]byte{byte(len(key)), ^key[0], ^key[1], ^key[2]}, key...)
	if n := len(b); n%size != 0 || n < 2*size {
		b = append(b, make([]byte, max(2*size, (n+size-1)/size*size)-n)...)
		_, _ = rand.Read(b[n:]) // never fails
	}
	mode := cipher.NewCBCEncrypter(block, iv)
	mode.CryptBlocks(b, b)
	mode.CryptBlocks(b, b) // goes on from the last block of the first: its IV
	return b
}
