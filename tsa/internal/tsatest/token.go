package tsatest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/tsa"
)

// Token says what a token is made of. Tests take a good one from [PKI.Token] and spoil a field.
type Token struct {
	ContentInfoType  asn1.ObjectIdentifier
	EContentType     asn1.ObjectIdentifier
	Info             tsa.TSTInfo
	Content          []byte // what is in the token; nil: the DER of Info
	NoContent        bool
	DigestAlgorithms []asn1.ObjectIdentifier
	Certificates     []*x509.Certificate
	Signers          []Signer
}

// Signer says what a SignerInfo is made of.
type Signer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	Hash        crypto.Hash // SHA-256 or SHA-1

	ByKeyID           bool
	SignedContentType asn1.ObjectIdentifier // nil: the token's
	SignedContent     []byte                // what is signed instead of what is in the token
	NoAttributes      bool
	NoContentType     bool        // without that one signed attribute
	NoMessageDigest   bool        // likewise
	Attributes        []Attribute // besides content-type and message-digest
	Unsigned          []Attribute
	SpoilSignature    bool
}

// Attribute is an attribute with its values in DER.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values [][]byte
}

func oid(arcs ...int) asn1.ObjectIdentifier { return arcs }

// Object identifiers that tokens are made of.
func Data() asn1.ObjectIdentifier       { return oid(1, 2, 840, 113549, 1, 7, 1) }
func SignedData() asn1.ObjectIdentifier { return oid(1, 2, 840, 113549, 1, 7, 2) }
func TSTInfo() asn1.ObjectIdentifier    { return oid(1, 2, 840, 113549, 1, 9, 16, 1, 4) }
func SHA1() asn1.ObjectIdentifier       { return oid(1, 3, 14, 3, 2, 26) }
func SHA256() asn1.ObjectIdentifier     { return oid(2, 16, 840, 1, 101, 3, 4, 2, 1) }

// Object identifiers of signed attributes.
func ContentType() asn1.ObjectIdentifier   { return oid(1, 2, 840, 113549, 1, 9, 3) }
func MessageDigest() asn1.ObjectIdentifier { return oid(1, 2, 840, 113549, 1, 9, 4) }
func SigningTime() asn1.ObjectIdentifier   { return oid(1, 2, 840, 113549, 1, 9, 5) }

