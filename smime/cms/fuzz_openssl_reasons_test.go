package cms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
)

// theyRefuseFor is an explanation: OpenSSL refuses in one of these words.
func theyRefuseFor(words ...string) func(testing.TB, voices) bool {
	return func(_ testing.TB, v voices) bool {
		return v.theirs != nil && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(v.theirs.Error(), w) })
	}
}

// Reasons for both tables.
var (
	rawValues = disagreement{
		name: "it leaves the values of attributes and of parameters as they are, which are brought into DER here",
		explains: malformedFor("longer than the one around it", "as a segment of a string", "length too large", "reserved length octet",
			"primitive element of indefinite length", "in the long form without need", "truncated", "tag 0"),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.unsigned = Attributes{{Type: OIDAttributeTimeStampToken, Values: [][]byte{element(0x30, []byte{0x04, 5})}}}
			}).marshal(t)
		},
	}
	anySegment = disagreement{
		name:     "it takes anything for a segment of a string",
		explains: malformedFor("as a segment of an octet string"),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.contentRaw = element(0x24, element(0x0c, o.content)) }).marshal(t)
		},
	}
	notConstructed = disagreement{
		name:     "it does not mind a SEQUENCE or SET that is marked as primitive",
		explains: malformedFor("is primitive", ": attribute", ": issuer and serial number", ": algorithm identifier"),
		example: func(t testing.TB) []byte {
			message := ownSigned(t, func(o *ownSignature) {
				o.unsigned = Attributes{{Type: OIDAttributeTimeStampToken, Values: [][]byte{derNull}}}
			}).marshal(t)
			message[bytes.LastIndex(message, element(0x31, derNull))] = 0x11
			return message
		},
	}
	leadingZeros = disagreement{
		name: "it refuses object identifiers with leading zeros, which are read as unknown here", ours: true,
		explains: theyRefuseFor("invalid object encoding"),
		example: func(t testing.TB) []byte {
			message := ownSigned(t, func(o *ownSignature) {
				o.unsigned = Attributes{{Type: OIDAttributeTimeStampToken, Values: [][]byte{derNull}}}
			}).marshal(t)
			oid := oidElement(t, OIDAttributeTimeStampToken)
			message[bytes.LastIndex(message, oid)+len(oid)-3] = 0x80
			return message
		},
	}
	nestedStrings = disagreement{
		name: "it takes strings in segments that are nested five deep, and no deeper", ours: true,
		explains: theyRefuseFor("nested asn1 string"),
		example: func(t testing.TB) []byte {
			value := element(0x04, []byte("text"))
			for range 8 {
				value = element(0x24, value)
			}
			return ownSigned(t, func(o *ownSignature) {
				o.unsigned = Attributes{{Type: OIDAttributeTimeStampToken, Values: [][]byte{value}}}
			}).marshal(t)
		},
	}
)

