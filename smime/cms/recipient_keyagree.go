package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/asn1"
	"fmt"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// KeyAgreeRecipientInfo is a content-encryption key, wrapped under a key that the originator and one recipient agree
// upon (RFC 5652 section 6.2.2), by ECDH with an ephemeral key of the originator's (RFC 5753).
type KeyAgreeRecipientInfo struct {
	recipient
	Version      int
	Originator   Originator
	UKM          []byte // user keying material; nil if absent
	EncryptedKey []byte
}

// Originator is the sender's side of a key agreement: either a certificate, or a key of its own, which is what S/MIME
// uses.
type Originator struct {
	Certificate        CertificateIdentifier
	PublicKeyAlgorithm AlgorithmIdentifier
	PublicKey          []byte // nil where the certificate is named
}

// ECDH is a recipient's private key for key agreement. An *[ecdh.PrivateKey] is one.
type ECDH interface {
	// ECDH returns the shared secret with the other side's public key, which is on the same curve.
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
	PublicKey() *ecdh.PublicKey
}

// keyAgreements lists the schemes of RFC 5753 section 7.1.4. Cofactor Diffie-Hellman is the same as the standard one on
// the NIST curves, whose cofactor is 1.
var keyAgreements = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash // of the key derivation
}{
	{oidStdDHSHA256KDF, crypto.SHA256},
	{oidStdDHSHA384KDF, crypto.SHA384},
	{oidStdDHSHA512KDF, crypto.SHA512},
	{oidStdDHSHA224KDF, crypto.SHA224},
	{oidStdDHSHA1KDF, crypto.SHA1},
	{oidCofactorDHSHA256KDF, crypto.SHA256},
	{oidCofactorDHSHA384KDF, crypto.SHA384},
	{oidCofactorDHSHA512KDF, crypto.SHA512},
	{oidCofactorDHSHA224KDF, crypto.SHA224},
	{oidCofactorDHSHA1KDF, crypto.SHA1},
}

func keyAgreementByOID(oid asn1.ObjectIdentifier) (hash crypto.Hash, ok bool) {
	for _, k := range keyAgreements {
		if k.oid.Equal(oid) {
			return k.hash, true
		}
	}
	return 0, false
}

type keyWrap struct {
	oid     asn1.ObjectIdentifier
	keySize int // octets of the key-encryption key
	name    string
}

var keyWraps = []keyWrap{
	{oidAES128Wrap, 16, "aes-128-wrap"},
	{oidAES192Wrap, 24, "aes-192-wrap"},
	{oidAES256Wrap, 32, "aes-256-wrap"},
}

func keyWrapByOID(oid asn1.ObjectIdentifier) (keyWrap, bool) {
	for _, w := range keyWraps {
		if w.oid.Equal(oid) {
			return w, true
		}
	}
	return keyWrap{}, false
}

// agreementCurves are the curves that a sender may use, told apart by the length of an uncompressed point.
var agreementCurves = []struct {
	pointSize int
	name      string
}{
	{65, "p256"},
	{97, "p384"},
	{133, "p521"},
}

// Type returns KeyAgreement.
func (ri *KeyAgreeRecipientInfo) Type() RecipientType { return KeyAgreement }

// AlgorithmName returns "ecdh-p256" and the like, "ecdh" where the curve is not known, or the number of an algorithm
// that is not implemented.
func (ri *KeyAgreeRecipientInfo) AlgorithmName() string {
	if _, ok := keyAgreementByOID(ri.algorithm.Algorithm); !ok {
		return algorithmName(ri.algorithm.Algorithm)
	}
	for _, c := range agreementCurves {
		if len(ri.Originator.PublicKey) == c.pointSize {
			return "ecdh-" + c.name
		}
	}
	return "ecdh"
}

// keyAgreeRecipientInfos reads one KeyAgreeRecipientInfo, and returns one for each of its at most max recipients.
func (s *structure) keyAgreeRecipientInfos(max int) ([]*KeyAgreeRecipientInfo, error) {
	common := KeyAgreeRecipientInfo{}
	err := malformed(s.r.Enter(ber.ContextSpecific, 1))
	if err != nil {
		return nil, err
	}
	if common.Version, err = s.version(); err != nil {
		return nil, err
	}
	if err := malformed(s.r.Enter(ber.ContextSpecific, 0)); err != nil {
		return nil, err
	}
	if common.Originator, err = s.originator(); err != nil {
		return nil, err
	}
	if err := malformed(s.r.Leave()); err != nil {
		return nil, err
	}
	ukm, err := s.optional(1)
	if err != nil {
		return nil, err
	}
	if ukm {
		if common.UKM, err = s.userKeyingMaterial(); err != nil {
			return nil, err
		}
	}
	if common.algorithm, err = s.algorithmIdentifier(); err != nil {
		return nil, err
	}
	var list []*KeyAgreeRecipientInfo
	err = s.each(ber.Universal, ber.TagSequence, "recipients", max, func(ber.Header) error {
		ri := common
		list = append(list, &ri)
		return s.recipientEncryptedKey(&ri)
	})
	if err != nil {
		return nil, err
	}
	return list, malformed(s.r.Leave())
}

