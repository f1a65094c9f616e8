package tsa

import (
	"encoding/asn1"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxSize is the greatest length in octets of a request, a response and a token that is read.
const MaxSize = 64 << 10

// maxInteger bounds nonces and serial numbers, in octets. RFC 3161 section 2.4.2 asks for 20 at least.
const maxInteger = 64

// version is the one version of requests and of TSTInfo that there is.
const version = 1

// Request is a TimeStampReq (RFC 3161 section 2.4.1).
type Request struct {
	Imprint    MessageImprint
	Policy     asn1.ObjectIdentifier // nil: the authority's choice
	Nonce      *big.Int              // nil: none
	CertReq    bool                  // whether the token shall bring the authority's certificate
	Extensions []Extension
}

// ParseRequest reads a TimeStampReq. The error wraps ErrTooLarge, ErrMalformed or ErrVersion. A request that is
// accepted is encoded by Marshal to the same octets.
func ParseRequest(der []byte) (*Request, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%w: request of more than %d octets", ErrTooLarge, MaxSize)
	}
	malformed := fmt.Errorf("%w: request", ErrMalformed)
	input := cryptobyte.String(der)
	var seq cryptobyte.String
	var v int64
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() || !seq.ReadASN1Integer(&v) {
		return nil, malformed
	}
	if v != version {
		return nil, fmt.Errorf("%w: request has version %d", ErrVersion, v)
	}
	var r Request
	if !readMessageImprint(&seq, &r.Imprint) ||
		!readOptionalOID(&seq, &r.Policy) ||
		!readOptionalInteger(&seq, &r.Nonce) ||
		!readDefaultFalse(&seq, &r.CertReq) ||
		!readExtensions(&seq, 0, &r.Extensions) ||
		!seq.Empty() {
		return nil, malformed
	}
	return &r, nil
}

// Marshal returns the DER of the request. The error wraps ErrMalformed if a field cannot be encoded.
func (r *Request) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		addMessageImprint(b, r.Imprint)
		if r.Policy != nil {
			b.AddASN1ObjectIdentifier(r.Policy)
		}
		if r.Nonce != nil {
			b.AddASN1BigInt(r.Nonce)
		}
		if r.CertReq {
			b.AddASN1Boolean(true)
		}
		addExtensions(b, 0, r.Extensions)
	})
	return finish(&b, "request")
}

// finish returns what was built, of at most MaxSize.
func finish(b *cryptobyte.Builder, what string) ([]byte, error) {
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, what, err)
	}
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%w: %s of %d octets", ErrTooLarge, what, len(der))
	}
	return der, nil
}

func readOptionalOID(s *cryptobyte.String, out *asn1.ObjectIdentifier) bool {
	return !s.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) || s.ReadASN1ObjectIdentifier(out)
}

func readOptionalInteger(s *cryptobyte.String, out **big.Int) bool {
	return !s.PeekASN1Tag(cbasn1.INTEGER) || readInteger(s, out)
}

// readInteger reads an INTEGER of at most maxInteger octets.
func readInteger(s *cryptobyte.String, out **big.Int) bool {
	var content, element cryptobyte.String
	peek := *s
	if !peek.ReadASN1(&content, cbasn1.INTEGER) || len(content) > maxInteger ||
		!s.ReadASN1Element(&element, cbasn1.INTEGER) {
		return false
	}
	n := new(big.Int)
	if !element.ReadASN1Integer(n) {
		return false
	}
	*out = n
	return true
}
