package entity

import (
	"io"
	"strings"
)

// Node is an entity in a tree.
type Node struct {
	*Entity
	Parent int // index of the entity around it, -1 for the root
	Depth  int // 0 for the root
	Index  int // position among the parts of its parent
}

// Walk lists the entity and everything in it, each one before its parts: the parts of multipart entities, and the
// messages in message/rfc822. Parts beyond the limits are left out, and noted at the entity around them.
func Walk(root *Entity, l Limits) ([]Node, error) {
	l = l.withDefaults()
	budget := l.HeaderBytes
	nodes := []Node{{Entity: root, Parent: -1}}
	// Nodes are expanded from a stack, so that they come out in the order of the message.
	stack := []Node{}
	expand := func(index int) error {
		n := nodes[index]
		ranges, typ, err := children(n.Entity, nil, l.Parts)
		if err != nil || len(ranges) == 0 {
			return err
		}
		if n.Depth+1 >= l.Depth {
			n.Notes = add(n.Notes, NoteTooDeep)
			return nil
		}
		if room := l.Parts - len(nodes) - len(stack); len(ranges) > room {
			n.Notes = add(n.Notes, NoteTooManyParts)
			ranges = ranges[:max(room, 0)]
		}
		for i := len(ranges) - 1; i >= 0; i-- {
			e, err := parse(root.source, ranges[i].Start, ranges[i].End, typ, budget)
			if err != nil {
				return err
			}
			budget -= int(e.Body - e.Start)
			stack = append(stack, Node{Entity: e, Parent: index, Depth: n.Depth + 1, Index: i})
		}
		return nil
	}
	if err := expand(0); err != nil {
		return nil, err
	}
	for len(stack) > 0 {
		last := len(stack) - 1
		nodes = append(nodes, stack[last])
		stack = stack[:last]
		if err := expand(len(nodes) - 1); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// children returns the ranges of the entities in e, and the type they have where they name none. The first one is
// written to first, if that is not nil.
func children(e *Entity, first io.Writer, maxParts int) ([]Range, string, error) {
	switch {
	case e.Type.Multipart():
		if !e.identity() {
			// RFC 2045 section 6.4: a multipart entity has no other encoding.
			e.Notes = add(e.Notes, NoteTransferEncoding)
			return nil, "", nil
		}
		ranges, notes, err := e.SplitTo(first, maxParts)
		for _, n := range notes {
			e.Notes = add(e.Notes, n)
		}
		if strings.HasSuffix(e.Type.Type, "/digest") {
			return ranges, defaultDigestType, err
		}
		return ranges, defaultType, err
	case e.Message():
		return []Range{{e.Body, e.End}}, defaultType, nil
	}
	return nil, "", nil
}

// Children returns the parts of a multipart entity, parsed. The octets of the first one are written to first on the way,
// if that is not nil; see [Entity.SplitTo].
func (e *Entity) Children(first io.Writer, l Limits) ([]*Entity, error) {
	l = l.withDefaults()
	ranges, typ, err := children(e, first, l.Parts)
	if err != nil {
		return nil, err
	}
	budget := l.HeaderBytes
	parts := make([]*Entity, 0, len(ranges))
	for _, r := range ranges {
		part, err := parse(e.source, r.Start, r.End, typ, budget)
		if err != nil {
			return nil, err
		}
		budget -= int(part.Body - part.Start)
		parts = append(parts, part)
	}
	return parts, nil
}