// opensslReading are all reasons why this package and OpenSSL may disagree about the structure of a message.
var opensslReading = []disagreement{
	// What it accepts.
	{
		name:     "it does not look at what stands behind the message",
		explains: refusedFor(ErrTrailing),
		example:  func(t testing.TB) []byte { return append(sampleMessages(t)["signed"], 'x') },
	},
	{
		name:     "it has no limits of count and size",
		explains: refusedFor(ErrTooLarge, ErrTooMany),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.certificates = bytes.Repeat(o.certificates, 300) }).marshal(t)
		},
	},
	{
		name:     "it takes a version below zero",
		explains: malformedFor(": version"),
		example:  func(t testing.TB) []byte { return ownSigned(t, func(o *ownSignature) { o.version = -1 }).marshal(t) },
	},
	{
		name:     "it does not decompress before it is asked to",
		explains: malformedFor("compressed content"),
		example:  func(t testing.TB) []byte { return compressionOf(t, []byte("not compressed")).marshal(t) },
	},
	{
		name:     "it reads parameters when it decrypts",
		explains: malformedFor("initialization vector", "parameters of"),
		example: func(t testing.TB) []byte {
			e := cbcEnvelope(t, pad([]byte("text"), 16))
			e.cipher.Parameters = derNull
			return e.marshal(t)
		},
	},
	rawValues, anySegment, notConstructed,
	{
		name:     "it takes a public key with unused bits",
		explains: malformedFor("originator's public key"),
		example: func(t testing.TB) []byte {
			e := cbcEnvelope(t, pad([]byte("text"), 16))
			agreement := keyAgreementRecipient(t, 1)
			agreement[bytes.Index(agreement, []byte{0x03, 66, 0})+2] = 4
			e.recipients = append(e.recipients, agreement)
			return e.marshal(t)
		},
	},
	// What it refuses.
	nestedStrings,
	parsedCertificates,
	typedValues,
	{
		name: "it reads the attributes that tell keys of one identifier apart, which are passed over here", ours: true,
		explains: theyRefuseFor("CMS_OtherKeyAttribute"),
		example: func(t testing.TB) []byte {
			attribute := append([]byte{'Z', 0x30, 0x0b}, oidElement(t, OIDData)...) // behind the date
			for _, message := range sampleMessages(t) {
				if at := bytes.Index(message, attribute); at >= 0 {
					message = bytes.Clone(message)
					message[at+4] += 0x10 // longer than the attribute
					return message
				}
			}
			t.Fatal("no sample has such an attribute")
			return nil
		},
	},
	{
		name: "it does not take recipients of kinds that are not in RFC 5652, which are named here", ours: true,
		explains: theyRefuseFor("CMS_RecipientInfo "),
		example: func(t testing.TB) []byte {
			e := cbcEnvelope(t, pad([]byte("text"), 16))
			e.recipients = append(e.recipients, element(0xa5))
			return e.marshal(t)
		},
	},
	{
		name: "it parses the names of issuers, which are compared by their octets here", ours: true,
		explains: theyRefuseFor("in issuer of CMS_IssuerAndSerialNumber"),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.sid.Issuer = element(0x30, derNull) }).marshal(t)
		},
	},
	{
		name: "it looks for the attributes of AuthEnvelopedData under other tags than those of RFC 5083 section 2.1", ours: true,
		explains: func(_ testing.TB, v voices) bool {
			e, ok := v.all.info.(*EnvelopedData)
			return ok && e.Authenticated && strings.Contains(v.theirs.Error(), "in mac of CMS_AuthEnvelopedData")
		},
		example: func(t testing.TB) []byte { return sampleMessages(t)["authEnveloped, attributes"] },
	},
	leadingZeros,
}

// oddParameters announces an algorithm whose parameters are a BIT STRING that is none.
func oddParameters(o *ownSignature) {
	o.others = element(0x30, element(0x06, []byte{0x2a, 3}), element(0x03, []byte{9, 0}))
}

// attributesAsContent is what both OpenSSL and pkcs7 are taken in by (RFC 5652 section 5.4 has the same octets signed for two
// things).
var attributesAsContent = disagreement{
	name:     "it takes signed attributes that are presented as content for a message",
	explains: refusedFor(ErrAttributesAsContent),
	example: func(t testing.TB) []byte {
		s := ownSigned(t, func(*ownSignature) {})
		return ownSigned(t, func(o *ownSignature) {
			o.content, o.attributes, o.signature = s.attributesDER(t), nil, s.signature
		}).marshal(t)
	},
}

// parsedCertificates and typedValues are two things that OpenSSL looks into whatever it is to do.
var parsedCertificates = disagreement{
	name: "it parses certificates and lists, which are kept raw here", ours: true,
	explains: theyRefuseFor("CMS_CertificateChoices", "CMS_RevocationInfoChoice"),
	example: func(t testing.TB) []byte {
		return ownSigned(t, func(o *ownSignature) { o.certificates = append(o.certificates, element(0x30)...) }).marshal(t)
	},
}

