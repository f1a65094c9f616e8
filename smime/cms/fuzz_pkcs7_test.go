package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"go.mozilla.org/pkcs7"
)

// pkcs7Cap bounds what go.mozilla.org/pkcs7 is given: it recurses on nested input, and has no other bounds either.
const pkcs7Cap = 16 << 10

// fitForPKCS7 reports whether a message is short, and starts with BER throughout: with elements that are longer than the
// one around them, go.mozilla.org/pkcs7 takes time that grows exponentially.
func fitForPKCS7(message []byte) bool {
	if len(message) > pkcs7Cap {
		return false
	}
	_, err := ber.NewReader(bytes.NewReader(message), ber.Limits{}).DER(0)
	return err == nil
}

// pkcs7Verify has go.mozilla.org/pkcs7 verify a message, and returns the content that it verified.
func pkcs7Verify(message []byte) (content []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	p, err := pkcs7.Parse(message)
	if err != nil {
		return nil, err
	}
	return p.Content, p.Verify()
}

func listen(t testing.TB, message []byte) voices {
	t.Helper()
	v := voices{message: message}
	v.all, v.ours = readEverything(t.Context(), bytes.NewReader(message), fuzzLimits)
	if v.ours == nil {
		v.ours = v.all.err
	}
	if v.ours == nil {
		_, v.ours = v.all.verify()
	}
	v.theirContent, v.theirs = pkcs7Verify(message)
	return v
}

