package certpath

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxListed bounds the policies, mappings, usages and distribution points of one certificate.
const maxListed = 1024

// maxCount stands for all numbers of certificates that are larger: no path is so long.
const maxCount = 1 << 20

// readEach calls read with the content of each element of a SEQUENCE OF SEQUENCE, which must have one at least.
func readEach(in *cryptobyte.String, read func(*cryptobyte.String) error) error {
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) {
		return errSyntax
	}
	if list.Empty() {
		return errEmpty
	}
	for count := 0; !list.Empty(); count++ {
		var element cryptobyte.String
		if count == maxListed {
			return fmt.Errorf("%w entries", errTooMany)
		}
		if !list.ReadASN1(&element, cbasn1.SEQUENCE) {
			return errSyntax
		}
		if err := read(&element); err != nil {
			return err
		}
		if !element.Empty() {
			return errSyntax
		}
	}
	return nil
}

func readBasicConstraints(in *cryptobyte.String) (*BasicConstraints, bool) {
	var content cryptobyte.String
	b := &BasicConstraints{PathLength: -1}
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || content.PeekASN1Tag(cbasn1.BOOLEAN) && !content.ReadASN1Boolean(&b.CA) {
		return nil, false
	}
	if content.PeekASN1Tag(cbasn1.INTEGER) {
		var ok bool
		if b.PathLength, ok = readCount(&content, cbasn1.INTEGER); !ok {
			return nil, false
		}
	}
	return b, content.Empty()
}

// readCount reads an INTEGER (0..MAX) under this tag; large ones are as maxCount.
func readCount(in *cryptobyte.String, tag cbasn1.Tag) (int, bool) {
	var content cryptobyte.String
	if !in.ReadASN1(&content, tag) || len(content) == 0 || content[0]&0x80 != 0 ||
		len(content) > 1 && content[0] == 0 && content[1]&0x80 == 0 {
		return 0, false
	}
	n := 0
	for _, b := range content {
		if n = n<<8 | int(b); n >= maxCount {
			return maxCount, true
		}
	}
	return n, true
}

// readNamedBits reads a BIT STRING under this tag, of which the first 16 bits are looked at.
func readNamedBits(in *cryptobyte.String, tag cbasn1.Tag) (uint16, bool) {
	var content cryptobyte.String
	if !in.ReadASN1(&content, tag) || len(content) == 0 || content[0] > 7 || len(content) == 1 && content[0] != 0 ||
		content[len(content)-1]&(1<<content[0]-1) != 0 {
		return 0, false
	}
	var bits uint16
	for i, b := range content[1:min(len(content), 3)] {
		for bit := range 8 {
			if b>>(7-bit)&1 == 1 {
				bits |= 1 << (8*i + bit)
			}
		}
	}
	return bits, true
}

