package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// minRSABits is the shortest RSA key that crypto/rsa works with.
const minRSABits = 1024

// KeyTransRecipientInfo is a content-encryption key encrypted under a recipient's public key (RFC 5652 section 6.2.1),
// by RSA with the padding of PKCS #1 v1.5 (RFC 3370 section 4.2.1) or OAEP (RFC 3560).
type KeyTransRecipientInfo struct {
	recipient
	Version      int
	EncryptedKey []byte
}

// Type returns KeyTransport.
func (ri *KeyTransRecipientInfo) Type() RecipientType { return KeyTransport }

// AlgorithmName returns "rsa-pkcs1v15", "rsa-oaep", or the number of an algorithm that is not implemented.
func (ri *KeyTransRecipientInfo) AlgorithmName() string {
	switch oid := ri.algorithm.Algorithm; {
	case oid.Equal(oidRSAEncryption):
		return RSAPKCS1v15.String()
	case oid.Equal(oidRSAESOAEP):
		return "rsa-oaep"
	default:
		return algorithmName(oid)
	}
}

func (s *structure) keyTransRecipientInfo() (*KeyTransRecipientInfo, error) {
	ri := &KeyTransRecipientInfo{}
	err := malformed(s.r.Enter(ber.Universal, ber.TagSequence))
	if err != nil {
		return nil, err
	}
	if ri.Version, err = s.version(); err != nil {
		return nil, err
	}
	if ri.rid, err = s.certificateIdentifier(); err != nil {
		return nil, err
	}
	if ri.algorithm, err = s.algorithmIdentifier(); err != nil {
		return nil, err
	}
	if ri.EncryptedKey, err = s.octets(ber.Universal, ber.TagOctetString); err != nil {
		return nil, err
	}
	return ri, malformed(s.r.Leave())
}

// Unwrap decrypts the content-encryption key. The key is a *[rsa.PrivateKey], or another [crypto.Decrypter] with an RSA
// key that honours the SessionKeyLen of [rsa.PKCS1v15DecryptOptions].
//
// With PKCS #1 v1.5 a key that does not decrypt gives a random content-encryption key and no error, so that nobody
// learns whether the padding was right (RFC 3218 section 2.3.2); [EnvelopedData.Decrypt] fails then. With OAEP it is
// [ErrDecrypt]. A key or an algorithm that cannot be used is an *[UnsupportedError].
func (ri *KeyTransRecipientInfo) Unwrap(key crypto.Decrypter) (cek []byte, err error) {
	if ri.key.unusable != nil {
		return nil, ri.key.unusable
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, &UnsupportedError{What: fmt.Sprintf("key %T for key transport", key.Public())}
	}
	if err := checkRSAKey(public); err != nil {
		return nil, err
	}
	switch oid := ri.algorithm.Algorithm; {
	case oid.Equal(oidRSAEncryption):
		return ri.unwrapPKCS1v15(key), nil
	case oid.Equal(oidRSAESOAEP):
		options, err := oaepOptions(ri.algorithm.Parameters)
		if err != nil {
			return nil, err
		}
		cek, err := key.Decrypt(rand.Reader, ri.EncryptedKey, options)
		if err != nil || len(cek) != ri.key.size {
			return nil, ErrDecrypt
		}
		return cek, nil
	default:
		return nil, &UnsupportedError{What: "key transport algorithm", Algorithm: oid}
	}
}

func (ri *KeyTransRecipientInfo) unwrapPKCS1v15(key crypto.Decrypter) []byte {
	instead := make([]byte, ri.key.size)
	_, _ = rand.Read(instead) // never fails
	// The Decrypter returns a random key for bad padding by itself. It has errors left for a ciphertext of the wrong
	// size, say, and a Decrypter other than Go's own may have more: none of them gets out.
	//
	//lint:ignore SA1019 deprecated for its padding oracle, which is closed here; received mail is as it is
	options := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: ri.key.size}
	cek, err := key.Decrypt(rand.Reader, ri.EncryptedKey, options)
	if err != nil || len(cek) != ri.key.size {
		return instead
	}
	return cek
}

func checkRSAKey(key *rsa.PublicKey) error {
	if n := key.N.BitLen(); n < minRSABits {
		return &UnsupportedError{What: fmt.Sprintf("RSA key of %d bits", n)}
	}
	return nil
}

