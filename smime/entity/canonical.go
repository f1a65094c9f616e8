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
	c.scanCR(p)
	total := len(p)
	start := 0 // of what is not yet written
	for at := 0; at < len(p); {
		n := bytes.IndexByte(p[at:], '\n')
		if n < 0 {
			break
		}
		at += n
		follows := c.lastCR
		if at > 0 {
			follows = p[at-1] == '\r'
		}
		if !follows {
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
		at++
	}
	if start < len(p) {
		if _, err := c.dst.Write(p[start:]); err != nil {
			return start, err
		}
	}
	if total > 0 {
		c.lastCR = p[total-1] == '\r'
	}
	return total, nil
}

// scanCR looks for carriage returns without line feed, also over the edge of the last Write.
func (c *CanonicalWriter) scanCR(p []byte) {
	if c.bareCR || len(p) == 0 {
		return
	}
	if c.lastCR && p[0] != '\n' {
		c.bareCR = true
		return
	}
	for at := 0; ; {
		n := bytes.IndexByte(p[at:], '\r')
		if n < 0 || at+n+1 == len(p) {
			return
		}
		at += n + 1
		if p[at] != '\n' {
			c.bareCR = true
			return
		}
	}
}