// originator reads an OriginatorIdentifierOrKey.
func (s *structure) originator() (o Originator, err error) {
	key, err := s.optional(1)
	if err != nil {
		return o, err
	}
	if !key {
		o.Certificate, err = s.certificateIdentifier()
		return o, err
	}
	if err := malformed(s.r.Enter(ber.ContextSpecific, 1)); err != nil {
		return o, err
	}
	if o.PublicKeyAlgorithm, err = s.algorithmIdentifier(); err != nil {
		return o, err
	}
	der, err := s.der()
	if err != nil {
		return o, err
	}
	in := cryptobyte.String(der)
	if !in.ReadASN1BitStringAsBytes(&o.PublicKey) || !in.Empty() {
		return o, fmt.Errorf("%w: originator's public key", ErrMalformed)
	}
	return o, malformed(s.r.Leave())
}

func (s *structure) userKeyingMaterial() ([]byte, error) {
	if err := malformed(s.r.Enter(ber.ContextSpecific, 1)); err != nil {
		return nil, err
	}
	ukm, err := s.octets(ber.Universal, ber.TagOctetString)
	if err != nil {
		return nil, err
	}
	if ukm == nil {
		ukm = []byte{} // there, though empty
	}
	return ukm, malformed(s.r.Leave())
}

// recipientEncryptedKey reads a RecipientEncryptedKey into ri.
func (s *structure) recipientEncryptedKey(ri *KeyAgreeRecipientInfo) error {
	err := malformed(s.r.Enter(ber.Universal, ber.TagSequence))
	if err != nil {
		return err
	}
	keyID, err := s.optional(0)
	if err != nil {
		return err
	}
	if keyID {
		ri.rid, err = s.recipientKeyIdentifier()
	} else {
		ri.rid, err = s.certificateIdentifier()
	}
	if err != nil {
		return err
	}
	if ri.EncryptedKey, err = s.octets(ber.Universal, ber.TagOctetString); err != nil {
		return err
	}
	return malformed(s.r.Leave())
}

// recipientKeyIdentifier reads a RecipientKeyIdentifier. Its date and other members select among keys with the same
// identifier, which do not occur.
func (s *structure) recipientKeyIdentifier() (id CertificateIdentifier, err error) {
	if err := malformed(s.r.Enter(ber.ContextSpecific, 0)); err != nil {
		return id, err
	}
	if id.SubjectKeyID, err = s.octets(ber.Universal, ber.TagOctetString); err != nil {
		return id, err
	}
	if len(id.SubjectKeyID) == 0 {
		return id, fmt.Errorf("%w: empty subject key identifier", ErrMalformed)
	}
	for {
		_, more, err := s.next()
		if err != nil {
			return id, err
		}
		if !more {
			return id, malformed(s.r.Leave())
		}
		if _, err := s.element(); err != nil {
			return id, err
		}
	}
}

// Unwrap agrees with the originator upon the key-encryption key and unwraps the content-encryption key. The key is on
// the NIST curve that the recipient's certificate names.
//
// A key that does not unwrap is [ErrDecrypt]; an algorithm, or an originator named by certificate, is an
// *[UnsupportedError].
func (ri *KeyAgreeRecipientInfo) Unwrap(key ECDH) (cek []byte, err error) {
	if ri.unsupported != nil {
		return nil, ri.unsupported
	}
	hash, ok := keyAgreementByOID(ri.algorithm.Algorithm)
	if !ok {
		return nil, &UnsupportedError{What: "key agreement algorithm", Algorithm: ri.algorithm.Algorithm}
	}
	// RFC 5753 section 7.1.4: the parameters are the KeyWrapAlgorithm.
	parameters := cryptobyte.String(ri.algorithm.Parameters)
	wrapAlgorithm, ok := readAlgorithmIdentifier(&parameters, cbasn1.SEQUENCE)
	if !ok || !parameters.Empty() {
		return nil, fmt.Errorf("%w: parameters of the key agreement", ErrMalformed)
	}
	wrap, ok := keyWrapByOID(wrapAlgorithm.Algorithm)
	if !ok {
		return nil, &UnsupportedError{What: "key wrap algorithm", Algorithm: wrapAlgorithm.Algorithm}
	}
	remote, err := ri.Originator.publicKey(key.PublicKey().Curve())
	if err != nil {
		return nil, err
	}
	secret, err := key.ECDH(remote)
	if err != nil {
		return nil, ErrDecrypt
	}
	defer clear(secret)
	// The key wrap algorithm stands in the shared information as it was sent, be its parameters NULL or absent.
	info, err := eccSharedInfo(wrapAlgorithm, ri.UKM, wrap.keySize)
	if err != nil {
		return nil, fmt.Errorf("%w: parameters of the key wrap", ErrMalformed)
	}
	kek := x963KDF(hash, secret, info, wrap.keySize)
	defer clear(kek)
	cek, err = unwrapKey(kek, ri.EncryptedKey)
	if err != nil || len(cek) != ri.cekSize {
		return nil, ErrDecrypt
	}
	return cek, nil
}

