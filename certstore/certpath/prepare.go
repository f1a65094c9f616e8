package certpath

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// prepare brings a string into the form in which two that match are equal: the preparation of RFC 4518 for
// caseIgnoreMatch, without its normalization of characters (section 2.3).
func prepare(s string) string {
	if isPrepared(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch r = mapRune(r); {
		case r < 0:
		case r == ' ': // section 2.6.1: spaces at the ends are insignificant, and several are as one
			space = true
		default:
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isPrepared finds the usual case quickly: ASCII in lower case with single spaces within.
func isPrepared(s string) bool {
	previous := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' || c == ' ' && previous == ' ' {
			return false
		}
		previous = c
	}
	return s == "" || previous != ' '
}

// mapRune is RFC 4518 section 2.2 for one character: what is mapped to nothing is -1.
func mapRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf && r > ' ' && r != 0x7f:
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case r == '\t' || r == '\n' || r == '\v' || r == '\f' || r == '\r' || r == 0x85 || unicode.Is(unicode.Z, r):
		return ' '
	case r == 0x34f || r == 0x1806 || r >= 0x180b && r <= 0x180d || r >= 0xfe00 && r <= 0xfe0f || r == 0xfffc ||
		unicode.In(r, unicode.Cc, unicode.Cf):
		return -1
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lowerASCII lowers A to Z and nothing else.
func lowerASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			return strings.Map(func(r rune) rune {
				if r >= 'A' && r <= 'Z' {
					r += 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}

// equalFoldASCII compares without regard to the case of A to Z.
func equalFoldASCII(a, b string) bool {
	return len(a) == len(b) && lowerASCII(a) == lowerASCII(b)
}
