package cms

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ESSCertID ties a signature to a certificate by its hash (RFC 5035 sections 4 and 5, RFC 2634 section 5.4.1).
type ESSCertID struct {
	HashAlgorithm AlgorithmIdentifier // SHA-1 for version 1
	Hash          []byte              // of the certificate's DER
	Issuer        []byte              // DER of the Name; nil if absent, or if it is no directory name
	Serial        *big.Int            // nil if absent
}

// maxESSCertIDs bounds the certificates in one signing-certificate attribute.
const maxESSCertIDs = 64

// check compares the identifier with a certificate.
func (id ESSCertID) check(cert *x509.Certificate) error {
	h, err := digestByOID(id.HashAlgorithm.Algorithm)
	if err != nil {
		return err
	}
	if !bytes.Equal(digestOf(h, cert.Raw), id.Hash) {
		return fmt.Errorf("%w: hash differs", ErrSigningCertificate)
	}
	// RFC 5035 section 5: issuer and serial number, where present, must match too.
	if id.Serial != nil && (id.Serial.Cmp(cert.SerialNumber) != 0 || !bytes.Equal(id.Issuer, cert.RawIssuer)) {
		return fmt.Errorf("%w: issuer or serial number differs", ErrSigningCertificate)
	}
	return nil
}

func digestOf(h crypto.Hash, data []byte) []byte {
	if h == crypto.SHA256 { // as nearly always: it needs no state
		sum := sha256.Sum256(data)
		return sum[:]
	}
	state := h.New()
	state.Write(data)
	return state.Sum(nil)
}

// parseSigningCertificate reads SigningCertificate, or SigningCertificateV2 if v2.
func parseSigningCertificate(in cryptobyte.String, v2 bool) ([]ESSCertID, error) {
	var seq, list cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&list, cbasn1.SEQUENCE) ||
		!seq.SkipOptionalASN1(cbasn1.SEQUENCE) || !seq.Empty() { // policies
		return nil, fmt.Errorf("%w: malformed", ErrSigningCertificate)
	}
	var ids []ESSCertID
	for !list.Empty() {
		if len(ids) == maxESSCertIDs {
			return nil, fmt.Errorf("%w: more than %d certificates", ErrSigningCertificate, maxESSCertIDs)
		}
		id, ok := readESSCertID(&list, v2)
		if !ok {
			return nil, fmt.Errorf("%w: malformed", ErrSigningCertificate)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: names no certificate", ErrSigningCertificate)
	}
	return ids, nil
}

func readESSCertID(in *cryptobyte.String, v2 bool) (id ESSCertID, ok bool) {
	var seq, hash cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return id, false
	}
	id.HashAlgorithm = AlgorithmIdentifier{Algorithm: oidSHA1}
	if v2 {
		id.HashAlgorithm = AlgorithmIdentifier{Algorithm: oidSHA256} // the default
		if seq.PeekASN1Tag(cbasn1.SEQUENCE) {
			if id.HashAlgorithm, ok = ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE); !ok {
				return id, false
			}
		}
	}
	if !seq.ReadASN1(&hash, cbasn1.OCTET_STRING) {
		return id, false
	}
	id.Hash = hash
	if seq.Empty() {
		return id, true
	}
	var issuerSerial, names cryptobyte.String
	if !seq.ReadASN1(&issuerSerial, cbasn1.SEQUENCE) || !seq.Empty() || !issuerSerial.ReadASN1(&names, cbasn1.SEQUENCE) {
		return id, false
	}
	if id.Serial, ok = readSerial(&issuerSerial); !ok || !issuerSerial.Empty() {
		return id, false
	}
	// RFC 5035 section 4: the issuer's name is one directoryName.
	var name cryptobyte.String
	if names.ReadASN1(&name, cbasn1.Tag(4).Constructed().ContextSpecific()) && names.Empty() {
		id.Issuer = name
	}
	return id, true
}

// signingCertificateV2 returns the value of the attribute for cert, with SHA-256, which is the default hash.
func signingCertificateV2(cert *x509.Certificate) ([]byte, error) {
	serial, err := marshalInteger(cert.SerialNumber)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(cert.Raw)
	directoryName := derElement(ber.ContextSpecific, true, 4, cert.RawIssuer)
	id := derSequence(derOctetString(hash[:]), derSequence(derSequence(directoryName), serial))
	return derSequence(derSequence(id)), nil // one certificate, no policies
}
