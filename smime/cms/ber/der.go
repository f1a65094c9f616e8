package ber

import (
	"bytes"
	"fmt"
	"slices"
)

// ToDER re-encodes one element in the distinguished form as far as tags alone tell: definite and shortest lengths,
// strings in one piece, TRUE as 0xFF. The members of a SET OF stay in their order, because a SET looks the same: sort
// them with [SortSetOf] where the ASN.1 says SET OF. Input that is in this form already is returned as it is.
// Octets behind the element are an error.
func ToDER(raw []byte, limits Limits) ([]byte, error) {
	der, _, err := toDER(raw, limits)
	return der, err
}

// toDER is ToDER, and returns how many elements were re-encoded.
func toDER(raw []byte, limits Limits) (der []byte, count int, err error) {
	limits = limits.withDefaults()
	if h, n, err := parseHeader(raw); err == nil && n > 0 && !h.Constructed && h.Number != TagBoolean && !h.isEndOfContents() &&
		h.Length == int64(len(raw)-n) && n == headerSize(h) {
		return raw, 0, nil // by itself, and as short as can be
	}
	// Most input is DER already, and what is not may be hostile: look before memory is taken.
	count, canonical, err := parseTree(raw, limits, nil)
	if err != nil {
		return nil, 0, err
	}
	if canonical {
		return raw, 0, nil
	}
	if count > limits.Elements {
		return nil, 0, fmt.Errorf("%w: %d elements to be re-encoded, limit is %d", ErrTooLarge, count, limits.Elements)
	}
	nodes := make([]node, 0, count)
	if _, _, err := parseTree(raw, limits, func(n node) { nodes = append(nodes, n) }); err != nil {
		return nil, 0, err
	}
	// Lengths are known from the inside out: a node comes after its parent, so walk backwards.
	for i := len(nodes) - 1; i >= 0; i-- {
		n := &nodes[i]
		if n.segment {
			nodes[n.parent].size += n.size
			continue
		}
		if n.parent >= 0 {
			nodes[n.parent].size += headerSize(n.derHeader()) + n.size
		}
	}
	out := make([]byte, 0, len(raw))
	for i := range nodes {
		n := &nodes[i]
		if !n.segment {
			out = AppendHeader(out, n.derHeader())
		}
		if n.boolean {
			out = append(out, 0xff)
		} else {
			out = append(out, n.content...)
		}
	}
	return out, count, nil
}

type node struct {
	header  Header
	parent  int // index, or -1
	content []byte
	size    int  // octets of content in DER; for constructed nodes summed up later
	str     bool // a constructed string, to be put into one piece
	segment bool // a piece of one
	boolean bool // TRUE, to be written as 0xFF
}

func (n *node) derHeader() Header {
	h := n.header
	h.Length = int64(n.size)
	if n.str {
		h.Constructed = false
	}
	return h
}

