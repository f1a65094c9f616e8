package certpath

import (
	"fmt"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// GeneralNameKind is the choice within a GeneralName: the number of its tag.
type GeneralNameKind uint8

// The kinds of GeneralName (RFC 5280 section 4.2.1.6).
const (
	OtherName     GeneralNameKind = 0
	RFC822Name    GeneralNameKind = 1
	DNSName       GeneralNameKind = 2
	X400Address   GeneralNameKind = 3
	DirectoryName GeneralNameKind = 4
	EDIPartyName  GeneralNameKind = 5
	URI           GeneralNameKind = 6
	IPAddress     GeneralNameKind = 7
	RegisteredID  GeneralNameKind = 8
)

// String returns the name of the kind in RFC 5280.
func (k GeneralNameKind) String() string {
	names := [...]string{"otherName", "rfc822Name", "dNSName", "x400Address", "directoryName", "ediPartyName",
		"uniformResourceIdentifier", "iPAddress", "registeredID"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("name with tag %d", uint8(k))
}

// GeneralName is one name of an alternative name extension, a constraint or a distribution point.
type GeneralName struct {
	Kind GeneralNameKind
	Raw  []byte // the content, without its tag

	Text      string // of rfc822Name, dNSName, URI, and of an otherName that is a SmtpUTF8Mailbox; as it is written
	ID        OID    // the type of an otherName; registeredID
	Directory Name   // of directoryName
}

// maxGeneralNames bounds the names in one list. A list that is longer is malformed.
const maxGeneralNames = 4096

// ParseGeneralNames reads a SEQUENCE OF GeneralName in DER, with nothing behind it. Where single names are malformed
// (an rfc822Name with letters beyond ASCII, an iPAddress of three octets), all that could be read are returned with an
// error that tells of the first.
func ParseGeneralNames(der []byte) ([]GeneralName, error) {
	in, list := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, errSyntax
	}
	return ReadGeneralNames(list)
}

// ReadGeneralNames is [ParseGeneralNames] for the content of the list, whose tag may be implicit. It takes no empty list.
func ReadGeneralNames(list cryptobyte.String) ([]GeneralName, error) {
	var names []GeneralName
	var first error
	if list.Empty() {
		return nil, errEmpty
	}
	for !list.Empty() {
		if len(names) == maxGeneralNames {
			return nil, fmt.Errorf("%w names", errTooMany)
		}
		name, err := readGeneralName(&list, false)
		if err == errSyntax {
			return names, err
		}
		if err != nil && first == nil {
			first = err
		}
		names = append(names, name)
	}
	return names, first
}

// readGeneralName reads one name, which in a constraint may have a mask. errSyntax means that nothing was read; with
// another error the name is as far as it could be understood.
func readGeneralName(in *cryptobyte.String, constraint bool) (GeneralName, error) {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&content, &tag) {
		return GeneralName{}, errSyntax
	}
	const contextSpecific, constructed, number = 0x80, 0x20, 0x1f
	name := GeneralName{Kind: GeneralNameKind(tag & number), Raw: content}
	malformed := fmt.Errorf("the %v is malformed", name.Kind)
	if tag&0xc0 != contextSpecific || name.Kind > RegisteredID {
		return name, fmt.Errorf("the tag 0x%02x is of no name that there is", uint8(tag))
	}
	isConstructed := false
	switch name.Kind {
	case OtherName, X400Address, DirectoryName, EDIPartyName:
		isConstructed = true
	}
	if isConstructed != (tag&constructed != 0) {
		return name, malformed
	}
	ok := true
	switch name.Kind {
	case OtherName:
		ok = name.readOther(content)
	case RFC822Name, DNSName, URI:
		name.Text = string(content)
		ok = isASCII(name.Text) // IA5String
	case DirectoryName:
		var err error
		name.Directory, err = ParseName(content)
		ok = err == nil
	case IPAddress:
		switch len(content) {
		case 4, 16:
			ok = !constraint
		case 8, 32:
			ok = constraint && isMask(content[len(content)/2:])
		default:
			ok = false
		}
	case RegisteredID:
		name.ID, ok = newOID(content)
	}
	if !ok {
		return name, malformed
	}
	return name, nil
}

// readOther reads the content of an otherName, and the mailbox where it is one (RFC 9598 section 3).
func (n *GeneralName) readOther(content cryptobyte.String) bool {
	var value, mailbox cryptobyte.String
	var ok bool
	if n.ID, ok = readOID(&content); !ok || !content.ReadASN1(&value, tagExplicit0) || !content.Empty() {
		return false
	}
	if n.ID == OIDSmtpUTF8Mailbox {
		if !value.ReadASN1(&mailbox, cbasn1.UTF8String) || !value.Empty() {
			return false
		}
		n.Text = string(mailbox)
	}
	return true
}

// isMask reports whether a mask is ones, and then zeros (RFC 4632 section 3.1).
func isMask(mask []byte) bool {
	zero := false
	for _, b := range mask {
		for bit := 7; bit >= 0; bit-- {
			one := b>>bit&1 == 1
			if one && zero {
				return false
			}
			zero = zero || !one
		}
	}
	return true
}

// IP returns the address of an iPAddress that is no constraint.
func (n GeneralName) IP() (netip.Addr, bool) {
	if n.Kind != IPAddress {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(n.Raw)
}
