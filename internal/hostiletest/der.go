package hostiletest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// Tags of DER.
const (
	tagInteger, tagOctets, tagNull, tagOID, tagSequence, tagSet = 2, 4, 5, 6, 0x30, 0x31

	explicit0, explicit1, explicit2, explicit3, primitive0 = 0xa0, 0xa1, 0xa2, 0xa3, 0x80
)

// der is one element, encoded apart from the project's own writers.
func der(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	head := []byte{tag}
	if n := len(content); n < 0x80 {
		head = append(head, byte(n))
	} else {
		size := big.NewInt(int64(n)).Bytes()
		head = append(append(head, 0x80|byte(len(size))), size...)
	}
	return append(head, content...)
}

func integer(n int64) []byte { return must(asn1.Marshal(n)) }

func oid(id asn1.ObjectIdentifier) []byte { return must(asn1.Marshal(id)) }

// algorithm is an AlgorithmIdentifier.
func algorithm(id asn1.ObjectIdentifier, parameters ...[]byte) []byte {
	return der(tagSequence, oid(id), slices.Concat(parameters...))
}

// attribute is an Attribute (RFC 5652 section 5.3).
func attribute(id asn1.ObjectIdentifier, values ...[]byte) []byte {
	return der(tagSequence, oid(id), der(tagSet, values...))
}

var (
	null = der(tagNull)

	oidMD5                  = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}
	oidSHA1                 = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256               = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSA                  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidOAEP                 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidMGF1                 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidPSS                  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}

	oidECDSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
)

// signedDraft is a SignedData of which every part can be made wrong.
type signedDraft struct {
	eContentType asn1.ObjectIdentifier // nil: id-data
	content      []byte
	detached     bool
	certificates []*x509.Certificate // put before those of the signers
	bag          bool                // those of the signers are left out
	signers      []signerDraft
}

// signerDraft is a SignerInfo of which every part can be made wrong; the zero value of a field means the right thing.
type signerDraft struct {
	id         Identity
	named      *x509.Certificate // whom the SignerInfo names
	keyID      bool              // by the key identifier
	hash       crypto.Hash
	digest     []byte // AlgorithmIdentifier
	signature  []byte // likewise
	attributes func(content []byte, d signerDraft) [][]byte
	sent       []byte // the attributes as they are sent, with their tag; empty and not nil: none
	over       []byte // what is signed
	value      []byte // the signature value
	salt       int    // RSASSA-PSS with a salt so long
}

// usualAttributes are content-type, message-digest and signing-time.
func usualAttributes(content []byte, d signerDraft) [][]byte {
	return [][]byte{
		attribute(cms.OIDAttributeContentType, oid(cms.OIDData)),
		attribute(cms.OIDAttributeMessageDigest, der(tagOctets, sum(d.hash, content))),
		attribute(cms.OIDAttributeSigningTime, must(asn1.MarshalWithParams(signingTime.Truncate(time.Second), "utc"))),
	}
}

// with are the usual attributes and others.
func with(others ...[]byte) func([]byte, signerDraft) [][]byte {
	return func(content []byte, d signerDraft) [][]byte { return append(usualAttributes(content, d), others...) }
}

func sum(h crypto.Hash, data []byte) []byte {
	state := h.New()
	state.Write(data)
	return state.Sum(nil)
}

// setOf is the content of a SET OF in DER.
func setOf(members [][]byte) []byte {
	members = slices.Clone(members)
	slices.SortFunc(members, bytes.Compare)
	return slices.Concat(members...)
}

// completed fills in what was not said.
func (d signerDraft) completed() signerDraft {
	if d.hash == 0 {
		d.hash = crypto.SHA256
	}
	_, isRSA := d.id.Key.(*rsa.PrivateKey)
	digests := map[crypto.Hash]asn1.ObjectIdentifier{crypto.MD5: oidMD5, crypto.SHA1: oidSHA1, crypto.SHA256: oidSHA256}
	if d.digest == nil {
		d.digest = algorithm(digests[d.hash])
	}
	if d.signature == nil {
		if d.signature = algorithm(oidECDSASHA256); isRSA {
			d.signature = algorithm(oidRSA, null)
		}
	}
	if d.attributes == nil {
		d.attributes = usualAttributes
	}
	if d.named == nil {
		d.named = d.id.Certificate()
	}
	return d
}

// info is the SignerInfo.
func (d signerDraft) info(content []byte) []byte {
	d = d.completed()
	attributes := setOf(d.attributes(content, d))
	sent, over := d.sent, d.over
	if sent == nil {
		sent = der(explicit0, attributes)
	}
	switch {
	case over != nil:
	case len(sent) == 0:
		over = content
	default:
		over = der(tagSet, attributes)
	}
	value := d.value
	if value == nil {
		var o crypto.SignerOpts = d.hash
		if d.salt != 0 {
			o = &rsa.PSSOptions{SaltLength: d.salt, Hash: d.hash}
		}
		value = must(d.id.Key.Sign(rand.Reader, sum(d.hash, over), o))
	}
	version, sid := integer(1), der(tagSequence, d.named.RawIssuer, must(asn1.Marshal(d.named.SerialNumber)))
	if d.keyID {
		version, sid = integer(3), der(primitive0, d.named.SubjectKeyId)
	}
	return der(tagSequence, version, sid, d.digest, sent, d.signature, der(tagOctets, value))
}

// der is the ContentInfo.
func (s signedDraft) der() []byte {
	if s.eContentType == nil {
		s.eContentType = cms.OIDData
	}
	var digests, infos, certificates [][]byte
	for _, c := range s.certificates {
		certificates = append(certificates, c.Raw)
	}
	for _, d := range s.signers {
		digests = append(digests, d.completed().digest)
		infos = append(infos, d.info(s.content))
		if !s.bag {
			for _, c := range d.id.Chain {
				certificates = append(certificates, c.Raw)
			}
		}
	}
	content := oid(s.eContentType)
	if !s.detached {
		content = append(content, der(explicit0, der(tagOctets, s.content))...)
	}
	return contentInfo(cms.OIDSignedData, der(tagSequence, integer(1), der(tagSet, slices.Concat(digests...)), der(tagSequence, content),
		der(explicit0, slices.Concat(certificates...)), der(tagSet, slices.Concat(infos...))))
}

func contentInfo(contentType asn1.ObjectIdentifier, content []byte) []byte {
	return der(tagSequence, oid(contentType), der(explicit0, content))
}

// opaqueOf is an opaque message of one drafted signer over an entity.
func opaqueOf(entity string, d ...signerDraft) string {
	return p7m(signedDraft{content: []byte(entity), signers: d}.der(), "signed-data")
}

// detachedOf is a multipart/signed of drafted signers over an entity.
func detachedOf(entity string, d ...signerDraft) string {
	return multipartSigned(entity, p7s(signedDraft{content: []byte(entity), detached: true, signers: d}.der()))
}
