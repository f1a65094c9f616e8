package entity

import (
	"bytes"
	"io"
)

// CanonicalWriter brings line ends into the canonical form of text, CRLF (RFC 8551 section 3.1.1): a line feed that
// follows no carriage return gets one. Text that is canonical already passes unchanged.
type CanonicalWriter struct {
	dst     io.Writer
	lastCR  bool // the last octet was a carriage return
	changed bool
	bareCR  bool
}

// NewCanonicalWriter returns a CanonicalWriter that writes to dst and buffers nothing.
func NewCanonicalWriter(dst io.Writer) *CanonicalWriter { return &CanonicalWriter{dst: dst} }

// Changed reports whether a bare line feed was met.
func (c *CanonicalWriter) Changed() bool { return c.changed }

// BareCR reports whether a carriage return was met that no line feed followed. It passes as it is, but mail servers
// are free to refuse or change such text.
func (c *CanonicalWriter) BareCR() bool { return c.bareCR || c.lastCR }

var crlf = []byte("\r\n")

// Write writes p to dst in canonical form.
func (c *CanonicalWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	returns := bytes.Count(p, crlf[:1])
	if c.lastCR {
		returns++
	}
	total, pairs := len(p), 0
	start := 0 // of what is not yet written
	for at := 0; ; at++ {
		n := bytes.IndexByte(p[at:], '\n')
		if n < 0 {
			break
		}
		at += n
		follows := c.lastCR
		if at > 0 {
			follows = p[at-1] == '\r'
		}
		if follows {
			pairs++
			continue
		}
		c.changed = true
		if at > start {
			if _, err := c.dst.Write(p[start:at]); err != nil {
				return start, err
			}
		}
		if _, err := c.dst.Write(crlf); err != nil {
			return at, err
		}
		start = at + 1
	}
	if start < len(p) {
		if _, err := c.dst.Write(p[start:]); err != nil {
			return start, err
		}
	}
	if c.lastCR = p[total-1] == '\r'; c.lastCR {
		returns-- // what follows it is not known yet
	}
	c.bareCR = c.bareCR || returns > pairs
	return total, nil
}
