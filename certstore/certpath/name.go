package certpath

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Name is a distinguished name (RFC 5280 section 4.1.2.4).
type Name struct {
	Raw  []byte // DER
	RDNs []RDN

	// key is the canonical forms of the RDNs, each behind its length: those of names that match are equal, and that of a
	// name below another begins with the other's.
	key string
}

// RDN is a relative distinguished name: a set of attributes, most often one.
type RDN []NameAttribute

// NameAttribute is one attribute of a name. Its value is what somebody wrote: it may hold anything.
type NameAttribute struct {
	Type OID
	Tag  uint8  // of the value; 0 where it is not one value
	Raw  []byte // its content
}

// Attribute types that have short names (RFC 4514 section 3) or a meaning here.
const (
	OIDCommonName   OID = "\x55\x04\x03"                         // 2.5.4.3
	OIDEmailAddress OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01" // 1.2.840.113549.1.9.1
)

var shortNames = map[OID]string{
	OIDCommonName: "CN", "\x55\x04\x06": "C", "\x55\x04\x07": "L", "\x55\x04\x08": "ST", "\x55\x04\x0a": "O",
	"\x55\x04\x0b": "OU", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC", OIDEmailAddress: "emailAddress",
}

// maxNameAttributes bounds the attributes of one name: honest ones have ten.
const maxNameAttributes = 256

var errName = errors.New("malformed name")

// ParseName reads one Name in DER, with nothing behind it.
func ParseName(der []byte) (Name, error) {
	in := cryptobyte.String(der)
	name, err := ReadName(&in)
	if err == nil && !in.Empty() {
		err = errName
	}
	return name, err
}

// ReadName reads a Name: a SEQUENCE of RDNs. Values of any type are taken. A name with more than 256 attributes is an
// error.
func ReadName(in *cryptobyte.String) (Name, error) {
	var raw cryptobyte.String
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return Name{}, errName
	}
	name := Name{Raw: raw}
	content, sequence := raw, cryptobyte.String(nil)
	content.ReadASN1(&sequence, cbasn1.SEQUENCE)
	var key []byte
	count := 0
	for !sequence.Empty() {
		var set cryptobyte.String
		if !sequence.ReadASN1(&set, cbasn1.SET) {
			return Name{}, errName
		}
		rdn, err := ReadRDN(set)
		if err != nil {
			return Name{}, err
		}
		if count += max(1, len(rdn)); count > maxNameAttributes {
			return Name{}, fmt.Errorf("%w: attributes of a name", errTooMany)
		}
		name.RDNs = append(name.RDNs, rdn)
		key = appendPart(key, rdn.canonical())
	}
	name.key = string(key)
	return name, nil
}

// ReadRDN reads the content of a RelativeDistinguishedName, without its tag, which may be implicit.
func ReadRDN(set cryptobyte.String) (RDN, error) {
	var rdn RDN
	for !set.Empty() {
		var attribute, value cryptobyte.String
		var tag cbasn1.Tag
		if !set.ReadASN1(&attribute, cbasn1.SEQUENCE) {
			return nil, errName
		}
		id, ok := readOID(&attribute)
		rest := attribute
		if !ok || !attribute.ReadAnyASN1(&value, &tag) {
			return nil, errName
		}
		if !attribute.Empty() || tag == 0 { // no type, or a value and something more: no text, and compared as it is
			value, tag = rest, 0
		}
		if len(rdn) == maxNameAttributes {
			return nil, fmt.Errorf("%w: attributes of a name", errTooMany)
		}
		rdn = append(rdn, NameAttribute{Type: id, Tag: uint8(tag), Raw: value})
	}
	return rdn, nil
}

// Equal reports whether two names are the same (RFC 5280 section 7.1): as many RDNs in the same order, and in each the
// same attributes, compared without regard to case, to the type of string, and to spaces at the ends or repeated.
// Characters beyond ASCII are folded in case but not normalized otherwise: names that differ in how an accent is written
// differ.
func (n Name) Equal(other Name) bool { return n.key == other.key }

// Key returns a string that is the same for names that are Equal: a key for maps.
func (n Name) Key() string { return n.key }

// Empty reports whether the name has no RDN.
func (n Name) Empty() bool { return len(n.RDNs) == 0 }

// Append returns the name with one more RDN at its end (RFC 5280 section 4.2.1.13: nameRelativeToCRLIssuer).
func (n Name) Append(rdn RDN) Name {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		raw, sequence := cryptobyte.String(n.Raw), cryptobyte.String(nil)
		raw.ReadASN1(&sequence, cbasn1.SEQUENCE)
		b.AddBytes(sequence)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			for _, a := range rdn {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.Type)) })
					if a.Tag == 0 {
						b.AddBytes(a.Raw)
						return
					}
					b.AddASN1(cbasn1.Tag(a.Tag), func(b *cryptobyte.Builder) { b.AddBytes(a.Raw) })
				})
			}
		})
	})
	der, _ := b.Bytes() // what was read can be written
	return Name{Raw: der, RDNs: append(slices.Clip(n.RDNs), rdn), key: string(appendPart([]byte(n.key), rdn.canonical()))}
}

