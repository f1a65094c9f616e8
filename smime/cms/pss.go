package cms

import (
	"crypto"
	"fmt"
	"math/big"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// pssParameters is RSASSA-PSS-params (RFC 4055 section 3.1), with the one mask generation function there is, under the
// same hash.
type pssParameters struct {
	hash       crypto.Hash
	saltLength int
}

// parsePSSParameters reads the parameters and refuses what cannot be checked. RFC 4056 section 3: they MUST be present.
func parsePSSParameters(der []byte) (p pssParameters, err error) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return p, fmt.Errorf("%w: RSASSA-PSS parameters", ErrMalformed)
	}
	hash, ok := readOptionalIdentifier(&seq, 0, AlgorithmIdentifier{Algorithm: oidSHA1})
	mgf, ok2 := readOptionalIdentifier(&seq, 1, AlgorithmIdentifier{Algorithm: oidMGF1, Parameters: derSHA1})
	var trailer int
	if !ok || !ok2 ||
		!seq.ReadOptionalASN1Integer(&p.saltLength, cbasn1.Tag(2).Constructed().ContextSpecific(), 20) ||
		!seq.ReadOptionalASN1Integer(&trailer, cbasn1.Tag(3).Constructed().ContextSpecific(), 1) || !seq.Empty() {
		return p, fmt.Errorf("%w: RSASSA-PSS parameters", ErrMalformed)
	}
	if p.hash, err = digestByOID(hash.Algorithm); err != nil {
		return p, err
	}
	if !mgf.Algorithm.Equal(oidMGF1) {
		return p, &UnsupportedError{What: "mask generation function", Algorithm: mgf.Algorithm}
	}
	inner := cryptobyte.String(mgf.Parameters)
	mgfHash, ok := ReadAlgorithmIdentifier(&inner, cbasn1.SEQUENCE)
	// RFC 4055 section 2.1: a hash has no parameters.
	if !ok || !inner.Empty() || !hash.noParameters() || !mgfHash.noParameters() {
		return p, fmt.Errorf("%w: RSASSA-PSS parameters", ErrMalformed)
	}
	// RFC 4056 section 3 recommends one hash for both, and crypto/rsa has no other way.
	if !mgfHash.Algorithm.Equal(hash.Algorithm) {
		return p, &UnsupportedError{What: "RSASSA-PSS with another mask generation hash", Algorithm: mgfHash.Algorithm}
	}
	// crypto/rsa takes a salt length of zero for "any".
	if p.saltLength <= 0 || p.saltLength > maxRSABits/8 {
		return p, &UnsupportedError{What: fmt.Sprintf("RSASSA-PSS salt length %d", p.saltLength)}
	}
	if trailer != 1 {
		return p, fmt.Errorf("%w: RSASSA-PSS trailer field", ErrMalformed) // RFC 4055 section 3.1: MUST be 1
	}
	return p, nil
}

// derSHA1 is the AlgorithmIdentifier of SHA-1.
var derSHA1 = []byte{0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0}

// marshal returns RSASSA-PSS-params. None of the fields that are written has its default value, which DER leaves out: the
// hash is not SHA-1, and so the salt has more than 20 octets. The trailer field always has (RFC 4055 section 3.1).
func (p pssParameters) marshal() ([]byte, error) {
	hash, err := digestIdentifier(p.hash)
	if err != nil {
		return nil, err
	}
	hash.Parameters = derNull // section 2.1: here they MUST be NULL
	identifier, err := hash.marshal()
	if err != nil {
		return nil, err
	}
	mgf, err := AlgorithmIdentifier{Algorithm: oidMGF1, Parameters: identifier}.marshal()
	if err != nil {
		return nil, err
	}
	salt, err := marshalInteger(big.NewInt(int64(p.saltLength)))
	if err != nil {
		return nil, err
	}
	return derSequence(
		derElement(ber.ContextSpecific, true, 0, identifier),
		derElement(ber.ContextSpecific, true, 1, mgf),
		derElement(ber.ContextSpecific, true, 2, salt),
	), nil
}

// readOptionalIdentifier reads an AlgorithmIdentifier under an explicit tag, or returns the default.
func readOptionalIdentifier(in *cryptobyte.String, tag uint8, absent AlgorithmIdentifier) (AlgorithmIdentifier, bool) {
	var wrapped cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&wrapped, &present, cbasn1.Tag(tag).Constructed().ContextSpecific()) {
		return AlgorithmIdentifier{}, false
	}
	if !present {
		return absent, true
	}
	a, ok := ReadAlgorithmIdentifier(&wrapped, cbasn1.SEQUENCE)
	return a, ok && wrapped.Empty()
}
