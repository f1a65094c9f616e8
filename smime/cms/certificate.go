package cms

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// IdentifierForm says in which of the two ways a message names a certificate.
type IdentifierForm int

// The two forms of SignerIdentifier and RecipientIdentifier (RFC 5652 sections 5.3 and 6.2.1).
const (
	IssuerAndSerialNumber IdentifierForm = iota
	SubjectKeyIdentifier
)

// CertificateIdentifier names a certificate in one of two forms: Issuer and Serial, or SubjectKeyID.
type CertificateIdentifier struct {
	Issuer       []byte // DER of the Name
	Serial       *big.Int
	SubjectKeyID []byte
}

// NewCertificateIdentifier names c in the given form. A certificate without the subjectKeyIdentifier extension cannot
// be named by it.
func NewCertificateIdentifier(c *x509.Certificate, form IdentifierForm) (CertificateIdentifier, error) {
	switch form {
	case IssuerAndSerialNumber:
		return CertificateIdentifier{Issuer: c.RawIssuer, Serial: c.SerialNumber}, nil
	case SubjectKeyIdentifier:
		if len(c.SubjectKeyId) == 0 {
			return CertificateIdentifier{}, fmt.Errorf("certificate has no subject key identifier")
		}
		return CertificateIdentifier{SubjectKeyID: c.SubjectKeyId}, nil
	}
	return CertificateIdentifier{}, fmt.Errorf("unknown form of certificate identifier %d", form)
}

// Matches reports whether c is the certificate that id names.
func (id CertificateIdentifier) Matches(c *x509.Certificate) bool {
	if c == nil {
		return false
	}
	if len(id.SubjectKeyID) > 0 {
		return bytes.Equal(id.SubjectKeyID, c.SubjectKeyId)
	}
	return id.Serial != nil && c.SerialNumber != nil && id.Serial.Cmp(c.SerialNumber) == 0 && bytes.Equal(id.Issuer, c.RawIssuer)
}

// MatchesRaw is Matches for a certificate that was not parsed, and perhaps cannot be.
func (id CertificateIdentifier) MatchesRaw(c RawCertificate) bool {
	issuer, serial, keyID, ok := c.names()
	switch {
	case !ok:
		return false
	case len(id.SubjectKeyID) > 0:
		return bytes.Equal(id.SubjectKeyID, keyID)
	case id.Serial == nil || !bytes.Equal(id.Issuer, issuer):
		return false
	}
	return isSerial(serial, id.Serial)
}

// isSerial reports whether the INTEGER in DER is this number.
func isSerial(der cryptobyte.String, number *big.Int) bool {
	var content cryptobyte.String
	var room [maxSerialSize]byte
	look := der
	// Of all certificates of a message, without making a number of each.
	if number.Sign() >= 0 && number.BitLen() < 8*len(room) && look.ReadASN1(&content, cbasn1.INTEGER) {
		return bytes.Equal(content, number.FillBytes(room[:number.BitLen()/8+1])) // with a bit of room for the sign
	}
	serial, ok := readSerial(&der)
	return ok && serial.Cmp(number) == 0
}

// add appends the SignerIdentifier or RecipientIdentifier to b.
func (id CertificateIdentifier) add(b *cryptobyte.Builder) {
	if len(id.SubjectKeyID) > 0 {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id.SubjectKeyID) })
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(id.Issuer)
		b.AddASN1BigInt(id.Serial)
	})
}

// certificateIdentifier reads a SignerIdentifier or RecipientIdentifier.
func (s *structure) certificateIdentifier() (id CertificateIdentifier, err error) {
	keyID, err := s.optional(0)
	if err != nil {
		return id, err
	}
	if keyID {
		if id.SubjectKeyID, err = s.octets(ber.ContextSpecific, 0); err == nil && len(id.SubjectKeyID) == 0 {
			err = fmt.Errorf("%w: empty subject key identifier", ErrMalformed)
		}
		return id, err
	}
	der, err := s.der()
	if err != nil {
		return id, err
	}
	in := cryptobyte.String(der)
	id, ok := readIssuerAndSerialNumber(&in)
	if !ok || !in.Empty() {
		return id, fmt.Errorf("%w: issuer and serial number", ErrMalformed)
	}
	return id, nil
}

// readIssuerAndSerialNumber reads an IssuerAndSerialNumber (RFC 5652 section 10.2.4) from DER.
func readIssuerAndSerialNumber(in *cryptobyte.String) (id CertificateIdentifier, ok bool) {
	var seq, issuer cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Element(&issuer, cbasn1.SEQUENCE) {
		return id, false
	}
	id.Issuer = issuer
	id.Serial, ok = readSerial(&seq)
	return id, ok && seq.Empty()
}

