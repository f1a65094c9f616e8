package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSHA1            = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidMD5             = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}
	oidRSA             = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidMD5WithRSA      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
	oidSHA1WithRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	oidSHA256WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidSHA384WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	oidECPublicKey     = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidECDSAWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidDSAWithSHA256   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 2}
	oidEd25519         = asn1.ObjectIdentifier{1, 3, 101, 112}
	oidUnknown         = asn1.ObjectIdentifier{2, 999, 1}
)

// draft is a SignedData with one signer, of which every part can be made wrong. It is encoded here, apart from the
// package's own writer.
type draft struct {
	signer      identity
	scheme      cms.SignatureScheme // for the signature value; as signature says
	version     int64               // 0: 1
	contentType asn1.ObjectIdentifier
	content     []byte
	announced   []asn1.ObjectIdentifier
	hash        crypto.Hash
	digest      cms.AlgorithmIdentifier
	signature   cms.AlgorithmIdentifier
	attributes  []cms.Attribute // nil: none
	unsorted    bool            // send the attributes as they are
	rawTypes    bool            // make unknown attribute types larger than an int
	keyID       bool
	signed      []byte // if set, what is signed instead of the right thing
	value       []byte // if set, the signature value
	extra       []byte // put in front of certificates
	revocation  []byte // if set, members of the RevocationInfoChoices
	trailing    []byte
}

// newDraft returns a good one.
func newDraft(id identity) *draft {
	d := &draft{
		signer: id, contentType: cms.OIDData, content: []byte("Content-Type: text/plain\r\n\r\nPay 10 euros.\r\n"),
		announced: []asn1.ObjectIdentifier{oidSHA256}, hash: crypto.SHA256,
		digest:    cms.AlgorithmIdentifier{Algorithm: oidSHA256},
		signature: cms.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256},
	}
	d.resetAttributes()
	return d
}

// newDraftOf returns a good one under other algorithms.
func newDraftOf(id identity, scheme cms.SignatureScheme, hash crypto.Hash, signature cms.AlgorithmIdentifier) *draft {
	d := newDraft(id)
	d.scheme, d.hash, d.signature = scheme, hash, signature
	d.digest.Algorithm = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1: oidSHA1, crypto.SHA256: oidSHA256, crypto.SHA384: oidSHA384, crypto.SHA512: oidSHA512,
	}[hash]
	d.announced = []asn1.ObjectIdentifier{d.digest.Algorithm}
	d.resetAttributes()
	return d
}

func (d *draft) contentTypeAttribute() cms.Attribute {
	return cms.Attribute{Type: cms.OIDAttributeContentType, Values: [][]byte{marshal(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(d.contentType)
	})}}
}

func (d *draft) messageDigestAttribute() cms.Attribute {
	return cms.Attribute{Type: cms.OIDAttributeMessageDigest, Values: [][]byte{marshal(func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(hashOf(d.hash, d.content))
	})}}
}

func (d *draft) add(attributeType asn1.ObjectIdentifier, values ...[]byte) {
	d.attributes = append(d.attributes, cms.Attribute{Type: attributeType, Values: values})
}

// resetAttributes brings content-type and message-digest up to date, and drops the others.
func (d *draft) resetAttributes() {
	d.attributes = []cms.Attribute{d.contentTypeAttribute(), d.messageDigestAttribute()}
}

func marshal(build func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	build(&b)
	return b.BytesOrPanic()
}

func hashOf(h crypto.Hash, data []byte) []byte {
	state := h.New()
	state.Write(data)
	return state.Sum(nil)
}

func addAlgorithm(b *cryptobyte.Builder, tag cbasn1.Tag, a cms.AlgorithmIdentifier) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(a.Algorithm)
		b.AddBytes(a.Parameters)
	})
}

// set returns the attributes as SET OF.
func (d *draft) set() []byte {
	var members [][]byte
	for _, a := range d.attributes {
		members = append(members, marshal(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if d.rawTypes && a.Type[0] == 2 {
					b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) {
						b.AddBytes(bytes.Repeat([]byte{0xff}, 19))
						b.AddUint8(uint8(a.Type[2]))
					})
				} else {
					b.AddASN1ObjectIdentifier(a.Type)
				}
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(a.Values...)) })
			})
		}))
	}
	slices.SortFunc(members, bytes.Compare)
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(members...)) })
	})
}

// sent is the content of the set as it is sent.
func (d *draft) sent(t testing.TB) []byte {
	t.Helper()
	set := cryptobyte.String(d.set())
	var content cryptobyte.String
	if !set.ReadASN1(&content, cbasn1.SET) {
		t.Fatal("no set")
	}
	if d.unsorted {
		var first cryptobyte.String
		content.ReadASN1Element(&first, cbasn1.SEQUENCE)
		content = slices.Concat(content, first)
	}
	return content
}

