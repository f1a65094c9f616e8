package certpath

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxCertificate is the size of the largest certificate that [Parse] reads, in octets of DER.
const MaxCertificate = 128 << 10

// ErrMalformed is what Parse returns, wrapped with what is wrong, for what has not even the outline of a certificate.
var ErrMalformed = errors.New("malformed certificate")

// Certificate is a certificate of RFC 5280 section 4.1 with all that could be understood of it. It shares its memory
// with the DER that it was parsed from, and must not be changed.
type Certificate struct {
	Raw, RawTBS           []byte // DER of the whole, and of what is signed
	Version               int    // 1 to 3, as people count
	SerialNumber          *big.Int
	SignatureAlgorithm    AlgorithmIdentifier // of the signature
	TBSSignatureAlgorithm AlgorithmIdentifier // the same, within what is signed
	Signature             []byte
	Issuer, Subject       Name
	NotBefore, NotAfter   time.Time // both included; zero where the time is malformed, which is a problem

	RawSubjectPublicKeyInfo []byte
	PublicKeyAlgorithm      AlgorithmIdentifier
	PublicKey               crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey; nil: not one of them

	Extensions []Extension

	BasicConstraints      *BasicConstraints // nil where absent
	KeyUsage              KeyUsage
	HasKeyUsage           bool
	ExtendedKeyUsage      []OID // nil where absent
	SubjectAltNames       []GeneralName
	IssuerAltNames        []GeneralName
	NameConstraints       *NameConstraints // nil where absent
	Policies              []PolicyInformation
	PolicyMappings        []PolicyMapping
	PolicyConstraints     *PolicyConstraints // nil where absent
	InhibitAnyPolicy      int                // number of certificates, or -1 where absent
	SubjectKeyID          []byte
	AuthorityKeyID        *AuthorityKeyIdentifier // nil where absent
	CRLDistributionPoints []DistributionPoint
	FreshestCRL           []DistributionPoint
	AuthorityInfoAccess   []AccessDescription

	// Problems are what is wrong with the certificate itself. With one, it is in no valid path.
	Problems []Problem
	// UnknownCritical are the critical extensions that nothing here understands (RFC 5280 section 4.2).
	UnknownCritical []OID
}

// Problem is a part of a certificate that breaks the rules so far that it cannot be relied upon.
type Problem struct {
	Extension OID    // where it is, or "" where it is in no extension
	Section   string // of RFC 5280
	Reason    string // a clause for people: "the subjectAltName is malformed: …"
}

// Parse reads one certificate in DER, with nothing behind it. It fails where the outline of the certificate is
// malformed, and where it is larger than [MaxCertificate] or a list in it is too long. All else that is wrong goes to
// Problems. A serial number may be negative, zero or of any length, and the key of any kind.
func Parse(der []byte) (*Certificate, error) { return parse(der, nil) }

// FromX509 is Parse for a certificate that crypto/x509 has read: its key is taken over, which saves most of the work.
func FromX509(c *x509.Certificate) (*Certificate, error) { return parse(c.Raw, c.PublicKey) }

// parse is Parse, with the public key where it is known.
func parse(der []byte, key crypto.PublicKey) (*Certificate, error) {
	if len(der) > MaxCertificate {
		return nil, fmt.Errorf("%w: %d octets, and %d is the most", ErrMalformed, len(der), MaxCertificate)
	}
	malformed := func(what string) (*Certificate, error) { return nil, fmt.Errorf("%w: %s", ErrMalformed, what) }
	in := cryptobyte.String(der)
	var certificate, tbs cryptobyte.String
	if !in.ReadASN1(&certificate, cbasn1.SEQUENCE) || !in.Empty() {
		return malformed("it is no sequence, or something follows it")
	}
	c := &Certificate{Raw: der, InhibitAnyPolicy: -1}
	if !certificate.ReadASN1Element(&tbs, cbasn1.SEQUENCE) {
		return malformed("nothing that is signed")
	}
	c.RawTBS = tbs
	if err := c.readTBS(tbs, key); err != nil {
		return nil, err
	}
	var ok bool
	if c.SignatureAlgorithm, ok = ReadAlgorithmIdentifier(&certificate); !ok {
		return malformed("the signature algorithm")
	}
	var bits asn1.BitString
	if !certificate.ReadASN1BitString(&bits) {
		return malformed("the signature")
	}
	c.Signature = bits.RightAlign()
	if !certificate.Empty() {
		c.problem("", "4.1.1", "something follows the signature")
	}
	if !c.SignatureAlgorithm.Equal(c.TBSSignatureAlgorithm) {
		c.problem("", "4.1.1.2", "the signature algorithm differs from that within what is signed")
	}
	return c, nil
}

func (c *Certificate) problem(extension OID, section, reason string) {
	c.Problems = append(c.Problems, Problem{extension, section, reason})
}

