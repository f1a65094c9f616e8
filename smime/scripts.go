package smime

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// DisplayAddress returns an addr-spec as it is to be shown: a domain that could be taken for another one, because it mixes
// scripts or is written in one whose letters look like Latin ones, is shown as it is in the DNS ("xn--…", RFC 5890). So is
// a domain that no name in the DNS can be, unless that is for its length.
func DisplayAddress(address string) string {
	local, domain, ok := cutAddress(address)
	if !ok || !misleadingDomain(domain) {
		return address
	}
	ascii, err := idna.Punycode.ToASCII(domain) // as it is, whether it is allowed or not
	if err != nil {
		return address
	}
	return local + "@" + ascii
}

// MixesScripts reports whether the local part of an address mixes scripts, so that it could be taken for another one. A
// domain that does is told by [DisplayAddress].
func MixesScripts(address string) bool {
	local, _, ok := cutAddress(address)
	return ok && mixed(scriptsOf(local))
}

// misleadingDomain looks at each label of a domain.
func misleadingDomain(domain string) bool {
	if isASCII(domain) || len(domain) > maxDomain {
		return false
	}
	labels := strings.FieldsFunc(domain, func(c rune) bool { return strings.ContainsRune(".。．｡", c) })
	noLetter := func(c rune) bool { return c >= utf8.RuneSelf && !unicode.In(c, unicode.L, unicode.M, unicode.N) }
	if _, err := idna.Lookup.ToASCII(domain); err != nil || slices.ContainsFunc(labels, func(l string) bool { return strings.ContainsFunc(l, noLetter) }) {
		return true
	}
	top := scriptsOf(labels[len(labels)-1])
	for _, label := range labels {
		scripts := scriptsOf(label)
		if mixed(scripts) {
			return true
		}
		// A name all in such a script, such as Cyrillic "аррӏе", is at home under a top-level domain in that script.
		for _, script := range scripts {
			if slices.Contains(likeLatin, script) && !slices.Contains(top, script) {
				return true
			}
		}
	}
	return false
}

// likeLatin are scripts with many letters that look like Latin ones.
var likeLatin = []string{"Armenian", "Cherokee", "Coptic", "Cyrillic", "Greek", "Lisu"}

// together are the scripts that belong together in one word: the level "Highly Restrictive" of Unicode Technical Standard 39
// section 5.2.
var together = [][]string{
	{"Han", "Hiragana", "Katakana", "Latin"},
	{"Bopomofo", "Han", "Latin"},
	{"Han", "Hangul", "Latin"},
}

func mixed(scripts []string) bool {
	if len(scripts) < 2 {
		return false
	}
	return !slices.ContainsFunc(together, func(set []string) bool {
		return !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(set, s) })
	})
}

// scriptsOf returns the scripts of the letters in a text, in alphabetical order. What many scripts share, such as digits,
// counts for none.
func scriptsOf(text string) []string {
	found := map[string]bool{}
	for _, c := range text {
		switch {
		case c < utf8.RuneSelf:
			if unicode.IsLetter(c) {
				found["Latin"] = true
			}
		default:
			found[scriptOf(c)] = true
		}
	}
	delete(found, "Common")
	delete(found, "Inherited")
	return slices.Sorted(maps.Keys(found))
}

// scriptOf returns the name of a character's script; "" where it has none.
func scriptOf(c rune) string {
	for name, table := range unicode.Scripts {
		if unicode.Is(table, c) {
			return name
		}
	}
	return ""
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf })
}
