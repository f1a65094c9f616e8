package certpath

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Extension is one extension of a certificate, a CRL or an entry of one.
type Extension struct {
	ID       OID
	Critical bool
	Value    []byte // what is in the OCTET STRING
}

var (
	errSyntax    = errors.New("malformed DER")
	errEmpty     = errors.New("an empty list")
	errDuplicate = errors.New("the same extension twice")
	errTrailing  = errors.New("something follows the value")
	errTooMany   = errors.New("too many")
)

// maxExtensions bounds the extensions of one certificate or CRL: honest ones have fifteen.
const maxExtensions = 256

// ReadExtensions reads a SEQUENCE OF Extension. It is an error, and all are returned that could be read, where an
// extension occurs twice (RFC 5280 section 4.2) or is longer than its fields, or there are more than 256.
func ReadExtensions(in *cryptobyte.String) ([]Extension, error) {
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) {
		return nil, errSyntax
	}
	var extensions []Extension
	var first error
	for !list.Empty() {
		var content, value cryptobyte.String
		var e Extension
		if !list.ReadASN1(&content, cbasn1.SEQUENCE) {
			return extensions, errSyntax
		}
		ok := false
		if e.ID, ok = readOID(&content); !ok ||
			content.PeekASN1Tag(cbasn1.BOOLEAN) && !content.ReadASN1Boolean(&e.Critical) ||
			!content.ReadASN1(&value, cbasn1.OCTET_STRING) {
			return extensions, errSyntax
		}
		e.Value = value
		if len(extensions) == maxExtensions {
			return extensions, fmt.Errorf("%w extensions", errTooMany)
		}
		if !content.Empty() && first == nil {
			first = errTrailing
		}
		if _, twice := FindExtension(extensions, e.ID); twice && first == nil {
			first = errDuplicate
		}
		extensions = append(extensions, e)
	}
	return extensions, first
}

// FindExtension returns the first extension with this identifier.
func FindExtension(list []Extension, id OID) (Extension, bool) {
	for _, e := range list {
		if e.ID == id {
			return e, true
		}
	}
	return Extension{}, false
}

// BasicConstraints is RFC 5280 section 4.2.1.9.
type BasicConstraints struct {
	CA         bool
	PathLength int // pathLenConstraint, or -1 where there is none
}

// KeyUsage holds the bits of RFC 5280 section 4.2.1.3, the first as the lowest.
type KeyUsage uint16

// The bits of KeyUsage.
const (
	DigitalSignature  KeyUsage = 1 << iota
	ContentCommitment          // nonRepudiation in older texts
	KeyEncipherment
	DataEncipherment
	KeyAgreement
	KeyCertSign
	CRLSign
	EncipherOnly
	DecipherOnly
)

// NameConstraints is RFC 5280 section 4.2.1.10. Base distances other than the default are malformed.
type NameConstraints struct {
	Permitted, Excluded []GeneralName
}

// PolicyInformation is one policy of RFC 5280 section 4.2.1.4. Qualifiers are the DER of each PolicyQualifierInfo.
type PolicyInformation struct {
	Policy     OID
	Qualifiers [][]byte
}

// PolicyMapping is one pair of RFC 5280 section 4.2.1.5.
type PolicyMapping struct {
	IssuerDomain, SubjectDomain OID
}

// PolicyConstraints is RFC 5280 section 4.2.1.11. Each is a number of certificates, or -1 where it is absent.
type PolicyConstraints struct {
	RequireExplicitPolicy, InhibitPolicyMapping int
}

// AuthorityKeyIdentifier is RFC 5280 section 4.2.1.1. What is absent is nil.
type AuthorityKeyIdentifier struct {
	KeyID        []byte
	Issuer       []GeneralName
	SerialNumber *big.Int
}

// AccessDescription is one entry of RFC 5280 section 4.2.2.1.
type AccessDescription struct {
	Method   OID
	Location GeneralName
}

// The tags of fields: implicit ones are constructed where the type under them is.
const (
	tagExplicit0 = cbasn1.Tag(0xa0)
	tagExplicit1 = cbasn1.Tag(0xa1)
	tagExplicit2 = cbasn1.Tag(0xa2)
	tagExplicit3 = cbasn1.Tag(0xa3)
	tagImplicit0 = cbasn1.Tag(0x80)
	tagImplicit1 = cbasn1.Tag(0x81)
	tagImplicit2 = cbasn1.Tag(0x82)
)

// decode reads the value of an extension that is known here into c. An extension that is not known is no error, and not
// ok.
func (c *Certificate) decode(e Extension) (known bool, err error) {
	in := cryptobyte.String(e.Value)
	ok := true
	switch e.ID {
	case OIDBasicConstraints:
		c.BasicConstraints, ok = readBasicConstraints(&in)
	case OIDKeyUsage:
		c.HasKeyUsage = true
		var bits uint16
		bits, ok = readNamedBits(&in, cbasn1.BIT_STRING)
		c.KeyUsage = KeyUsage(bits)
	case OIDExtendedKeyUsage:
		c.ExtendedKeyUsage, ok = readOIDs(&in)
	case OIDSubjectAltName:
		c.SubjectAltNames, err = ParseGeneralNames(e.Value)
		in = nil
	case OIDIssuerAltName:
		c.IssuerAltNames, err = ParseGeneralNames(e.Value)
		in = nil
	case OIDNameConstraints:
		c.NameConstraints, err = readNameConstraints(&in)
	case OIDCertificatePolicies:
		c.Policies, err = readPolicies(&in)
		// RFC 5280 section 4.2.1.4: where it is critical its qualifiers must be understood, too.
		if err == nil && e.Critical && slices.ContainsFunc(c.Policies, PolicyInformation.hasUnknownQualifier) {
			c.UnknownCritical = append(c.UnknownCritical, e.ID)
		}
	case OIDPolicyMappings:
		c.PolicyMappings, err = readPolicyMappings(&in)
	case OIDPolicyConstraints:
		c.PolicyConstraints, ok = readPolicyConstraints(&in)
	case OIDInhibitAnyPolicy:
		c.InhibitAnyPolicy, ok = readCount(&in, cbasn1.INTEGER)
	case OIDSubjectKeyIdentifier:
		var id cryptobyte.String
		ok = in.ReadASN1(&id, cbasn1.OCTET_STRING)
		c.SubjectKeyID = id
	case OIDAuthorityKeyIdentifier:
		c.AuthorityKeyID, err = ParseAuthorityKeyIdentifier(e.Value)
		in = nil
	case OIDCRLDistributionPoints:
		c.CRLDistributionPoints, err = ParseDistributionPoints(e.Value)
		in = nil
	case OIDFreshestCRL:
		c.FreshestCRL, err = ParseDistributionPoints(e.Value)
		in = nil
	case OIDAuthorityInfoAccess:
		c.AuthorityInfoAccess, err = readAuthorityInfoAccess(&in)
	default:
		return false, nil
	}
	if err == nil && (!ok || !in.Empty()) {
		err = errSyntax
	}
	return true, err
}
