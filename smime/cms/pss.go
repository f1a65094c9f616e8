package cms

import (
	"crypto"
	"fmt"

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
	sha1 := AlgorithmIdentifier{Algorithm: oidSHA1}
	hash, ok := readOptionalIdentifier(&seq, 0, sha1)
	mgf, ok2 := readOptionalIdentifier(&seq, 1, AlgorithmIdentifier{Algorithm: oidMGF1})
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
	mgfHash := sha1
	if mgf.Parameters != nil {
		parameters := cryptobyte.String(mgf.Parameters)
		if mgfHash, ok = readAlgorithmIdentifier(&parameters, cbasn1.SEQUENCE); !ok || !parameters.Empty() {
			return p, fmt.Errorf("%w: RSASSA-PSS parameters", ErrMalformed)
		}
	}
	if !mgfHash.Algorithm.Equal(hash.Algorithm) {
		return p, &UnsupportedError{What: "RSASSA-PSS with two digest algorithms"}
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
	a, ok := readAlgorithmIdentifier(&wrapped, cbasn1.SEQUENCE)
	return a, ok && wrapped.Empty()
}
