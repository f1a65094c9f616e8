package certpath

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// DistributionPoint is RFC 5280 section 4.2.1.13.
type DistributionPoint struct {
	Name       DistributionPointName
	Reasons    ReasonFlags
	HasReasons bool // without them the point covers all reasons
	CRLIssuer  []GeneralName
}

// DistributionPointName is one of the two, or none.
type DistributionPointName struct {
	FullName       []GeneralName
	RelativeToName RDN // nameRelativeToCRLIssuer
}

// IsZero reports whether there is no name.
func (n DistributionPointName) IsZero() bool { return n.FullName == nil && n.RelativeToName == nil }

// ReasonFlags holds the bits of RFC 5280 section 4.2.1.13, the first as the lowest.
type ReasonFlags uint16

// The bits of ReasonFlags.
const (
	UnusedReason ReasonFlags = 1 << iota
	KeyCompromise
	CACompromise
	AffiliationChanged
	Superseded
	CessationOfOperation
	CertificateHold
	PrivilegeWithdrawn
	AACompromise

	// AllReasons are those that a certificate can be revoked for.
	AllReasons = KeyCompromise | CACompromise | AffiliationChanged | Superseded | CessationOfOperation |
		CertificateHold | PrivilegeWithdrawn | AACompromise
)

// ParseDistributionPoints reads the value of cRLDistributionPoints or freshestCRL.
func ParseDistributionPoints(der []byte) ([]DistributionPoint, error) {
	in := cryptobyte.String(der)
	var points []DistributionPoint
	err := readEach(&in, func(element *cryptobyte.String) error {
		var name, issuer cryptobyte.String
		var hasName, hasIssuer bool
		var point DistributionPoint
		if !element.ReadOptionalASN1(&name, &hasName, tagExplicit0) {
			return errSyntax
		}
		if hasName {
			var err error
			if point.Name, err = ReadDistributionPointName(name); err != nil {
				return err
			}
		}
		if element.PeekASN1Tag(tagImplicit1) {
			var ok bool
			if point.Reasons, ok = ReadReasonFlags(element, tagImplicit1); !ok {
				return errSyntax
			}
			point.HasReasons = true
		}
		if !element.ReadOptionalASN1(&issuer, &hasIssuer, tagExplicit2) {
			return errSyntax
		}
		if hasIssuer {
			var err error
			if point.CRLIssuer, err = ReadGeneralNames(issuer); err != nil {
				return err
			}
		}
		// RFC 5280 section 4.2.1.13: MUST NOT consist of only the reasons field.
		if !hasName && !hasIssuer {
			return errors.New("a distribution point without a name and an issuer")
		}
		points = append(points, point)
		return nil
	})
	if err == nil && !in.Empty() {
		err = errSyntax
	}
	return points, err
}

// ReadDistributionPointName reads the choice, which is what is under the explicit tag in a distribution point.
func ReadDistributionPointName(in cryptobyte.String) (DistributionPointName, error) {
	var name DistributionPointName
	var content cryptobyte.String
	var err error
	switch {
	case in.PeekASN1Tag(tagExplicit0) && in.ReadASN1(&content, tagExplicit0):
		name.FullName, err = ReadGeneralNames(content)
	case in.PeekASN1Tag(tagExplicit1) && in.ReadASN1(&content, tagExplicit1):
		name.RelativeToName, err = ReadRDN(content)
		if err == nil && len(name.RelativeToName) == 0 {
			err = errEmpty
		}
	default:
		err = errSyntax
	}
	if err == nil && !in.Empty() {
		err = errSyntax
	}
	return name, err
}

// ReadReasonFlags reads ReasonFlags under this tag.
func ReadReasonFlags(in *cryptobyte.String, tag cbasn1.Tag) (ReasonFlags, bool) {
	bits, ok := readNamedBits(in, tag)
	return ReasonFlags(bits), ok
}
