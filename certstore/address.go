package certstore

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/net/idna"
)

var (
	oidSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSmtpUTF8Mailbox = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9} // RFC 9598 section 3
	oidEmailAddress    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// maxAddresses bounds how many addresses of one certificate are looked at; maxAddress is the longest path of RFC 5321
// section 4.5.3.1.3 without its brackets.
const (
	maxAddresses = 1024
	maxAddress   = 254
)

// Addresses returns the mail addresses that a certificate speaks for, well formed ones only, as they are written in it
// and each once: the rfc822Name and SmtpUTF8Mailbox names of subjectAltName and, where the certificate has no
// subjectAltName, the emailAddress attributes of its subject (RFC 8550 section 3, RFC 9598).
func Addresses(c *x509.Certificate) []string {
	var found []string
	add := func(address string, ascii bool) {
		if len(found) >= maxAddresses || ascii && !isASCII(address) {
			return
		}
		if _, _, ok := splitAddress(address); ok && !slices.Contains(found, address) {
			found = append(found, address)
		}
	}
	names, present := subjectAltNames(c)
	for _, n := range names {
		add(n.address, !n.utf8)
	}
	if present {
		return found
	}
	for _, attribute := range c.Subject.Names {
		if value, ok := attribute.Value.(string); ok && attribute.Type.Equal(oidEmailAddress) {
			add(value, true)
		}
	}
	return found
}

// MatchAddress reports whether the certificate speaks for this mail address (an addr-spec, no display name).
//
// The domain is compared without regard to case and with its internationalized labels in their ASCII form. The local
// part is compared without regard to the case of ASCII letters, although RFC 5280 section 7.5 compares it exactly: no
// mail system in use gives Alice@ and alice@ to different people, while people, and certificate authorities, write
// both. Beyond ASCII nothing is folded, so that no two letters that merely look alike are taken for the same.
// A name that is malformed, in the certificate or as the argument, matches nothing.
func MatchAddress(c *x509.Certificate, address string) bool {
	want, ok := NormalizeAddress(address)
	if !ok {
		return false
	}
	for _, candidate := range Addresses(c) {
		if got, ok := NormalizeAddress(candidate); ok && got == want {
			return true
		}
	}
	return false
}

// NormalizeAddress returns the form of a mail address in which two that match are equal. It is for comparing, not for
// showing or sending to. ok is false where the address is malformed.
func NormalizeAddress(address string) (normalized string, ok bool) {
	local, domain, ok := splitAddress(address)
	if !ok {
		return "", false
	}
	domain, ok = normalizeDomain(domain)
	if !ok {
		return "", false
	}
	return lowerASCII(local) + "@" + domain, true
}

// normalizeDomain returns a host name in lower case and A-labels.
func normalizeDomain(domain string) (string, bool) {
	if !isASCII(domain) || strings.Contains(lowerASCII(domain), "xn--") {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil || !validDomain(ascii) { // as A-labels are longer
			return "", false
		}
		domain = ascii
	}
	return lowerASCII(domain), true
}

// splitAddress takes an address apart at its only @ and refuses what is not plainly local-part@domain. Quoted local
// parts and address literals are refused: nobody's certificate needs them, and quoting hides an @.
func splitAddress(address string) (local, domain string, ok bool) {
	if len(address) > maxAddress || !utf8.ValidString(address) {
		return "", "", false
	}
	local, domain, ok = strings.Cut(address, "@")
	if !ok || local == "" || !validDomain(domain) {
		return "", "", false
	}
	for _, r := range local {
		// RFC 5322 section 3.2.3: specials, space and controls end an atom. DEL, C1 controls and
		// U+FFFD cannot be part of a name that a person could tell from another.
		if r <= ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || strings.ContainsRune(`()<>[]:;@\,"`, r) {
			return "", "", false
		}
	}
	// RFC 5322 section 3.2.3: a dot stands between two atoms.
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", "", false
	}
	return local, domain, true
}

// validDomain reports whether a domain consists of labels of letters, digits and hyphens (RFC 1034 section 3.5), or of
// characters beyond ASCII, which normalizeDomain judges.
func validDomain(domain string) bool {
	if domain == "" {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 && isASCII(label) || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			case r >= 0xa0 && r != utf8.RuneError:
			default:
				return false
			}
		}
	}
	return true
}

type altName struct {
	address string
	utf8    bool
}

// subjectAltNames returns the mail addresses in the subjectAltName extension, and whether there is the extension.
func subjectAltNames(c *x509.Certificate) (names []altName, present bool) {
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(oidSubjectAltName) {
			continue
		}
		present = true
		value := cryptobyte.String(extension.Value)
		var list cryptobyte.String
		if !value.ReadASN1(&list, cryptobyteasn1.SEQUENCE) {
			return nil, true
		}
		for !list.Empty() && len(names) < maxAddresses {
			var name cryptobyte.String
			var tag cryptobyteasn1.Tag
			if !list.ReadAnyASN1(&name, &tag) {
				return names, true
			}
			switch tag {
			case cryptobyteasn1.Tag(1).ContextSpecific(): // rfc822Name
				names = append(names, altName{string(name), false})
			case cryptobyteasn1.Tag(0).ContextSpecific().Constructed(): // otherName
				if mailbox, ok := smtpUTF8Mailbox(name); ok {
					names = append(names, altName{mailbox, true})
				}
			}
		}
	}
	return names, present
}

// smtpUTF8Mailbox reads the content of an otherName (RFC 9598 section 3).
func smtpUTF8Mailbox(other cryptobyte.String) (string, bool) {
	var id asn1.ObjectIdentifier
	var value, mailbox cryptobyte.String
	if !other.ReadASN1ObjectIdentifier(&id) || !id.Equal(oidSmtpUTF8Mailbox) ||
		!other.ReadASN1(&value, cryptobyteasn1.Tag(0).ContextSpecific().Constructed()) ||
		!value.ReadASN1(&mailbox, cryptobyteasn1.UTF8String) || !value.Empty() {
		return "", false
	}
	return string(mailbox), true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lowerASCII lowers A to Z and nothing else: strings.ToLower would fold the Kelvin sign into k.
func lowerASCII(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= 'A' && r <= 'Z' }) {
		return s // as most addresses are
	}
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
