package entity

import (
	"strconv"
	"strings"

	"github.com/emersion/go-message/charset"
)

// MediaType is the value of Content-Type, or of another field of that form such as Content-Disposition.
type MediaType struct {
	Type   string            // lower case: "text/plain", "attachment"
	Params map[string]string // names in lower case, values decoded as RFC 2231 says; nil if there are none
}

// Is reports whether the type is one of these, given in lower case.
func (m MediaType) Is(types ...string) bool {
	for _, t := range types {
		if m.Type == t {
			return true
		}
	}
	return false
}

// Multipart reports whether the type is multipart/*.
func (m MediaType) Multipart() bool { return strings.HasPrefix(m.Type, "multipart/") }

// maxParams bounds how many parameters are kept.
const maxParams = 256

// ParseMediaType reads a field value with parameters (RFC 2045 section 5.1, RFC 2231). It reads what it can: comments
// are dropped, of a parameter that is there twice the first counts, and one that is malformed is left out.
func ParseMediaType(value string) MediaType {
	if !strings.ContainsAny(value, `;(\`) {
		return MediaType{Type: strings.ToLower(strings.TrimSpace(value))}
	}
	parts := splitParams(value)
	m := MediaType{Type: strings.ToLower(strings.TrimSpace(parts[0]))}
	if len(parts) > 1 {
		m.Params = make(map[string]string, len(parts)-1)
	}
	var segments map[string]map[int]segment
	for _, part := range parts[1:] {
		name, value, found := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !found || name == "" {
			continue
		}
		value, quoted := unquote(value)
		base, star, extended := strings.Cut(name, "*")
		if !extended {
			if _, have := m.Params[name]; !have {
				m.Params[name] = value
			}
			continue
		}
		// RFC 2231: name*, name*0, name*0*.
		s := segment{text: value, encoded: !quoted && (star == "" || strings.HasSuffix(star, "*"))}
		index := 0
		if star = strings.TrimSuffix(star, "*"); star != "" {
			n, err := strconv.Atoi(star)
			if err != nil || n < 0 || n >= maxParams {
				continue
			}
			index = n
		}
		if segments == nil {
			segments = make(map[string]map[int]segment)
		}
		if segments[base] == nil {
			segments[base] = make(map[int]segment)
		}
		if _, have := segments[base][index]; !have {
			segments[base][index] = s
		}
	}
	for base, list := range segments {
		// The extended form is the one that its sender prefers to be read.
		if value, ok := join(list); ok {
			m.Params[base] = value
		}
	}
	return m
}

// segment is one piece of an extended parameter value.
type segment struct {
	text    string
	encoded bool
}

// join puts the segments together up to the first gap (RFC 2231 sections 3 and 4).
func join(list map[int]segment) (string, bool) {
	first, ok := list[0]
	if !ok {
		return "", false
	}
	label := ""
	if first.encoded {
		var rest string
		if label, rest, ok = strings.Cut(first.text, "'"); !ok {
			label, rest = "", first.text
		} else if _, text, ok := strings.Cut(rest, "'"); ok {
			rest = text // without the language
		}
		list[0] = segment{rest, true}
	}
	var b strings.Builder
	for i := 0; ; i++ {
		s, ok := list[i]
		if !ok {
			break
		}
		if s.encoded {
			s.text = unpercent(s.text)
		}
		b.WriteString(s.text)
	}
	return toUTF8(label, b.String()), true
}

// toUTF8 decodes text from the character set, where that is known.
func toUTF8(label, text string) string {
	if label = strings.ToLower(label); label != "" && label != "utf-8" {
		var b strings.Builder
		if r, err := charset.Reader(label, strings.NewReader(text)); err == nil {
			if _, err := copyText(&b, r); err == nil {
				text = b.String()
			}
		}
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func unpercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c - 'A' + 10)
	case 'a' <= c && c <= 'f':
		return int(c - 'a' + 10)
	}
	return -1
}

// splitParams cuts the value at its semicolons, heeding quotes, and drops comments. There is always a first piece.
func splitParams(value string) []string {
	if !strings.ContainsAny(value, `(\`) { // as nearly all are: the pieces stand there as they are
		return splitPlainParams(value)
	}
	var parts []string
	var b strings.Builder
	quoted, comments := false, 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && (quoted || comments > 0) && i+1 < len(value):
			i++
			if comments == 0 {
				b.WriteByte(c)
				b.WriteByte(value[i])
			}
		case comments > 0:
			if c == '(' {
				comments++
			} else if c == ')' {
				comments--
			}
		case c == '"':
			quoted = !quoted
			b.WriteByte(c)
		case quoted:
			b.WriteByte(c)
		case c == '(':
			comments++
		case c == ';':
			if len(parts) == maxParams {
				return parts
			}
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}

// splitPlainParams is splitParams for a value without comments and escapes.
func splitPlainParams(value string) []string {
	parts := make([]string, 0, min(1+strings.Count(value, ";"), maxParams+1))
	quoted, start := false, 0
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '"':
			quoted = !quoted
		case value[i] == ';' && !quoted:
			if len(parts) == maxParams {
				return parts
			}
			parts = append(parts, value[start:i])
			start = i + 1
		}
	}
	return append(parts, value[start:])
}

// unquote takes white space, quotes and backslashes off a parameter value.
func unquote(s string) (value string, quoted bool) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, `"`) {
		return s, false
	}
	if !strings.Contains(s, `\`) {
		value, _, _ = strings.Cut(s[1:], `"`)
		return value, true
	}
	b := make([]byte, 0, len(s))
	for i := 1; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b), true
}
