package certpath

import (
	"slices"
	"time"
)

// allows reports whether the extended key usage of c covers a purpose (RFC 5280 section 4.2.1.12).
func (c *Certificate) allows(purpose OID) bool {
	return purpose == "" || c.ExtendedKeyUsage == nil || slices.Contains(c.ExtendedKeyUsage, purpose) ||
		slices.Contains(c.ExtendedKeyUsage, OIDAnyExtendedKeyUsage)
}

func purposeName(purpose OID) string {
	switch purpose {
	case OIDServerAuth:
		return "servers"
	case OIDClientAuth:
		return "clients"
	case OIDEmailProtection:
		return "e-mail protection"
	case OIDTimeStamping:
		return "time stamping"
	case OIDOCSPSigning:
		return "OCSP signing"
	}
	return "the purpose " + purpose.String()
}

// checkTime is RFC 5280 section 6.1.3 (a)(2), and 4.1.2.5: both ends are included.
func checkTime(c *Certificate, at time.Time) *Error {
	const layout = "2006-01-02 15:04 MST"
	e := &Error{Certificate: c, Section: "6.1.3 (a)(2)"}
	switch {
	case at.After(c.NotAfter):
		e.Code = Expired
		e.Reason = "the certificate of " + c.display() + " expired on " + c.NotAfter.UTC().Format(layout)
	case at.Before(c.NotBefore):
		e.Code = NotYetValid
		e.Reason = "the certificate of " + c.display() + " is not valid before " + c.NotBefore.UTC().Format(layout)
	default:
		return nil
	}
	return e
}

// isAuthority reports whether c may issue certificates by what it says of itself.
func (c *Certificate) isAuthority() bool {
	return c.BasicConstraints != nil && c.BasicConstraints.CA && (!c.HasKeyUsage || c.KeyUsage&KeyCertSign != 0)
}
