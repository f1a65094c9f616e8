package revocation

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Reason is CRLReason (RFC 5280 section 5.3.1).
type Reason uint8

// The values of Reason.
const (
	ReasonUnspecified          Reason = 0
	ReasonKeyCompromise        Reason = 1
	ReasonCACompromise         Reason = 2
	ReasonAffiliationChanged   Reason = 3
	ReasonSuperseded           Reason = 4
	ReasonCessationOfOperation Reason = 5
	ReasonCertificateHold      Reason = 6
	ReasonRemoveFromCRL        Reason = 8
	ReasonPrivilegeWithdrawn   Reason = 9
	ReasonAACompromise         Reason = 10
)

// String returns the name of the RFC.
func (r Reason) String() string {
	names := [...]string{"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise"}
	if int(r) < len(names) && names[r] != "" {
		return names[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

func (r Reason) keyCompromise() bool {
	return r == ReasonKeyCompromise || r == ReasonCACompromise || r == ReasonAACompromise
}

// readReason reads the ENUMERATED.
func readReason(in *cryptobyte.String) (Reason, bool) {
	var content cryptobyte.String
	if !in.ReadASN1(&content, cbasn1.ENUM) || len(content) != 1 || content[0] > 0x7f {
		return 0, false
	}
	return Reason(content[0]), true
}