// publicKey returns the originator's key as a point on the recipient's curve.
func (o Originator) publicKey(curve ecdh.Curve) (*ecdh.PublicKey, error) {
	if o.PublicKey == nil {
		return nil, &UnsupportedError{What: "key agreement with an originator named by certificate"}
	}
	// RFC 5753 section 3.1.1. Parameters may be absent, NULL, or the curve, which is the recipient's in any case.
	if !o.PublicKeyAlgorithm.Algorithm.Equal(oidECPublicKey) {
		return nil, &UnsupportedError{What: "key of the originator", Algorithm: o.PublicKeyAlgorithm.Algorithm}
	}
	if len(o.PublicKey) > 0 && (o.PublicKey[0] == 2 || o.PublicKey[0] == 3) {
		return nil, &UnsupportedError{What: "compressed point as the originator's key"}
	}
	key, err := curve.NewPublicKey(o.PublicKey)
	if err != nil {
		return nil, ErrDecrypt
	}
	return key, nil
}

// addKeyAgreeRecipientInfo appends a KeyAgreeRecipientInfo with a fresh ephemeral key on the recipient's curve.
func addKeyAgreeRecipientInfo(b *cryptobyte.Builder, rid CertificateIdentifier, key *ecdh.PublicKey, m KeyManagement, cek []byte) error {
	scheme, hash := m.agreement()
	ephemeral, err := key.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("ephemeral key: %w", err)
	}
	secret, err := ephemeral.ECDH(key)
	if err != nil {
		return fmt.Errorf("ECDH: %w", err)
	}
	defer clear(secret)
	// RFC 8551 section 2.3: the key wrap and the content encryption MUST have keys of one size.
	var wrap keyWrap
	for _, w := range keyWraps {
		if w.keySize == len(cek) {
			wrap = w
		}
	}
	wrapAlgorithm := AlgorithmIdentifier{Algorithm: wrap.oid} // without parameters: RFC 3565 section 2.3.2
	var parameters cryptobyte.Builder
	wrapAlgorithm.add(&parameters, cbasn1.SEQUENCE)
	keyEncryption := AlgorithmIdentifier{Algorithm: scheme}
	if keyEncryption.Parameters, err = parameters.Bytes(); err != nil {
		return err
	}
	info, err := eccSharedInfo(wrapAlgorithm, nil, wrap.keySize)
	if err != nil {
		return err
	}
	kek := x963KDF(hash, secret, info, wrap.keySize)
	defer clear(kek)
	wrapped, err := wrapKey(kek, cek)
	if err != nil {
		return err
	}
	b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3) // RFC 5652 section 6.2.2
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				AlgorithmIdentifier{Algorithm: oidECPublicKey}.add(b, cbasn1.SEQUENCE)
				b.AddASN1BitString(ephemeral.PublicKey().Bytes())
			})
		})
		keyEncryption.add(b, cbasn1.SEQUENCE)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addKeyAgreeRecipientIdentifier(b, rid)
				b.AddASN1OctetString(wrapped)
			})
		})
	})
	return nil
}

// addKeyAgreeRecipientIdentifier appends a KeyAgreeRecipientIdentifier, whose key identifier is wrapped otherwise than
// that of the other recipients (RFC 5652 section 6.2.2).
func addKeyAgreeRecipientIdentifier(b *cryptobyte.Builder, rid CertificateIdentifier) {
	if len(rid.SubjectKeyID) == 0 {
		rid.add(b)
		return
	}
	b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(rid.SubjectKeyID)
	})
}
