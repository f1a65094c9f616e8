package cms

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// RevocationValues is what says of the certificates of a signer's path whether they are revoked, so that the signature can
// be judged offline, and when nobody answers any more: the revocation-values attribute (RFC 5126 section 6.3.4). It is
// unsigned, and nothing in it is verified.
//
// OCSP responses beside the revocation lists of a SignedData (RFC 5940, [SignedDataOptions]) say the same. They make its
// version 5, which some programs for mail do not read; this attribute is passed over by who does not know it.
type RevocationValues struct {
	CRLs          [][]byte // CertificateList in DER
	OCSPResponses [][]byte // OCSPResponse in DER, of which the attribute holds the BasicOCSPResponse
}

// maxRevocationValues bounds the revocation lists, and the OCSP responses, that are read of one signer. Their octets are
// within Limits.Structure.
const maxRevocationValues = 64

var errRevocationValues = fmt.Errorf("%w: revocation values", ErrMalformed)

// Empty reports whether there is nothing in v.
func (v RevocationValues) Empty() bool { return len(v.CRLs)+len(v.OCSPResponses) == 0 }

// Marshal returns the value of the attribute in DER. What is there twice is written once. There must be something, each
// revocation list must be a SEQUENCE in DER, and each response an answer of the type id-pkix-ocsp-basic.
func (v RevocationValues) Marshal() ([]byte, error) {
	if v.Empty() {
		return nil, errors.New("no revocation values")
	}
	var crls, responses [][]byte
	for i, crl := range v.CRLs {
		if !isSequence(crl) {
			return nil, fmt.Errorf("revocation list %d to send along is no DER", i+1)
		}
		crls = append(crls, crl)
	}
	for i, response := range v.OCSPResponses {
		basic := basicOCSPResponse(response)
		if basic == nil {
			return nil, fmt.Errorf("OCSP response %d to send along is no basic response", i+1)
		}
		responses = append(responses, basic)
	}
	// The module of RFC 5126 (appendix A) has EXPLICIT TAGS.
	var crlVals, ocspVals []byte
	if len(crls) > 0 {
		crlVals = derElement(ber.ContextSpecific, true, 0, derSequence(distinct(crls)...))
	}
	if len(responses) > 0 {
		ocspVals = derElement(ber.ContextSpecific, true, 1, derSequence(distinct(responses)...))
	}
	return derSequence(crlVals, ocspVals), nil
}

// ParseRevocationValues reads the value of a revocation-values attribute in DER. Revocation information of other kinds is
// left out. Where the error is not nil, it wraps [ErrMalformed] or [ErrTooMany], and what could be read is there all the
// same. Lists share their memory with der.
func ParseRevocationValues(der []byte) (RevocationValues, error) {
	var v RevocationValues
	return v, v.read(der)
}

// read adds what is in a value.
func (v *RevocationValues) read(der cryptobyte.String) error {
	var value cryptobyte.String
	if !der.ReadASN1(&value, cbasn1.SEQUENCE) || !der.Empty() {
		return errRevocationValues
	}
	err := readRevocationList(&value, 0, func(crl cryptobyte.String) error {
		return addRevocationValue(&v.CRLs, crl, "revocation lists of a signer")
	})
	if err != nil {
		return err
	}
	err = readRevocationList(&value, 1, func(basic cryptobyte.String) error {
		if content := basic; !content.ReadASN1(&content, cbasn1.SEQUENCE) || !content.PeekASN1Tag(cbasn1.SEQUENCE) {
			return fmt.Errorf("%w: no BasicOCSPResponse", errRevocationValues) // but an OCSPResponse, say
		}
		return addRevocationValue(&v.OCSPResponses, successfulOCSPResponse(basic), "OCSP responses of a signer")
	})
	if err != nil {
		return err
	}
	if !value.SkipOptionalASN1(cbasn1.Tag(2).Constructed().ContextSpecific()) || !value.Empty() {
		return errRevocationValues
	}
	return nil
}

// readRevocationList calls add for each member of a SEQUENCE OF SEQUENCE under an explicit tag, if that is there.
func readRevocationList(value *cryptobyte.String, number uint8, add func(cryptobyte.String) error) error {
	var tagged, list cryptobyte.String
	var present bool
	if !value.ReadOptionalASN1(&tagged, &present, cbasn1.Tag(number).Constructed().ContextSpecific()) {
		return errRevocationValues
	}
	if !present {
		return nil
	}
	if !tagged.ReadASN1(&list, cbasn1.SEQUENCE) || !tagged.Empty() {
		return errRevocationValues
	}
	for !list.Empty() {
		var member cryptobyte.String
		if !list.ReadASN1Element(&member, cbasn1.SEQUENCE) {
			return errRevocationValues
		}
		if err := add(member); err != nil {
			return err
		}
	}
	return nil
}

func addRevocationValue(list *[][]byte, der []byte, what string) error {
	if len(*list) == maxRevocationValues {
		return fmt.Errorf("%w: more than %d %s", ErrTooMany, maxRevocationValues, what)
	}
	*list = append(*list, der)
	return nil
}

// RevocationValues returns what the signer's revocation-values attributes hold. RFC 5126 section 6.3.4 wants no more than one
// of them; as nothing depends on that, all are read. The error is that of [ParseRevocationValues] for the first value that
// is malformed; what was read of it and of the others is there.
func (si *SignerInfo) RevocationValues() (v RevocationValues, err error) {
	for _, value := range si.UnsignedAttributes.Values(OIDAttributeRevocationValues) {
		if e := v.read(value); e != nil && err == nil {
			err = fmt.Errorf("attribute %v: %w", OIDAttributeRevocationValues, e)
		}
	}
	return v, err
}

// basicOCSPResponse returns the BasicOCSPResponse in an OCSPResponse (RFC 6960 section 4.2.1), or nil where there is none.
func basicOCSPResponse(der cryptobyte.String) []byte {
	var response, tagged, responseBytes, octets cryptobyte.String
	var status int
	if !der.ReadASN1(&response, cbasn1.SEQUENCE) || !der.Empty() || !response.ReadASN1Enum(&status) || status != 0 ||
		!response.ReadASN1(&tagged, cbasn1.Tag(0).Constructed().ContextSpecific()) || !response.Empty() ||
		!tagged.ReadASN1(&responseBytes, cbasn1.SEQUENCE) || !tagged.Empty() {
		return nil
	}
	if kind, ok := readOID(&responseBytes); !ok || !kind.Equal(oidBasicOCSPResponse) ||
		!responseBytes.ReadASN1(&octets, cbasn1.OCTET_STRING) || !responseBytes.Empty() || !isSequence(octets) {
		return nil
	}
	return octets
}

// successfulOCSPResponse returns the OCSPResponse with this BasicOCSPResponse.
func successfulOCSPResponse(basic []byte) []byte {
	var der nested
	der.behind(basic)
	der.wrap(ber.Universal, false, ber.TagOctetString)
	der.before(derBasicOCSPResponse)
	der.wrap(ber.Universal, true, ber.TagSequence) // ResponseBytes
	der.wrap(ber.ContextSpecific, true, 0)
	der.before([]byte{10, 1, 0}) // ENUMERATED successful
	der.wrap(ber.Universal, true, ber.TagSequence)
	return der.append(nil)
}

// derBasicOCSPResponse is oidBasicOCSPResponse in DER.
var derBasicOCSPResponse = []byte{6, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1}