// parseTree passes the elements of raw to visit (unless it is nil), each parent before its members, and counts them.
func parseTree(raw []byte, limits Limits, visit func(node)) (count int, canonical bool, err error) {
	type frame struct {
		node int
		end  int  // or -1
		str  bool // a string in segments
	}
	var few [16]frame // signed attributes are nested twelve deep
	open := few[:0]
	canonical = true
	pos := 0
	bound := len(raw) // where the nearest element of definite length ends
	for {
		for len(open) > 0 && open[len(open)-1].end == pos {
			open = open[:len(open)-1]
			bound = len(raw)
			for _, f := range open {
				if f.end >= 0 {
					bound = f.end
				}
			}
		}
		if len(open) == 0 && count > 0 {
			if pos != len(raw) {
				return 0, false, fmt.Errorf("%w: %d octets behind the element", ErrSyntax, len(raw)-pos)
			}
			return count, canonical, nil
		}
		h, n, err := parseHeader(raw[pos:bound])
		if err != nil {
			return 0, false, fmt.Errorf("at offset %d: %w", pos, err)
		}
		if n == 0 {
			return 0, false, fmt.Errorf("at offset %d: %w: truncated", pos, ErrSyntax)
		}
		parent := -1
		if len(open) > 0 {
			parent = open[len(open)-1].node
		}
		if h.isEndOfContents() {
			if parent < 0 || open[len(open)-1].end >= 0 {
				return 0, false, fmt.Errorf("at offset %d: %w: end-of-contents outside an indefinite length", pos, ErrSyntax)
			}
			pos += n
			open[len(open)-1].end = pos
			continue
		}
		if h.Length > int64(bound-pos-n) {
			return 0, false, fmt.Errorf("at offset %d: %w: element is longer than the one around it", pos, ErrSyntax)
		}
		canonical = canonical && h.Length != Indefinite && n == headerSize(h)
		pos += n
		nd := node{header: h, parent: parent}
		if parent >= 0 && open[len(open)-1].str {
			// X.690 sections 8.7.3.2 and 8.23.1: whatever the string, its segments are octet strings.
			if !h.Is(Universal, TagOctetString) {
				return 0, false, fmt.Errorf("at offset %d: %w: %v as a segment of a string", pos, ErrTag, h)
			}
			nd.segment = true
		}
		switch {
		case h.Constructed:
			if len(open) >= limits.Depth {
				return 0, false, fmt.Errorf("at offset %d: %w: limit is %d", pos, ErrTooDeep, limits.Depth)
			}
			if h.Class == Universal && isStringTag(h.Number) {
				if h.Number == TagBitString {
					return 0, false, fmt.Errorf("at offset %d: %w: BIT STRING in segments", pos, ErrSyntax)
				}
				nd.str, canonical = true, false
			}
			end := -1
			if h.Length != Indefinite {
				end = pos + int(h.Length)
				bound = end
			}
			open = append(open, frame{count, end, nd.str})
		default:
			nd.content = raw[pos : pos+int(h.Length)]
			nd.size = int(h.Length)
			if h.Is(Universal, TagBoolean) && h.Length == 1 && nd.content[0] != 0 && nd.content[0] != 0xff {
				nd.boolean, canonical = true, false
			}
			pos += int(h.Length)
		}
		if visit != nil {
			visit(nd)
		}
		count++
	}
}

// isStringTag reports whether the universal type is a string, which BER may cut into segments.
func isStringTag(number uint32) bool {
	switch number {
	case TagBitString, TagOctetString, 12, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30:
		return true
	}
	return false
}

// SortSetOf puts the members of a SET OF, given as the content octets of its DER, into the order that DER asks for
// (X.690 section 11.6). The content is returned as it is where the order is right already; otherwise memory is taken for
// each member, so that the caller bounds their number.
func SortSetOf(content []byte) ([]byte, error) {
	count, sorted := 0, true
	var previous []byte
	for rest := content; len(rest) > 0; count++ {
		size, err := memberSize(rest)
		if err != nil {
			return nil, err
		}
		sorted = sorted && bytes.Compare(previous, rest[:size]) <= 0
		previous, rest = rest[:size], rest[size:]
	}
	if sorted {
		return content, nil
	}
	members := make([][]byte, 0, count)
	for rest := content; len(rest) > 0; {
		size, err := memberSize(rest)
		if err != nil {
			return nil, err
		}
		members = append(members, rest[:size])
		rest = rest[size:]
	}
	slices.SortFunc(members, bytes.Compare)
	return slices.Concat(members...), nil
}

// memberSize returns the length of the element that content starts with.
func memberSize(content []byte) (int, error) {
	h, n, err := parseHeader(content)
	if err != nil {
		return 0, err
	}
	if n == 0 || h.Length == Indefinite || h.Length > int64(len(content)-n) {
		return 0, fmt.Errorf("%w: member of a SET OF", ErrSyntax)
	}
	return n + int(h.Length), nil
}