// within reports whether the name lies in the subtree below base (RFC 5280 section 7.1).
func (n Name) within(base Name) bool { return strings.HasPrefix(n.key, base.key) }

// mayBeWithin is within where values beyond ASCII are not told apart: RFC 5280 section 7.1 asks for a normalization that
// is not done here, without which a name can be written so that it escapes a subtree that excludes it.
func (n Name) mayBeWithin(base Name) bool {
	if len(n.RDNs) < len(base.RDNs) {
		return false
	}
	for i, rdn := range base.RDNs {
		if rdn.isASCII() && n.RDNs[i].isASCII() && rdn.canonical() != n.RDNs[i].canonical() || !rdn.hasTypesOf(n.RDNs[i]) {
			return false
		}
	}
	return true
}

// hasTypesOf reports whether the attributes of two RDNs are of the same types.
func (r RDN) hasTypesOf(other RDN) bool {
	return len(r) == len(other) && !slices.ContainsFunc(r, func(a NameAttribute) bool {
		return !slices.ContainsFunc(other, func(b NameAttribute) bool { return a.Type == b.Type })
	})
}

// isASCII reports whether all values are text in ASCII, which has one form.
func (r RDN) isASCII() bool {
	for _, a := range r {
		if text, ok := a.text(); !ok || !isASCII(text) {
			return false
		}
	}
	return true
}

// Values returns the text of all attributes of this type, in the order of the name.
func (n Name) Values(id OID) []string {
	var values []string
	for _, rdn := range n.RDNs {
		for _, a := range rdn {
			if a.Type == id {
				values = append(values, a.String())
			}
		}
	}
	return values
}

// String returns the name for people, the last RDN first as in RFC 4514. It is not cleaned of control characters, and
// not made to be parsed.
func (n Name) String() string {
	var b strings.Builder
	for i, rdn := range slices.Backward(n.RDNs) {
		for j, a := range rdn {
			if j > 0 {
				b.WriteByte('+')
			}
			label, known := shortNames[a.Type]
			if !known {
				label = a.Type.String()
			}
			b.WriteString(label + "=" + a.String())
		}
		if i > 0 {
			b.WriteString(", ")
		}
	}
	return b.String()
}

// String returns the value as text, or in hex after a # where it is none.
func (a NameAttribute) String() string {
	if text, ok := a.text(); ok {
		return text
	}
	return "#" + hex.EncodeToString(a.Raw[:min(len(a.Raw), 64)])
}

// text returns the value as UTF-8, if it is a string.
func (a NameAttribute) text() (string, bool) {
	switch cbasn1.Tag(a.Tag) {
	case cbasn1.UTF8String, cbasn1.PrintableString, cbasn1.IA5String, 18, 26: // NumericString, VisibleString
		return string(a.Raw), utf8.Valid(a.Raw)
	case cbasn1.T61String:
		return string(a.Raw), isASCII(string(a.Raw)) // beyond that, nobody agrees on what it means
	case 30: // BMPString
		if len(a.Raw)%2 != 0 {
			return "", false
		}
		units := make([]uint16, 0, len(a.Raw)/2)
		for b := a.Raw; len(b) > 0; b = b[2:] {
			units = append(units, binary.BigEndian.Uint16(b))
		}
		text := string(utf16.Decode(units))
		return text, !strings.ContainsRune(text, utf8.RuneError) // which halves of pairs become
	case 28: // UniversalString
		if len(a.Raw)%4 != 0 {
			return "", false
		}
		var runes []rune
		for b := a.Raw; len(b) > 0; b = b[4:] {
			runes = append(runes, rune(binary.BigEndian.Uint32(b)))
		}
		text := string(runes)
		return text, !strings.ContainsRune(text, utf8.RuneError)
	}
	return "", false
}

// canonical returns what is the same for RDNs that match: the attributes in a fixed order, their values prepared.
func (r RDN) canonical() string {
	if len(r) == 1 {
		return "1" + r[0].canonical()
	}
	attributes := make([]string, len(r))
	for i, a := range r {
		attributes[i] = a.canonical()
	}
	slices.Sort(attributes)
	joined := []byte("n")
	for _, a := range attributes {
		joined = appendPart(joined, a)
	}
	return string(joined)
}

func (a NameAttribute) canonical() string {
	head := string(appendPart(nil, string(a.Type)))
	if text, ok := a.text(); ok {
		return head + "\x00" + prepare(text)
	}
	return head + "\x01" + string([]byte{a.Tag}) + string(a.Raw)
}

// appendPart appends a string so that where it ends can be told.
func appendPart(b []byte, part string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}