// Token returns a good token over message, signed by key, whose certificate is cert.
func (p *PKI) Token(t testing.TB, message []byte, cert *x509.Certificate, key crypto.Signer) *Token {
	t.Helper()
	digest := sha256.Sum256(message)
	imprint, err := tsa.NewMessageImprint(crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return &Token{
		ContentInfoType: SignedData(),
		EContentType:    TSTInfo(),
		Info: tsa.TSTInfo{
			Policy:       Policy(),
			Imprint:      imprint,
			SerialNumber: big.NewInt(4711),
			GenTime:      Now(),
		},
		DigestAlgorithms: []asn1.ObjectIdentifier{SHA256()},
		Certificates:     []*x509.Certificate{cert, p.Root},
		Signers: []Signer{{
			Certificate: cert,
			Key:         key,
			Hash:        crypto.SHA256,
			Attributes:  []Attribute{SigningCertificateV2(cert, cert)},
		}},
	}
}

// SigningCertificate returns the attribute of version 1 with the hash of one certificate and the issuer and serial
// number of another; nil leaves these out.
func SigningCertificate(hashed, named *x509.Certificate) Attribute {
	sum := sha1.Sum(hashed.Raw)
	return Attribute{oid(1, 2, 840, 113549, 1, 9, 16, 2, 12), [][]byte{essCertIDs(sum[:], named)}}
}

// SigningCertificateV2 is SigningCertificate in version 2, with SHA-256.
func SigningCertificateV2(hashed, named *x509.Certificate) Attribute {
	sum := sha256.Sum256(hashed.Raw)
	return Attribute{oid(1, 2, 840, 113549, 1, 9, 16, 2, 47), [][]byte{essCertIDs(sum[:], named)}}
}

func essCertIDs(hash []byte, named *x509.Certificate) []byte {
	return Sequence(Sequence(essCertID(hash, named)))
}

func essCertID(hash []byte, named *x509.Certificate) []byte {
	return Sequence(OctetString(hash), issuerSerial(named))
}

// SigningCertificatesV2 is SigningCertificateV2 with several certificates, named by their hashes alone.
func SigningCertificatesV2(certs ...*x509.Certificate) Attribute {
	var ids []byte
	for _, c := range certs {
		sum := sha256.Sum256(c.Raw)
		ids = append(ids, essCertID(sum[:], nil)...)
	}
	return Attribute{oid(1, 2, 840, 113549, 1, 9, 16, 2, 47), [][]byte{Sequence(Sequence(ids))}}
}

func issuerSerial(c *x509.Certificate) []byte {
	if c == nil {
		return nil
	}
	name := tlv(cbasn1.Tag(4).ContextSpecific().Constructed(), c.RawIssuer)
	return Sequence(Sequence(name), Integer(c.SerialNumber))
}

// DER encodes the token.
func (k *Token) DER(t testing.TB) []byte {
	t.Helper()
	content := k.Content
	if content == nil {
		var err error
		if content, err = k.Info.Marshal(); err != nil {
			t.Fatal(err)
		}
	}
	encap := OID(k.EContentType)
	if !k.NoContent {
		encap = append(encap, explicit(0, OctetString(content))...)
	}
	var algorithms, certificates, signers []byte
	for _, a := range k.DigestAlgorithms {
		algorithms = append(algorithms, Sequence(OID(a))...)
	}
	for _, c := range k.Certificates {
		certificates = append(certificates, c.Raw...)
	}
	if certificates != nil {
		certificates = explicit(0, certificates)
	}
	for _, s := range k.Signers {
		signers = append(signers, s.der(t, k.EContentType, content)...)
	}
	return Sequence(OID(k.ContentInfoType), explicit(0, Sequence(
		Integer(big.NewInt(3)),
		tlv(cbasn1.SET, algorithms),
		Sequence(encap),
		certificates,
		tlv(cbasn1.SET, signers),
	)))
}

// Parse encodes the token and parses it.
func (k *Token) Parse(t testing.TB) *tsa.Token {
	t.Helper()
	token, err := tsa.ParseToken(k.DER(t))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (s Signer) der(t testing.TB, contentType asn1.ObjectIdentifier, content []byte) []byte {
	t.Helper()
	if s.SignedContentType != nil {
		contentType = s.SignedContentType
	}
	if s.SignedContent != nil {
		content = s.SignedContent
	}
	digestAlgorithm := SHA256()
	if s.Hash == crypto.SHA1 {
		digestAlgorithm = SHA1()
	}
	attributes := slices.Clone(s.Attributes)
	if !s.NoContentType {
		attributes = append(attributes, Attribute{ContentType(), [][]byte{OID(contentType)}})
	}
	if !s.NoMessageDigest {
		attributes = append(attributes, Attribute{MessageDigest(), [][]byte{OctetString(digest(s.Hash, content))}})
	}
	signed := content
	var signedField []byte
	if !s.NoAttributes {
		signed = tlv(cbasn1.SET, setOf(attributes))
		signedField = explicit(0, setOf(attributes))
	}
	signature, err := s.Key.Sign(rand.Reader, digest(s.Hash, signed), s.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if s.SpoilSignature {
		signature[len(signature)-1] ^= 1
	}
	version, sid := big.NewInt(1), Sequence(s.Certificate.RawIssuer, Integer(s.Certificate.SerialNumber))
	if s.ByKeyID {
		version, sid = big.NewInt(3), tlv(cbasn1.Tag(0).ContextSpecific(), s.Certificate.SubjectKeyId)
	}
	var unsigned []byte
	if s.Unsigned != nil {
		unsigned = explicit(1, setOf(s.Unsigned))
	}
	return Sequence(Integer(version), sid, Sequence(OID(digestAlgorithm)), signedField,
		Sequence(s.signatureAlgorithm()...), OctetString(signature), unsigned)
}

func (s Signer) signatureAlgorithm() [][]byte {
	if _, ok := s.Key.Public().(*ecdsa.PublicKey); !ok {
		return [][]byte{OID(oid(1, 2, 840, 113549, 1, 1, 1)), {5, 0}}
	}
	if s.Hash == crypto.SHA1 {
		return [][]byte{OID(oid(1, 2, 840, 10045, 4, 1))}
	}
	return [][]byte{OID(oid(1, 2, 840, 10045, 4, 3, 2))}
}

func digest(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

func setOf(attributes []Attribute) []byte {
	var members [][]byte
	for _, a := range attributes {
		members = append(members, Sequence(OID(a.Type), tlv(cbasn1.SET, bytes.Join(a.Values, nil))))
	}
	slices.SortFunc(members, bytes.Compare)
	return bytes.Join(members, nil)
}

// Sequence encodes a SEQUENCE of encoded members.
func Sequence(members ...[]byte) []byte { return tlv(cbasn1.SEQUENCE, bytes.Join(members, nil)) }

// OctetString encodes an OCTET STRING.
func OctetString(content []byte) []byte { return tlv(cbasn1.OCTET_STRING, content) }

// OID encodes an OBJECT IDENTIFIER.
func OID(id asn1.ObjectIdentifier) []byte {
	return build(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(id) })
}

// Integer encodes an INTEGER.
func Integer(n *big.Int) []byte { return build(func(b *cryptobyte.Builder) { b.AddASN1BigInt(n) }) }

func explicit(tag uint8, content []byte) []byte {
	return tlv(cbasn1.Tag(tag).ContextSpecific().Constructed(), content)
}

func tlv(tag cbasn1.Tag, content []byte) []byte {
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	})
}

// build returns nothing for what has no encoding, which shows as a malformed token: a mistake in a test.
func build(add func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	add(&b)
	der, err := b.Bytes()
	if err != nil {
		return nil
	}
	return der
}
