package revocation

import (
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Bounds on a response.
const (
	MaxResponse      = 64 << 10 // octets
	maxSingles       = 512
	maxResponderCert = 16
)

// ResponderError is a response without an answer: the responder says why it gives none (RFC 6960 section 4.2.1).
type ResponderError struct{ Status int }

func (e *ResponderError) Error() string {
	names := [...]string{"successful", "malformedRequest", "internalError", "tryLater", "", "sigRequired", "unauthorized"}
	name := fmt.Sprintf("responseStatus %d", e.Status)
	if e.Status >= 0 && e.Status < len(names) && names[e.Status] != "" {
		name = names[e.Status]
	}
	return "the responder gives no answer: " + name
}

// Response is a BasicOCSPResponse (RFC 6960 section 4.2.1). It shares its memory with the DER that it was parsed from.
// Who signed it is not judged yet.
type Response struct {
	Raw, RawTBS        []byte
	SignatureAlgorithm certpath.AlgorithmIdentifier
	Signature          []byte

	ResponderName    *certpath.Name // byName, or nil
	ResponderKeyHash []byte         // byKey: SHA-1 of the key, or nil
	ProducedAt       time.Time
	Singles          []SingleResponse
	Nonce            []byte // nil where absent
	Certificates     []*certpath.Certificate

	// Unusable says, as a clause, why the response must not be used; "" means that it may.
	Unusable string
}

// SingleResponse is what a response says of one certificate.
type SingleResponse struct {
	ID                     CertID
	Status                 Status
	RevokedAt              time.Time // where it is revoked
	Reason                 Reason
	ReasonStated           bool
	Invalidity             time.Time // section 4.4.5, zero where absent
	ThisUpdate, NextUpdate time.Time // NextUpdate is zero where it is absent
	ArchiveCutoff          time.Time // section 4.4.4, zero where absent

	// Unusable says, as a clause, why this answer must not be used; "" means that it may.
	Unusable string
}

func (s SingleResponse) window() window { return window{from: s.ThisUpdate, until: s.NextUpdate} }

// ParseResponse reads one OCSPResponse in DER, with nothing behind it, of at most [MaxResponse] octets. Where the
// responder gives no answer the error is a *[ResponderError], else it wraps [ErrMalformed].
func ParseResponse(der []byte) (*Response, error) {
	if len(der) > MaxResponse {
		return nil, malformed(fmt.Sprintf("a response of %d octets, and %d is the most", len(der), MaxResponse))
	}
	in := cryptobyte.String(der)
	var outer, bytes, content, octets cryptobyte.String
	var status int
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Enum(&status) {
		return nil, malformed("no response, or something follows it")
	}
	if status != 0 {
		if !outer.Empty() { // section 4.2.1: then responseBytes are not set
			return nil, malformed("something follows the status")
		}
		return nil, &ResponderError{Status: status}
	}
	var kind certpath.OID
	if !outer.ReadASN1(&bytes, tagExplicit0) || !outer.Empty() || !bytes.ReadASN1(&content, cbasn1.SEQUENCE) || !bytes.Empty() ||
		!readOID(&content, &kind) || !content.ReadASN1(&octets, cbasn1.OCTET_STRING) || !content.Empty() {
		return nil, malformed("responseBytes")
	}
	if kind != oidBasic {
		return nil, malformed("a response of the type " + kind.String())
	}
	r := &Response{Raw: der}
	if err := r.readBasic(octets); err != nil {
		return nil, err
	}
	return r, nil
}

func readOID(in *cryptobyte.String, id *certpath.OID) bool {
	var content cryptobyte.String
	ok := in.ReadASN1(&content, cbasn1.OBJECT_IDENTIFIER)
	*id = certpath.OID(content)
	return ok && len(content) > 0
}

// readBasic reads BasicOCSPResponse.
func (r *Response) readBasic(in cryptobyte.String) error {
	var basic, tbs, wrapped, list cryptobyte.String
	var ok, present bool
	if !in.ReadASN1(&basic, cbasn1.SEQUENCE) || !in.Empty() || !basic.ReadASN1Element(&tbs, cbasn1.SEQUENCE) {
		return malformed("the basic response")
	}
	r.RawTBS = tbs
	if r.SignatureAlgorithm, ok = certpath.ReadAlgorithmIdentifier(&basic); !ok || !basic.ReadASN1BitStringAsBytes(&r.Signature) {
		return malformed("the signature of the response")
	}
	if !basic.ReadOptionalASN1(&wrapped, &present, tagExplicit0) || !basic.Empty() ||
		present && (!wrapped.ReadASN1(&list, cbasn1.SEQUENCE) || !wrapped.Empty()) {
		return malformed("the certificates of the response")
	}
	for !list.Empty() {
		var element cryptobyte.String
		if len(r.Certificates) == maxResponderCert || !list.ReadASN1Element(&element, cbasn1.SEQUENCE) {
			return malformed("the certificates of the response")
		}
		c, err := certpath.Parse(element)
		if err != nil {
			return malformed("a certificate of the response: " + err.Error())
		}
		r.Certificates = append(r.Certificates, c)
	}
	return r.readTBS(tbs)
}

// readTBS reads ResponseData.
func (r *Response) readTBS(element cryptobyte.String) error {
	var tbs, singles cryptobyte.String
	var version int
	element.ReadASN1(&tbs, cbasn1.SEQUENCE)
	if !tbs.ReadOptionalASN1Integer(&version, tagExplicit0, 0) || version != 0 {
		return malformed("the version of the response")
	}
	if err := r.readResponderID(&tbs); err != nil {
		return err
	}
	if !tbs.ReadASN1GeneralizedTime(&r.ProducedAt) {
		return malformed("producedAt")
	}
	if !tbs.ReadASN1(&singles, cbasn1.SEQUENCE) {
		return malformed("the answers of the response")
	}
	for !singles.Empty() {
		if len(r.Singles) == maxSingles {
			return malformed(fmt.Sprintf("more than %d answers", maxSingles))
		}
		single, err := readSingle(&singles)
		if err != nil {
			return err
		}
		r.Singles = append(r.Singles, single)
	}
	extensions, err := readTaggedExtensions(&tbs, tagExplicit1)
	if err != nil || !tbs.Empty() {
		return malformed("the extensions of the response")
	}
	for _, e := range extensions {
		in, nonce := cryptobyte.String(e.Value), cryptobyte.String(nil)
		switch {
		case e.ID == oidNonce:
			if !in.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !in.Empty() || len(nonce) == 0 {
				r.Unusable = "its nonce is malformed"
			}
			r.Nonce = nonce
		case e.ID == oidExtRevoked: // RFC 6960 section 4.4.8: what was never issued is revoked as well
		case e.Critical:
			r.Unusable = "it has a critical extension that is not understood (" + e.ID.String() + ")"
		}
	}
	return nil
}

func (r *Response) readResponderID(tbs *cryptobyte.String) error {
	var content, key cryptobyte.String
	switch {
	case tbs.PeekASN1Tag(tagExplicit1) && tbs.ReadASN1(&content, tagExplicit1):
		name, err := certpath.ParseName(content)
		if err != nil {
			return malformed("the name of the responder")
		}
		r.ResponderName = &name
		return nil
	case tbs.PeekASN1Tag(tagExplicit2) && tbs.ReadASN1(&content, tagExplicit2):
		if content.ReadASN1(&key, cbasn1.OCTET_STRING) && content.Empty() {
			r.ResponderKeyHash = key
			return nil
		}
	}
	return malformed("the identifier of the responder")
}

// readTaggedExtensions reads Extensions under an explicit tag, if they are there.
func readTaggedExtensions(in *cryptobyte.String, tag cbasn1.Tag) ([]certpath.Extension, error) {
	var wrapped cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&wrapped, &present, tag) {
		return nil, errValue
	}
	if !present {
		return nil, nil
	}
	extensions, err := certpath.ReadExtensions(&wrapped)
	if err == nil && !wrapped.Empty() {
		err = errValue
	}
	return extensions, err
}

