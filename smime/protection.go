package smime

import (
	"slices"
	"strings"

	"github.com/sealmail/sealmail/smime/entity"
)

// HeaderProtection is what a message says of its header fields under its signature or encryption (RFC 9788 section 4).
type HeaderProtection struct {
	Scheme HPScheme
	Fields entity.Header // the protected fields: these are displayed, searched and replied to
	// Outer is what the composer put outside, by its HP-Outer fields. It is there only under HPCipher in a message
	// that was encrypted.
	Outer entity.Header
	// Differences are the fields that read otherwise outside.
	Differences []HeaderDifference
	// FromMismatch says that the address of From differs outside (section 4.4.1.1). Without a signature that is valid
	// and bound to the protected address, the user is to be warned and shown the outer one: see Message.From.
	FromMismatch bool
}

// HeaderDifference is a field that differs inside and outside.
type HeaderDifference struct {
	Name      string   // as it is written where it is found
	Protected []string // values inside; none if it is only outside
	Outer     []string // values outside; none if it is only inside
	// Explained says that there is nothing to wonder about: the composer says that it put these values outside, or a
	// message was encrypted, perhaps after it was signed elsewhere, and its Subject outside is the placeholder.
	Explained bool
}

// Confidential reports whether the composer kept this protected field from the outside (section 4.3.1), so that a reply
// must not expose it.
func (p *HeaderProtection) Confidential(f entity.Field) bool {
	if p.Scheme != HPCipher || p.Outer == nil {
		return false
	}
	return !slices.Contains(values(p.Outer.All(f.Name)), normalize(f))
}

// userFacing are fields that a reader acts upon, so that one that is only outside deserves mention. Others, such as
// Received, are added on the way by right.
var userFacing = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Subject", "Date", "Comments", "Keywords", "Message-ID",
	"In-Reply-To", "References", "Followup-To", "Mail-Followup-To", "Mail-Reply-To",
}

// readProtection reads the protected fields from the root of the cryptographic payload (sections 4.1 and 4.2.1).
// Nowhere else does hp count.
func readProtection(outside entity.Header, root *entity.Entity, encrypted bool) HeaderProtection {
	var p HeaderProtection
	switch root.Type.Params.Get("hp") {
	case "clear":
		p.Scheme = HPClear
	case "cipher":
		p.Scheme = HPCipher
	default:
		return p
	}
	confidential := p.Scheme == HPCipher && encrypted // section 2.2: elsewhere HP-Outer is ignored
	if confidential {
		p.Outer = entity.Header{}
	}
	for _, f := range root.Header {
		switch {
		case f.Name == "" || f.Structural():
		case f.Is("HP-Outer"):
			if name, value, ok := strings.Cut(f.Value(), ":"); ok && confidential {
				if field, err := entity.NewField(strings.TrimSpace(name), value); err == nil {
					p.Outer = append(p.Outer, field)
				}
			}
		default:
			p.Fields = append(p.Fields, f)
		}
	}
	p.compare(outside, encrypted)
	return p
}

// compare finds the differences between inside and outside.
func (p *HeaderProtection) compare(outside entity.Header, encrypted bool) {
	if !ofMessage(outside) {
		return // an entity by itself, and not a message: there is no outside
	}
	var names []string
	protected, actual, announced := valuesByName(p.Fields, &names), valuesByName(outside, nil), valuesByName(p.Outer, nil)
	inside := len(names)
	for _, name := range userFacing {
		if f, ok := outside.Get(name); ok && protected[lowerASCII(name)] == nil {
			names = append(names, f.Name)
		}
	}
	for i, name := range names {
		key := lowerASCII(name)
		if slices.Equal(protected[key], actual[key]) {
			continue
		}
		d := HeaderDifference{Name: name, Protected: protected[key], Outer: actual[key]}
		said := p.Outer != nil && slices.Equal(announced[key], actual[key])
		hidden := encrypted && key == "subject" && slices.Equal(actual[key], []string{hiddenSubject})
		d.Explained = i < inside && (said || hidden)
		p.Differences = append(p.Differences, d)
	}
	p.FromMismatch = fromMismatch(p.Fields.All("From"), outside.All("From"))
}

// fromMismatch compares the addresses of From (section 4.4.1.1), which is the actual outer field and not HP-Outer.
func fromMismatch(inside, outside []entity.Field) bool {
	in, inOK := addressesOf(inside)
	out, outOK := addressesOf(outside)
	if !inOK || !outOK || len(in) != len(out) {
		return true
	}
	for i := range in {
		if !SameAddress(in[i].Address, out[i].Address) {
			return true
		}
	}
	return false
}

func values(fields []entity.Field) []string {
	var list []string
	for _, f := range fields {
		list = append(list, normalize(f))
	}
	return list
}

// valuesByName returns the values of all fields, by name in lower case, and adds each name to names, as it is first
// written. There may be very many: to look for each among all of them would cost as the square.
func valuesByName(h entity.Header, names *[]string) map[string][]string {
	list := make(map[string][]string, len(h))
	for _, f := range h {
		if f.Name == "" {
			continue
		}
		key := lowerASCII(f.Name)
		if names != nil && list[key] == nil {
			*names = append(*names, f.Name)
		}
		list[key] = append(list[key], normalize(f))
	}
	return list
}

// normalize returns the value with runs of white space made one space: relays refold.
func normalize(f entity.Field) string { return strings.Join(strings.Fields(f.Value()), " ") }