// pkcs7Disagreements are all reasons why this package and go.mozilla.org/pkcs7 may disagree.
var pkcs7Disagreements = []disagreement{
	// What it accepts.
	attributesAsContent,
	{
		name:     "it does not look at the content-type attribute (RFC 5652 section 5.3)",
		explains: refusedFor(ErrMissingAttribute, ErrContentType),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.attributes = o.attributes[1:] }).marshal(t)
		},
	},
	{
		name:     "it takes the first of several attributes of one type, and the first of several values",
		explains: refusedFor(ErrDuplicateAttribute, ErrMultiValued),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.attributes = append(o.attributes, o.attributes[1]) }).marshal(t)
		},
	},
	{
		name:     "it does not know the attributes of RFC 5035 and RFC 6211",
		explains: refusedFor(ErrSigningCertificate, ErrAlgorithmProtection),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.attributes = append(o.attributes, Attribute{Type: OIDAttributeSigningCertificateV2, Values: [][]byte{derNull}})
			}).marshal(t)
		},
	},
	{
		name: "it takes a signing time that is none for one that is not there",
		explains: func(_ testing.TB, v voices) bool {
			return errors.Is(v.ours, ErrAttributes) && !errors.Is(v.ours, ErrMissingAttribute)
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.attributes = append(o.attributes, Attribute{Type: OIDAttributeSigningTime, Values: [][]byte{derNull}})
			}).marshal(t)
		},
	},
	{
		name:     "it has the content in memory, and hashes it under an algorithm that was not announced (RFC 5652 section 5.1)",
		explains: refusedFor(ErrNotHashed),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.announced = oidSHA512 }).marshal(t)
		},
	},
	{
		name:     "it leaves out what stands behind the message",
		explains: refusedFor(ErrTrailing),
		example: func(t testing.TB) []byte {
			return append(ownSigned(t, func(*ownSignature) {}).marshal(t), "and more"...)
		},
	},
	{
		name:     "it has no limits",
		explains: refusedFor(ErrTooDeep, ErrTooLarge, ErrTooMany),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.unsigned = Attributes{{Type: OIDAttributeTimeStampToken, Values: [][]byte{nestedDER(30)}}}
			}).marshal(t)
		},
	},
	{
		name:     "it does not compare the digest algorithm with that of the signature",
		explains: refusedFor(ErrDigestAlgorithm),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.attributes, o.digest, o.announced = nil, oidSHA512, oidSHA512 }).marshal(t)
		},
	},
	{
		name: "without signed attributes it does not look at the digest algorithm at all",
		explains: func(_ testing.TB, v voices) bool {
			s, ok := v.all.info.(*SignedData)
			return ok && slices.ContainsFunc(s.SignerInfos, func(si *SignerInfo) bool {
				_, err := si.Digest()
				return si.SignedAttributes == nil && err != nil
			})
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.attributes, o.digest = nil, OIDData }).marshal(t)
		},
	},
	{
		name:     "encoding/asn1 leaves out what is surplus at the end of a SEQUENCE",
		explains: malformedFor("surplus element", ": attribute", ": algorithm identifier", ": issuer and serial number"),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.surplus = derNull
			}).marshal(t)
		},
	},
	{
		name: "it takes content of any type, as PKCS #7 did (RFC 5652 section 5.2.1)",
		explains: func(_ testing.TB, v voices) bool {
			return kindOfError(v.ours) == errUnsupported && strings.Contains(v.ours.Error(), "PKCS #7 content")
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.contentRaw = element(0x0c, o.content) }).marshal(t)
		},
	},
	{
		name: "it does not look at the parameters of a signature algorithm that has none (RFC 5754 sections 3.2 and 3.3)",
		explains: func(_ testing.TB, v voices) bool {
			return kindOfError(v.ours) == errUnsupported && strings.Contains(v.ours.Error(), "parameters of signature algorithm")
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.parameters = element(0x0c) }).marshal(t)
		},
	},
	{
		name:     "it takes a version below zero",
		explains: malformedFor(": version"),
		example:  func(t testing.TB) []byte { return ownSigned(t, func(o *ownSignature) { o.version = -1 }).marshal(t) },
	},
	{
		name: "it brings certificates into DER before they are parsed, where here they stay as they were signed",
		explains: func(_ testing.TB, v voices) bool {
			s, ok := v.all.info.(*SignedData)
			return ok && slices.ContainsFunc(s.Certificates, func(raw RawCertificate) bool {
				_, err := raw.Parse() // which it does, too, but with other octets
				return err != nil
			})
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				_, header, err := ber.ParseHeader(o.certificates)
				if err != nil {
					t.Fatal(err)
				}
				o.certificates = slices.Concat([]byte{0x30, 0x80}, o.certificates[header:], []byte{0, 0})
			}).marshal(t)
		},
	},
	// What it refuses.
	{
		name: "it does not know key identifiers, Ed25519 or SHA-224", ours: true,
		explains: func(_ testing.TB, v voices) bool {
			return slices.ContainsFunc(v.all.info.(*SignedData).SignerInfos, func(si *SignerInfo) bool {
				h, err := si.Digest()
				return len(si.SID.SubjectKeyID) > 0 || si.SignatureAlgorithm.Algorithm.Equal(oidEd25519) || err == nil && h == crypto.SHA224
			})
		},
		example: func(t testing.TB) []byte { return signedSamples(t)["signed, Ed25519"] },
	},
	{
		name: "it holds the claimed time against the certificate's validity", ours: true,
		explains: func(_ testing.TB, v voices) bool {
			s := v.all.info.(*SignedData)
			return slices.ContainsFunc(s.SignerInfos, func(si *SignerInfo) bool {
				at, ok := si.SigningTime()
				raw, found := s.Certificate(si.SID)
				c, err := raw.Parse()
				return ok && found && err == nil && (at.Before(c.NotBefore) || at.After(c.NotAfter))
			})
		},
		example: func(t testing.TB) []byte {
			early, err := marshalSigningTime(time.Unix(1e9, 0))
			if err != nil {
				t.Fatal(err)
			}
			return ownSigned(t, func(o *ownSignature) {
				o.attributes = append(o.attributes, Attribute{Type: OIDAttributeSigningTime, Values: [][]byte{early}})
			}).marshal(t)
		},
	},
	{
		name: "it reads the first segment of a content in segments only", ours: true,
		explains: func(_ testing.TB, v voices) bool {
			return v.theirContent != nil && len(v.theirContent) < len(v.all.content) && minimal(v) == nil
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.contentRaw = element(0x24, element(0x04, o.content[:5]), element(0x04, o.content[5:]))
			}).marshal(t)
		},
	},
	{
		name: "it takes certificates apart, with what is behind the signature in one, where crypto/x509 does not look", ours: true,
		explains: func(_ testing.TB, v voices) bool {
			return slices.ContainsFunc(v.all.info.(*SignedData).Certificates, func(raw RawCertificate) bool {
				_, certErr := raw.Parse()
				_, berErr := ber.ToDER(raw, ber.Limits{})
				return certErr == nil && berErr != nil
			})
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.certificates = element(0x30, append(splitElements(t, o.certificates), []byte{0x24, 0x82})...)
			}).marshal(t)
		},
	},
	{
		name: "it cannot read, or parses and does not like, what nobody signs: certificates, lists, unsigned attributes, other forms of BER", ours: true,
		explains: func(_ testing.TB, v voices) bool { return minimal(v) == nil },
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.certificates = append(o.certificates, element(0x30)...) }).marshal(t)
		},
	},
}

