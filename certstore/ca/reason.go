package ca

import (
	"errors"
	"fmt"
	"strings"
)

// Reason is why a certificate is revoked, by its name in RFC 5280 section 5.3.1.
type Reason string

// The reasons. aACompromise is for attribute certificates.
const (
	Unspecified          Reason = "unspecified"
	KeyCompromise        Reason = "keyCompromise"
	CACompromise         Reason = "cACompromise" // of an issuer only
	AffiliationChanged   Reason = "affiliationChanged"
	Superseded           Reason = "superseded"
	CessationOfOperation Reason = "cessationOfOperation"
	CertificateHold      Reason = "certificateHold" // may be made final later by another reason, or lifted
	PrivilegeWithdrawn   Reason = "privilegeWithdrawn"
)

// RemoveFromCRL is what delta lists, which are not made, say of a certificate whose hold is lifted. Nothing is revoked for
// it: [Authority.Lift] does what it says.
const RemoveFromCRL Reason = "removeFromCRL"

// ErrReason says that a certificate cannot be revoked for this reason.
var ErrReason = errors.New("reason for revocation")

// Reasons lists them in the order of their codes.
func Reasons() []Reason {
	return []Reason{Unspecified, KeyCompromise, CACompromise, AffiliationChanged, Superseded, CessationOfOperation, CertificateHold, PrivilegeWithdrawn}
}

// ParseReason returns the reason of this name, in capitals or not. The empty name is unspecified.
func ParseReason(name string) (Reason, error) {
	if name == "" {
		return Unspecified, nil
	}
	var names []string
	for _, r := range Reasons() {
		if strings.EqualFold(name, string(r)) {
			return r, nil
		}
		names = append(names, string(r))
	}
	return "", fmt.Errorf("%w: %q is not one of %s", ErrReason, name, strings.Join(names, ", "))
}

// code is the number of CRLReason, or -1 where there is none.
func (r Reason) code() int {
	switch r {
	case Unspecified:
		return 0
	case KeyCompromise:
		return 1
	case CACompromise:
		return 2
	case AffiliationChanged:
		return 3
	case Superseded:
		return 4
	case CessationOfOperation:
		return 5
	case CertificateHold:
		return 6
	case PrivilegeWithdrawn:
		return 9
	}
	return -1
}
