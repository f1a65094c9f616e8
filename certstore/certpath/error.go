package certpath

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Code is the stable word for why a path is not valid.
type Code string

// The codes. Policies, names that do not chain and bounds that were reached are ChainInvalid: the reason tells.
const (
	NoAnchor               Code = "no-anchor"               // no trust anchor is reached
	Expired                Code = "expired"                 // valid once, not any more
	NotYetValid            Code = "not-yet-valid"           // valid later
	KeyUsageMismatch       Code = "key-usage"               // the leaf's key usage does not cover the use
	ExtendedKeyUsage       Code = "extended-key-usage"      // nor does its extended key usage, or an issuer's
	NotACA                 Code = "not-a-ca"                // an issuer is no certificate authority
	NameConstraint         Code = "name-constraints"        // an issuer may not certify this name
	PathLength             Code = "path-length"             // more intermediates than an issuer allows
	BadSignature           Code = "bad-signature"           // a certificate was not signed by its issuer's key
	CriticalExtension      Code = "critical-extension"      // a critical extension that is not understood
	UnsupportedCertificate Code = "unsupported-certificate" // an algorithm that is unknown or too weak
	ChainInvalid           Code = "chain-invalid"           // any other breach of RFC 5280 section 6
)

// Error says why a path is not valid.
type Error struct {
	Code        Code
	Index       int          // of the certificate in the path; -1 where there is none
	Certificate *Certificate // the one that breaks the path, nil where it is none in particular
	Section     string       // of RFC 5280, such as "6.1.3 (a)(1)", or "" where it has none
	Reason      string       // a sentence for people; what it takes from a certificate is short and quoted
	Err         error        // the cause underneath, or nil
}

// Error returns the reason.
func (e *Error) Error() string { return "certificate path: " + e.Reason }

// Unwrap returns the cause underneath.
func (e *Error) Unwrap() error { return e.Err }

// isTime reports whether nothing is wrong but the time.
func (e *Error) isTime() bool { return e.Code == Expired || e.Code == NotYetValid }

// quoteName returns what a name is shown as in a sentence: the first common name, or all of it, short and quoted, as
// whoever made it chose the words.
func quoteName(n Name) string {
	text := n.String()
	if names := n.Values(OIDCommonName); len(names) > 0 && names[0] != "" {
		text = names[0]
	}
	return quote(text)
}

func quote(text string) string {
	const most = 80
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(strings.ToValidUTF8(text, "\ufffd"))[:most]) + "…"
	}
	return fmt.Sprintf("%q", text)
}

// display names the certificate in a sentence.
func (c *Certificate) display() string { return quoteName(c.Subject) }