// maxSerialSize bounds the octets of a serial number. RFC 5280 section 4.1.2.2 allows 20.
const maxSerialSize = 256

// readSerial reads a CertificateSerialNumber.
func readSerial(in *cryptobyte.String) (*big.Int, bool) {
	var content cryptobyte.String
	look := *in
	var serial struct { // in one piece of memory
		number big.Int
		words  [4]big.Word
	}
	serial.number.SetBits(serial.words[:0])
	if !look.ReadASN1(&content, cbasn1.INTEGER) || len(content) > maxSerialSize || !in.ReadASN1Integer(&serial.number) {
		return nil, false
	}
	return &serial.number, true
}

// RawCertificate is a certificate as it came in a message. It is parsed only when needed, because crypto/x509 refuses
// some that are merely unusual.
type RawCertificate []byte

const (
	// maxCertificate bounds the octets of a certificate that is parsed. crypto/x509 may take a hundred times as many, and the
	// signatures of SLH-DSA, the largest that there are, have 49,856.
	maxCertificate = 128 << 10
	// maxParseReason bounds the octets of an error of Parse.
	maxParseReason = 200
)

// Parse parses the certificate, of at most 128 KiB. Its error is that of crypto/x509, of which a long one is cut: it repeats
// what the certificate holds, several times as long.
func (c RawCertificate) Parse() (*x509.Certificate, error) {
	if len(c) > maxCertificate {
		return nil, fmt.Errorf("certificate of %d octets is too large", len(c))
	}
	cert, err := x509.ParseCertificate(c)
	if err == nil {
		return cert, nil
	}
	if reason := err.Error(); len(reason) > maxParseReason {
		return nil, errors.New(strings.ToValidUTF8(reason[:maxParseReason], "") + "…")
	}
	return nil, err
}

// derSubjectKeyID is the content of the object identifier 2.5.29.14 (RFC 5280 section 4.2.1.2).
var derSubjectKeyID = []byte{0x55, 0x1d, 0x0e}

// Values of the version of a certificate (RFC 5280 section 4.1.2.1).
const (
	version1 = 0
	version3 = 2
)

// maxExtensions bounds the extensions that are looked at, which is done for each signer anew.
const maxExtensions = 1000

// names reads what a CertificateIdentifier may refer to (RFC 5280 section 4.1); serial is in DER. The key identifier may be
// missing, and is where the certificate is not of version 3: no other has extensions (section 4.1.2.9).
func (c RawCertificate) names() (issuer []byte, serial cryptobyte.String, keyID []byte, ok bool) {
	in := cryptobyte.String(c)
	var cert, tbs, name cryptobyte.String
	var version int
	if !in.ReadASN1(&cert, cbasn1.SEQUENCE) || !cert.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1Integer(&version, cbasn1.Tag(0).Constructed().ContextSpecific(), version1) {
		return nil, nil, nil, false
	}
	if !tbs.ReadASN1Element(&serial, cbasn1.INTEGER) ||
		!tbs.SkipASN1(cbasn1.SEQUENCE) || // signature
		!tbs.ReadASN1Element(&name, cbasn1.SEQUENCE) {
		return nil, nil, nil, false
	}
	if version != version3 {
		return name, serial, nil, true
	}
	var list, extensions cryptobyte.String
	var present bool
	for range 3 { // validity, subject, subjectPublicKeyInfo
		if !tbs.SkipASN1(cbasn1.SEQUENCE) {
			return name, serial, nil, true
		}
	}
	if !tbs.SkipOptionalASN1(cbasn1.Tag(1).ContextSpecific()) || // issuerUniqueID
		!tbs.SkipOptionalASN1(cbasn1.Tag(2).ContextSpecific()) || // subjectUniqueID
		!tbs.ReadOptionalASN1(&list, &present, cbasn1.Tag(3).Constructed().ContextSpecific()) ||
		!present || !list.ReadASN1(&extensions, cbasn1.SEQUENCE) {
		return name, serial, nil, true
	}
	for count := 0; count < maxExtensions && !extensions.Empty(); count++ {
		var extension, oid, value, id cryptobyte.String
		if !extensions.ReadASN1(&extension, cbasn1.SEQUENCE) {
			break
		}
		if !extension.ReadASN1(&oid, cbasn1.OBJECT_IDENTIFIER) || !bytes.Equal(oid, derSubjectKeyID) {
			continue
		}
		if extension.SkipOptionalASN1(cbasn1.BOOLEAN) && extension.ReadASN1(&value, cbasn1.OCTET_STRING) &&
			value.ReadASN1(&id, cbasn1.OCTET_STRING) {
			keyID = id
		}
		break
	}
	return name, serial, keyID, true
}
