package mailbox

import (
	"bytes"
	"fmt"
)

// maxLine is how many octets a line may have, without its CRLF (RFC 5322 section 2.1.1, RFC 5321 section 4.5.3.1.6).
const maxLine = 998

// lines checks, piece by piece, that a message can go through SMTP without a single octet being changed: relays break
// long lines, and clients and servers alike make CRLF of a bare CR or LF. A signature would not survive either.
type lines struct {
	endpoint Endpoint
	eightBit bool // octets above 127 are allowed: the server has 8BITMIME (RFC 6152)

	number int  // of the line under way, from 0
	length int  // of the line under way, without CR
	cr     bool // the last octet was a CR
}

// check looks at the next piece.
func (l *lines) check(p []byte) error {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		if err := l.part(part); err != nil {
			return err
		}
		if i < 0 {
			return nil
		}
		if !l.cr {
			return l.bad("has a bare LF")
		}
		l.number, l.length, l.cr = l.number+1, 0, false
		p = p[i+1:]
	}
	return nil
}

// part looks at a piece of a line, without its LF.
func (l *lines) part(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if i := bytes.IndexByte(p, '\r'); l.cr || i >= 0 && i < len(p)-1 {
		return l.bad("has a bare CR")
	} else if i >= 0 {
		l.cr, p = true, p[:i]
	}
	if l.length += len(p); l.length > maxLine {
		return l.bad(fmt.Sprintf("is longer than %d octets", maxLine))
	}
	for _, b := range p {
		if b == 0 {
			return l.bad("has a NUL") // RFC 5322 section 4
		}
		if b >= 0x80 && !l.eightBit {
			return &UnsupportedError{Endpoint: l.endpoint, Extension: "8BITMIME", Why: fmt.Sprintf("line %d has octets beyond ASCII", l.number+1)}
		}
	}
	return nil
}

// end looks at how the message ends.
func (l *lines) end() error {
	if l.length > 0 || l.cr {
		return l.bad("does not end in CRLF")
	}
	return nil
}

func (l *lines) bad(what string) error {
	return fmt.Errorf("%w: line %d %s", ErrNotCanonical, l.number+1, what)
}
