package mailbox

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// path is an address as it was given and as it goes over the wire.
type path struct{ given, wire string }

// paths is an Envelope that is fit for the wire.
type paths struct {
	from path
	to   []path
	wide string // why SMTPUTF8 is needed (RFC 6531 section 3.4); empty: it is not
}

// newPaths refuses addresses that a server would read as something else, or not at all.
func newPaths(e Envelope) (paths, error) {
	var p paths
	if e.UTF8 {
		p.wide = "the message's header has letters beyond ASCII"
	}
	if len(e.To) == 0 {
		return p, fmt.Errorf("%w: there is no recipient", ErrAddress)
	}
	for i, address := range append([]string{e.From}, e.To...) {
		if i == 0 && address == "" {
			continue // the null reverse-path: RFC 5321 section 4.5.5
		}
		wire, ok := newPath(address)
		if !ok {
			return p, fmt.Errorf("%w: %q", ErrAddress, cleanText(address))
		}
		if !isASCII(wire) {
			p.wide = cleanText(address) + " has letters beyond ASCII before the @"
		}
		if i == 0 {
			p.from = path{address, wire}
		} else {
			p.to = append(p.to, path{address, wire})
		}
	}
	return p, nil
}

// WireAddress returns an address as mail carries it: where only its domain goes beyond ASCII, with that in A-labels (RFC
// 5890), which every server and reader knows. Its error wraps ErrAddress.
func WireAddress(address string) (string, error) {
	wire, ok := newPath(address)
	if !ok {
		return "", fmt.Errorf("%w: %q", ErrAddress, cleanText(address))
	}
	return wire, nil
}

// maxPath is how many octets a path may have, without its brackets (RFC 5321 section 4.5.3.1.3).
const maxPath = 254

// newPath returns the form of an address on the wire. Where only the domain goes beyond ASCII, that can be said in
// ASCII, which every server understands.
func newPath(address string) (wire string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	// What is longer is too long in any form, and to find A-labels of it takes time that grows as the square.
	if len(address) > 4*maxPath || at <= 0 || at == len(address)-1 || !utf8.ValidString(address) ||
		strings.ContainsFunc(address, func(r rune) bool {
			return r == '<' || r == '>' || unicode.IsSpace(r) || unicode.IsControl(r)
		}) {
		return "", false
	}
	local, domain := address[:at], address[at+1:]
	if isASCII(local) && !isASCII(domain) {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", false
		}
		domain = ascii
	}
	wire = local + "@" + domain
	return wire, len(wire) <= maxPath
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
