package certpath

import "time"

// Parameters are the inputs of path validation (RFC 5280 section 6.1.1), beside the path itself.
type Parameters struct {
	Time   time.Time // (b); the zero time is an error
	Anchor TrustAnchor

	// UserInitialPolicySet (c) are the policies that the user accepts. None means any.
	UserInitialPolicySet        []OID
	InitialPolicyMappingInhibit bool // (e)
	InitialExplicitPolicy       bool // (f)
	InitialAnyPolicyInhibit     bool // (g)

	// InitialPermittedSubtrees (h) bound the names of the path where there are some of their kind; none permits all.
	// They have the form of name constraints: an iPAddress has a mask.
	InitialPermittedSubtrees []GeneralName
	InitialExcludedSubtrees  []GeneralName // (i)

	Algorithms AlgorithmPolicy

	// KeyPurpose is what the path is for, such as [OIDEmailProtection]. Every certificate of it that has an
	// extendedKeyUsage must name it there, or anyExtendedKeyUsage: the leaf by section 4.2.1.12, issuers because an
	// authority that states purposes is trusted for no others. "" asks for nothing.
	KeyPurpose OID
}

// TrustAnchor is the trust anchor information of RFC 5280 section 6.1.1 (d), with constraints (RFC 5937).
type TrustAnchor struct {
	Name        Name
	Certificate *Certificate // whose key it is

	// Constrained has the certificate's own words count as well: its validity, its path length, its name constraints, its
	// purposes, and what is wrong with it. Without it the anchor is a name and a key, as RFC 5280 has it.
	Constrained bool
}

// NewTrustAnchor returns the anchor that a certificate stands for, with its own constraints.
func NewTrustAnchor(c *Certificate) TrustAnchor {
	return TrustAnchor{Name: c.Subject, Certificate: c, Constrained: true}
}

// Result is what a valid path yields (RFC 5280 section 6.1.6). The working public key is that of the last certificate.
type Result struct {
	// AuthorityPolicies are the policies that the path is valid for in the terms of the anchor, Policies those of them
	// that the user accepts (RFC 9618 section 5.5). Any policy is [OIDAnyPolicy]; none at all is nil.
	AuthorityPolicies, Policies []OID
}
