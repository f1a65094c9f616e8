package certstore

import (
	"crypto/x509"
	"strings"
)

// checkMailNames applies the issuers' name constraints on mail addresses to those of the leaf's addresses that the
// standard library does not look at: the subject's emailAddress where there is no subjectAltName (RFC 5280 section
// 4.2.1.10) and SmtpUTF8Mailbox names (RFC 9598 section 6). Applying them to rfc822Names a second time does no harm.
func checkMailNames(chain []*x509.Certificate) error {
	leaf := chain[0]
	addresses := Addresses(leaf)
	for _, issuer := range chain[1:] {
		if len(issuer.PermittedEmailAddresses)+len(issuer.ExcludedEmailAddresses) == 0 {
			continue
		}
		for _, address := range addresses {
			if !mailNameAllowed(address, issuer) {
				return &PathError{Code: NameConstraints, Certificate: leaf,
					Reason: displayName(issuer) + " is constrained to other mail addresses than those of " + displayName(leaf)}
			}
		}
	}
	return nil
}

func mailNameAllowed(address string, issuer *x509.Certificate) bool {
	for _, excluded := range issuer.ExcludedEmailAddresses {
		if mailNameWithin(address, excluded) {
			return false
		}
	}
	for _, permitted := range issuer.PermittedEmailAddresses {
		if mailNameWithin(address, permitted) {
			return true
		}
	}
	return len(issuer.PermittedEmailAddresses) == 0
}

// mailNameWithin reports whether an address falls under a constraint: a whole address, a host, or a domain with a
// leading dot, which stands for the hosts below it (RFC 5280 section 4.2.1.10).
func mailNameWithin(address, constraint string) bool {
	if strings.Contains(constraint, "@") {
		want, ok := NormalizeAddress(constraint)
		got, ok2 := NormalizeAddress(address)
		return ok && ok2 && got == want
	}
	_, host, _ := strings.Cut(address, "@")
	host, ok := normalizeDomain(host)
	if !ok {
		return false
	}
	constraint = lowerASCII(constraint)
	if strings.HasPrefix(constraint, ".") {
		return strings.HasSuffix(host, constraint)
	}
	return host == constraint
}