// oaepOptions reads RSAES-OAEP-params (RFC 8017 appendix A.2.1). All members are optional, and SHA-1 is their default.
func oaepOptions(der []byte) (*rsa.OAEPOptions, error) {
	bad := fmt.Errorf("%w: parameters of RSA-OAEP", ErrMalformed)
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, bad
	}
	var members [3]AlgorithmIdentifier
	var present [3]bool // also where the identifier is one that cannot be read
	for i := range members {
		var member cryptobyte.String
		if !seq.ReadOptionalASN1(&member, &present[i], cbasn1.Tag(i).ContextSpecific().Constructed()) {
			return nil, bad
		}
		if present[i] {
			var ok bool
			if members[i], ok = ReadAlgorithmIdentifier(&member, cbasn1.SEQUENCE); !ok || !member.Empty() {
				return nil, bad
			}
		}
	}
	if !seq.Empty() {
		return nil, bad
	}
	options := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	hash, mgf, label := members[0], members[1], members[2]
	var err error
	if present[0] {
		if options.Hash, err = digestByOID(hash.Algorithm); err != nil {
			return nil, oaepUnsupported(err)
		}
	}
	if present[1] {
		if !mgf.Algorithm.Equal(oidMGF1) {
			return nil, &UnsupportedError{What: "mask generation function", Algorithm: mgf.Algorithm}
		}
		parameters := cryptobyte.String(mgf.Parameters)
		h, ok := ReadAlgorithmIdentifier(&parameters, cbasn1.SEQUENCE)
		if !ok || !parameters.Empty() {
			return nil, bad
		}
		if options.MGFHash, err = digestByOID(h.Algorithm); err != nil {
			return nil, oaepUnsupported(err)
		}
	}
	if present[2] {
		if !label.Algorithm.Equal(oidPSpecified) {
			return nil, &UnsupportedError{What: "source of the OAEP label", Algorithm: label.Algorithm}
		}
		parameters := cryptobyte.String(label.Parameters)
		var octets cryptobyte.String
		if !parameters.ReadASN1(&octets, cbasn1.OCTET_STRING) || !parameters.Empty() {
			return nil, bad
		}
		options.Label = octets
	}
	return options, nil
}

// oaepUnsupported makes every hash that is not implemented an *[UnsupportedError], the broken ones too.
func oaepUnsupported(err error) error {
	if errors.Is(err, ErrBrokenDigest) {
		return &UnsupportedError{What: "hash of RSA-OAEP"}
	}
	return err
}

// oaepIdentifier is id-RSAES-OAEP with one hash for everything and no label, as RFC 4055 section 4.1 names them, with
// NULL as the parameters of the hash.
func oaepIdentifier(hash crypto.Hash) (AlgorithmIdentifier, error) {
	h, err := digestIdentifier(hash)
	if err != nil {
		return h, err
	}
	h.Parameters = derNull
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { h.AddTo(b, cbasn1.SEQUENCE) })
		b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidMGF1)
				h.AddTo(b, cbasn1.SEQUENCE)
			})
		})
	})
	parameters, err := b.Bytes()
	return AlgorithmIdentifier{Algorithm: oidRSAESOAEP, Parameters: parameters}, err
}

// encryptKey encrypts the content-encryption key with OAEP under this hash, or with PKCS #1 v1.5 where there is none.
func encryptKey(key *rsa.PublicKey, oaep crypto.Hash, cek []byte) (encrypted []byte, a AlgorithmIdentifier, err error) {
	if oaep == 0 {
		a = AlgorithmIdentifier{Algorithm: oidRSAEncryption, Parameters: derNull}
		// The padding oracle, for which this is deprecated, is the receiver's to avoid; see Unwrap.
		//
		//lint:ignore SA1019 RFC 8551 section 2.3: this is what every S/MIME program reads, and OAEP only a SHOULD+
		encrypted, err = rsa.EncryptPKCS1v15(rand.Reader, key, cek)
		return encrypted, a, err
	}
	if a, err = oaepIdentifier(oaep); err != nil {
		return nil, a, err
	}
	encrypted, err = rsa.EncryptOAEP(oaep.New(), rand.Reader, key, cek, nil)
	return encrypted, a, err
}

// addKeyTransRecipientInfo appends a KeyTransRecipientInfo for an RSA key, with OAEP under this hash if it is not 0.
func addKeyTransRecipientInfo(b *cryptobyte.Builder, rid CertificateIdentifier, key *rsa.PublicKey, oaep crypto.Hash, cek []byte) error {
	encrypted, algorithm, err := encryptKey(key, oaep, cek)
	if err != nil {
		return fmt.Errorf("RSA encryption: %w", err)
	}
	version := int64(0) // RFC 5652 section 6.2.1
	if len(rid.SubjectKeyID) > 0 {
		version = 2
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		rid.add(b)
		algorithm.AddTo(b, cbasn1.SEQUENCE)
		b.AddASN1OctetString(encrypted)
	})
	return nil
}
