package cms

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Attribute is one signed or unsigned attribute (RFC 5652 section 5.3).
type Attribute struct {
	Type   asn1.ObjectIdentifier // nil for an identifier with an arc that does not fit an int
	Values [][]byte              // DER of each value
}

// Attributes is a set of attributes; nil where the message has no such set.
type Attributes []Attribute

const (
	maxAttributes      = 128 // in one set
	maxAttributeValues = 64  // in one attribute

	// What they take in memory, apart from their octets: it counts as structure, for they may be very small.
	attributeSize      = 64
	attributeValueSize = 24
)

// Values returns the values of all attributes of this type.
func (a Attributes) Values(attributeType asn1.ObjectIdentifier) [][]byte {
	var values [][]byte
	for _, attribute := range a {
		if attribute.Type.Equal(attributeType) {
			values = append(values, attribute.Values...)
		}
	}
	return values
}

// single returns the only value of the only attribute of this type, nil if there is no such attribute, and else
// [ErrDuplicateAttribute] or [ErrMultiValued].
func (a Attributes) single(attributeType asn1.ObjectIdentifier) (cryptobyte.String, error) {
	var found *Attribute
	for i := range a {
		if !a[i].Type.Equal(attributeType) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: %v", ErrDuplicateAttribute, attributeType)
		}
		found = &a[i]
	}
	if found == nil {
		return nil, nil
	}
	if len(found.Values) != 1 {
		return nil, fmt.Errorf("%w: %v", ErrMultiValued, attributeType)
	}
	return found.Values[0], nil
}

// checkDuplicates returns [ErrDuplicateAttribute] where two attributes are of one type.
func (a Attributes) checkDuplicates() error {
	for i, attribute := range a {
		for _, earlier := range a[:i] {
			if len(attribute.Type) > 0 && attribute.Type.Equal(earlier.Type) {
				return fmt.Errorf("%w: %v", ErrDuplicateAttribute, attribute.Type)
			}
		}
	}
	return nil
}

// attributes reads a set of attributes under an implicit tag. der is the set as a SET OF in DER, which is what is
// signed (RFC 5652 section 5.4).
func (s *structure) attributes(number uint32) (list Attributes, der []byte, err error) {
	list, der, _, err = s.attributesAsSent(number)
	return list, der, err
}

// attributesAsSent is attributes, and returns the set with its members in the order in which they were sent as well; nil
// if that is the order of DER.
func (s *structure) attributesAsSent(number uint32) (list Attributes, der, sent []byte, err error) {
	raw, err := s.der()
	if err != nil {
		return nil, nil, nil, err
	}
	in := cryptobyte.String(raw)
	var members cryptobyte.String
	if !in.ReadASN1(&members, cbasn1.Tag(number).Constructed().ContextSpecific()) || !in.Empty() {
		return nil, nil, nil, fmt.Errorf("%w: attributes", ErrMalformed)
	}
	order := members
	list = make(Attributes, 0, 8)
	encoded, values := make([][]byte, 0, 8), make([][]byte, 0, 8)
	for !members.Empty() {
		if len(list) == maxAttributes {
			return nil, nil, nil, fmt.Errorf("%w: more than %d attributes", ErrTooMany, maxAttributes)
		}
		var attribute Attribute
		if attribute, der, values, err = readAttribute(&members, values); err != nil {
			return nil, nil, nil, err
		}
		if err := s.charge(attributeSize + len(attribute.Values)*attributeValueSize); err != nil {
			return nil, nil, nil, err
		}
		list = append(list, attribute)
		encoded = append(encoded, der)
	}
	der = derSetOf(encoded)
	if !bytes.HasSuffix(der, order) {
		if err := s.charge(len(der)); err != nil {
			return nil, nil, nil, err
		}
		sent = derElement(ber.Universal, true, ber.TagSet, order)
	}
	return list, der, sent, nil
}

