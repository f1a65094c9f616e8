package smime

import (
	"io"
	"strings"

	"github.com/sealmail/sealmail/smime/entity"
)

// Part is one leaf of the content: a text, an attachment, or an attached message.
type Part struct {
	Type        string // media type in lower case
	Disposition string // "attachment", "inline" or another word in lower case; "" if absent
	ContentID   string
	// Filename is the last element of the name that the sender gave; RawFilename is all of it. Either may contain any
	// character: whoever makes a file of it has more to check.
	Filename, RawFilename string
	Signed                bool // a signature covers it: the message's, or of an enclosed part its own
	Encrypted             bool // a layer of encryption was around it
	// Enclosed says that it belongs to an attached message, or to a signed or encrypted part, and not to this message:
	// it has a line of its own, and its text is not mixed with the message's.
	Enclosed bool
	Offset   int64 // of the entity in Message.Content
	Length   int64 // of the entity, encoded and with its header

	entity *entity.Entity
	node   int
}

// Open returns a reader over the content of the part without its transfer encoding. Each call starts anew.
func (p *Part) Open() io.Reader { return p.entity.Decode() }

// Size returns how many octets Open gives. It may have to read the part.
func (p *Part) Size() (int64, error) {
	size, _, err := p.entity.Measure()
	return size, err
}

// Measure returns what Size does, and in what way the part is not as it should be, its transfer encoding too.
func (p *Part) Measure() (size int64, notes []entity.Note, err error) { return p.entity.Measure() }

// Raw returns the part as it stands, with its header.
func (p *Part) Raw() *io.SectionReader { return p.entity.Section() }

// Header returns the header fields of the part.
func (p *Part) Header() entity.Header { return p.entity.Header }

// listParts lists the leaves of the content, in their order, and attached messages before what is in them.
func (m *Message) listParts() {
	signed, encrypted := false, false
	for _, l := range m.Layers {
		signed = signed || l.Signed != nil && len(l.Signed.Signatures) > 0
		encrypted = encrypted || l.Encrypted != nil
	}
	inner := make([]bool, len(m.nodes)) // has parts
	for _, n := range m.nodes {
		if n.Parent >= 0 {
			inner[n.Parent] = true
		}
	}
	for i, n := range m.nodes {
		if inner[i] && !n.Message() {
			for _, note := range n.Notes {
				m.addNote(note)
			}
			continue
		}
		raw := n.Filename()
		enclosed := m.enclosed(i)
		m.Parts = append(m.Parts, Part{
			Type: n.Type.Type, Disposition: n.Disposition.Type,
			ContentID: strings.Trim(n.Header.Value("Content-ID"), "<> "),
			Filename:  baseName(raw), RawFilename: raw,
			Signed: signed, Encrypted: encrypted, Enclosed: enclosed,
			Offset: n.Start - m.root.Start, Length: n.End - n.Start,
			entity: n.Entity, node: i,
		})
	}
}

// enclosed reports whether a node belongs to something other than the message: see Part.Enclosed.
func (m *Message) enclosed(i int) bool {
	if i > 0 && kindOf(m.nodes[i].Entity) != kindOther {
		return true
	}
	for at := m.nodes[i].Parent; at >= 0; at = m.nodes[at].Parent {
		if m.nodes[at].Message() || at > 0 && kindOf(m.nodes[at].Entity) == kindMultipart {
			return true
		}
	}
	return false
}

// firstPart returns the index in Parts of the first leaf in node i.
func (m *Message) firstPart(i int) int {
	for p := range m.Parts {
		if m.Parts[p].node >= i {
			return p
		}
	}
	return -1
}

// markSigned marks the parts that an enclosed signature covers.
func (m *Message) markSigned(node int) {
	for p := range m.Parts {
		for at := m.Parts[p].node; at >= 0; at = m.nodes[at].Parent {
			if at == node {
				m.Parts[p].Signed = true
			}
		}
	}
}

// baseName returns what follows the last separator of any system.
func baseName(name string) string {
	name = strings.TrimSpace(name[strings.LastIndexAny(name, `/\:`)+1:])
	if name == "." || name == ".." {
		return ""
	}
	return name
}
