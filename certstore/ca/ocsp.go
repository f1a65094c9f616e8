package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // names issuers in requests, and responders
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// ocspValidity is how long an answer may be relied on. Revocations are answered at once; this is how long an older answer
// may be replayed or kept in a cache.
const ocspValidity = time.Hour

// OCSPStatus is an OCSPResponseStatus (RFC 6960 section 4.2.1).
type OCSPStatus int

// The statuses. Answers that are not successful are not signed.
const (
	OCSPSuccessful       OCSPStatus = 0
	OCSPMalformedRequest OCSPStatus = 1
	OCSPInternalError    OCSPStatus = 2
	OCSPTryLater         OCSPStatus = 3
)

// OCSPResponse is the answer to a request.
type OCSPResponse struct {
	Status     OCSPStatus
	DER        []byte
	ThisUpdate time.Time // zero unless successful
	NextUpdate time.Time
	Nonce      bool // for one request alone, so that it must not be kept for others
}

// RefuseOCSP returns the answer of a status that is not successful.
func RefuseOCSP(status OCSPStatus) *OCSPResponse {
	// OCSPResponse with nothing but an ENUMERATED.
	return &OCSPResponse{Status: status, DER: []byte{0x30, 3, 0x0a, 1, byte(status)}}
}

// RespondOCSP answers an OCSP request in DER, of up to [MaxOCSPRequest] octets: good for what was issued here and is not
// revoked, revoked for what is, unknown for all else. What is wrong with a request is said in the answer and is no error.
// An error means that the authority itself failed; the answer then says internalError and can be sent as well.
func (a *Authority) RespondOCSP(ctx context.Context, request []byte, now time.Time) (*OCSPResponse, error) {
	r, err := parseOCSPRequest(request)
	if err != nil {
		return RefuseOCSP(OCSPMalformedRequest), nil
	}
	response, err := a.answer(ctx, r, wholeSecond(now))
	if err != nil {
		return RefuseOCSP(OCSPInternalError), fmt.Errorf("OCSP: %w", err)
	}
	return response, nil
}

func (a *Authority) answer(ctx context.Context, r *ocspRequest, now time.Time) (*OCSPResponse, error) {
	// One answer has one signer, who speaks for one issuer. What else is asked in the same request is unknown to it.
	issuer := MailIssuer
	for _, id := range r.ids {
		if i, ok := a.issuerByID(id); ok {
			issuer = i
			break
		}
	}
	signer, err := a.responder(ctx, issuer, now)
	if err != nil {
		return nil, err
	}
	response := &OCSPResponse{ThisUpdate: now, NextUpdate: now.Add(ocspValidity), Nonce: r.nonce != nil}
	if end := signer.cert.NotAfter; response.NextUpdate.After(end) {
		response.NextUpdate = end
	}
	singles := make([]single, len(r.ids))
	for n, id := range r.ids {
		if singles[n], err = a.status(id, issuer); err != nil {
			return nil, err
		}
	}
	response.DER, err = signer.sign(response, singles, r.nonce)
	return response, err
}

// issuerByID returns the issuer that a request speaks of. That is never the root: its key is offline, and nobody else
// may speak for it.
func (a *Authority) issuerByID(id certID) (Issuer, bool) {
	if id.hash == 0 {
		return "", false
	}
	sum := func(data []byte) []byte {
		h := id.hash.New()
		h.Write(data)
		return h.Sum(nil)
	}
	for _, i := range online() {
		cert := a.certs[i]
		if cert == nil {
			continue
		}
		key, err := publicKeyBits(cert.RawSubjectPublicKeyInfo)
		if err == nil && bytes.Equal(id.nameHash, sum(cert.RawSubject)) && bytes.Equal(id.keyHash, sum(key)) {
			return i, true
		}
	}
	return "", false
}

// single is a SingleResponse.
type single struct {
	id         certID
	known      bool
	revocation *Revocation
}

// status looks a certificate up on the disk, each time, so that a revocation by another process counts at once.
func (a *Authority) status(id certID, speaksFor Issuer) (single, error) {
	s := single{id: id}
	if i, ok := a.issuerByID(id); !ok || i != speaksFor {
		return s, nil
	}
	serial := certstore.SerialHex(id.serial)
	_, issuer, err := a.issuedCertificate(serial)
	if errors.Is(err, ErrUnknown) || err == nil && issuer != speaksFor {
		return s, nil // never good: it was not issued
	}
	if err != nil {
		return s, err
	}
	s.known = true
	s.revocation, err = a.revocation(serial)
	return s, err
}

// sign makes the answer.
func (r *responder) sign(o *OCSPResponse, singles []single, nonce []byte) ([]byte, error) {
	data, err := responseData(o, singles, r.keyHash, nonce)
	if err != nil {
		return nil, err
	}
	hash := crypto.SHA256
	switch r.cert.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.ECDSAWithSHA256:
	case x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	default:
		return nil, fmt.Errorf("%w: OCSP responder: %v", ErrDamaged, r.cert.SignatureAlgorithm)
	}
	// Its key is of the kind of its issuer's, so that the algorithm is the one that its certificate is signed with.
	algorithm, err := signatureAlgorithm(r.cert.RawTBSCertificate)
	if err != nil {
		return nil, err
	}
	signature, err := crypto.SignMessage(r.key, rand.Reader, data, hash)
	if err != nil {
		return nil, err
	}
	return ocspResponse(data, algorithm, signature, r.cert.Raw)
}
