package certstore

import (
	"bytes"
	"encoding/base64"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What a file in DER or BER may hold.
type kind int

const (
	kindUnknown kind = iota
	kindCertificate
	kindKey
	kindEncryptedKey
	kindPKCS12
	kindCMS
)

// kindOf tells from the outermost elements what a structure is. A certificate begins with its tbsCertificate, an
// encrypted key with an algorithm, and a CMS structure with its type; a PKCS#12 file begins with the version 3 (RFC 7292
// section 4), where the versions of PKCS#8, PKCS#1 and SEC 1 are 0 and 1.
func kindOf(data []byte) kind {
	if len(data) < 2 || data[0] != 0x30 {
		return kindUnknown
	}
	header := 2
	if data[1] > 0x80 {
		header += int(data[1] & 0x7f)
	}
	body := data[min(header, len(data)):]
	switch {
	case bytes.HasPrefix(body, []byte{2, 1, 3}):
		return kindPKCS12
	case bytes.HasPrefix(body, []byte{6}):
		return kindCMS
	case bytes.HasPrefix(body, []byte{2}):
		return kindKey
	}
	first := firstElement(body)
	switch rest := body[len(first):]; {
	case !bytes.HasPrefix(first, []byte{0x30}):
		return kindUnknown
	case bytes.HasPrefix(rest, []byte{4}):
		return kindEncryptedKey
	case bytes.HasPrefix(rest, []byte{0x30}):
		return kindCertificate
	}
	return kindUnknown
}

// firstElement returns the first DER element of data, header and all, or nil.
func firstElement(data []byte) []byte {
	input := cryptobyte.String(data)
	var element cryptobyte.String
	var tag cryptobyteasn1.Tag
	if !input.ReadAnyASN1Element(&element, &tag) {
		return nil
	}
	return element
}

// bareBase64 decodes a file that is base64 and nothing else, as some programs call their exports.
func bareBase64(data []byte) ([]byte, bool) {
	if !bytes.HasPrefix(data, []byte("M")) { // what the first octet of a SEQUENCE becomes
		return nil, false
	}
	der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(data), nil)))
	return der, err == nil && len(der) > 0 && der[0] == 0x30
}
