package smime

import (
	"mime"
	"net/mail"
	"strings"

	"github.com/emersion/go-message/charset"
	"github.com/sealmail/sealmail/smime/entity"
	"golang.org/x/net/idna"
)

// maxAddressField bounds the address field that is looked into.
const maxAddressField = 256 << 10

// ParseAddresses reads an address list (RFC 5322 section 3.4), with its groups resolved. Where the list as a whole
// cannot be read, it is read address by address; ok is false if something had to be left out. Names may contain any
// character.
func ParseAddresses(value string) (list []*mail.Address, ok bool) {
	if strings.TrimSpace(value) == "" {
		return nil, true
	}
	if len(value) > maxAddressField {
		return nil, false
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: charset.Reader}}
	if list, err := parser.ParseList(value); err == nil {
		return list, true
	}
	for _, one := range splitAddresses(value) {
		if a, err := parser.Parse(one); err == nil {
			list = append(list, a)
		}
	}
	return list, false
}

// splitAddresses cuts a list at its commas, heeding quotes, comments and angle brackets.
func splitAddresses(value string) []string {
	var list []string
	start, comments := 0, 0
	quoted, angle := false, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\':
			i++
		case quoted:
			quoted = c != '"'
		case c == '(':
			comments++
		case c == ')' && comments > 0:
			comments--
		case comments > 0:
		case c == '"':
			quoted = true
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			list = append(list, value[start:i])
			start = i + 1
		}
	}
	return append(list, value[start:])
}

// addressesOf returns the mailboxes in all of these fields; ok is false if one could not be read as a whole.
func addressesOf(fields []entity.Field) (list []*mail.Address, ok bool) {
	ok = true
	for _, f := range fields {
		some, whole := ParseAddresses(f.Value())
		list = append(list, some...)
		ok = ok && whole
	}
	return list, ok
}

// SameAddress reports whether two addr-specs are equivalent as RFC 9788 section 4.4.5 says: domains in their ASCII form
// and without regard to case, local parts without regard to the case of ASCII letters.
func SameAddress(a, b string) bool {
	localA, domainA, okA := cutAddress(a)
	localB, domainB, okB := cutAddress(b)
	return okA && okB && lowerASCII(localA) == lowerASCII(localB) && asciiDomain(domainA) == asciiDomain(domainB)
}

func cutAddress(a string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(a, '@')
	if at <= 0 || at == len(a)-1 {
		return "", "", false
	}
	return a[:at], a[at+1:], true
}

// maxDomain bounds a domain that is brought into another form, in octets. The longest host name has 253 (RFC 1034 section
// 3.1), and four times as many where it is written out in UTF-8. What is longer is none, and to find A-labels of it (RFC
// 3492) takes time that grows as the square.
const maxDomain = 4 * 253

func asciiDomain(domain string) string {
	if len(domain) > maxDomain {
		return lowerASCII(domain)
	}
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	return lowerASCII(domain)
}

// lowerASCII leaves everything but A to Z alone: strings.ToLower would make other characters equal to ASCII ones.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