func readOIDs(in *cryptobyte.String) ([]OID, bool) {
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || list.Empty() {
		return nil, false
	}
	var ids []OID
	for !list.Empty() {
		id, ok := readOID(&list)
		if !ok || len(ids) == maxListed {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

func readNameConstraints(in *cryptobyte.String) (*NameConstraints, error) {
	var content, permitted, excluded cryptobyte.String
	var hasPermitted, hasExcluded bool
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || !content.ReadOptionalASN1(&permitted, &hasPermitted, tagExplicit0) ||
		!content.ReadOptionalASN1(&excluded, &hasExcluded, tagExplicit1) || !content.Empty() {
		return nil, errSyntax
	}
	if !hasPermitted && !hasExcluded {
		return nil, errEmpty
	}
	n := new(NameConstraints)
	var err, err2 error
	if hasPermitted {
		n.Permitted, err = readSubtrees(permitted)
	}
	if hasExcluded {
		n.Excluded, err2 = readSubtrees(excluded)
	}
	return n, errors.Join(err, err2)
}

func readSubtrees(list cryptobyte.String) ([]GeneralName, error) {
	var names []GeneralName
	if list.Empty() {
		return nil, errEmpty
	}
	for !list.Empty() {
		var subtree cryptobyte.String
		if !list.ReadASN1(&subtree, cbasn1.SEQUENCE) {
			return nil, errSyntax
		}
		if len(names) == maxGeneralNames {
			return nil, fmt.Errorf("%w names", errTooMany)
		}
		name, err := readGeneralName(&subtree, true)
		if err != nil {
			return nil, err
		}
		// RFC 5280 section 4.2.1.10: minimum MUST be zero, and maximum MUST be absent.
		if minimum, ok := 0, true; subtree.PeekASN1Tag(tagImplicit0) {
			if minimum, ok = readCount(&subtree, tagImplicit0); !ok || minimum != 0 {
				return nil, errors.New("a minimum distance other than zero")
			}
		}
		if !subtree.Empty() {
			return nil, errors.New("a maximum distance")
		}
		names = append(names, name)
	}
	return names, nil
}

func readPolicies(in *cryptobyte.String) ([]PolicyInformation, error) {
	var policies []PolicyInformation
	seen := map[OID]bool{}
	err := readEach(in, func(element *cryptobyte.String) error {
		id, ok := readOID(element)
		if !ok {
			return errSyntax
		}
		if seen[id] { // RFC 5280 section 4.2.1.4: MUST NOT appear more than once
			return errors.New("the same policy twice")
		}
		seen[id] = true
		policy := PolicyInformation{Policy: id}
		if !element.Empty() {
			var qualifiers cryptobyte.String
			if !element.ReadASN1(&qualifiers, cbasn1.SEQUENCE) {
				return errSyntax
			}
			for !qualifiers.Empty() {
				var qualifier cryptobyte.String
				if !qualifiers.ReadASN1Element(&qualifier, cbasn1.SEQUENCE) || len(policy.Qualifiers) == maxListed {
					return errSyntax
				}
				policy.Qualifiers = append(policy.Qualifiers, qualifier)
			}
		}
		policies = append(policies, policy)
		return nil
	})
	return policies, err
}

// hasUnknownQualifier reports whether there is a qualifier that is neither a CPS pointer nor a user notice (RFC 5280
// section 4.2.1.4).
func (p PolicyInformation) hasUnknownQualifier() bool {
	return slices.ContainsFunc(p.Qualifiers, func(der []byte) bool {
		in, qualifier := cryptobyte.String(der), cryptobyte.String(nil)
		in.ReadASN1(&qualifier, cbasn1.SEQUENCE)
		id, _ := readOID(&qualifier)
		return id != "\x2b\x06\x01\x05\x05\x07\x02\x01" && id != "\x2b\x06\x01\x05\x05\x07\x02\x02" // id-qt
	})
}

func readPolicyMappings(in *cryptobyte.String) ([]PolicyMapping, error) {
	var mappings []PolicyMapping
	err := readEach(in, func(element *cryptobyte.String) error {
		issuer, ok := readOID(element)
		subject, ok2 := readOID(element)
		if !ok || !ok2 {
			return errSyntax
		}
		mappings = append(mappings, PolicyMapping{IssuerDomain: issuer, SubjectDomain: subject})
		return nil
	})
	return mappings, err
}

func readPolicyConstraints(in *cryptobyte.String) (*PolicyConstraints, bool) {
	var content cryptobyte.String
	p := &PolicyConstraints{RequireExplicitPolicy: -1, InhibitPolicyMapping: -1}
	// RFC 5280 section 4.2.1.11: an empty sequence MUST NOT be issued.
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || content.Empty() {
		return nil, false
	}
	ok, ok2 := true, true
	if content.PeekASN1Tag(tagImplicit0) {
		p.RequireExplicitPolicy, ok = readCount(&content, tagImplicit0)
	}
	if content.PeekASN1Tag(tagImplicit1) {
		p.InhibitPolicyMapping, ok2 = readCount(&content, tagImplicit1)
	}
	return p, ok && ok2 && content.Empty()
}

// ParseAuthorityKeyIdentifier reads the value of the extension (RFC 5280 section 4.2.1.1).
func ParseAuthorityKeyIdentifier(der []byte) (*AuthorityKeyIdentifier, error) {
	in, content := cryptobyte.String(der), cryptobyte.String(nil)
	var keyID, issuer, serial cryptobyte.String
	var hasKeyID, hasIssuer, hasSerial bool
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || !in.Empty() || !content.ReadOptionalASN1(&keyID, &hasKeyID, tagImplicit0) ||
		!content.ReadOptionalASN1(&issuer, &hasIssuer, tagExplicit1) ||
		!content.ReadOptionalASN1(&serial, &hasSerial, tagImplicit2) || !content.Empty() {
		return nil, errSyntax
	}
	a := new(AuthorityKeyIdentifier)
	if hasKeyID {
		a.KeyID = keyID
	}
	if hasSerial {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(serial) })
		der, err := b.Bytes()
		number := cryptobyte.String(der)
		a.SerialNumber = new(big.Int)
		if err != nil || !number.ReadASN1Integer(a.SerialNumber) {
			return nil, errSyntax
		}
	}
	if hasIssuer {
		var err error
		if a.Issuer, err = ReadGeneralNames(issuer); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func readAuthorityInfoAccess(in *cryptobyte.String) ([]AccessDescription, error) {
	var list []AccessDescription
	err := readEach(in, func(element *cryptobyte.String) error {
		method, ok := readOID(element)
		if !ok {
			return errSyntax
		}
		location, err := readGeneralName(element, false)
		if err != nil {
			return err
		}
		list = append(list, AccessDescription{Method: method, Location: location})
		return nil
	})
	return list, err
}
