package smime

import (
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/smime/entity"
)

// HCP is a Header Confidentiality Policy (RFC 9788 section 3.1). It takes a header field that is inside an encrypted
// message, its value unfolded, and returns the value that the field is to have outside; keep is false where it is to be
// missing there. It is asked about every field by itself, never about one of the MIME structure, and must answer the same
// each time. It must not take From away or change its addresses (section 3.1.1): that is an [ErrPolicy].
type HCP func(name, value string) (outside string, keep bool)

// ErrPolicy says that a Header Confidentiality Policy does what RFC 9788 section 3.1.1 forbids.
var ErrPolicy = errors.New("header confidentiality policy takes the sender away")

// hiddenSubject stands for a subject that is not for everybody.
const hiddenSubject = "[...]"

// HCPBaseline hides what a person has written: Subject becomes "[...]", Comments and Keywords are removed (RFC 9788 section
// 3.2.1).
func HCPBaseline(name, value string) (string, bool) {
	switch lowerASCII(name) {
	case "subject":
		return hiddenSubject, true
	case "comments", "keywords":
		return "", false
	}
	return value, true
}

// HCPShy also hides the names in From, To and Cc, and the time zone in Date (RFC 9788 section 3.2.2). What cannot be read as
// addresses or as a date stays as it is. So do groups without members; those of others lose their names.
func HCPShy(name, value string) (string, bool) {
	switch lowerASCII(name) {
	case "from", "to", "cc":
		if list, ok := ParseAddresses(value); ok && len(list) > 0 {
			return addrSpecs(list), true
		}
		return value, true
	case "date":
		if date, err := mail.ParseDate(value); err == nil {
			return date.UTC().Format(time.RFC1123Z), true
		}
		return value, true
	}
	return HCPBaseline(name, value)
}

// HCPNoConfidentiality hides nothing (RFC 9788 section 3.2.3).
func HCPNoConfidentiality(_, value string) (string, bool) { return value, true }

// addrSpecs writes mailboxes without their names.
func addrSpecs(list []*mail.Address) string {
	specs := make([]string, len(list))
	for i, a := range list {
		bare := mail.Address{Address: a.Address}
		specs[i] = strings.TrimSuffix(strings.TrimPrefix(bare.String(), "<"), ">")
	}
	return strings.Join(specs, ", ")
}

// outside returns the fields that the policy leaves outside. What it does not change stays as it is written.
func (p HCP) outside(inside entity.Header) (entity.Header, error) {
	var outer entity.Header
	for _, f := range inside {
		value, keep := p(f.Name, f.Value())
		switch {
		case f.Is("From") && (!keep || value != f.Value() && !sameSenders(f.Value(), value)):
			return nil, fmt.Errorf("%w: outside, From would be %q", ErrPolicy, value)
		case !keep:
			continue
		case value != f.Value():
			var err error
			if f, err = entity.NewField(f.Name, value); err != nil {
				return nil, err
			}
		}
		outer = append(outer, f)
	}
	return outer, nil
}

// sameSenders reports whether two values of From name the same addresses.
func sameSenders(a, b string) bool {
	listA, okA := ParseAddresses(a)
	listB, okB := ParseAddresses(b)
	return okA && okB && slices.EqualFunc(listA, listB, func(a, b *mail.Address) bool { return SameAddress(a.Address, b.Address) })
}
