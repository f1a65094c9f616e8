package cms

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// agreementCurves are the curves that both sides may have keys on, told apart by the length of a point.
var agreementCurves = []struct {
	curve      ecdh.Curve
	name       string
	oid        asn1.ObjectIdentifier // RFC 5480 section 2.1.1.1, RFC 8410 section 3
	pointSize  int                   // octets
	compressed elliptic.Curve
}{
	{ecdh.P256(), "p256", asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, 65, elliptic.P256()},
	{ecdh.P384(), "p384", asn1.ObjectIdentifier{1, 3, 132, 0, 34}, 97, elliptic.P384()},
	{ecdh.P521(), "p521", asn1.ObjectIdentifier{1, 3, 132, 0, 35}, 133, elliptic.P521()},
	{ecdh.X25519(), "x25519", oidX25519, 32, nil},
}

// curveName guesses the curve from the length of the originator's key, for those who have no key of their own at hand.
func (o Originator) curveName() string {
	for _, c := range agreementCurves {
		size := len(o.PublicKey)
		if o.PublicKeyAlgorithm.Algorithm.Equal(oidX25519) != (c.compressed == nil) {
			continue
		}
		if size == c.pointSize || c.compressed != nil && size == (c.pointSize+1)/2 {
			return c.name
		}
	}
	return ""
}

// key returns the originator's key, looking for its certificate in the lists where it is named by that. The error is an
// *[UnsupportedError] or [ErrDecrypt].
func (o Originator) key(curve ecdh.Curve, sent []RawCertificate, given []*x509.Certificate) (*ecdh.PublicKey, error) {
	if o.PublicKey != nil {
		return agreementPoint(curve, o.PublicKeyAlgorithm, o.PublicKey)
	}
	for _, c := range given {
		if o.Certificate.Matches(c) {
			return publicKeyInfoPoint(curve, c.RawSubjectPublicKeyInfo)
		}
	}
	for _, c := range sent {
		if o.Certificate.MatchesRaw(c) {
			return publicKeyInfoPoint(curve, c.publicKeyInfo())
		}
	}
	return nil, &UnsupportedError{What: "key agreement with an originator whose certificate is missing"}
}

// publicKeyInfo returns the SubjectPublicKeyInfo (RFC 5280 section 4.1), nil if it cannot be found.
func (c RawCertificate) publicKeyInfo() []byte {
	in := cryptobyte.String(c)
	var cert, tbs, info cryptobyte.String
	if !in.ReadASN1(&cert, cbasn1.SEQUENCE) || !cert.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(cbasn1.Tag(0).Constructed().ContextSpecific()) || // version
		!tbs.SkipASN1(cbasn1.INTEGER) { // serialNumber
		return nil
	}
	for range 4 { // signature, issuer, validity, subject
		if !tbs.SkipASN1(cbasn1.SEQUENCE) {
			return nil
		}
	}
	if !tbs.ReadASN1Element(&info, cbasn1.SEQUENCE) {
		return nil
	}
	return info
}

// publicKeyInfoPoint returns the key in a SubjectPublicKeyInfo as a point on the recipient's curve.
func publicKeyInfoPoint(curve ecdh.Curve, info []byte) (*ecdh.PublicKey, error) {
	in := cryptobyte.String(info)
	var seq cryptobyte.String
	var point []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, &UnsupportedError{What: "key of the originator's certificate"}
	}
	algorithm, ok := ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE)
	if !ok || !seq.ReadASN1BitStringAsBytes(&point) || !seq.Empty() {
		return nil, &UnsupportedError{What: "key of the originator's certificate"}
	}
	return agreementPoint(curve, algorithm, point)
}

// agreementPoint returns a key of the originator as a point on the recipient's curve. One that is none is [ErrDecrypt],
// before anything is computed with the recipient's key.
func agreementPoint(curve ecdh.Curve, algorithm AlgorithmIdentifier, point []byte) (*ecdh.PublicKey, error) {
	isNIST := algorithm.Algorithm.Equal(oidECPublicKey) || algorithm.Algorithm.Equal(oidECDH)
	isX25519 := algorithm.Algorithm.Equal(oidX25519)
	switch {
	case !isNIST && !isX25519:
		return nil, &UnsupportedError{What: "key of the originator", Algorithm: algorithm.Algorithm}
	case isX25519 != (curve == ecdh.X25519()):
		return nil, ErrDecrypt
	}
	if err := checkCurve(curve, algorithm); err != nil {
		return nil, err
	}
	if isNIST && len(point) > 0 && (point[0] == 2 || point[0] == 3) {
		point = uncompressed(curve, point)
	}
	key, err := curve.NewPublicKey(point)
	if err != nil {
		return nil, ErrDecrypt
	}
	return key, nil
}

// checkCurve checks that the parameters of a key do not name another curve than the recipient's (RFC 5753 section 3.1.1).
// They may be absent, or NULL; those of X25519 are absent (RFC 8418 section 3).
func checkCurve(curve ecdh.Curve, algorithm AlgorithmIdentifier) error {
	if algorithm.noParameters() {
		return nil
	}
	parameters := cryptobyte.String(algorithm.Parameters)
	oid, ok := readOID(&parameters)
	if !ok || !parameters.Empty() {
		return &UnsupportedError{What: "parameters of the originator's curve"}
	}
	for _, c := range agreementCurves {
		if c.curve == curve && c.oid.Equal(oid) {
			return nil
		}
	}
	return ErrDecrypt
}

// uncompressed returns a compressed point of a NIST curve (SEC 1 section 2.3.4) in full, anything else as it is. The
// point is public, so that time does not matter.
func uncompressed(curve ecdh.Curve, point []byte) []byte {
	for _, c := range agreementCurves {
		if c.curve != curve || c.compressed == nil {
			continue
		}
		x, y := elliptic.UnmarshalCompressed(c.compressed, point)
		if x == nil {
			return point
		}
		full := make([]byte, c.pointSize)
		full[0] = 4
		x.FillBytes(full[1 : 1+c.pointSize/2])
		y.FillBytes(full[1+c.pointSize/2:])
		return full
	}
	return point
}