// minimal is what it says of the same signatures without anything around them that nobody signs.
func minimal(v voices) error {
	var e encoder
	s := v.all.info.(*SignedData)
	var algorithms, certificates, signers []byte
	for _, si := range s.SignerInfos {
		bare := *si
		bare.Version, bare.UnsignedAttributes = 1, nil
		signers = append(signers, e.signerInfo(&bare)...)
		algorithms = append(algorithms, e.algorithm(0x30, si.DigestAlgorithm)...)
		for _, raw := range s.CertificatesFor(si.SID) {
			if c, err := x509.ParseCertificate(raw); err == nil && !bytes.Contains(certificates, c.Raw) {
				certificates = append(certificates, raw...)
			}
		}
	}
	info := element(0x30, e.oid(s.EContentType), element(0xa0, element(0x04, v.all.content)))
	body := element(0x30, e.integer(1), element(0x31, algorithms), info, element(0xa0, certificates), element(0x31, signers))
	message := element(0x30, e.oid(OIDSignedData), element(0xa0, body))
	if e.failed {
		return errors.New("cannot be written")
	}
	_, err := pkcs7Verify(message)
	return err
}

// checkPKCS7 fails where two implementations disagree and nobody knows why.
func checkPKCS7(t *testing.T, v voices) {
	t.Helper()
	if v.ours == nil && v.theirs == nil && !bytes.Equal(v.theirContent, v.all.content) {
		t.Errorf("verified are %q and %q", v.all.content, v.theirContent)
	}
	if v.agree() {
		return
	}
	if _, ok := explain(t, pkcs7Disagreements, v); ok {
		return
	}
	t.Errorf("unexplained: this package says %v, go.mozilla.org/pkcs7 %v", v.ours, v.theirs)
	if v.ours == nil {
		t.Errorf("of the signatures alone, it says %v", minimal(v))
	}
}

func TestPKCS7Disagreements(t *testing.T) {
	if v := listen(t, ownSigned(t, func(*ownSignature) {}).marshal(t)); v.ours != nil || v.theirs != nil {
		t.Fatalf("an ordinary message: %v, %v", v.ours, v.theirs)
	}
	checkTable(t, pkcs7Disagreements, listen)
}

// FuzzPKCS7 compares with go.mozilla.org/pkcs7 what verifies. What one accepts and the other refuses is in the table above.
func FuzzPKCS7(f *testing.F) {
	for _, seed := range append(corpusMessages(f), slices.Collect(func(yield func([]byte) bool) {
		for _, sample := range signedSamples(f) {
			if !yield(sample) {
				return
			}
		}
		for _, d := range pkcs7Disagreements {
			if !yield(d.example(f)) {
				return
			}
		}
	})...) {
		if info, err := Read(bytes.NewReader(seed), Limits{}); err == nil && info.ContentType().Equal(OIDSignedData) && !info.(*SignedData).Detached() {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if fitForPKCS7(message) {
			checkPKCS7(t, listen(t, message))
		}
	})
}