var typedValues = disagreement{
	name: "it looks at the universal types in parameters and in values of attributes, which are kept as they are here", ours: true,
	explains: theyRefuseFor("in parameter of X509_ALGOR", "in set of X509_ATTRIBUTE"),
	example:  func(t testing.TB) []byte { return ownSigned(t, oddParameters).marshal(t) },
}

// opensslVerifying are all reasons why they may disagree about signatures.
var opensslVerifying = []disagreement{
	// What it accepts.
	{
		name:     "it does not look at what stands behind the message",
		explains: refusedFor(ErrTrailing),
		example:  func(t testing.TB) []byte { return append(sampleMessages(t)["signed"], 'x') },
	},
	attributesAsContent,
	{
		name:     "it does not compare what the attributes of RFC 5035 and RFC 6211 say, unless it is asked to",
		explains: refusedFor(ErrSigningCertificate, ErrAlgorithmProtection),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.attributes = append(o.attributes, Attribute{Type: OIDAttributeSigningCertificateV2, Values: [][]byte{derNull}})
			}).marshal(t)
		},
	},
	{
		name:     "it does not compare the content-type attribute with the type of the content, and asks for none where there are no attributes",
		explains: refusedFor(ErrContentType, ErrMissingAttribute),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.eContentType = OIDTSTInfo }).marshal(t)
		},
	},
	{
		name:     "it takes a version below zero",
		explains: malformedFor(": version"),
		example:  func(t testing.TB) []byte { return ownSigned(t, func(o *ownSignature) { o.version = -1 }).marshal(t) },
	},
	rawValues, anySegment, notConstructed,
	{
		name:     "it takes the digest from the digest algorithm, whatever the signature algorithm says",
		explains: refusedFor(ErrBrokenDigest, ErrDigestAlgorithm),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) { o.algorithm = oidECDSAWithSHA512 }).marshal(t)
		},
	},
	{
		name: "it takes certificates that crypto/x509 does not parse",
		explains: func(_ testing.TB, v voices) bool {
			return kindOfError(v.ours) == errUnsupported && strings.Contains(v.ours.Error(), "signer's certificate: x509:")
		},
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				odd := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("recipient"), []byte("rec@pient")) }
				o.certificates, o.sid.Issuer = odd(o.certificates), odd(o.sid.Issuer)
			}).marshal(t)
		},
	},
	{
		name: "it has algorithms that are not implemented here: DSA, curves",
		explains: func(_ testing.TB, v voices) bool {
			return kindOfError(v.ours) == errUnsupported && !strings.Contains(v.ours.Error(), "signer's certificate")
		},
		example: func(t testing.TB) []byte {
			key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			id, err := newEnvIdentity(key, 13)
			if err != nil {
				t.Fatal(err)
			}
			return ownSigned(t, func(o *ownSignature) {
				o.signer, o.certificates, o.sid = id, id.cert.Raw, CertificateIdentifier{Issuer: id.cert.RawIssuer, Serial: id.cert.SerialNumber}
			}).marshal(t)
		},
	},
	{
		name:     "it compares names by what they mean, and not by their octets",
		explains: refusedFor(ErrNoCertificate),
		example: func(t testing.TB) []byte {
			return ownSigned(t, func(o *ownSignature) {
				o.sid.Issuer = bytes.ReplaceAll(o.sid.Issuer, []byte("recipient"), []byte("RECIPIENT"))
			}).marshal(t)
		},
	},
	// What it refuses.
	nestedStrings, leadingZeros,
	{
		name: "it has no Ed25519 in CMS", ours: true,
		explains: theyRefuseFor("invalid digest"),
		example:  func(t testing.TB) []byte { return signedSamples(t)["signed, Ed25519"] },
	},
	parsedCertificates,
	typedValues,
}