// readAttribute reads one Attribute, and appends its values to those of others; der is the attribute with its values in the
// order of DER.
func readAttribute(in *cryptobyte.String, others [][]byte) (a Attribute, der []byte, values [][]byte, err error) {
	var whole, seq, oid, set cryptobyte.String
	if !in.ReadASN1Element(&whole, cbasn1.SEQUENCE) {
		return a, nil, nil, fmt.Errorf("%w: attribute", ErrMalformed)
	}
	inside := whole
	if !inside.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return a, nil, nil, fmt.Errorf("%w: attribute", ErrMalformed)
	}
	head := seq
	if !head.ReadASN1Element(&oid, cbasn1.OBJECT_IDENTIFIER) || !head.ReadASN1(&set, cbasn1.SET) || !head.Empty() {
		return a, nil, nil, fmt.Errorf("%w: attribute", ErrMalformed)
	}
	a.Type, _ = readOID(&seq) // the element was just read
	count := 0
	for rest := set; !rest.Empty(); count++ { // before they take memory
		if count == maxAttributeValues {
			return a, nil, nil, fmt.Errorf("%w: more than %d values of an attribute", ErrTooMany, maxAttributeValues)
		}
		if !rest.ReadAnyASN1Element(new(cryptobyte.String), new(cbasn1.Tag)) {
			return a, nil, nil, fmt.Errorf("%w: attribute value", ErrMalformed)
		}
	}
	values = slices.Grow(others, count)
	for !set.Empty() {
		var value cryptobyte.String
		set.ReadAnyASN1Element(&value, new(cbasn1.Tag)) // as it was just read
		values = append(values, value)
	}
	a.Values = values[len(others):len(values):len(values)]
	if slices.IsSortedFunc(a.Values, bytes.Compare) {
		return a, whole, values, nil
	}
	slices.SortFunc(a.Values, bytes.Compare)
	return a, derSequence(oid, derSetOf(a.Values)), values, nil
}

// marshal returns the set as a SET OF in DER.
func (a Attributes) marshal() ([]byte, error) {
	members := make([][]byte, 0, len(a))
	for _, attribute := range a {
		oid, err := marshalOID(attribute.Type)
		if err != nil {
			return nil, fmt.Errorf("attribute: %w", err)
		}
		for _, v := range attribute.Values {
			if !isElement(v) {
				return nil, fmt.Errorf("value of attribute %v is no DER", attribute.Type)
			}
		}
		members = append(members, derSequence(oid, derSetOf(attribute.Values)))
	}
	return derSetOf(members), nil
}

// isElement reports whether der is one element.
func isElement(der []byte) bool {
	in := cryptobyte.String(der)
	return in.ReadAnyASN1Element(new(cryptobyte.String), new(cbasn1.Tag)) && in.Empty()
}

// parseSigningTime reads a Time as RFC 5652 section 11.3 has it: in UTC, with seconds.
func parseSigningTime(value cryptobyte.String) (time.Time, error) {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if value.ReadAnyASN1(&content, &tag) && value.Empty() {
		if t, ok := parseTime(content, tag); ok {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: signing time", ErrAttributes)
}

// parseTime reads the content of a UTCTime or GeneralizedTime that has seconds, no fractions of them, and ends in Z.
func parseTime(content []byte, tag cbasn1.Tag) (t time.Time, ok bool) {
	digits, ok := bytes.CutSuffix(content, []byte{'Z'})
	if !ok || slices.ContainsFunc(digits, func(c byte) bool { return c < '0' || c > '9' }) {
		return t, false
	}
	var pairs [7]int // of digits, the century first
	known := pairs[:]
	switch {
	case tag == cbasn1.UTCTime && len(digits) == len("060102150405"):
		known = pairs[1:]
	case tag == cbasn1.GeneralizedTime && len(digits) == len("20060102150405"):
	default:
		return t, false
	}
	for i := range known {
		known[i] = int(digits[2*i]-'0')*10 + int(digits[2*i+1]-'0')
	}
	if tag == cbasn1.UTCTime {
		pairs[0] = 20
		if pairs[1] >= 50 {
			pairs[0] = 19 // section 11.3: two digits mean 1950 to 2049
		}
	}
	year, month, day, hour, minute, second := pairs[0]*100+pairs[1], time.Month(pairs[2]), pairs[3], pairs[4], pairs[5], pairs[6]
	t = time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	// Date takes the 31st of April for the first of May.
	return t, t.Month() == month && t.Day() == day && t.Hour() == hour && t.Minute() == minute && t.Second() == second
}

// marshalSigningTime returns a Time: UTCTime up to 2049, GeneralizedTime after (RFC 5652 section 11.3).
func marshalSigningTime(t time.Time) ([]byte, error) {
	var b cryptobyte.Builder
	if t = t.UTC(); t.Year() >= 1950 && t.Year() < 2050 {
		b.AddASN1UTCTime(t)
	} else {
		b.AddASN1GeneralizedTime(t)
	}
	return b.Bytes()
}
