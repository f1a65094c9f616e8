package entity

import (
	"fmt"
	"io"
	"strings"
)

// NewField makes a header field with CRLF at its end, folded at white space to lines of 78 characters where the value
// allows (RFC 5322 section 2.1.1). The value is taken as it is: encoded words, or UTF-8 where that may travel, are the
// caller's business. A name or value that would break out of the field is ErrField.
func NewField(name, value string) (Field, error) {
	if fieldName([]byte(name+":")) != name || name == "" || strings.Contains(name, ":") {
		return Field{}, fmt.Errorf("%w: name %q", ErrField, name)
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return Field{}, fmt.Errorf("%w: control character in the value of %s", ErrField, name)
		}
	}
	value = strings.Trim(value, " \t")
	var b strings.Builder
	b.WriteString(name)
	b.WriteByte(':')
	column := b.Len()
	for value != "" {
		word := nextWord(value)
		value = value[len(word):]
		if column+len(word) > 78 && column > len(name)+1 {
			b.WriteString("\r\n")
			column = 0
		}
		if column == len(name)+1 && b.Len() == column && word[0] != ' ' && word[0] != '\t' {
			word = " " + word
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteString("\r\n")
	return Field{Name: name, Raw: []byte(b.String())}, nil
}

// nextWord returns the white space at the front of s and what follows up to the next white space. White space at the
// end belongs to the word before it, because a line of white space alone would end some header sections.
func nextWord(s string) string {
	i := len(s) - len(strings.TrimLeft(s, " \t"))
	if n := strings.IndexAny(s[i:], " \t"); n >= 0 {
		return s[:i+n]
	}
	return s
}

// Write writes the fields with CRLF line ends. Lines that are no fields are left out.
func (h Header) Write(dst io.Writer) error {
	for _, f := range h {
		if f.Name == "" {
			continue
		}
		if err := writeCanonical(dst, f.Raw); err != nil {
			return err
		}
	}
	return nil
}

func writeCanonical(dst io.Writer, raw []byte) error {
	c := NewCanonicalWriter(dst)
	if _, err := c.Write(raw); err != nil {
		return err
	}
	if len(raw) == 0 || raw[len(raw)-1] != '\n' {
		_, err := io.WriteString(dst, "\r\n")
		return err
	}
	return nil
}
