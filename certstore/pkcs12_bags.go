package certstore

import (
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// bag is one SafeBag (RFC 7292 section 4.2).
type bag struct {
	id           asn1.ObjectIdentifier
	value        cryptobyte.String
	friendlyName string // or empty
}

// parseBags reads SafeContents. The bags of a safe inside the safe (RFC 7292 section 4.2.6) come behind the others.
func parseBags(data []byte) ([]bag, error) {
	der, err := ber.ToDER(data, ber.Limits{Element: maxFileSize})
	if err != nil {
		return nil, fmt.Errorf("%w: contents of a safe: %w", ErrMalformed, err)
	}
	var bags []bag
	for count, waiting := 0, []cryptobyte.String{der}; len(waiting) > 0; waiting = waiting[1:] {
		var list cryptobyte.String
		if !waiting[0].ReadASN1(&list, cryptobyteasn1.SEQUENCE) {
			return nil, fmt.Errorf("%w: contents of a safe", ErrMalformed)
		}
		for !list.Empty() {
			var b bag
			if !b.read(&list) {
				return nil, fmt.Errorf("%w: bag of a safe", ErrMalformed)
			}
			if count++; count > maxBags {
				return nil, fmt.Errorf("%w: more than %d bags", ErrTooLarge, maxBags)
			}
			if b.id.Equal(oidSafeContentsBag) {
				waiting = append(waiting, b.value)
				continue
			}
			bags = append(bags, b)
		}
	}
	return bags, nil
}

// read takes a SafeBag. What is odd about its attributes is no reason not to take it.
func (b *bag) read(in *cryptobyte.String) bool {
	var body, attributes cryptobyte.String
	if !in.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&b.id) || !body.ReadASN1(&b.value, tagExplicit0) {
		return false
	}
	if !body.ReadASN1(&attributes, cryptobyteasn1.SET) {
		return true
	}
	for !attributes.Empty() {
		var attribute, values, name cryptobyte.String
		var id asn1.ObjectIdentifier
		if !attributes.ReadASN1(&attribute, cryptobyteasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&id) ||
			!attribute.ReadASN1(&values, cryptobyteasn1.SET) {
			return true
		}
		if id.Equal(oidFriendlyName) && values.ReadASN1(&name, tagBMPString) {
			b.friendlyName = friendlyName(name)
		}
	}
	return true
}

// friendlyName decodes a friendlyName (RFC 2985 section 5.5.1), a BMPString, as far as it is fit for a label.
func friendlyName(bmp []byte) string {
	if len(bmp)%2 != 0 || len(bmp) > 2*maxLabel {
		return ""
	}
	units := make([]uint16, len(bmp)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(bmp[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00")
}

// parseShrouded reads an EncryptedPrivateKeyInfo (RFC 5958 section 3).
func parseShrouded(value cryptobyte.String) (*passwordScheme, []byte, error) {
	var body, encrypted cryptobyte.String
	var a algorithm
	if !value.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !a.read(&body) || !body.ReadASN1(&encrypted, cryptobyteasn1.OCTET_STRING) {
		return nil, nil, fmt.Errorf("%w: encrypted key", ErrMalformed)
	}
	scheme, err := parseScheme(a)
	return scheme, encrypted, err
}
