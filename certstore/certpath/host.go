package certpath

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// constraintHost reads a host, or a domain with a leading dot. An empty one stands for all.
func constraintHost(text string) (string, bool) {
	bare, dotted := strings.CutPrefix(text, ".")
	if bare == "" {
		return "", !dotted
	}
	host, ok := normalizeHost(bare)
	if dotted {
		host = "." + host
	}
	return host, ok
}

// prefix reads an address with its mask.
func prefix(raw []byte) (netip.Prefix, bool) {
	half := len(raw) / 2
	address, ok := netip.AddrFromSlice(raw[:half])
	if !ok || len(raw) != 2*half || !isMask(raw[half:]) {
		return netip.Prefix{}, false
	}
	ones := 0
	for _, b := range raw[half:] {
		for ; b&0x80 != 0; b <<= 1 {
			ones++
		}
	}
	return netip.PrefixFrom(address, ones), ok
}

// hostWithin is the rule for rfc822Name and URI: a host stands for itself, and one with a leading dot for those below it.
func hostWithin(host, constraint string) bool {
	if constraint == "" {
		return true
	}
	if constraint[0] == '.' {
		return strings.HasSuffix(host, constraint) && len(host) > len(constraint)
	}
	return host == constraint
}

// parseMailbox takes an address apart. Quoted local parts are malformed here: they have several spellings.
func parseMailbox(address string) (mailbox, bool) {
	local, host, _ := strings.Cut(address, "@")
	if !isDotAtom(local) {
		return mailbox{}, false
	}
	host, ok := normalizeHost(host)
	return mailbox{local, host}, ok
}

// isDotAtom reports whether a local part is atoms with dots between them (RFC 5322 section 3.2.3), or has characters
// beyond ASCII (RFC 6532 section 3.2).
func isDotAtom(local string) bool {
	previous := byte('.')
	for i := range len(local) {
		c := local[i]
		switch {
		case c >= utf8.RuneSelf, c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.' && previous != '.':
		case strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0:
		default:
			return false
		}
		previous = c
	}
	return previous != '.'
}

// uriHost returns the host of a URI. RFC 5280 section 4.2.1.10: one without a host, or with an address in its place, is
// refused where there are constraints.
func uriHost(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil {
		return "", false
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || strings.Contains(u.Host, "[") {
		return "", false
	}
	return normalizeHost(host)
}

// maxHost is the length of the longest host name (RFC 1034 section 3.1), written out.
const maxHost = 253

// normalizeHost returns a host name in lower case and A-labels.
func normalizeHost(host string) (string, bool) {
	if len(host) > 4*maxHost { // as A-labels of something so long take long to find
		return "", false
	}
	if !isASCII(host) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", false
		}
		host = ascii
	}
	if host == "" || len(host) > maxHost {
		return "", false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			default:
				return "", false
			}
		}
	}
	return lowerASCII(host), true
}
