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

	inferred entity.Header // what is outside of an encrypted message that does not say what its composer put there; or nil
}

// HeaderDifference is a field that differs inside and outside.
type HeaderDifference struct {
	Name      string   // as it is written where it is found
	Protected []string // values inside; none if it is only outside
	Outer     []string // values outside; none if it is only inside
	// Explained says that there is nothing to wonder about: the composer says that it put these values outside; or a
	// message was encrypted, perhaps after it was signed elsewhere, and its Subject outside is a placeholder; or an encrypted
	// message with no way to say so leaves the field out.
	Explained bool
}

// Confidential reports whether the composer kept this protected field from the outside (section 4.3.1), so that a reply
// must not expose it. Of the older schemes that is a guess, which others on the way could change (section 4.10.2).
func (p *HeaderProtection) Confidential(f entity.Field) bool {
	outer := p.composed()
	return outer != nil && !slices.Contains(values(outer.All(f.Name)), normalize(f))
}

// composed is what the composer put outside of an encrypted message, as far as that is known; nil: nothing was to be hidden.
func (p *HeaderProtection) composed() entity.Header {
	if p.Outer != nil {
		return p.Outer
	}
	return p.inferred
}

// Complete reports whether the protected fields are all that the message has, so that none is missing inside that counts
// outside.
func (p *HeaderProtection) Complete() bool {
	return p.Scheme == HPClear || p.Scheme == HPCipher || p.Scheme == HPWrapped
}

// redirecting are fields that send answers elsewhere, or name somebody beside From.
var redirecting = []string{"Sender", "Reply-To", "Followup-To", "Mail-Followup-To", "Mail-Reply-To"}

// fallsBack reports whether a field counts outside where it is not inside. One that would change what the protected From
// means never does.
func (p *HeaderProtection) fallsBack(name string) bool {
	switch p.Scheme {
	case HPNone:
		return true
	case HPProtectedHeaders:
		_, from := p.Fields.Get("From")
		return !from || !slices.ContainsFunc(redirecting, func(r string) bool { return strings.EqualFold(r, name) })
	}
	return false
}

// userFacing are fields that a reader acts upon, so that one that is only outside deserves mention. Others, such as
// Received, are added on the way by right.
var userFacing = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Subject", "Date", "Comments", "Keywords", "Message-ID",
	"In-Reply-To", "References", "Followup-To", "Mail-Followup-To", "Mail-Reply-To",
}

// readProtection reads the protected fields from the root of the cryptographic payload (sections 4.1 and 4.2.1), or from
// the message that is wrapped in it, if there is one (section 4.10.2). Nowhere else does hp count.
func readProtection(outside entity.Header, root, wrapped *entity.Entity, encrypted bool) HeaderProtection {
	var p HeaderProtection
	switch hp := lowerASCII(root.Type.Params.Get("hp")); {
	case hp == "clear":
		p.Scheme = HPClear
	case hp == "cipher":
		p.Scheme = HPCipher
	case wrapped != nil:
		p.Scheme, root = HPWrapped, wrapped
	case isProtectedHeaders(root) && ofMessage(root.Header):
		p.Scheme = HPProtectedHeaders
	default:
		return p
	}
	switch {
	case !encrypted: // section 2.2: HP-Outer is ignored
	case p.Scheme == HPCipher:
		p.Outer = entity.Header{}
	case p.Scheme == HPWrapped, p.Scheme == HPProtectedHeaders:
		p.inferred = entity.Header{}
		for _, f := range outside {
			if f.Name != "" && !f.Structural() && !f.Is("HP-Outer") {
				p.inferred = append(p.inferred, f)
			}
		}
	}
	for _, f := range root.Header {
		switch {
		case f.Name == "" || f.Structural():
		case f.Is("HP-Outer"):
			if name, value, ok := strings.Cut(f.Value(), ":"); ok && p.Outer != nil {
				field, err := entity.NewField(strings.TrimSpace(name), value)
				if err == nil && !field.Structural() && !field.Is("HP-Outer") {
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

// isProtectedHeaders tells what is marked by the draft before RFC 9788.
func isProtectedHeaders(e *entity.Entity) bool {
	return lowerASCII(e.Type.Params.Get("protected-headers")) == "v1"
}

// isWrapped reports whether the root of a payload is a wrapper around a message (RFC 8551 section 3.1), and not one that its
// sender has attached. RFC 9788 section 4.10.1 goes without the word forwarded, and lets a message that somebody forwards
// with nothing beside it become that person's own; with it, the sender has said what is meant.
func isWrapped(root *entity.Entity) bool {
	return root.Message() && !root.Type.Params.Has("hp") && lowerASCII(root.Type.Params.Get("forwarded")) == "no"
}

// wrappedMessage returns the message that the root of a payload wraps; nil: it wraps none.
func wrappedMessage(root *entity.Entity, l entity.Limits) (*entity.Entity, error) {
	if !isWrapped(root) {
		return nil, nil
	}
	inside, err := root.Children(nil, l)
	if err != nil || len(inside) != 1 {
		return nil, err
	}
	if m := inside[0]; kindOf(m) == kindOther && !m.Type.Params.Has("hp") && ofMessage(m.Header) {
		return m, nil
	}
	return nil, nil
}

// hiddenSubjects stand for a subject that is not for everybody: those of RFC 9788, and of older programs.
var hiddenSubjects = []string{hiddenSubject, "...", "Encrypted Message"}

// compare finds the differences between inside and outside.
func (p *HeaderProtection) compare(outside entity.Header, encrypted bool) {
	if !ofMessage(outside) {
		return // an entity by itself, and not a message: there is no outside
	}
	var names []string
	protected, actual, announced := valuesByName(p.Fields, &names), valuesByName(outside, nil), valuesByName(p.Outer, nil)
	inside := len(names)
	for _, name := range userFacing {
		if f, ok := outside.Get(name); ok && protected[lowerASCII(name)] == nil && !p.fallsBack(name) {
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
		hidden := encrypted && key == "subject" && len(actual[key]) == 1 && slices.Contains(hiddenSubjects, actual[key][0])
		left := p.inferred != nil && len(actual[key]) == 0
		d.Explained = i < inside && (said || hidden || left)
		p.Differences = append(p.Differences, d)
	}
	if inside := p.Fields.All("From"); len(inside) > 0 || !p.fallsBack("From") {
		p.FromMismatch = fromMismatch(inside, outside.All("From"))
	}
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
func normalize(f entity.Field) string { return spaced(f.Value()) }