// asSent signs the attributes in the order in which they are sent, and not in that of DER.
func (d *draft) asSent(t testing.TB) {
	t.Helper()
	d.unsorted = true
	d.signed = marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(d.sent(t)) })
	})
}

// sign makes the signature value.
func (d *draft) sign(t testing.TB) []byte {
	t.Helper()
	if d.value != nil {
		return d.value
	}
	signed := d.signed
	if signed == nil {
		signed = d.content
		if d.attributes != nil {
			signed = d.set()
		}
	}
	input, opts := hashOf(d.hash, signed), crypto.SignerOpts(d.hash)
	switch d.scheme {
	case cms.RSASSAPSS:
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: d.hash}
	case cms.Ed25519:
		input, opts = signed, crypto.Hash(0)
	}
	value, err := d.signer.key.Sign(rand.Reader, input, opts)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func (d *draft) marshal(t testing.TB) []byte {
	t.Helper()
	value := d.sign(t)
	explicit := cbasn1.Tag(0).Constructed().ContextSpecific()
	info := func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		if d.keyID {
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(d.signer.cert.SubjectKeyId) })
		} else {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(d.signer.cert.RawIssuer)
				b.AddASN1BigInt(d.signer.cert.SerialNumber)
			})
		}
		addAlgorithm(b, cbasn1.SEQUENCE, d.digest)
		if d.attributes != nil {
			b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddBytes(d.sent(t)) })
		}
		addAlgorithm(b, cbasn1.SEQUENCE, d.signature)
		b.AddASN1OctetString(value)
	}
	message := marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(cms.OIDSignedData)
			b.AddASN1(explicit, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(max(1, d.version))
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
						for _, oid := range d.announced {
							addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: oid})
						}
					})
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(d.contentType)
						b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString(d.content) })
					})
					b.AddASN1(explicit, func(b *cryptobyte.Builder) {
						b.AddBytes(d.extra)
						b.AddBytes(d.signer.cert.Raw)
					})
					if d.revocation != nil {
						b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(d.revocation) })
					}
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, info) })
				})
			})
		})
	})
	return append(message, d.trailing...)
}

// algorithmProtection is the value of the CMSAlgorithmProtection attribute; tag is 1 for a signature algorithm.
func algorithmProtection(tag uint8, digest, signature cms.AlgorithmIdentifier) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAlgorithm(b, cbasn1.SEQUENCE, digest)
			addAlgorithm(b, cbasn1.Tag(tag).Constructed().ContextSpecific(), signature)
		})
	})
}

// signingCertificate is the value of a signing-certificate attribute.
func signingCertificate(hashAlgorithm asn1.ObjectIdentifier, hash []byte, issuerSerial []byte) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					if hashAlgorithm != nil {
						addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: hashAlgorithm})
					}
					b.AddASN1OctetString(hash)
					b.AddBytes(issuerSerial)
				})
			})
		})
	})
}

func issuerSerial(issuer []byte, serial int64) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(4).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(issuer) })
			})
			b.AddASN1Int64(serial)
		})
	})
}

// errWantWeak and errWantUnsupported stand for the typed errors in tables.
var (
	errWantWeak        = errors.New("a WeakError")
	errWantUnsupported = errors.New("an UnsupportedError")
)

func isError(err, want error) bool {
	switch want {
	case errWantWeak:
		return errors.As(err, new(*cms.WeakError))
	case errWantUnsupported:
		return errors.As(err, new(*cms.UnsupportedError))
	}
	return errors.Is(err, want)
}

// sentinels are the errors of Verify, none of which may be taken for another.
var sentinels = []error{
	cms.ErrSignature, cms.ErrMessageDigest, cms.ErrNotHashed, cms.ErrContentType, cms.ErrMissingAttribute,
	cms.ErrDuplicateAttribute, cms.ErrMultiValued, cms.ErrAttributesAsContent, cms.ErrSigningCertificate,
	cms.ErrAlgorithmProtection, cms.ErrAlgorithmMismatch, cms.ErrDigestAlgorithm, cms.ErrSignerIdentifier,
	cms.ErrBrokenDigest, cms.ErrNoSigners, cms.ErrTwoContents, cms.ErrNoCertificate, errWantWeak, errWantUnsupported,
}

// checkOnly fails the test unless err is want, and none of the other errors.
func checkOnly(t *testing.T, err, want error) {
	t.Helper()
	if !isError(err, want) {
		t.Errorf("got error %q, want %q", fmt.Sprint(err), want)
		return
	}
	for _, other := range sentinels {
		if other != want && isError(err, other) && !errors.Is(want, other) {
			t.Errorf("error %q is %q, too", err, other)
		}
	}
}