// readSingle reads SingleResponse.
func readSingle(in *cryptobyte.String) (SingleResponse, error) {
	var s SingleResponse
	var single, id, next cryptobyte.String
	var present bool
	if !in.ReadASN1(&single, cbasn1.SEQUENCE) || !single.ReadASN1(&id, cbasn1.SEQUENCE) || !s.ID.read(id) {
		return s, malformed("the certificate of an answer")
	}
	if err := s.readStatus(&single); err != nil {
		return s, err
	}
	if !single.ReadASN1GeneralizedTime(&s.ThisUpdate) || !single.ReadOptionalASN1(&next, &present, tagExplicit0) ||
		present && (!next.ReadASN1GeneralizedTime(&s.NextUpdate) || !next.Empty()) {
		return s, malformed("the times of an answer")
	}
	extensions, err := readTaggedExtensions(&single, tagExplicit1)
	if err != nil || !single.Empty() {
		return s, malformed("the extensions of an answer")
	}
	known := []certpath.OID{oidCRLReferences, oidReasonCode} // sections 4.4.2 and 4.4.5: they say nothing new
	for _, e := range extensions {
		value := cryptobyte.String(e.Value)
		switch {
		case e.ID == oidArchiveCutoff:
			if !value.ReadASN1GeneralizedTime(&s.ArchiveCutoff) || !value.Empty() {
				s.Unusable = "its archiveCutoff is malformed"
			}
		case e.ID == oidInvalidityDate:
			if !value.ReadASN1GeneralizedTime(&s.Invalidity) || !value.Empty() {
				s.Unusable = "its invalidityDate is malformed"
			}
		case e.Critical && !slices.Contains(known, e.ID):
			s.Unusable = "it has a critical extension that is not understood (" + e.ID.String() + ")"
		}
	}
	return s, nil
}