// readTBS reads TBSCertificate (RFC 5280 section 4.1).
func (c *Certificate) readTBS(element cryptobyte.String, known crypto.PublicKey) error {
	malformed := func(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
	var tbs, validity cryptobyte.String
	element.ReadASN1(&tbs, cbasn1.SEQUENCE)
	if !tbs.ReadOptionalASN1Integer(&c.Version, tagExplicit0, 0) || c.Version < 0 || c.Version > 2 {
		return malformed("the version")
	}
	c.Version++
	c.SerialNumber = new(big.Int)
	if !tbs.ReadASN1Integer(c.SerialNumber) {
		return malformed("the serial number")
	}
	var ok bool
	if c.TBSSignatureAlgorithm, ok = ReadAlgorithmIdentifier(&tbs); !ok {
		return malformed("the signature algorithm")
	}
	var err error
	if c.Issuer, err = ReadName(&tbs); err != nil {
		return fmt.Errorf("%w: the issuer: %w", ErrMalformed, err)
	}
	if !tbs.ReadASN1(&validity, cbasn1.SEQUENCE) {
		return malformed("the validity")
	}
	if c.NotBefore, c.NotAfter, ok = readValidity(validity); !ok {
		c.problem("", "4.1.2.5", "the validity is malformed")
	}
	if c.Subject, err = ReadName(&tbs); err != nil {
		return fmt.Errorf("%w: the subject: %w", ErrMalformed, err)
	}
	var key cryptobyte.String
	if !tbs.ReadASN1Element(&key, cbasn1.SEQUENCE) {
		return malformed("the public key")
	}
	c.readKey(key, known)
	return c.readRest(tbs)
}

// readRest reads what follows the public key.
func (c *Certificate) readRest(tbs cryptobyte.String) error {
	var extensions cryptobyte.String
	var present bool
	if !tbs.SkipOptionalASN1(tagImplicit1) || !tbs.SkipOptionalASN1(tagImplicit2) || // unique identifiers, of no use
		!tbs.ReadOptionalASN1(&extensions, &present, tagExplicit3) {
		if c.Version == 3 {
			return fmt.Errorf("%w: what follows the public key", ErrMalformed)
		}
		c.problem("", "4.1", "what follows the public key is malformed") // where nobody has to look
		return nil
	}
	if !tbs.Empty() {
		c.problem("", "4.1", "something follows the extensions")
	}
	if !present {
		return nil
	}
	if c.Version != 3 {
		c.problem("", "4.1.2.9", fmt.Sprintf("version %d has no extensions", c.Version))
	}
	var err error
	c.Extensions, err = ReadExtensions(&extensions)
	switch {
	case errors.Is(err, errSyntax) && c.Version == 3: // elsewhere they are a problem as such, and nobody reads them
		return fmt.Errorf("%w: the extensions", ErrMalformed)
	case err != nil:
		c.problem("", "4.2", "the list of extensions is malformed: "+err.Error())
	case !extensions.Empty():
		c.problem("", "4.1", "something follows the extensions")
	}
	for _, e := range c.Extensions {
		known, err := c.decode(e)
		if err != nil {
			section, name := extensionTitle(e.ID)
			c.problem(e.ID, section, "the "+name+" is malformed: "+err.Error())
		}
		if !known && e.Critical {
			c.UnknownCritical = append(c.UnknownCritical, e.ID)
		}
	}
	return nil
}

func readValidity(in cryptobyte.String) (notBefore, notAfter time.Time, ok bool) {
	notBefore, ok = ReadTime(&in)
	notAfter, ok2 := ReadTime(&in)
	if !ok || !ok2 || !in.Empty() {
		return time.Time{}, time.Time{}, false
	}
	return notBefore, notAfter, true
}

// ReadTime reads a UTCTime or GeneralizedTime (RFC 5280 section 4.1.2.5).
func ReadTime(in *cryptobyte.String) (t time.Time, ok bool) {
	if in.PeekASN1Tag(cbasn1.UTCTime) {
		ok = in.ReadASN1UTCTime(&t)
	} else {
		ok = in.ReadASN1GeneralizedTime(&t)
	}
	return t, ok
}

// extensionTitle returns the section of RFC 5280 about an extension, and its name there.
func extensionTitle(id OID) (section, name string) {
	switch id {
	case OIDAuthorityKeyIdentifier:
		return "4.2.1.1", "authorityKeyIdentifier"
	case OIDSubjectKeyIdentifier:
		return "4.2.1.2", "subjectKeyIdentifier"
	case OIDKeyUsage:
		return "4.2.1.3", "keyUsage"
	case OIDCertificatePolicies:
		return "4.2.1.4", "certificatePolicies"
	case OIDPolicyMappings:
		return "4.2.1.5", "policyMappings"
	case OIDSubjectAltName:
		return "4.2.1.6", "subjectAltName"
	case OIDIssuerAltName:
		return "4.2.1.7", "issuerAltName"
	case OIDBasicConstraints:
		return "4.2.1.9", "basicConstraints"
	case OIDNameConstraints:
		return "4.2.1.10", "nameConstraints"
	case OIDPolicyConstraints:
		return "4.2.1.11", "policyConstraints"
	case OIDExtendedKeyUsage:
		return "4.2.1.12", "extKeyUsage"
	case OIDCRLDistributionPoints:
		return "4.2.1.13", "cRLDistributionPoints"
	case OIDInhibitAnyPolicy:
		return "4.2.1.14", "inhibitAnyPolicy"
	case OIDFreshestCRL:
		return "4.2.1.15", "freshestCRL"
	case OIDAuthorityInfoAccess:
		return "4.2.2.1", "authorityInfoAccess"
	}
	return "4.2", "extension " + id.String()
}

// SelfIssued reports whether subject and issuer are the same name (RFC 5280 section 3.2).
func (c *Certificate) SelfIssued() bool { return c.Subject.Equal(c.Issuer) }

// HasExtension reports whether there is an extension with this identifier.
func (c *Certificate) HasExtension(id OID) bool {
	_, ok := FindExtension(c.Extensions, id)
	return ok
}

// Equal reports whether two certificates are the same, octet for octet.
func (c *Certificate) Equal(other *Certificate) bool { return bytes.Equal(c.Raw, other.Raw) }
