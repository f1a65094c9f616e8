package localserver

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// delimiter parts the levels of a folder name on the wire. On disk folders lie side by side.
const delimiter = '/'

// maxEncodedName bounds an encoded name; common file systems take 255 octets for a path element.
const maxEncodedName = 240

const inbox = "INBOX"

// canonicalFolder returns name with INBOX in capitals, whatever case the client used (RFC 3501 section 5.1).
func canonicalFolder(name string) string {
	first, rest, below := strings.Cut(name, string(delimiter))
	if !strings.EqualFold(first, inbox) {
		return name
	}
	if !below {
		return inbox
	}
	return inbox + string(delimiter) + rest
}

// validFolder tells whether a folder of this name may be made: printable UTF-8, no empty level, not too long.
func validFolder(name string) bool {
	if !utf8.ValidString(name) || len(encodeName(name)) > maxEncodedName {
		return false
	}
	for level := range strings.SplitSeq(name, string(delimiter)) {
		if level == "" {
			return false
		}
	}
	for _, r := range name {
		// The two wildcards of LIST would make a name that cannot be asked for.
		if !unicode.IsPrint(r) || r == '*' || r == '%' {
			return false
		}
	}
	return true
}

// encodeName maps a name to one path element, and different names to different elements. Names that begin with a dot
// are kept for the server's own files.
func encodeName(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '@',
			c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// decodeName undoes encodeName. It reports false for an element that encodeName does not produce.
func decodeName(element string) (string, bool) {
	name, err := url.PathUnescape(element)
	if err != nil || name == "" || encodeName(name) != element {
		return "", false
	}
	return name, true
}

// matchFolder tells whether name matches a LIST pattern: '*' stands for anything, '%' for anything without a
// delimiter (RFC 3501 section 6.3.8). It takes time in proportion to both lengths, whatever the pattern.
func matchFolder(pattern, name string) bool {
	// reach[i]: the pattern so far matches name[:i].
	reach := make([]bool, len(name)+1)
	reach[0] = true
	for p := 0; p < len(pattern); p++ {
		c := pattern[p]
		if c == '*' || c == '%' {
			for i := 0; i < len(name); i++ {
				reach[i+1] = reach[i+1] || reach[i] && (c == '*' || name[i] != delimiter)
			}
			continue
		}
		for i := len(name); i > 0; i-- {
			reach[i] = reach[i-1] && name[i-1] == c
		}
		reach[0] = false
	}
	return reach[len(name)]
}
