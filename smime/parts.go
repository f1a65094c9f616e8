package smime

import (
	"bytes"
	"io"
	"strings"

	"github.com/sealmail/sealmail/smime/cms"
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
	// Encloses says what the part is where it is no plain file or text; "" elsewhere.
	Encloses Enclosure
	// Within is the index in Message.Parts of the attached message that it lies in, the outermost of several; -1: in none.
	Within int
	// Attachment says that it is something for its reader to save, and not a text of the message, another form of that, or
	// a piece of an attached message.
	Attachment bool
	Offset     int64 // of the entity in Message.Content
	Length     int64 // of the entity, encoded and with its header

	entity *entity.Entity
	node   int
	legacy *Message // whose header it repeats at its start, if that is true; nil: it is not said to
}

// Enclosure is a kind of part that holds something to be opened by itself.
type Enclosure string

// The values of Enclosure.
const (
	EnclosesMessage    Enclosure = "message"    // an attached message
	EnclosesSigned     Enclosure = "signed"     // signed CMS
	EnclosesEncrypted  Enclosure = "encrypted"  // encrypted CMS, which stays shut
	EnclosesCompressed Enclosure = "compressed" // compressed CMS, which stays shut too
)

// Open returns a reader over the content of the part without its transfer encoding, and without a Legacy Display Element of
// plain text (RFC 9788 section 4.8.2). Each call starts anew.
func (p *Part) Open() io.Reader {
	r := p.entity.Decode()
	if n, err := p.element(); err == nil {
		_, _ = io.CopyN(io.Discard, r, n) // an error comes again when it is read on
	}
	return r
}

// maxElement bounds a Legacy Display Element that is looked for in octets.
const maxElement = 64 << 10

// element returns how many octets of the content are a Legacy Display Element of plain text.
func (p *Part) element() (int64, error) {
	if p.legacy == nil || p.Type != "text/plain" {
		return 0, nil
	}
	text, _, err := p.entity.Text(maxElement)
	if text = strings.ReplaceAll(text, "\r\n", "\n"); err != nil || p.legacy.dropLegacyDisplay(text) == text {
		return 0, err
	}
	head, err := io.ReadAll(io.LimitReader(p.entity.Decode(), maxElement))
	for at := 0; at < len(head); {
		end := bytes.IndexByte(head[at:], '\n') + 1
		if end == 0 {
			break // it is in no character set like ASCII
		}
		line := head[at : at+end]
		if at += end; len(bytes.Trim(line, "\r\n")) == 0 {
			return int64(at), nil
		}
	}
	return 0, err
}

// Size returns how many octets Open gives. It may have to read the part.
func (p *Part) Size() (int64, error) {
	size, _, err := p.Measure()
	return size, err
}

// Measure returns what Size does, and in what way the part is not as it should be, its transfer encoding too.
func (p *Part) Measure() (size int64, notes []entity.Note, err error) {
	n, err := p.element()
	if err != nil {
		return 0, nil, err
	}
	size, notes, err = p.entity.Measure()
	return size - n, notes, err
}

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
	shown := m.displayed()
	within := make([]int, len(m.nodes)) // as in Part
	for i, n := range m.nodes {
		within[i] = -1
		if n.Parent >= 0 {
			within[i] = within[n.Parent]
		}
		inside := within[i]
		if m.attached(i) && inside < 0 {
			within[i] = len(m.Parts) // for what is in it
		}
		if inner[i] && !m.attached(i) {
			for _, note := range n.Notes {
				m.addNote(note)
			}
			continue
		}
		raw := n.Filename()
		p := Part{
			Type: n.Type.Type, Disposition: n.Disposition.Type,
			ContentID: contentID(n.Header.Value("Content-ID")),
			Filename:  baseName(raw), RawFilename: raw,
			Signed: signed, Encrypted: encrypted, Enclosed: m.enclosed(i),
			Encloses: encloses(n.Entity, i > 0), Within: inside,
			Offset: n.Start - m.root.Start, Length: n.End - n.Start,
			entity: n.Entity, node: i,
		}
		// RFC 9788 section 4.5.3: only where the message is encrypted, and never where the parameter is elsewhere.
		if p.Encrypted && !p.Enclosed && m.Protection.Scheme == HPCipher && n.Type.Params.Get(legacyParameter) == "1" {
			p.legacy = m
		}
		ofSignature := n.Parent > 0 && n.Index > 0 && kindOf(m.nodes[n.Parent].Entity) == kindMultipart
		text := n.Type.Is("text/plain", "text/html") && p.Disposition != "attachment"
		copied := i > 0 && i == m.copied // of the header
		p.Attachment = p.Within < 0 && !ofSignature && !copied && (!shown[i] && !text || p.Filename != "")
		m.Parts = append(m.Parts, p)
	}
}

// encloses tells what an entity is by its type, and of CMS by what its first octets say. Where that is not known it is taken
// for encrypted, which nobody opens.
func encloses(e *entity.Entity, inside bool) Enclosure {
	switch kind := kindOf(e); {
	case e.Message():
		return EnclosesMessage
	case !inside || kind != kindCMS && kind != kindMaybeCMS:
		return ""
	}
	switch meant := meantType(e); {
	case meant.Equal(cms.OIDSignedData):
		return EnclosesSigned
	case meant.Equal(cms.OIDCompressedData):
		return EnclosesCompressed
	}
	return EnclosesEncrypted
}

// enclosed reports whether a node belongs to something other than the message: see Part.Enclosed.
func (m *Message) enclosed(i int) bool {
	if i > 0 && kindOf(m.nodes[i].Entity) != kindOther {
		return true
	}
	for at := m.nodes[i].Parent; at >= 0; at = m.nodes[at].Parent {
		if m.attached(at) || at > 0 && kindOf(m.nodes[at].Entity) == kindMultipart {
			return true
		}
	}
	return false
}

// attached reports whether a node is an attached message, and not the wrapper around this one.
func (m *Message) attached(i int) bool {
	return m.nodes[i].Message() && (i > 0 || m.Protection.Scheme != HPWrapped)
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
