package ca

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds on a request.
const (
	MaxOCSPRequest = 16 << 10 // octets

	maxOCSPSingles    = 32
	maxOCSPExtensions = 16
	maxNonce          = 128 // octets: RFC 9654 section 2.1
)

// errOCSPRequest says that octets are no OCSP request that can be answered. Who asked gets malformedRequest and no more.
var errOCSPRequest = errors.New("malformed OCSP request")

func oidOCSPNonce() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
}

// ocspRequest is an OCSPRequest (RFC 6960 section 4.1.1). Its signature, if there is one, is not looked at: anybody may ask.
type ocspRequest struct {
	ids   []certID
	nonce []byte // nil: none
}

// certID names a certificate.
type certID struct {
	raw      []byte      // the element, which the answer repeats
	hash     crypto.Hash // 0: not known
	nameHash []byte
	keyHash  []byte
	serial   *big.Int
}

func explicit(n uint8) cryptobyteasn1.Tag {
	return cryptobyteasn1.Tag(n).ContextSpecific().Constructed()
}

func parseOCSPRequest(der []byte) (*ocspRequest, error) {
	if len(der) > MaxOCSPRequest {
		return nil, errOCSPRequest
	}
	input := cryptobyte.String(der)
	var outer, tbs, version, list, extensions cryptobyte.String
	var hasVersion, hasExtensions bool
	if !input.ReadASN1(&outer, cryptobyteasn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1(&tbs, cryptobyteasn1.SEQUENCE) || !outer.SkipOptionalASN1(explicit(0)) || !outer.Empty() ||
		!tbs.ReadOptionalASN1(&version, &hasVersion, explicit(0)) ||
		!tbs.SkipOptionalASN1(explicit(1)) || // requestorName
		!tbs.ReadASN1(&list, cryptobyteasn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&extensions, &hasExtensions, explicit(2)) || !tbs.Empty() {
		return nil, errOCSPRequest
	}
	if hasVersion {
		var v int
		if !version.ReadASN1Integer(&v) || v != 0 || !version.Empty() { // v1 is the only one
			return nil, errOCSPRequest
		}
	}
	r := new(ocspRequest)
	for !list.Empty() {
		if len(r.ids) == maxOCSPSingles {
			return nil, errOCSPRequest
		}
		id, err := readSingle(&list)
		if err != nil {
			return nil, err
		}
		r.ids = append(r.ids, id)
	}
	if len(r.ids) == 0 {
		return nil, errOCSPRequest
	}
	if !hasExtensions {
		return r, nil
	}
	var err error
	r.nonce, err = readOCSPExtensions(extensions)
	return r, err
}

// readSingle reads a Request.
func readSingle(list *cryptobyte.String) (id certID, err error) {
	var request, element, body, algorithm, nameHash, keyHash, extensions cryptobyte.String
	var hasExtensions bool
	var oid asn1.ObjectIdentifier
	id.serial = new(big.Int)
	if !list.ReadASN1(&request, cryptobyteasn1.SEQUENCE) ||
		!request.ReadASN1Element(&element, cryptobyteasn1.SEQUENCE) ||
		!request.ReadOptionalASN1(&extensions, &hasExtensions, explicit(0)) || !request.Empty() {
		return id, errOCSPRequest
	}
	id.raw = element
	if !element.ReadASN1(&body, cryptobyteasn1.SEQUENCE) ||
		!body.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!body.ReadASN1(&nameHash, cryptobyteasn1.OCTET_STRING) ||
		!body.ReadASN1(&keyHash, cryptobyteasn1.OCTET_STRING) ||
		!body.ReadASN1Integer(id.serial) || !body.Empty() {
		return id, errOCSPRequest
	}
	// Parameters are absent or NULL, as senders like.
	if !algorithm.Empty() && (!algorithm.SkipASN1(cryptobyteasn1.NULL) || !algorithm.Empty()) {
		return id, errOCSPRequest
	}
	id.hash, id.nameHash, id.keyHash = certIDHash(oid), nameHash, keyHash
	if hasExtensions {
		// A nonce is for the whole; one that stands here is as strange to us as the others.
		if _, err := readOCSPExtensions(extensions); err != nil {
			return id, err
		}
	}
	return id, nil
}

// certIDHash returns the hash that names issuers, 0 where it is not known. SHA-1 only picks one of our own, and RFC 9919 keeps
// it for who knows no other.
func certIDHash(oid asn1.ObjectIdentifier) crypto.Hash {
	for _, known := range []struct {
		oid  asn1.ObjectIdentifier
		hash crypto.Hash
	}{
		{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
	} {
		if known.oid.Equal(oid) {
			return known.hash
		}
	}
	return 0
}

// readOCSPExtensions returns the nonce among Extensions, nil where there is none. What is critical and not known cannot be
// answered; the rest is passed over.
func readOCSPExtensions(extensions cryptobyte.String) (nonce []byte, err error) {
	var list cryptobyte.String
	if !extensions.ReadASN1(&list, cryptobyteasn1.SEQUENCE) || !extensions.Empty() {
		return nil, errOCSPRequest
	}
	for count := 0; !list.Empty(); count++ {
		var extension, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		critical := false
		if count == maxOCSPExtensions ||
			!list.ReadASN1(&extension, cryptobyteasn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&oid) ||
			!readDefaultFalse(&extension, &critical) ||
			!extension.ReadASN1(&value, cryptobyteasn1.OCTET_STRING) || !extension.Empty() {
			return nil, errOCSPRequest
		}
		if !oid.Equal(oidOCSPNonce()) {
			if critical {
				return nil, errOCSPRequest
			}
			continue
		}
		// RFC 9654 section 2.1: of 1 to 128 octets, else the request is malformed.
		var octets cryptobyte.String
		if nonce != nil || !value.ReadASN1(&octets, cryptobyteasn1.OCTET_STRING) || !value.Empty() || len(octets) == 0 || len(octets) > maxNonce {
			return nil, errOCSPRequest
		}
		nonce = octets
	}
	return nonce, nil
}
