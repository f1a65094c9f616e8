package client

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime/cms"
)

// proofSet is what the verdicts on many messages rest on, each piece once: octets in DER, by their SHA-256 in hexadecimal. Its JSON
// is what an archive keeps of it. It is for use by one goroutine.
type proofSet struct {
	Certificates  map[string][]byte `json:"certificates,omitempty"`
	CRLs          map[string][]byte `json:"crls,omitempty"`
	OCSPResponses map[string][]byte `json:"ocsp_responses,omitempty"`
}

// add puts in the pieces that are not there yet, and returns how many octets these have.
func (s *proofSet) add(pieces []proofPiece) (octets int64) {
	for _, p := range pieces {
		set := s.of(p.kind)
		if _, ok := (*set)[p.name]; ok {
			continue
		}
		if *set == nil {
			*set = map[string][]byte{}
		}
		(*set)[p.name] = p.der
		octets += int64(len(p.der))
	}
	return octets
}

func (s *proofSet) of(kind proofKind) *map[string][]byte {
	switch kind {
	case proofCRL:
		return &s.CRLs
	case proofOCSP:
		return &s.OCSPResponses
	default:
		return &s.Certificates
	}
}

// ProofError is that a piece of what a verdict rests on is not there, or is not what it is named.
type ProofError struct {
	Name    string // SHA-256 of the piece, in hexadecimal
	Altered bool   // it is there, and other octets
}

func (e *ProofError) Error() string {
	if e.Altered {
		return fmt.Sprintf("what the verdict was decided by was altered: %.16s…", e.Name)
	}
	return fmt.Sprintf("what the verdict was decided by is missing: %.16s…", e.Name)
}

// named are the pieces that a record names. The error is a *ProofError.
func (s *proofSet) named(p proofRecord) (e revocation.Evidence, err error) {
	for _, list := range []struct {
		kind  proofKind
		names []string
		to    *[][]byte
	}{
		{proofCertificate, p.Certificates, &e.Certificates}, {proofCRL, p.CRLs, &e.CRLs}, {proofOCSP, p.OCSPResponses, &e.OCSPResponses},
	} {
		for _, name := range list.names {
			der, err := s.piece(list.kind, name)
			if err != nil {
				return e, err
			}
			*list.to = append(*list.to, der)
		}
	}
	return e, nil
}

func (s *proofSet) piece(kind proofKind, name string) ([]byte, error) {
	der, ok := (*s.of(kind))[name]
	if !ok {
		return nil, &ProofError{Name: name}
	}
	if sum := sha256.Sum256(der); hex.EncodeToString(sum[:]) != name {
		return nil, &ProofError{Name: name, Altered: true}
	}
	return der, nil
}

// certificate returns one by its fingerprint.
func (s *proofSet) certificate(name string) (*x509.Certificate, error) {
	der, err := s.piece(proofCertificate, name)
	if err != nil {
		return nil, err
	}
	return cms.RawCertificate(der).Parse()
}

// certificatePieces are certificates as pieces of proof.
func certificatePieces(parsed *certstore.ParseCache, certs ...*x509.Certificate) (pieces []proofPiece) {
	for _, cert := range certs {
		pieces = append(pieces, proofPiece{proofCertificate, parsed.Fingerprint(cert), cert.Raw})
	}
	return pieces
}