// readStatus reads CertStatus.
func (s *SingleResponse) readStatus(single *cryptobyte.String) error {
	var content, reason cryptobyte.String
	var tag cbasn1.Tag
	if !single.ReadAnyASN1(&content, &tag) {
		return malformed("the status of a certificate")
	}
	const good, revoked, unknown = cbasn1.Tag(0x80), cbasn1.Tag(0xa1), cbasn1.Tag(0x82)
	ok := true
	switch tag {
	case good:
		s.Status, ok = Good, content.Empty()
	case unknown:
		s.Status, ok = Unknown, content.Empty()
	case revoked:
		s.Status = Revoked
		var present bool
		ok = content.ReadASN1GeneralizedTime(&s.RevokedAt) && content.ReadOptionalASN1(&reason, &present, tagExplicit0) && content.Empty()
		if s.ReasonStated = present; ok && present {
			s.Reason, ok = readReason(&reason)
			ok = ok && reason.Empty()
		}
	default:
		ok = false
	}
	if !ok {
		return malformed("the status of a certificate")
	}
	return nil
}

// read reads the content of CertID.
func (id *CertID) read(in cryptobyte.String) bool {
	algorithm, ok := certpath.ReadAlgorithmIdentifier(&in)
	var name, key cryptobyte.String
	id.HashAlgorithm = algorithm.Algorithm
	id.SerialNumber = new(big.Int)
	ok = ok && in.ReadASN1(&name, cbasn1.OCTET_STRING) && in.ReadASN1(&key, cbasn1.OCTET_STRING) &&
		in.ReadASN1Integer(id.SerialNumber) && in.Empty()
	id.IssuerNameHash, id.IssuerKeyHash = name, key
	return ok
}
