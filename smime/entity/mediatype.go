package entity

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-message/charset"
)

// MediaType is the value of Content-Type, or of another field of that form such as Content-Disposition.
type MediaType struct {
	Type   string // lower case: "text/plain", "attachment"
	Params Params // nil if there are none
}

// Params are the parameters of a field, each name once. There are few of them.
type Params []Param

// Param is one parameter.
type Param struct {
	Name  string // in lower case
	Value string // decoded as RFC 2231 says
}

// Get returns the value of the parameter with this name, given in lower case; "" if there is none.
func (p Params) Get(name string) string {
	if i := p.index(name); i >= 0 {
		return p[i].Value
	}
	return ""
}

// Has reports whether there is a parameter with this name, given in lower case.
func (p Params) Has(name string) bool { return p.index(name) >= 0 }

func (p Params) index(name string) int {
	for i := range p {
		if p[i].Name == name {
			return i
		}
	}
	return -1
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
	part, rest, more := cutParam(value)
	m := MediaType{Type: strings.ToLower(strings.TrimSpace(part))}
	if more {
		m.Params = make(Params, 0, min(maxParams, 1+strings.Count(rest, ";")))
	}
	var segments map[string]map[int]segment
	for count := 0; more && count < maxParams; count++ {
		part, rest, more = cutParam(rest)
		name, value, found := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !found || name == "" {
			continue
		}
		value, quoted := unquote(value)
		base, star, extended := strings.Cut(name, "*")
		if !extended {
			if !m.Params.Has(name) {
				m.Params = append(m.Params, Param{name, value})
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
	if len(segments) > 0 {
		m.Params = m.Params.extended(segments)
	}
	return m
}

// extended returns the parameters with those whose values came in segments.
func (p Params) extended(segments map[string]map[int]segment) Params {
	for _, base := range slices.Sorted(maps.Keys(segments)) {
		value, ok := join(segments[base])
		if !ok {
			continue
		}
		// The extended form is the one that its sender prefers to be read.
		if i := p.index(base); i >= 0 {
			p[i].Value = value
		} else {
			p = append(p, Param{base, value})
		}
	}
	return p
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

// cutParam returns what stands in front of the first semicolon, heeding quotes, without comments, and what stands behind
// it; more is false where there is no semicolon.
func cutParam(value string) (piece, rest string, more bool) {
	quoted := false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' || c == '(':
			return cutCommentedParam(value)
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return value[:i], value[i+1:], true
		}
	}
	return value, "", false
}

// cutCommentedParam is cutParam where there are comments and escapes, and so the piece does not stand there as it is.
func cutCommentedParam(value string) (piece, rest string, more bool) {
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
			return b.String(), value[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", false
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
